/* gameday doctor: can this machine do it, and if not, what is missing and how to get it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "cli.h"

static const struct option_row rows[] = {{0}};

/* Programs that reports use; what providers and services need they tell themselves. */
static const struct {
  const char *program, *package, *use;
} programs[] = {
    {"gnuplot", "gnuplot-nox", "the plots of a report"},
    {"rsvg-convert", "librsvg2-bin", "PNG pictures where gnuplot cannot draw them"},
};

static int main_doctor(struct cli *cli, const void *data, int argc, char **argv) {
  int code = EXIT_ENVIRONMENT;
  (void)data;
  (void)argv;
  if (argc > 0) return cli_usage(cli, &command_doctor);
  for (const struct provider *const *row = cli->tables.providers; *row; row++) {
    const struct provider *provider = *row;
    struct error err = ERROR_INIT;
    char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
    CLEANUP_FREE void *config =
        calloc(1, provider->plugin.config_size ? provider->plugin.config_size : 1);
    if (!config) {
      (void)error_set(&err, STATUS_MEMORY, "out of memory");
      return cli_fail(cli, &err);
    }
    int status = provider->probe(config, &err);
    error_format(&err, text, sizeof text);
    printf("provider %-12s %s\n", provider->plugin.name, status == 0 ? "works here" : text);
    if (status == 0) code = EXIT_MET;
  }
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    printf("program  %-12s %s%s%s\n", programs[i].program,
           process_exists(programs[i].program) ? "found" : "missing: apt-get install ",
           process_exists(programs[i].program) ? "" : programs[i].package,
           process_exists(programs[i].program) ? "" : programs[i].use);
  return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "doctor",
    .summary = "Tell what this machine can do, what is missing and how to get it.",
    .options = rows,
    .main = main_doctor,
};
