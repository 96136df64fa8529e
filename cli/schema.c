/* gameday schema: the JSON Schema of scenario files, for editors. */
#include "cli.h"

static int main_schema(struct cli *cli, const void *data, int argc, char **argv) {
  struct error err = ERROR_INIT;
  struct buf json;
  (void)data;
  (void)argv;
  if (argc > 0) return cli_usage(cli, &command_schema);
  buf_init(&json);
  int status = scenario_schema(&cli->tables, &json, &err);
  if (status == 0) fwrite(json.data, 1, json.length, stdout);
  buf_release(&json);
  return status < 0 ? cli_fail(cli, &err) : EXIT_MET;
}

const struct command command_schema = {
    .name = "schema",
    .usage = "schema",
    .summary = "Print the JSON Schema of scenario files, for editors that complete from it.",
    .main = main_schema,
};
