/* What every registered plug-in must have: a name, words for people, a parameter table that fits
 * its configuration, defaults that are valid, and all hooks that its header does not make optional.
 */
#include <ctype.h>

#include "engine/judge.h"
#include "gameday/checker.h"
#include "gameday/injector.h"
#include "gameday/report.h"
#include "gameday/workload.h"
#include "scenario/param.h"
#include "support/test.h"

#define ALL_CAPABILITIES                                                                       \
  (CAN_HOST_POWER | CAN_SIGNAL | CAN_FREEZE | CAN_UNITS | CAN_EXEC | CAN_FILES | CAN_NETWORK | \
   CAN_LINKS)

struct family {
  const char *name;
  const void *const *table; /* descriptors begin with their struct plugin */
};

static const struct family families[] = {
    {"providers", (const void *const *)providers}, {"services", (const void *const *)services},
    {"workloads", (const void *const *)workloads}, {"injectors", (const void *const *)injectors},
    {"checkers", (const void *const *)checkers},   {"reports", (const void *const *)reports},
};
#define FAMILIES (sizeof families / sizeof *families)

/* --- words ----------------------------------------------------------------------------------- */

static bool is_name(const char *text, char joint) {
  if (!islower((unsigned char)text[0])) return false;
  for (const char *c = text; *c; c++) {
    if (*c == joint && c[1] != joint && c[1] != '\0') continue;
    if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c)) return false;
  }
  return true;
}

static void check_words(const char *where, const char *text, bool sentence) {
  size_t length = text ? strlen(text) : 0;
  if (length < 10 || strchr(text, '\n')) fail_msg("%s: '%s' tells nothing", where, text);
  if ((text[length - 1] == '.') != sentence)
    fail_msg("%s: '%s' %s", where, text, sentence ? "is no whole sentence" : "ends in a full stop");
}

static void check_name(const struct family *family, size_t index) {
  const struct plugin *plugin = family->table[index];
  char where[128];
  assert_non_null(plugin->name);
  snprintf(where, sizeof where, "%s: %s", family->name, plugin->name);
  if (!is_name(plugin->name, '-')) fail_msg("%s: not a name like-this", where);
  check_words(where, plugin->summary, false);
  if (islower((unsigned char)plugin->summary[0])) fail_msg("%s: its summary begins small", where);
  for (size_t i = 0; i < index; i++) {
    const struct plugin *other = family->table[i];
    if (strcmp(other->name, plugin->name) == 0) fail_msg("%s: there are two of them", where);
  }
}

static void test_names_and_summaries(void **state) {
  (void)state;
  for (size_t f = 0; f < FAMILIES; f++) {
    assert_non_null(families[f].table[0]);
    for (size_t i = 0; families[f].table[i]; i++) check_name(&families[f], i);
  }
}

/* --- parameters ------------------------------------------------------------------------------ */

struct field {
  size_t size, alignment;
};

static struct field field_of(enum param_type type) {
#define FIELD(t) ((struct field){sizeof(t), _Alignof(t)})
  switch (type) {
    case PARAM_BOOL: return FIELD(bool);
    case PARAM_COUNT: return FIELD(uint32_t);
    case PARAM_INTEGER: return FIELD(int64_t);
    case PARAM_NUMBER:
    case PARAM_RATE:
    case PARAM_RATIO: return FIELD(double);
    case PARAM_DURATION:
    case PARAM_SIZE: return FIELD(uint64_t);
    case PARAM_STRING: return FIELD(const char *);
    case PARAM_CHOICE: return FIELD(int);
    case PARAM_TARGET: return FIELD(struct target);
    case PARAM_SETTINGS: return FIELD(struct settings);
    case PARAM_COUNTS:
    case PARAM_DURATIONS: return FIELD(struct param_range);
    case PARAM_NAMES: return FIELD(struct names);
  }
#undef FIELD
  fail_msg("unknown type %d", (int)type);
  return (struct field){0, 1};
}

