/* The end of the page: the settings in effect as the servers told them, and how to do the run
 * again. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/bounds.h"
#include "report/html.h"
#include "report/output.h"

#define DEPTH_MAX 12
#define ROWS_MAX 2000
#define PATH_SIZE 256

/* NULL: no memory, and the page fails. */
static char *scalar_text(struct html_page *page, const json_t *value) {
  char *text = json_is_string(value)
                   ? strdup(json_string_value(value))
                   : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));
  if (!text) page->out->failed = true;
  return text;
}

static void value_row(struct html_page *page, const char *path, const json_t *value) {
  char *text = scalar_text(page, value);
  html_row(page);
  html_cell(page, path);
  html_cell(page, text ? text : "");
  html_row_end(page);
  free(text);
}

/* One row a leaf, named by the keys that lead to it. `skip` is a key at this level that is shown
 * elsewhere. */
static void flatten(struct html_page *page, const char *path, const json_t *value, int depth,
                    const char *skip, uint32_t *rows) {
  if (!json_is_object(value) || depth == DEPTH_MAX) {
    if ((*rows)++ < ROWS_MAX) value_row(page, path, value);
    return;
  }
  const char *key;
  json_t *child;
  json_object_foreach((json_t *)value, key, child) {
    char longer[PATH_SIZE];
    if (skip && strcmp(key, skip) == 0) continue;
    snprintf(longer, sizeof longer, "%.120s%s%.120s", path, *path ? "." : "", key);
    flatten(page, longer, child, depth + 1, NULL, rows);
  }
}

static void tree(struct html_page *page, const char *title, const json_t *value, const char *skip) {
  static const char *const columns[] = {"name", "value", NULL};
  uint32_t rows = 0;
  buf_puts(page->out, "<details open><summary>");
  html_text(page, title);
  buf_puts(page->out, "</summary>\n");
  html_table(page, columns);
  flatten(page, "", value, 0, skip, &rows);
  html_table_end(page);
  if (rows > ROWS_MAX) html_note(page, "The rest: see result.json.");
  buf_puts(page->out, "</details>\n");
}

/* One cell for all hosts when they agree; else each host's own. */
static void parameter_cell(struct html_page *page, const json_t *hosts, const char *name) {
  const json_t *first = NULL;
  bool agree = true;
  const char *host;
  json_t *of;
  json_object_foreach((json_t *)hosts, host, of) {
    const json_t *value =
        recorded_parameter(json_object_get(json_object_get(of, "parameters"), name));
    if (!first) first = value;
    agree = agree && value && json_equal(first, value);
  }
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  json_object_foreach((json_t *)hosts, host, of) {
    const json_t *value =
        recorded_parameter(json_object_get(json_object_get(of, "parameters"), name));
    char *one = value ? scalar_text(page, value) : NULL;
    if (agree) {
      buf_puts(&text, one ? one : "");
    } else {
      buf_printf(&text, "%s%s: %s", text.length > 0 ? "; " : "", host, one ? one : "not set");
    }
    free(one);
    if (agree) break;
  }
  output_join_failure(page->out, &text);
  html_cell(page, text.data);
}

/* Server parameters of all hosts side by side: the names are those of the first host. */
static void parameters(struct html_page *page, const json_t *hosts) {
  static const char *const columns[] = {"parameter", "value", "source", NULL};
  const json_t *first = NULL;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)hosts, key, value) {
    first = json_object_get(value, "parameters");
    break;
  }
  if (!json_is_object(first)) return;
  buf_puts(page->out, "<details><summary>server parameters</summary>\n");
  html_table(page, columns);
  json_object_foreach((json_t *)first, key, value) {
    html_row(page);
    html_cell(page, key);
    parameter_cell(page, hosts, key);
    html_cell(page, json_string_value(json_object_get(value, "source")));
    html_row_end(page);
  }
  html_table_end(page);
  buf_puts(page->out, "</details>\n");
}

static void services(struct html_page *page) {
  const char *text = page->result->settings_json;
  json_t *root = recorded_json(text);
  const char *service;
  json_t *value;
  if (!json_is_object(root) || json_object_size(root) == 0) {
    html_note(page, text && !root ? RECORDED_UNREADABLE : "The record holds none.");
    json_decref(root);
    return;
  }
  json_object_foreach(root, service, value) {
    const json_t *settings = json_object_get(value, "settings");
    buf_puts(page->out, "<h3>");
    html_text(page, service);
    buf_puts(page->out, "</h3>\n");
    tree(page, "service", json_is_object(settings) ? settings : value, "hosts");
    parameters(page, json_object_get(settings, "hosts"));
  }
  json_decref(root);
}

static void versions(struct html_page *page) {
  const char *text = page->result->versions_json;
  json_t *root = recorded_json(text);
  buf_puts(page->out, "<h3>Versions</h3>\n");
  if (json_is_object(root) && json_object_size(root) > 0) {
    tree(page, "harness and machine", root, NULL);
  } else {
    html_note(page, text && !root ? RECORDED_UNREADABLE : "The record holds none.");
  }
  json_decref(root);
}

void html_settings(struct html_page *page) {
  html_section(page, "settings", "Settings in effect");
  html_note(page, "As read back from the servers during the run, not as asked for.");
  services(page);
  versions(page);
  html_section_end(page);
}

/* A word for a POSIX shell: quoted unless it needs no quotes. */
static void shell_word(struct html_page *page, const char *word) {
  static const char plain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (word && *word && strspn(word, plain) == strlen(word)) {
    html_text(page, word);
    return;
  }
  html_text(page, "'");
  while (word && *word) {
    if (*word == '\'') {
      html_text(page, "'\\''");
      word++;
      continue;
    }
    CLEANUP(buf_release) struct buf part;
    buf_init(&part);
    size_t length = strcspn(word, "'");
    buf_add(&part, word, length);
    output_join_failure(page->out, &part);
    html_text(page, part.data);
    word += length;
  }
  html_text(page, "'");
}

void html_reproduce(struct html_page *page) {
  html_section(page, "reproduce", "Do it again");
  /* Not the file that was run: it may have been overridden, or changed since. */
  html_note(
      page,
      "The same schedule of load and faults, from the same seed. The scenario is the resolved "
      "one of the record, with every default and override:");
  char scenario[PATH_MAX];
  const char *directory = page->input->repeats[0].run_directory;
  snprintf(scenario, sizeof scenario, "%s/scenario.yaml", directory ? directory : ".");
  buf_puts(page->out, "<pre>gameday run ");
  shell_word(page, scenario);
  buf_printf(page->out, " --seed %" PRIu64, page->input->repeats[0].seed);
  if (page->input->repeat_count > 1) {
    buf_printf(page->out, " --repeat %" PRIu32, page->input->repeat_count);
  }
  buf_puts(page->out, "</pre>\n");
  html_note(page, "Verdict and pictures again, from the record alone:");
  buf_puts(page->out, "<pre>gameday report ");
  shell_word(page, page->input->directory);
  buf_puts(page->out, "</pre>\n");
  html_section_end(page);
}
