/* gameday list: what there is, from the same tables that parse scenarios. */
#include <string.h>

#include "cli.h"
#include "gameday/checker.h"
#include "gameday/report.h"

static const struct option_row rows[] = {{0}};

/* A family of plug-ins as an array of pointers to descriptors, each of which begins with its
 * `struct plugin`. */
struct family {
  const char *name;
  const void *const *table;
};

static const struct plugin *plugin_at(const struct family *family, size_t index) {
  return family->table[index]; /* the head is the first member */
}

static void print_default(const struct param *param, char *text, size_t size) {
  snprintf(text, size, "%s",
           param->required ? "required" : (param->default_text ? param->default_text : "-"));
}

static const char *type_name(const struct param *param) {
  switch (param->type) {
    case PARAM_BOOL: return "true or false";
    case PARAM_COUNT: return "count";
    case PARAM_INTEGER: return "integer";
    case PARAM_NUMBER: return "number";
    case PARAM_DURATION: return "duration";
    case PARAM_SIZE: return "size";
    case PARAM_RATE: return "rate";
    case PARAM_RATIO: return "ratio";
    case PARAM_STRING: return "text";
    case PARAM_CHOICE: return "choice";
    case PARAM_TARGET: return "target";
    case PARAM_SETTINGS: return "settings";
    case PARAM_COUNTS: return "counts";
    case PARAM_DURATIONS: return "durations";
    case PARAM_NAMES: return "names";
  }
  return "?";
}

static void print_param(const struct param *param) {
  char fallback[64];
  print_default(param, fallback, sizeof fallback);
  printf("  %-24s %-14s %-12s", param->key, type_name(param), fallback);
  if (param->minimum || param->maximum)
    printf(" %s .. %s", param->minimum ? param->minimum : "", param->maximum ? param->maximum : "");
  if (param->type == PARAM_CHOICE)
    for (const char *const *choice = param->choices; *choice; choice++)
      printf("%s%s", choice == param->choices ? " " : " | ", *choice);
  printf("\n      %s\n", param->help);
}

static void print_plugin(const struct plugin *plugin) {
  const struct param *param;
  printf("%s: %s\n", plugin->name, plugin->summary);
  if (!param_at(plugin->params, 0)) return;
  printf("\n  %-24s %-14s %-12s %s\n", "parameter", "type", "default", "range");
  for (uint32_t i = 0; (param = param_at(plugin->params, i)); i++) print_param(param);
}

static void print_family(const struct family *family) {
  printf("%s:\n", family->name);
  for (size_t i = 0; family->table[i]; i++)
    printf("  %-20s %s\n", plugin_at(family, i)->name, plugin_at(family, i)->summary);
}

static int main_list(struct cli *cli, const void *data, int argc, char **argv) {
  const struct family families[] = {
      {"providers", (const void *const *)providers}, {"services", (const void *const *)services},
      {"workloads", (const void *const *)workloads}, {"injectors", (const void *const *)injectors},
      {"checkers", (const void *const *)checkers},   {"reports", (const void *const *)reports},
  };
  const size_t count = sizeof families / sizeof *families;
  (void)data;
  if (argc > 2) return cli_usage(cli, &command_list);
  bool known = false;
  for (size_t i = 0; i < count; i++) {
    if (argc > 0 && strcmp(argv[0], families[i].name) != 0) continue;
    known = true;
    if (argc < 2) print_family(&families[i]);
    for (size_t p = 0; argc == 2 && families[i].table[p]; p++) {
      const struct plugin *plugin = plugin_at(&families[i], p);
      if (strcmp(plugin->name, argv[1]) != 0) continue;
      print_plugin(plugin);
      return EXIT_MET;
    }
  }
  if (known && argc < 2) return EXIT_MET;
  if (known)
    log_print(&cli->log, LOG_ERROR, "there is no '%s' among the %s; `gameday list %s` lists them",
              argv[1], argv[0], argv[0]);
  else
    log_print(&cli->log, LOG_ERROR,
              "unknown family '%s'; there are providers, services, workloads, injectors, checkers "
              "and reports",
              argv[0]);
  return EXIT_BAD_USAGE;
}

const struct command command_list = {
    .name = "list",
    .usage = "list [FAMILY [NAME]]",
    .summary =
        "List providers, services, workloads, injectors, checkers, reports; or one's "
        "parameters.",
    .options = rows,
    .main = main_list,
};
