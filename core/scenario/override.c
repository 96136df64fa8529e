/* `--set path=value`: changes the tree before it is checked, so that an override is checked like
 * anything that stands in the file. */
#include <stdio.h>
#include <string.h>

#include "scenario/draft.h"
#include "scenario/syntax.h"

struct override_context {
  struct arena *arena;
  struct mistakes *mistakes;
  const struct scenario_override *override;
  struct place place;
};

/* One step of a path. */
struct segment {
  char *key; /* NULL: an index */
  uint32_t index;
};

static int out_of_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory in an override");
}

static int wrong(const struct override_context *o, struct error *err, const char *message) {
  mistakes_add(o->mistakes, &o->place, "%s", message);
  return error_set(err, STATUS_USAGE, "%s", message);
}

/* "[12]" at `*text`; moves behind it. */
static bool take_index(const char **text, uint32_t *ret_index) {
  const char *digit = *text + 1;
  uint32_t index = 0;
  if (**text != '[' || *digit < '0' || *digit > '9') return false;
  for (; *digit >= '0' && *digit <= '9' && index < SCENARIO_NODES_MAX; digit++)
    index = index * 10 + (uint32_t)(*digit - '0');
  if (*digit != ']') return false;
  *text = digit + 1;
  *ret_index = index;
  return true;
}

/* The key at `*text`: in double quotes, or up to '.' or '['. Below `objectives` a key is a measure,
 * and those have dots of their own: there it goes up to '['. */
static char *take_key(const struct override_context *o, const char **text, bool measure) {
  const char *from = *text;
  size_t length;
  if (*from == '"') {
    const char *end = strchr(++from, '"');
    if (!end) return NULL;
    length = (size_t)(end - from);
    *text = end + 1;
  } else {
    length = strcspn(from, measure ? "[" : ".[");
    *text = from + length;
  }
  return length > 0 ? arena_strndup(o->arena, from, length) : NULL;
}

/* Takes the next segment off the path; false when it is none. `first` and `measure`: where it
 * stands. */
static bool take_segment(const struct override_context *o, const char **text, bool first,
                         bool measure, struct segment *ret) {
  *ret = (struct segment){.key = NULL};
  if (!first && **text == '[') return take_index(text, &ret->index);
  if (!first && *(*text)++ != '.') return false;
  ret->key = take_key(o, text, measure);
  return ret->key != NULL;
}

static int element(const struct override_context *o, struct node *list, uint32_t index,
                   struct node_item **ret_item, struct error *err) {
  char message[96];
  if (list->kind != NODE_LIST) {
    snprintf(message, sizeof message, "[%u] does not follow a list; expected a key", index);
    return wrong(o, err, message);
  }
  struct node_item *item = list->items;
  for (uint32_t i = 0; item && i < index; i++) item = item->next;
  if (!item) {
    if (list->count == 0)
      snprintf(message, sizeof message, "[%u] is beyond the list; it is empty", index);
    else
      snprintf(message, sizeof message, "[%u] is beyond the list; expected [0] to [%u]", index,
               list->count - 1);
    return wrong(o, err, message);
  }
  *ret_item = item;
  return 0;
}

/* The pair of `key`, made when missing; a node with nothing in it becomes a mapping. */
static int member(const struct override_context *o, struct node *mapping, const char *key,
                  struct node_item **ret_item, struct error *err) {
  char message[160], quoted[SHOWN_SIZE];
  if (mapping->kind == NODE_LIST) {
    snprintf(message, sizeof message, "%s follows a list; expected an index such as [0]",
             shown(key, quoted));
    return wrong(o, err, message);
  }
  if (mapping->kind == NODE_SCALAR) {
    snprintf(message, sizeof message, "%s follows a single value; expected the path to end there",
             shown(key, quoted));
    return wrong(o, err, message);
  }
  mapping->kind = NODE_MAPPING;
  struct node_item *item = tree_find(mapping, key);
  if (!item) {
    struct node *name = tree_node(o->arena, NODE_SCALAR, &o->place, key);
    struct node *nothing = name ? tree_node(o->arena, NODE_NULL, &o->place, "") : NULL;
    item = nothing ? tree_append(o->arena, mapping, name, nothing) : NULL;
    if (!item) return out_of_memory(err);
  }
  *ret_item = item;
  return 0;
}

/* The value: brackets, braces and quotes are YAML, anything else is a text as it stands, so that
 * `--set objectives.availability=">= 99%"` needs no second pair of quotes. */
static int parse_value(const struct override_context *o, struct node **ret_value,
                       struct error *err) {
  const char *value = o->override->value + strspn(o->override->value, " ");
  size_t length = strlen(value);
  while (length > 0 && value[length - 1] == ' ') length--;
  if (length > 0 && strchr("[{\"'", value[0]))
    return tree_parse(o->arena, value, length, o->place.argument, o->mistakes, ret_value, err);
  char *text = arena_strndup(o->arena, value, length);
  bool nothing = length == 0 || (text && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0));
  struct node *node =
      text ? tree_node(o->arena, nothing ? NODE_NULL : NODE_SCALAR, &o->place, text) : NULL;
  if (!node) return out_of_memory(err);
  *ret_value = node;
  return 0;
}

/* All of the path, before any of it is followed: what is none adds nothing to the tree. */
static int parse_path(const struct override_context *o,
                      struct segment ret_segments[SCENARIO_DEPTH_MAX], uint32_t *ret_count,
                      struct error *err) {
  const char *path = o->override->path;
  uint32_t count = 0;
  for (bool measure = false; *path; count++) {
    if (count == SCENARIO_DEPTH_MAX) return wrong(o, err, "the path is too long");
    struct segment *segment = &ret_segments[count];
    if (!take_segment(o, &path, count == 0, measure, segment))
      return wrong(o, err, "not a path; expected keys and indexes such as timeline[0].for");
    measure = count == 0 && strcmp(segment->key, "objectives") == 0;
  }
  if (count == 0) return wrong(o, err, "the path is empty; expected one such as load.warmup");
  *ret_count = count;
  return 0;
}

static int apply(const struct override_context *o, struct node *root, struct error *err) {
  struct node *value = NULL;
  struct segment segments[SCENARIO_DEPTH_MAX];
  uint32_t count = 0;
  int status = parse_value(o, &value, err);
  if (status == 0) status = parse_path(o, segments, &count, err);
  struct node *node = root;
  struct node_item *item = NULL;
  for (uint32_t i = 0; i < count && status == 0; i++) {
    status = segments[i].key ? member(o, node, segments[i].key, &item, err)
                             : element(o, node, segments[i].index, &item, err);
    if (status == 0) node = item->value;
  }
  if (status == 0) item->value = value;
  return status;
}

int draft_override(struct arena *arena, struct mistakes *mistakes,
                   const struct scenario_override *override, struct node *root, struct error *err) {
  char path[160], value[80];
  show_text(override->path, path, sizeof path);
  show_text(override->value, value, sizeof value);
  const char *argument = override->argument ? arena_strdup(arena, override->argument)
                                            : arena_printf(arena, "--set %s=%s", path, value);
  if (!argument) return out_of_memory(err);
  struct override_context o = {.arena = arena,
                               .mistakes = mistakes,
                               .override = override,
                               .place = {.argument = argument, .line = 1, .column = 1}};
  bool is_text =
      syntax_check_encoding(override->path, strlen(override->path), argument, mistakes) &&
      syntax_check_encoding(override->value, strlen(override->value), argument, mistakes);
  int status = is_text ? apply(&o, root, err) : 0;
  return status == STATUS_USAGE ? 0 : status; /* the mistake is noted */
}