static void check_field(const char *where, const struct plugin *plugin, const struct param *row) {
  struct field field = field_of(row->type);
  if (row->offset % field.alignment != 0 || row->offset + field.size > plugin->config_size)
    fail_msg("%s: is no field of the configuration", where);
  const struct param *other;
  for (uint32_t i = 0; (other = param_at(plugin->params, i)) != row; i++) {
    struct field another = field_of(other->type);
    if (strcmp(other->key, row->key) == 0) fail_msg("%s: there are two of them", where);
    if (other->offset < row->offset + field.size && row->offset < other->offset + another.size)
      fail_msg("%s: shares its field with '%s'", where, other->key);
  }
}

static void check_text(const char *where, const char *what, const struct param *row,
                       const char *text, struct arena *arena, void *config) {
  struct error err = ERROR_INIT;
  if (!text) return;
  if (row->type == PARAM_SETTINGS || row->type == PARAM_NAMES)
    fail_msg("%s: settings and names have no %s", where, what);
  if (param_parse(row, text, arena, config, &err) < 0)
    fail_msg("%s: its %s '%s': %s", where, what, text, err.message);
}

static void check_choices(const char *where, const struct param *row) {
  if ((row->type == PARAM_CHOICE) != (row->choices != NULL))
    fail_msg("%s: choices belong to a choice", where);
  if (!row->choices) return;
  if (!row->choices[0] || !row->choices[1]) fail_msg("%s: leaves no choice", where);
  if (!row->default_text && !row->required) fail_msg("%s: a choice needs a default", where);
}

static void check_param(const char *family, const struct plugin *plugin, const struct param *row,
                        struct arena *arena, void *config) {
  char where[160];
  snprintf(where, sizeof where, "%s: %s: %s", family, plugin->name, row->key);
  if (!is_name(row->key, '_')) fail_msg("%s: not a name like_this", where);
  check_words(where, row->help, true);
  check_field(where, plugin, row);
  check_choices(where, row);
  if (row->required && row->default_text) fail_msg("%s: is required and has a default", where);
  check_text(where, "minimum", row, row->minimum, arena, config);
  check_text(where, "maximum", row, row->maximum, arena, config);
  check_text(where, "default", row, row->default_text, arena, config);
}

/* With all defaults; `ret_complete`: nothing that is required is missing. */
static void *default_config(const char *family, const struct plugin *plugin, struct arena *arena,
                            bool *ret_complete) {
  struct error err = ERROR_INIT;
  void *scratch = arena_alloc(arena, plugin->config_size + 1);
  void *config = arena_alloc(arena, plugin->config_size + 1);
  assert_non_null(scratch);
  assert_non_null(config);
  *ret_complete = true;
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(plugin->params, i)); i++) {
    if (strcmp(plugin->params[i].key, row->key) != 0)
      fail_msg("%s: %s: says the same as '%s'", plugin->name, plugin->params[i].key, row->key);
    check_param(family, plugin, row, arena, scratch);
    assert_ok(param_set_default(row, arena, config, &err), &err);
    if (row->required) *ret_complete = false;
  }
  return config;
}

static void test_parameters_fit_and_defaults_are_valid(void **state) {
  struct arena arena;
  (void)state;
  arena_init(&arena, 0);
  for (size_t f = 0; f < FAMILIES; f++) {
    for (size_t i = 0; families[f].table[i]; i++) {
      const struct plugin *plugin = families[f].table[i];
      struct error err = ERROR_INIT;
      bool complete = false;
      void *config = default_config(families[f].name, plugin, &arena, &complete);
      if (complete && plugin->validate && plugin->validate(config, &err) < 0)
        fail_msg("%s: %s: its defaults: %s", families[f].name, plugin->name, err.message);
    }
  }
  arena_release(&arena);
}

/* --- providers ------------------------------------------------------------------------------- */

