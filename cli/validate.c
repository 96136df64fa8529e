/* gameday validate: checks scenario files and touches nothing. */
#include "cli.h"

struct validate_options {
  const char *provider;
  struct option_list sets;
  bool print;
};

static const struct option_row rows[] = {
    {"provider", OPTION_TEXT, offsetof(struct validate_options, provider), "NAME",
     "Check for this provider instead of the scenario's."},
    {"set", OPTION_LIST, offsetof(struct validate_options, sets), "PATH=VALUE",
     "Override a value before checking."},
    {"print", OPTION_FLAG, offsetof(struct validate_options, print), NULL,
     "Print the resolved scenario, every default written out."},
    {0},
};

static int print_resolved(struct cli *cli, const struct scenario *scenario) {
  struct error err = ERROR_INIT;
  struct buf yaml;
  buf_init(&yaml);
  int status = scenario_print(scenario, &yaml, &err);
  if (status == 0) fwrite(yaml.data, 1, yaml.length, stdout);
  buf_release(&yaml);
  return status < 0 ? cli_fail(cli, &err) : EXIT_MET;
}

static int main_validate(struct cli *cli, const void *data, int argc, char **argv) {
  const struct validate_options *options = data;
  if (argc < 1) return cli_usage(cli, &command_validate);
  int code = EXIT_MET;
  for (int i = 0; i < argc; i++) {
    struct scenario scenario;
    int loaded = cli_load_scenario(cli, argv[i], options->provider, &options->sets, &scenario);
    if (loaded == EXIT_MET) {
      if (options->print)
        loaded = print_resolved(cli, &scenario);
      else
        log_print(&cli->log, LOG_INFO, "%s: valid", argv[i]);
      scenario_release(&scenario);
    }
    code = cli_worse(code, loaded);
  }
  return code;
}

const struct command command_validate = {
    .name = "validate",
    .usage = "validate SCENARIO.yaml... [OPTIONS]",
    .summary = "Check scenario files; every mistake of a file is reported, with its place.",
    .options = rows,
    .options_size = sizeof(struct validate_options),
    .main = main_validate,
};
