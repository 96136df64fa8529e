/* gameday version. */
#include "base/version.h"

#include "cli.h"

static int main_version(struct cli *cli, const void *data, int argc, char **argv) {
  (void)data;
  (void)argv;
  if (argc > 0) return cli_usage(cli, &command_version);
  printf("gameday " GAMEDAY_VERSION "\n");
  return EXIT_MET;
}

const struct command command_version = {
    .name = "version",
    .usage = "version",
    .summary = "Print the version.",
    .main = main_version,
};
