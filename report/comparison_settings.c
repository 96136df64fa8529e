/* Which settings of two runs differ: without them nobody knows what was compared. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/bounds.h"
#include "report/comparison_internal.h"
#include "report/json_parts.h"

#define DEPTH_MAX 12
#define SHOWN_MAX 60
#define TEXT_MAX 120

/* Settings of one run by their path: {"postgres.topology": "patroni", ...}. */
static int put(json_t *flat, const char *path, const json_t *value) {
  if (json_is_string(value)) return json_object_set(flat, path, (json_t *)value);
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));
  int failed = text ? json_object_set_new(flat, path, json_string(text)) : -1;
  free(text);
  return failed;
}

static int flatten(json_t *flat, const char *path, const json_t *value, int depth,
                   const char *skip) {
  if (!json_is_object(value) || depth == DEPTH_MAX) return put(flat, path, value);
  const char *key;
  json_t *child;
  json_object_foreach((json_t *)value, key, child) {
    if (skip && strcmp(key, skip) == 0) continue;
    CLEANUP(buf_release) struct buf longer;
    buf_init(&longer);
    buf_printf(&longer, "%s%s%s", path, *path ? "." : "", key);
    if (longer.failed || flatten(flat, longer.data, child, depth + 1, NULL) < 0) return -1;
  }
  return 0;
}

/* A parameter that all hosts have alike is one entry; else each host's value is named. */
static int put_parameter(json_t *flat, const char *service, const json_t *hosts, const char *name) {
  CLEANUP(cleanup_json) json_t *each = json_object();
  const json_t *first = NULL;
  bool agree = true;
  const char *host;
  json_t *of;
  if (!each) return -1;
  json_object_foreach((json_t *)hosts, host, of) {
    const json_t *value =
        recorded_parameter(json_object_get(json_object_get(of, "parameters"), name));
    if (value && json_object_set(each, host, (json_t *)value) < 0) return -1;
    agree = agree && value && (!first || json_equal(first, value));
    if (!first) first = value;
  }
  CLEANUP(buf_release) struct buf path;
  buf_init(&path);
  buf_printf(&path, "%s %s", service, name);
  if (path.failed) return -1;
  return put(flat, path.data, agree ? first : each);
}

static int put_parameters(json_t *flat, const char *service, const json_t *hosts) {
  const char *host, *name;
  json_t *of, *value;
  json_object_foreach((json_t *)hosts, host, of) {
    json_object_foreach(json_object_get(of, "parameters"), name, value) {
      CLEANUP(buf_release) struct buf path;
      buf_init(&path);
      buf_printf(&path, "%s %s", service, name);
      if (path.failed) return -1;
      if (json_object_get(flat, path.data)) continue;
      if (put_parameter(flat, service, hosts, name) < 0) return -1;
    }
  }
  return 0;
}

/* NULL: no memory. What is not JSON is an empty object. */
static json_t *flat_settings(const struct run_result *result) {
  json_t *flat = json_object();
  CLEANUP(cleanup_json) json_t *root = recorded_json(result->settings_json);
  const char *service;
  json_t *row;
  json_object_foreach(root, service, row) {
    const json_t *settings = json_object_get(row, "settings");
    if (!flat || (settings && flatten(flat, service, settings, 0, "hosts") < 0) ||
        put_parameters(flat, service, json_object_get(settings, "hosts")) < 0) {
      json_decref(flat);
      return NULL;
    }
  }
  return flat;
}

/* --- rows ------------------------------------------------------------------------------------ */

static bool differs(json_t *const *flat, uint32_t count, const char *path) {
  const json_t *first = json_object_get(flat[0], path);
  for (uint32_t i = 1; i < count; i++) {
    const json_t *value = json_object_get(flat[i], path);
    if (!first != !value || (first && !json_equal(first, value))) return true;
  }
  return false;
}

static int add_setting(struct comparison *comparison, json_t *const *flat, const char *path,
                       struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  const char *name = arena_strdup(&comparison->arena, path);
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) {
    const char *text = json_string_value(json_object_get(flat[i], path));
    if (!text) continue;
    cells[i].text = strlen(text) > TEXT_MAX
                        ? arena_printf(&comparison->arena, "%.*s...", TEXT_MAX, text)
                        : arena_strdup(&comparison->arena, *text ? text : "\"\"");
  }
  return compared_add(comparison,
                      (struct compared_row){
                          .group = COMPARED_SETTINGS, .name = name, .label = name, .cells = cells},
                      err);
}

static int add_all(struct comparison *comparison, json_t *const *flat, struct error *err) {
  uint32_t shown = 0;
  for (uint32_t run = 0; run < comparison->run_count; run++) {
    const char *path;
    json_t *value;
    json_object_foreach(flat[run], path, value) {
      bool told = false;
      for (uint32_t before = 0; before < run && !told; before++)
        told = json_object_get(flat[before], path) != NULL;
      if (told || !differs(flat, comparison->run_count, path)) continue;
      if (shown++ >= SHOWN_MAX) {
        comparison->settings_cut++;
        continue;
      }
      int status = add_setting(comparison, flat, path, err);
      if (status < 0) return status;
    }
  }
  return 0;
}

int compared_settings(struct comparison *comparison, struct error *err) {
  json_t *flat[COMPARISON_RUNS_MAX] = {0};
  int status = 0;
  for (uint32_t i = 0; i < comparison->run_count && status == 0; i++) {
    flat[i] = flat_settings(comparison->runs[i].input.result);
    if (!flat[i]) status = error_set(err, STATUS_MEMORY, "out of memory for a comparison");
  }
  if (status == 0) status = add_all(comparison, flat, err);
  for (uint32_t i = 0; i < comparison->run_count; i++) json_decref(flat[i]);
  return status;
}