static void test_providers_have_what_they_can(void **state) {
  (void)state;
  for (const struct provider *const *row = providers; *row; row++) {
    const struct provider *p = *row;
    assert_true(p->can != 0 && (p->can & ~(uint32_t)ALL_CAPABILITIES) == 0);
    assert_true(p->probe && p->up && p->attach && p->detach && p->destroy && p->host_running);
    assert_true(!(p->can & CAN_HOST_POWER) || (p->host_stop && p->host_start));
    assert_true(!(p->can & CAN_SIGNAL) || p->process_signal);
    assert_true(!(p->can & CAN_FREEZE) || (p->freeze && p->frozen));
    assert_true(!(p->can & CAN_UNITS) || (p->unit_define && p->unit_start && p->unit_running));
    assert_true(!(p->can & CAN_EXEC) || p->exec);
    assert_true(!(p->can & CAN_FILES) || p->file_put);
    assert_true(!(p->can & CAN_NETWORK) || p->network_enter);
    assert_true(!(p->can & CAN_LINKS) || (p->link_cut && p->link_mend && p->link_passes));
  }
}

static void test_capabilities_have_names(void **state) {
  (void)state;
  for (uint32_t bit = 1; bit <= ALL_CAPABILITIES; bit <<= 1)
    assert_string_not_equal(capability_name((enum capability)bit), "invalid");
}

/* Some provider can do what it needs: else it could never be used. */
static void check_can_be_met(const char *name, uint32_t needs) {
  for (const struct provider *const *row = providers; *row; row++)
    if ((needs & ~(*row)->can) == 0) return;
  fail_msg("%s needs what no provider can", name);
}

/* --- services -------------------------------------------------------------------------------- */

static void check_plan(const struct service *service, struct arena *arena) {
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  bool complete = false;
  void *config = default_config("services", &service->plugin, arena, &complete);
  if (!complete) return;
  assert_ok(service->plan(config, hosts, &count, &err), &err);
  assert_in_range(count, 1, HOSTS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(hosts[i].kind, HOST_SERVER);
    assert_true(is_name(hosts[i].name, '-'));
    assert_true(strlen(hosts[i].name) < HOST_NAME_SIZE);
    for (uint32_t other = 0; other < i; other++)
      assert_string_not_equal(hosts[i].name, hosts[other].name);
  }
}

static void check_processes(const struct service_process *process) {
  for (; process && process->name; process++) {
    const struct process_match *match = &process->match;
    assert_true(is_name(process->name, '-'));
    /* Nothing given would match every process of the host. */
    assert_true(match->program || match->argument || match->unit);
    for (const struct service_process *other = process + 1; other->name; other++)
      assert_string_not_equal(other->name, process->name);
  }
}

static void test_services_are_complete(void **state) {
  struct arena arena;
  (void)state;
  arena_init(&arena, 0);
  for (const struct service *const *row = services; *row; row++) {
    const struct service *s = *row;
    bool complete = false;
    assert_true(s->plan && s->can_step && s->start && s->attach && s->release && s->watch);
    assert_true(s->unwatch && s->view && s->settings && s->step && s->converged);
    check_can_be_met(s->plugin.name, s->needs);
    check_plan(s, &arena);
    check_processes(s->processes);
    if (s->processes_for)
      check_processes(s->processes_for(default_config("services", &s->plugin, &arena, &complete)));
  }
  arena_release(&arena);
}

/* --- workloads ------------------------------------------------------------------------------- */

static uint32_t highest_parameter(const char *text) {
  uint32_t highest = 0;
  for (const char *c = strchr(text, '$'); c; c = strchr(c + 1, '$')) {
    uint32_t number = (uint32_t)strtoul(c + 1, NULL, 10);
    if (number > highest) highest = number;
  }
  return highest;
}

static void check_statements(const struct statement *statements, uint32_t count) {
  assert_true(count > 0 && count <= 32); /* bits of client_class.uses */
  for (uint32_t i = 0; i < count; i++) {
    const struct statement *statement = &statements[i];
    assert_non_null(statement->text);
    assert_true(statement->text[0] != '\0');
    assert_int_equal(highest_parameter(statement->text), statement->parameter_count);
    assert_true(statement->parameter_count <= REQUEST_PARAMETERS_MAX + 1);
  }
}

