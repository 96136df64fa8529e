/* gameday: finds the command, parses its options, runs it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/version.h"
#include "cli.h"
#include "engine/judge.h"
#include "scenario/suggest.h"

static const struct command *const commands[] = {
    &command_run,     &command_validate,
    &command_predict, &command_explore,
    &command_list,    &command_doctor,
    &command_report,  &command_compare,
    &command_export,  &command_heal,
    &command_cluster, &command_schema,
    &command_version, NULL,
};

static void print_overview(FILE *out) {
  fprintf(out,
          "gameday " GAMEDAY_VERSION
          ": proves, by breaking it, that a database cluster meets its recovery objectives.\n\n"
          "usage: gameday COMMAND [OPTIONS] [ARGUMENTS]\n\n");
  for (const struct command *const *row = commands; *row; row++)
    fprintf(out, "  %-10s %s\n", (*row)->name, (*row)->summary);
  fprintf(out, "\ngameday COMMAND --help says more. Exit codes:\n\n");
  for (const struct exit_meaning *row = exit_meanings; row->codes; row++)
    fprintf(out, "  %-14s %s\n", row->codes, row->meaning);
}

static void print_help(const struct command *command, FILE *out) {
  fprintf(out, "usage: gameday %s\n\n%s\n", command->usage, command->summary);
  if (command->more) fprintf(out, "\n%s\n", command->more);
  fprintf(out, "\noptions:\n");
  options_help(command->options, out);
}

static const struct command *find_command(const char *name) {
  for (const struct command *const *row = commands; *row; row++)
    if (strcmp((*row)->name, name) == 0) return *row;
  return NULL;
}

static bool wants_help(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    if (strcmp(argv[i], "--") == 0) return false;
  }
  return false;
}

/* Whether a pipe's reader has left. */
static bool reader_is_gone(int fd) {
  struct pollfd pipe = {.fd = fd, .events = POLLOUT};
  return poll(&pipe, 1, 0) == 1 && (pipe.revents & (POLLERR | POLLHUP)) != 0;
}

/* Output that nobody could read (a full disk behind stdout) is a failure too. A reader that has
 * left
 * (`| head`) has all it wanted. */
static int close_stdout(struct cli *cli, int code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  if (reader_is_gone(STDOUT_FILENO)) return code;
  log_print(&cli->log, LOG_ERROR, "cannot write to standard output");
  return code == EXIT_MET ? EXIT_ENVIRONMENT : code;
}

static int run_command(struct cli *cli, const struct command *command, int argc, char **argv) {
  if (wants_help(argc, argv)) {
    print_help(command, stdout);
    return EXIT_MET;
  }
  CLEANUP_FREE void *options = calloc(1, command->options_size ? command->options_size : 1);
  struct error err = ERROR_INIT;
  if (!options) {
    (void)error_set(&err, STATUS_MEMORY, "out of memory");
    return cli_fail(cli, &err);
  }
  int status = options_parse(command->options, options, &argc, argv, &err);
  if (status < 0) {
    int code = cli_fail(cli, &err);
    log_print(&cli->log, LOG_INFO, "usage: gameday %s", command->usage);
    return code;
  }
  return command->main(cli, options, argc, argv);
}

static int unknown_command(struct cli *cli, const char *name) {
  struct suggestion near;
  suggestion_init(&near, name);
  for (const struct command *const *row = commands; *row; row++)
    suggestion_offer(&near, (*row)->name);
  if (near.best)
    log_print(&cli->log, LOG_ERROR, "unknown command '%s'; did you mean '%s'?", name, near.best);
  else
    log_print(&cli->log, LOG_ERROR, "unknown command '%s'; gameday --help lists them", name);
  return EXIT_BAD_USAGE;
}

/* Of one command; NULL: of all. */
static int help_of(struct cli *cli, const char *name) {
  const struct command *command = name ? find_command(name) : NULL;
  if (name && !command) return unknown_command(cli, name);
  if (command)
    print_help(command, stdout);
  else
    print_overview(stdout);
  return EXIT_MET;
}

/* Where we were started without standard input, output or error, the first files that we open would
 * get their numbers, and what is printed would go into a record. What stands in for them fails as
 * a closed descriptor does. */
static bool hold_standard_descriptors(void) {
  for (;;) {
    int fd = open("/dev/null", O_RDONLY);
    if (fd < 0) return false;
    if (fd == STDIN_FILENO) { /* reading from it must fail, not end */
      close(fd);
      if (open("/dev/null", O_WRONLY) != STDIN_FILENO) return false;
    } else if (fd > STDERR_FILENO) {
      close(fd);
      return true;
    }
  }
}

/* The names of all values that objectives may name, for suggestions; NULL without memory. */
static const char **measure_names(void) {
  size_t count = 0;
  while (measure_table[count].name) count++;
  const char **names = calloc(count + 1, sizeof *names);
  for (size_t i = 0; names && i < count; i++) names[i] = measure_table[i].name;
  return names;
}

/* libpq takes what a caller left out from the environment (PGSERVICE, PGSSLCRLDIR ...): a run must
 * not depend on it. */
static void forget_postgres_environment(void) {
  for (size_t i = 0; environ[i];) {
    char name[64];
    size_t length = strcspn(environ[i], "=");
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), environ[i]);
    if (strncmp(name, "PG", 2) != 0 || length > 63 || unsetenv(name) < 0) i++;
  }
}

int main(int argc, char **argv) {
  forget_postgres_environment();
  /* A reader that has left and a limit on the size of files (ulimit -f) are errors of a write. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  if (!hold_standard_descriptors()) return EXIT_ENVIRONMENT;
  CLEANUP_FREE const char **names = measure_names();
  struct cli cli = {.tables = {.providers = providers,
                               .services = services,
                               .workloads = workloads,
                               .injectors = injectors,
                               .measure = measure_lookup,
                               .measure_missing = measure_missing,
                               .measure_names = names}};
  log_init(&cli.log, STDERR_FILENO, LOG_INFO);
  if (argc < 2) {
    print_overview(stderr);
    return EXIT_BAD_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
    return close_stdout(&cli, help_of(&cli, NULL));
  if (strcmp(argv[1], "help") == 0) return close_stdout(&cli, help_of(&cli, argv[2]));
  if (strcmp(argv[1], "--man") == 0) { /* for the build: it installs what this prints */
    manual_print(commands, stdout);
    return close_stdout(&cli, EXIT_MET);
  }
  const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
  const struct command *command = find_command(name);
  if (!command) return unknown_command(&cli, argv[1]);
  return close_stdout(&cli, run_command(&cli, command, argc - 2, argv + 2));
}
