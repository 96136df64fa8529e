/* A scenario back to YAML with every default written out, by the same tables that read it. */
#include <string.h>

#include "base/cleanup.h"
#include "scenario/param.h"
#include "scenario/sections.h"
#include "scenario/yaml_text.h"

struct printer {
  struct buf *out;
  struct arena arena; /* texts that are made for printing */
  bool failed;
};

static void print_settings(struct printer *p, const struct param *row, const void *config,
                           unsigned indent) {
  struct settings settings;
  memcpy(&settings, (const char *)config + row->offset, sizeof settings);
  yaml_put_indent(p->out, indent);
  buf_printf(p->out, "%s:%s\n", row->key, settings.count ? "" : " {}");
  for (uint32_t i = 0; i < settings.count; i++) {
    yaml_put_indent(p->out, indent + 1);
    yaml_put_key(p->out, settings.items[i].name);
    buf_puts(p->out, ": ");
    yaml_put_value(p->out, settings.items[i].value);
    buf_putc(p->out, '\n');
  }
}

static void print_names(struct printer *p, const struct param *row, const void *config,
                        unsigned indent) {
  struct names names;
  memcpy(&names, (const char *)config + row->offset, sizeof names);
  yaml_put_indent(p->out, indent);
  buf_printf(p->out, "%s:\n", row->key);
  for (uint32_t i = 0; i < names.count; i++) {
    yaml_put_indent(p->out, indent + 1);
    buf_puts(p->out, "- ");
    yaml_put_value(p->out, names.items[i]);
    buf_putc(p->out, '\n');
  }
}

static void print_row(struct printer *p, const struct param *row, const void *config,
                      unsigned indent) {
  if (param_is_absent(row, config)) return;
  if (row->type == PARAM_SETTINGS) {
    print_settings(p, row, config, indent);
    return;
  }
  if (row->type == PARAM_NAMES) {
    print_names(p, row, config, indent);
    return;
  }
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  param_print(row, config, &text);
  if (text.failed) p->failed = true;
  yaml_put_indent(p->out, indent);
  buf_printf(p->out, "%s: ", row->key);
  /* Numbers and quantities have no character to quote, and in quotes they would be texts. */
  if (row->type == PARAM_STRING || row->type == PARAM_CHOICE || row->type == PARAM_TARGET)
    yaml_put_value(p->out, text.data);
  else
    buf_puts(p->out, text.data);
  buf_putc(p->out, '\n');
}

static void print_table(struct printer *p, const struct param *table, const void *config,
                        unsigned indent) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(table, i)); i++) print_row(p, row, config, indent);
}

/* "name:" and its parameters; "name: {}" without any. */
static void print_plugin(struct printer *p, const struct plugin *plugin, const void *config,
                         unsigned indent) {
  buf_puts(p->out, plugin->name);
  buf_putc(p->out, ':');
  size_t empty = p->out->length;
  buf_putc(p->out, '\n');
  size_t before = p->out->length;
  print_table(p, plugin->params, config, indent + 1);
  if (p->out->failed || p->out->length > before) return;
  p->out->length = empty;
  buf_puts(p->out, " {}\n");
}

static void print_head(struct printer *p, const struct scenario *scenario) {
  struct head_section head = head_of(scenario);
  for (const struct param *row = head_params; row->key; row++) {
    if (strcmp(row->key, "description") == 0) {
      if (!head.description) continue;
      buf_puts(p->out, "description: ");
      yaml_put_block(p->out, head.description, 1);
    } else if (strcmp(row->key, "seed") != 0) {
      print_row(p, row, &head, 0);
    } else if (scenario->seed_given) { /* 0 is a seed too */
      buf_printf(p->out, "seed: %lld\n", (long long)head.seed);
    }
  }
}

static void print_cluster(struct printer *p, const struct scenario *scenario) {
  struct cluster_section cluster = cluster_of(scenario);
  buf_puts(p->out, "cluster:\n");
  print_table(p, cluster_params, &cluster, 1);
  buf_puts(p->out, "  services:\n");
  for (uint32_t i = 0; i < scenario->service_count; i++) {
    yaml_put_indent(p->out, 2);
    print_plugin(p, &scenario->services[i].service->plugin, scenario->services[i].config, 2);
  }
  yaml_put_indent(p->out, 1);
  print_plugin(p, &scenario->provider->plugin, scenario->provider_config, 1);
  for (uint32_t i = 0; i < scenario->other_provider_count; i++) {
    const struct scenario_provider *other = &scenario->other_providers[i];
    yaml_put_indent(p->out, 1);
    print_plugin(p, &other->provider->plugin, other->config, 1);
  }
}

static void print_workloads(struct printer *p, const struct scenario *scenario) {
  buf_puts(p->out, "workloads:\n");
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    buf_puts(p->out, "  - ");
    print_plugin(p, &scenario->workloads[i].workload->plugin, scenario->workloads[i].config, 2);
  }
}

static void print_timeline(struct printer *p, const struct scenario *scenario) {
  buf_puts(p->out, scenario->timeline_count ? "timeline:\n" : "timeline: []\n");
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const struct timeline_entry *entry = &scenario->timeline[i];
    struct entry_section section = entry_of(entry, &p->arena);
    if (!section.at) p->failed = true;
    size_t dash = p->out->length + 2;
    print_table(p, entry_params, &section, 2);
    if (!p->out->failed) p->out->data[dash] = '-';
    yaml_put_indent(p->out, 2);
    print_plugin(p, &entry->injector->plugin, entry->config, 2);
  }
}

static void print_bound(struct printer *p, const struct scenario_objective *objective) {
  yaml_put_value(p->out, objective->text);
  buf_putc(p->out, '\n');
}

/* Several bounds on one measure were a list, and are one again. */
static void print_objectives(struct printer *p, const struct scenario *scenario) {
  buf_puts(p->out, "objectives:\n");
  const struct scenario_objective *all = scenario->objectives;
  uint32_t count = scenario->objective_count;
  for (uint32_t i = 0; i < count;) {
    uint32_t end = i + 1;
    while (end < count && strcmp(all[end].name, all[i].name) == 0) end++;
    yaml_put_indent(p->out, 1);
    yaml_put_key(p->out, all[i].name);
    buf_puts(p->out, end - i > 1 ? ":\n" : ": ");
    if (end - i == 1) print_bound(p, &all[i]);
    for (uint32_t j = i; end - i > 1 && j < end; j++) {
      buf_puts(p->out, "    - ");
      print_bound(p, &all[j]);
    }
    i = end;
  }
}

int scenario_print(const struct scenario *scenario, struct buf *ret_yaml, struct error *err) {
  struct printer p = {.out = ret_yaml};
  arena_init(&p.arena, 0);
  struct load_section load = load_of(scenario);
  struct measure_section measure = measure_of(scenario);
  print_head(&p, scenario);
  print_cluster(&p, scenario);
  print_workloads(&p, scenario);
  buf_puts(p.out, "load:\n");
  print_table(&p, load_params, &load, 1);
  print_timeline(&p, scenario);
  if (scenario->explore.given) {
    buf_puts(p.out, "explore:\n");
    print_table(&p, explore_params, &scenario->explore, 1);
  }
  buf_puts(p.out, "measure:\n");
  print_table(&p, measure_params, &measure, 1);
  print_objectives(&p, scenario);
  arena_release(&p.arena);
  if (p.failed) return error_set(err, STATUS_MEMORY, "out of memory");
  return buf_ok(ret_yaml, err);
}