static void check_options(const struct workload *w, struct arena *arena) {
  bool complete = false;
  void *config = default_config("workloads", &w->plugin, arena, &complete);
  const struct client_options *options = w->options(config);
  assert_non_null(options);
  if (!complete) return;
  assert_true(options->connect_timeout_ns > 0 && options->operation_timeout_ns > 0);
  assert_true(options->pipeline_depth > 0 || w->next);
}

static void test_workloads_are_complete(void **state) {
  struct arena arena;
  (void)state;
  arena_init(&arena, 0);
  for (const struct workload *const *row = workloads; *row; row++) {
    const struct workload *w = *row;
    bool known = false;
    for (const struct service *const *s = services; *s; s++)
      known = known || strcmp((*s)->plugin.name, w->service) == 0;
    assert_true(known);
    assert_true(w->classes && w->options && w->plan && w->answer);
    assert_true((w->submit == NULL) == (w->next != NULL));
    assert_true((w->origin == NULL) == (w->origin_options == NULL));
    assert_true((w->process_new == NULL) == (w->process_free == NULL));
    assert_true(w->payload_offset == SIZE_MAX ||
                w->payload_offset + sizeof(uint64_t) <= w->plugin.config_size);
    check_statements(w->statements, w->statement_count);
    if (w->origin) check_statements(w->origin_statements, w->origin_statement_count);
    check_options(w, &arena);
  }
  arena_release(&arena);
}

/* --- injectors, checkers, reports ------------------------------------------------------------ */

static void test_injectors_can_be_used(void **state) {
  (void)state;
  for (const struct injector *const *row = injectors; *row; row++) {
    check_can_be_met((*row)->plugin.name, (*row)->needs);
    if (!((*row)->flags & INJECTOR_PLANNED)) continue;
    assert_int_equal((*row)->needs, 0); /* it is the service that acts */
  }
}

static void test_checkers_are_complete(void **state) {
  const uint32_t all =
      WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS | WANTS_ROWS | WANTS_ROWS_FIRST;
  (void)state;
  for (const struct checker *const *row = checkers; *row; row++) {
    const struct checker *c = *row;
    assert_true(c->finish != NULL);
    assert_true((c->wants & ~all) == 0);
    assert_true(c->wants == 0 || c->item);
    assert_false((c->wants & WANTS_ROWS) && (c->wants & WANTS_ROWS_FIRST));
    for (const char *const *name = c->measures; name && *name; name++) {
      enum unit unit;
      bool at_least;
      if (!measure_lookup(*name, &unit, &at_least))
        fail_msg("%s: objectives cannot name '%s'", c->plugin.name, *name);
    }
  }
}

/* An objective on it would be unknown for ever. */
static void test_every_measured_value_has_a_checker(void **state) {
  (void)state;
  for (const struct measure_info *info = measure_table; info->name; info++) {
    bool given = false;
    for (const struct checker *const *row = checkers; *row; row++)
      for (const char *const *name = (*row)->measures; name && *name; name++)
        given = given || strcmp(*name, info->name) == 0;
    if (!given) fail_msg("no checker gives '%s'", info->name);
    assert_true(info->help && strlen(info->help) > 10);
  }
}

static void test_reports_write_a_file_each(void **state) {
  (void)state;
  for (const struct report *const *row = reports; *row; row++) {
    assert_non_null((*row)->write);
    assert_non_null((*row)->file);
    assert_true((*row)->file[0] != '\0' && !strchr((*row)->file, '/'));
    for (const struct report *const *other = reports; other != row; other++)
      assert_string_not_equal((*other)->file, (*row)->file);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names_and_summaries),
      cmocka_unit_test(test_parameters_fit_and_defaults_are_valid),
      cmocka_unit_test(test_providers_have_what_they_can),
      cmocka_unit_test(test_capabilities_have_names),
      cmocka_unit_test(test_services_are_complete),
      cmocka_unit_test(test_workloads_are_complete),
      cmocka_unit_test(test_injectors_can_be_used),
      cmocka_unit_test(test_checkers_are_complete),
      cmocka_unit_test(test_every_measured_value_has_a_checker),
      cmocka_unit_test(test_reports_write_a_file_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
