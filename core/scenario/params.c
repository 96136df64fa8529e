/* Reads a mapping by a table: unknown and missing keys, wrong kinds of nodes, values. */
#include "scenario/params.h"

#include <string.h>

#include "scenario/param.h"
#include "scenario/suggest.h"

const struct param *params_find(const struct param *table, const char *key) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(table, i)); i++)
    if (strcmp(row->key, key) == 0) return row;
  return NULL;
}

const struct param *params_find_offset(const struct param *table, enum param_type type,
                                       size_t offset) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(table, i)); i++)
    if (row->type == type && row->offset == offset) return row;
  return NULL;
}

bool params_is_mapping(struct mistakes *mistakes, const struct node *node, const char *what) {
  char found[SHOWN_SIZE];
  if (node->kind == NODE_MAPPING || node->kind == NODE_NULL) return true;
  mistakes_add(mistakes, &node->place, "%s: found %s; expected a mapping (key: value)", what,
               tree_describe(node, found));
  return false;
}

static bool is_other(const struct params_input *input, const char *key) {
  for (const char *const *other = input->others; other && *other; other++)
    if (strcmp(*other, key) == 0) return true;
  return false;
}

static void add_unknown(const struct params_input *input, const struct node *key) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  const struct param *row;
  suggestion_init(&suggestion, key->text);
  for (uint32_t i = 0; (row = param_at(input->table, i)); i++)
    suggestion_offer(&suggestion, row->key);
  for (const char *const *other = input->others; other && *other; other++)
    suggestion_offer(&suggestion, *other);
  mistakes_add(input->mistakes, &key->place, "unknown key %s in %s%s", shown(key->text, quoted),
               input->what,
               suggestion.count ? suggestion_text(&suggestion, end) : "; expected no key");
}

static int read_settings(const struct params_input *input, const struct param *row,
                         const struct node *node, void *config, struct error *err) {
  if (!params_is_mapping(input->mistakes, node, row->key)) return 0;
  struct settings settings = {.count = 0};
  struct setting *items = arena_calloc(input->arena, node->count + 1u, sizeof *items);
  if (!items) return error_set(err, STATUS_MEMORY, "out of memory");
  for (const struct node_item *item = node->items; item; item = item->next) {
    char quoted[SHOWN_SIZE], found[SHOWN_SIZE];
    if (item->value->kind != NODE_SCALAR) {
      mistakes_add(input->mistakes, &item->value->place, "%s in %s: found %s; expected one value",
                   shown(item->key->text, quoted), row->key, tree_describe(item->value, found));
      continue;
    }
    items[settings.count++] = (struct setting){.name = item->key->text, .value = item->value->text};
  }
  settings.items = settings.count ? items : NULL;
  memcpy((char *)config + row->offset, &settings, sizeof settings);
  return 0;
}

static int read_names(const struct params_input *input, const struct param *row,
                      const struct node *node, void *config, struct error *err) {
  char found[SHOWN_SIZE], expected[EXPECTED_SIZE];
  if (node->kind == NODE_NULL) return 0;
  if (node->kind != NODE_LIST) {
    mistakes_add(input->mistakes, &node->place, "%s: found %s; expected %s", row->key,
                 tree_describe(node, found), param_expected(row, expected));
    return 0;
  }
  struct names names = {.count = 0};
  const char **items = arena_calloc(input->arena, node->count + 1u, sizeof *items);
  if (!items) return error_set(err, STATUS_MEMORY, "out of memory");
  for (const struct node_item *item = node->items; item; item = item->next) {
    if (item->value->kind == NODE_SCALAR)
      items[names.count++] = item->value->text;
    else
      mistakes_add(input->mistakes, &item->value->place, "%s: found %s; expected a name", row->key,
                   tree_describe(item->value, found));
  }
  names.items = names.count ? items : NULL;
  memcpy((char *)config + row->offset, &names, sizeof names);
  return 0;
}

/* Numbers and truth values are told from texts by their missing quotes, as every YAML reader and
 * the JSON Schema do. */
static bool is_unquoted_type(enum param_type type) {
  return type == PARAM_BOOL || type == PARAM_COUNT || type == PARAM_INTEGER || type == PARAM_NUMBER;
}

static int read_value(const struct params_input *input, const struct param *row,
                      const struct node *node, void *config, struct error *err) {
  if (row->type == PARAM_SETTINGS) return read_settings(input, row, node, config, err);
  if (row->type == PARAM_NAMES) return read_names(input, row, node, config, err);
  char expected[EXPECTED_SIZE], found[SHOWN_SIZE];
  if (node->kind != NODE_SCALAR) {
    mistakes_add(input->mistakes, &node->place, "%s: found %s; expected %s", row->key,
                 tree_describe(node, found), param_expected(row, expected));
    return 0;
  }
  if (node->quoted && is_unquoted_type(row->type)) {
    mistakes_add(input->mistakes, &node->place, "%s: found a text in quotes; expected %s without",
                 row->key, param_expected(row, expected));
    return 0;
  }
  struct error why = ERROR_INIT;
  int status = param_parse(row, node->text, input->arena, config, &why);
  if (status == STATUS_MEMORY) return error_set(err, status, "%s", why.message);
  if (status < 0) mistakes_add(input->mistakes, &node->place, "%s: %s", row->key, why.message);
  return 0;
}

static int read_row(const struct params_input *input, const struct param *row, void *config,
                    struct error *err) {
  const struct node *node = tree_get(input->mapping, row->key);
  int status = param_set_default(row, input->arena, config, err);
  if (status < 0) return status;
  if (node) return read_value(input, row, node, config, err);
  if (!row->required) return 0;
  char expected[EXPECTED_SIZE];
  bool said = row->type == PARAM_STRING && input->missing;
  mistakes_add(input->mistakes, &input->place, "'%s' is missing in %s; expected %s", row->key,
               input->what, said ? input->missing : param_expected(row, expected));
  return 0;
}

int params_read(const struct params_input *input, void *config, bool *ret_clean,
                struct error *err) {
  uint32_t before = input->mistakes->count;
  if (!params_is_mapping(input->mistakes, input->mapping, input->what)) {
    *ret_clean = false;
    return 0;
  }
  for (const struct node_item *item = input->mapping->items; item; item = item->next)
    if (!params_find(input->table, item->key->text) && !is_other(input, item->key->text))
      add_unknown(input, item->key);
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(input->table, i)); i++) {
    int status = read_row(input, row, config, err);
    if (status < 0) return status;
  }
  *ret_clean = input->mistakes->count == before && !input->mistakes->failed;
  return 0;
}
