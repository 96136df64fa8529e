/* The manual page gameday(1), from the same tables as --help. */
#include <string.h>

#include "base/version.h"
#include "cli.h"

const struct exit_meaning exit_meanings[] = {
    {"0", "objectives met; the command did what was asked"},
    {"1", "an objective was missed"},
    {"2", "wrong usage, or mistakes in a scenario"},
    {"3", "the environment cannot do it: says what is missing and how to get it"},
    {"4", "untrustworthy or inconclusive: neither met nor missed is proven"},
    {"5", "internal error"},
    {"129, 130, 143",
     "ended by SIGHUP, SIGINT, SIGTERM (and cleaned up; reports are all new, or as they were)"},
    {NULL, NULL},
};

/* Text as roff takes it: its own letters escaped, so that none is a command. */
static void text(FILE *out, const char *words) {
  bool line_begins = true;
  for (const char *c = words; *c; c++) {
    if (line_begins && (*c == '.' || *c == '\'')) fputs("\\&", out);
    if (*c == '\\')
      fputs("\\e", out);
    else if (*c == '-')
      fputs("\\-", out);
    else
      fputc(*c, out);
    line_begins = *c == '\n';
  }
}

static void line(FILE *out, const char *macro, const char *words) {
  fprintf(out, "%s", macro);
  text(out, words);
  fputc('\n', out);
}

static void option(FILE *out, const struct option_row *row) {
  fputs(".TP\n\\fB\\-\\-", out);
  text(out, row->name);
  fputs("\\fR", out);
  if (row->argument) {
    fputs(" \\fI", out);
    text(out, row->argument);
    fputs("\\fR", out);
  }
  fputc('\n', out);
  line(out, "", row->help);
}

static void command_section(FILE *out, const struct command *command) {
  line(out, ".SS gameday ", command->usage);
  line(out, "", command->summary);
  if (command->more) line(out, ".PP\n", command->more);
  for (const struct option_row *row = command->options; row && row->name; row++) option(out, row);
}

void manual_print(const struct command *const *commands, FILE *out) {
  fputs(".TH GAMEDAY 1 \"\" \"gameday " GAMEDAY_VERSION "\" \"User Commands\"\n", out);
  line(out, ".SH NAME\n",
       "gameday - prove, by breaking it, that a database cluster meets its recovery objectives");
  fputs(".SH SYNOPSIS\n\\fBgameday\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n",
        out);
  line(out, ".SH DESCRIPTION\n",
       "A scenario, one YAML file, names a cluster, a workload, a timeline of faults and the\n"
       "objectives. gameday run brings the cluster up, drives the workload, injects the faults, "
       "heals\n"
       "them, and says with evidence whether each objective was met.");
  fputs(".SH COMMANDS\n", out);
  for (const struct command *const *row = commands; *row; row++) command_section(out, *row);
  fputs(".SH EXIT STATUS\n", out);
  for (const struct exit_meaning *row = exit_meanings; row->codes; row++) {
    line(out, ".TP\n", row->codes);
    line(out, "", row->meaning);
  }
  line(out, ".SH ENVIRONMENT\n.TP\n", "NO_COLOR");
  line(out, "", "When set and not empty, nothing is printed in colour.");
  line(out, ".SH SEE ALSO\n",
       "gameday list names every provider, service, workload, injector, checker and report, and\n"
       "gameday list FAMILY NAME its parameters.");
}
