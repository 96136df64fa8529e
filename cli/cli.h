/* The command line: one file a command, one row in commands[]. */
#ifndef GAMEDAY_CLI_CLI_H
#define GAMEDAY_CLI_CLI_H

#include "base/log.h"
#include "gameday/exit.h"
#include "options.h"
#include "scenario/scenario.h"

/* What main() hands to every command. */
struct cli {
  struct log log;
  struct scenario_tables tables;
};

struct command {
  const char *name, *usage, *summary;
  const char *more; /* further paragraphs of --help; NULL: none */
  const struct option_row *options;
  size_t options_size;
  /* `options` is filled; argv holds the positional words. Returns an exit code. */
  int (*main)(struct cli *cli, const void *options, int argc, char **argv);
};

extern const struct command command_cluster, command_compare, command_doctor, command_explore,
    command_export, command_heal, command_list, command_predict, command_report, command_run,
    command_schema, command_validate, command_version;

/* What each exit code means, for --help and the manual; ended by NULL codes. */
struct exit_meaning {
  const char *codes, *meaning;
};
extern const struct exit_meaning exit_meanings[];

/* The manual page as roff source (man(7)). `commands` is ended by NULL. */
void manual_print(const struct command *const *commands, FILE *out);

/* Logs the error once and gives the exit code that stands for it. */
int cli_fail(struct cli *cli, const struct error *err);
enum exit_code cli_exit_code(enum status status, int signal);
/* A wrong number of words: logs the usage, returns EXIT_BAD_USAGE. */
int cli_usage(struct cli *cli, const struct command *command);

/* Loads a scenario with the command line's overrides; logs every mistake. */
int cli_load_scenario(struct cli *cli, const char *path, const char *provider,
                      const struct option_list *sets, struct scenario *ret);

/* The same in silence, with one more override (NULL: none). Returns a status; what is wrong with
 * the scenario is in `ret_errors`, any other failure in `err` alone. */
int cli_try_scenario(const struct cli *cli, const char *path, const char *provider,
                     const struct option_list *sets, const struct scenario_override *last,
                     struct scenario *ret, struct scenario_errors *ret_errors, struct error *err);

/* Of two exit codes, the one that a script must see. */
int cli_worse(int a, int b);

/* The absolute path of an existing or not yet existing directory; STATUS_USAGE when it is too
 * long. */
int cli_absolute(const char *path, char *ret, size_t size, struct error *err);

/* STATUS_USAGE when the value of --out (NULL: not given) names no directory. */
int cli_check_out(const char *out, struct error *err);

/* Whether files could be written into a directory that may not be there yet: a status. Makes
 * nothing, so that what takes long can be refused before it begins. */
int cli_check_writable(const char *directory, struct error *err);

/* Makes an empty directory for a record, with its parents; one that exists and is not empty, or
 * that somebody else was just given, is STATUS_USAGE. `ret_lock`: a descriptor that keeps others
 * out, to be closed once there is something in it, after a failure too; unchanged where there is
 * none. */
int cli_make_run_directory(const char *path, int *ret_lock, struct error *err);

#endif
