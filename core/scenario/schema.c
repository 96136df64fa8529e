/* The JSON Schema (draft-07) of scenario files, for editors and independent validators, from the
 * tables that the parser reads. */
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "scenario/param.h"
#include "scenario/sections.h"

#define WHOLE "\\+?[0-9]+(\\.[0-9]+)?"
#define NUMBER WHOLE "([eE][+-]?[0-9]+)?"
#define DURATION WHOLE " *(ns|us|ms|s|min|h|d)"

/* A member that could not be made or stored is remembered once, for the end. */
struct schema {
  const struct scenario_tables *tables;
  bool failed;
};

static json_t *check(struct schema *s, json_t *value) {
  if (!value) s->failed = true;
  return value;
}
static json_t *object(struct schema *s) {
  return check(s, json_object());
}
static json_t *array(struct schema *s) {
  return check(s, json_array());
}
static json_t *string(struct schema *s, const char *text) {
  return check(s, json_string(text));
}

/* Both take over `value`. */
static void set(struct schema *s, json_t *into, const char *key, json_t *value) {
  if (!into || !value) {
    s->failed = true;
    json_decref(value);
  } else if (json_object_set_new(into, key, value) < 0) {
    s->failed = true;
  }
}
static void append(struct schema *s, json_t *into, json_t *value) {
  if (!into || !value) {
    s->failed = true;
    json_decref(value);
  } else if (json_array_append_new(into, value) < 0) {
    s->failed = true;
  }
}

static json_t *strings(struct schema *s, const char *const *texts) {
  json_t *list = array(s);
  for (; *texts; texts++) append(s, list, string(s, *texts));
  return list;
}

static void set_types(struct schema *s, json_t *into, const char *const *types) {
  set(s, into, "type", types[1] ? strings(s, types) : string(s, types[0]));
}

/* How a quantity is written: the pattern of a string. */
static const char *unit_pattern(enum unit unit) {
  switch (unit) {
    case UNIT_NONE: return "-?" NUMBER;
    case UNIT_COUNT: return "[0-9]+";
    case UNIT_DURATION: return DURATION;
    case UNIT_SIZE: return WHOLE " *(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)";
    case UNIT_RATE: return NUMBER " */(s|min|h)";
    case UNIT_RATIO: return NUMBER " *%";
  }
  return "";
}

static void set_pattern(struct schema *s, json_t *into, const char *before, const char *pattern) {
  char text[512];
  int length = snprintf(text, sizeof text, "^%s%s$", before, pattern);
  assert(length > 0 && (size_t)length < sizeof text);
  set(s, into, "pattern", string(s, text));
}

/* Whole numbers and their bounds; others have units, which JSON cannot compare. */
static void set_number(struct schema *s, json_t *into, const struct param *row) {
  bool whole = row->type != PARAM_NUMBER;
  set(s, into, "type", string(s, whole ? "integer" : "number"));
  const char *least = row->minimum ? row->minimum : row->type == PARAM_COUNT ? "0" : NULL;
  const char *most = row->maximum ? row->maximum : row->type == PARAM_COUNT ? "4294967295" : NULL;
  if (least)
    set(s, into, "minimum",
        whole ? json_integer(strtoll(least, NULL, 10)) : json_real(strtod(least, NULL)));
  if (most)
    set(s, into, "maximum",
        whole ? json_integer(strtoll(most, NULL, 10)) : json_real(strtod(most, NULL)));
}

/* The choices; a choice such as `on` is a truth value to readers of YAML 1.1. */
static void set_choices(struct schema *s, json_t *into, const char *const *choices) {
  static const char *const truths[] = {"true", "yes", "on", "false", "no", "off"};
  json_t *list = strings(s, choices);
  for (; *choices; choices++)
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++)
      if (strcmp(truths[i], *choices) == 0) append(s, list, json_boolean(i < 3));
  set(s, into, "enum", list);
}

/* A range of whole numbers or of durations; one value is a range too. */
static void set_range(struct schema *s, json_t *into, const struct param *row) {
  static const char *const counts[] = {"string", "integer", NULL};
  static const char *const texts[] = {"string", NULL};
  bool count = row->type == PARAM_COUNTS;
  set_types(s, into, count ? counts : texts);
  set_pattern(s, into, "", count ? "[0-9]+(\\.\\.[0-9]+)?" : DURATION "(\\.\\." DURATION ")?");
  if (count && row->minimum) set(s, into, "minimum", json_integer(strtoll(row->minimum, NULL, 10)));
  if (count && row->maximum) set(s, into, "maximum", json_integer(strtoll(row->maximum, NULL, 10)));
}

static void set_names(struct schema *s, json_t *into) {
  static const char *const list[] = {"array", "null", NULL};
  json_t *item = object(s);
  set(s, item, "type", string(s, "string"));
  set_types(s, into, list);
  set(s, into, "items", item);
}

static void set_settings(struct schema *s, json_t *into) {
  static const char *const mapping[] = {"object", "null", NULL};
  static const char *const scalar[] = {"string", "number", "boolean", NULL};
  json_t *value = object(s);
  set_types(s, value, scalar);
  set_types(s, into, mapping);
  set(s, into, "additionalProperties", value);
}

static void set_param_type(struct schema *s, json_t *into, const struct param *row) {
  static const char *const scalar[] = {"string", "number", "boolean", NULL};
  switch (row->type) {
    case PARAM_BOOL: set(s, into, "type", string(s, "boolean")); break;
    case PARAM_COUNT:
    case PARAM_INTEGER:
    case PARAM_NUMBER: set_number(s, into, row); break;
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_RATE:
    case PARAM_RATIO:
      set(s, into, "type", string(s, "string"));
      set_pattern(s, into, "", unit_pattern(param_unit(row->type)));
      break;
    case PARAM_STRING: /* any scalar is taken as the text that was written */
      set_types(s, into, scalar);
      break;
    case PARAM_CHOICE: set_choices(s, into, row->choices); break;
    case PARAM_TARGET:
      set(s, into, "type", string(s, "string"));
      set(s, into, "pattern",
          string(
              s,
              "^(host/[a-z0-9-]+|[a-z0-9-]+\\.(primary(\\[[0-9]+\\])?|any|replica\\[[0-9]+\\]))$"));
      break;
    case PARAM_SETTINGS: set_settings(s, into); break;
    case PARAM_COUNTS:
    case PARAM_DURATIONS: set_range(s, into, row); break;
    case PARAM_NAMES: set_names(s, into); break;
  }
}

static void set_default(struct schema *s, json_t *into, const struct param *row) {
  const char *text = row->default_text;
  if (!text) return;
  json_t *value = NULL;
  if (row->type == PARAM_BOOL)
    value = json_boolean(strcmp(text, "true") == 0);
  else if (row->type == PARAM_COUNT || row->type == PARAM_INTEGER)
    value = json_integer(strtoll(text, NULL, 10));
  else if (row->type == PARAM_NUMBER)
    value = json_real(strtod(text, NULL));
  else
    value = string(s, text);
  set(s, into, "default", value);
}

static json_t *param_schema(struct schema *s, const struct param *row) {
  json_t *schema = object(s);
  char bounds[EXPECTED_SIZE];
  CLEANUP(buf_release) struct buf help;
  buf_init(&help);
  buf_puts(&help, row->help ? row->help : "");
  if (*param_bounds(row, bounds)) buf_printf(&help, " (%s)", bounds);
  if (help.failed) s->failed = true;
  set(s, schema, "description", string(s, help.failed ? "" : help.data));
  set_param_type(s, schema, row);
  set_default(s, schema, row);
  return schema;
}

static json_t *closed_object(struct schema *s, const char *description, json_t *properties,
                             json_t *required) {
  static const char *const optional[] = {"object", "null", NULL};
  static const char *const always[] = {"object", NULL};
  json_t *schema = object(s);
  set(s, schema, "description", string(s, description));
  set_types(s, schema, json_array_size(required) > 0 ? always : optional);
  set(s, schema, "properties", properties);
  if (json_array_size(required) > 0)
    set(s, schema, "required", required);
  else
    json_decref(required);
  set(s, schema, "additionalProperties", json_false());
  return schema;
}

static void add_table(struct schema *s, const struct param *table, json_t *properties,
                      json_t *required) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(table, i)); i++) {
    set(s, properties, row->key, param_schema(s, row));
    if (row->required) append(s, required, string(s, row->key));
  }
}

static json_t *plugin_schema(struct schema *s, const struct plugin *plugin) {
  json_t *properties = object(s), *required = array(s);
  add_table(s, plugin->params, properties, required);
  return closed_object(s, plugin->summary, properties, required);
}

static json_t *table_schema(struct schema *s, const char *help, const struct param *table) {
  json_t *properties = object(s), *required = array(s);
  add_table(s, table, properties, required);
  return closed_object(s, help, properties, required);
}

/* An alternative of "oneOf": has this key. */
static json_t *requires(struct schema *s, const char *key) {
  json_t *schema = object(s), *keys = array(s);
  append(s, keys, string(s, key));
  set(s, schema, "required", keys);
  return schema;
}

static json_t *services_schema(struct schema *s) {
  json_t *properties = object(s);
  for (const struct service *const *p = s->tables->services; *p; p++)
    set(s, properties, (*p)->plugin.name, plugin_schema(s, &(*p)->plugin));
  json_t *schema = closed_object(s, SERVICES_HELP, properties, array(s));
  set(s, schema, "type", string(s, "object"));
  set(s, schema, "minProperties", json_integer(1));
  return schema;
}

static json_t *cluster_schema(struct schema *s, const char *help) {
  json_t *properties = object(s), *required = array(s), *names = array(s);
  add_table(s, cluster_params, properties, required);
  for (const struct provider *const *p = s->tables->providers; *p; p++) {
    append(s, names, string(s, (*p)->plugin.name));
    set(s, properties, (*p)->plugin.name, plugin_schema(s, &(*p)->plugin));
  }
  json_t *provider = json_object_get(properties, "provider");
  if (provider) json_object_del(provider, "type");
  set(s, json_incref(provider), "enum", names);
  json_decref(provider);
  set(s, properties, SERVICES_KEY, services_schema(s));
  append(s, required, string(s, SERVICES_KEY));
  return closed_object(s, help, properties, required);
}

static json_t *workloads_schema(struct schema *s, const char *help) {
  json_t *properties = object(s), *schema = object(s);
  for (const struct workload *const *w = s->tables->workloads; *w; w++)
    set(s, properties, (*w)->plugin.name, plugin_schema(s, &(*w)->plugin));
  json_t *item = closed_object(s, "A workload and its parameters.", properties, array(s));
  set(s, item, "type", string(s, "object"));
  set(s, item, "minProperties", json_integer(1));
  set(s, item, "maxProperties", json_integer(1));
  set(s, schema, "description", string(s, help));
  set(s, schema, "type", string(s, "array"));
  set(s, schema, "minItems", json_integer(1));
  set(s, schema, "items", item);
  return schema;
}

static json_t *timeline_schema(struct schema *s, const char *help) {
  static const char *const list[] = {"array", "null", NULL};
  json_t *properties = object(s), *required = array(s), *one_of = array(s), *schema = object(s);
  add_table(s, entry_params, properties, required);
  json_t *at = json_object_get(properties, "at"), *name = json_object_get(properties, "name");
  if (at) set(s, at, "type", string(s, "string"));
  if (at) set_pattern(s, at, "", "(" DURATION "|recovery( *\\+ *" DURATION ")?)");
  if (name) set(s, name, "pattern", string(s, NAME_PATTERN));
  for (const struct injector *const *i = s->tables->injectors; *i; i++) {
    set(s, properties, (*i)->plugin.name, plugin_schema(s, &(*i)->plugin));
    append(s, one_of, requires(s, (*i)->plugin.name));
  }
  json_t *item = closed_object(s, "A fault or a planned step.", properties, required);
  if (json_array_size(one_of) > 0)
    set(s, item, "oneOf", one_of);
  else
    json_decref(one_of);
  set(s, schema, "description", string(s, help));
  set_types(s, schema, list);
  set(s, schema, "items", item);
  return schema;
}

static json_t *bound_schema(struct schema *s, enum unit unit, bool at_least) {
  static const char *const count[] = {"string", "integer", NULL};
  static const char *const number[] = {"string", "number", NULL};
  static const char *const text[] = {"string", NULL};
  json_t *schema = object(s);
  char help[160];
  snprintf(help, sizeof help,
           "A bound such as \"%s %s\", with a statistic over repeats (max, min, median, mean, p95) "
           "before it if wanted.",
           at_least ? ">=" : "<=", unit_example(unit));
  set(s, schema, "description", string(s, help));
  set_types(s, schema, unit == UNIT_COUNT ? count : unit == UNIT_NONE ? number : text);
  if (unit == UNIT_COUNT || unit == UNIT_NONE) set(s, schema, "minimum", json_integer(0));
  set_pattern(s, schema,
              " *((max|min|median|mean|p[0-9]{1,2}(\\.[0-9]{1,3})?)( +|(?=[<>])))?([<>]= *)?",
              unit_pattern(unit));
  return schema;
}

static json_t *objectives_schema(struct schema *s, const char *help) {
  json_t *properties = object(s);
  for (const char *const *name = s->tables->measure_names; name && *name; name++) {
    enum unit unit = UNIT_NONE;
    bool at_least = false;
    if (!s->tables->measure(*name, &unit, &at_least)) continue;
    json_t *list = object(s), *any = array(s), *either = object(s);
    set(s, list, "type", string(s, "array"));
    set(s, list, "minItems", json_integer(1));
    set(s, list, "items", bound_schema(s, unit, at_least));
    append(s, any, bound_schema(s, unit, at_least));
    append(s, any, list);
    set(s, either, "anyOf", any);
    set(s, properties, *name, either);
  }
  json_t *schema = closed_object(s, help, properties, array(s));
  set(s, schema, "type", string(s, "object"));
  set(s, schema, "minProperties", json_integer(1));
  return schema;
}

/* The section `explore`: its list names injectors. */
static json_t *explore_schema(struct schema *s, const char *help) {
  json_t *properties = object(s), *required = array(s), *names = array(s);
  add_table(s, explore_params, properties, required);
  for (const struct injector *const *i = s->tables->injectors; *i; i++)
    append(s, names, string(s, (*i)->plugin.name));
  json_t *item = json_object_get(json_object_get(properties, EXPLORE_INJECTORS_KEY), "items");
  set(s, item, "enum", names);
  return closed_object(s, help, properties, required);
}

static json_t *section_schema(struct schema *s, const struct section_info *info) {
  if (strcmp(info->key, "cluster") == 0) return cluster_schema(s, info->help);
  if (strcmp(info->key, "workloads") == 0) return workloads_schema(s, info->help);
  if (strcmp(info->key, "load") == 0) return table_schema(s, info->help, load_params);
  if (strcmp(info->key, "timeline") == 0) return timeline_schema(s, info->help);
  if (strcmp(info->key, "explore") == 0) return explore_schema(s, info->help);
  if (strcmp(info->key, "measure") == 0) return table_schema(s, info->help, measure_params);
  assert(strcmp(info->key, "objectives") == 0);
  return objectives_schema(s, info->help);
}

static json_t *root_schema(struct schema *s) {
  json_t *properties = object(s), *required = array(s);
  add_table(s, head_params, properties, required);
  json_t *name = json_object_get(properties, "name");
  if (name) set(s, name, "pattern", string(s, NAME_PATTERN));
  for (const struct section_info *info = section_infos; info->key; info++) {
    set(s, properties, info->key, section_schema(s, info));
    if (info->required) append(s, required, string(s, info->key));
  }
  json_t *root = closed_object(s, "A scenario of gameday: a cluster, its load, faults, objectives.",
                               properties, required);
  set(s, root, "$schema", string(s, "http://json-schema.org/draft-07/schema#"));
  set(s, root, "title", string(s, "gameday scenario"));
  return root;
}

static int add_to_buf(const char *bytes, size_t length, void *data) {
  struct buf *json = data; /* remembers a failure by itself */
  buf_add(json, bytes, length);
  return json->failed ? -1 : 0;
}

int scenario_schema(const struct scenario_tables *tables, struct buf *ret_json, struct error *err) {
  struct schema s = {.tables = tables};
  json_t *root = root_schema(&s);
  if (!root || s.failed || json_dump_callback(root, add_to_buf, ret_json, JSON_INDENT(2)) < 0)
    s.failed = true;
  json_decref(root);
  if (s.failed) return error_set(err, STATUS_MEMORY, "out of memory");
  buf_putc(ret_json, '\n');
  return buf_ok(ret_json, err);
}
