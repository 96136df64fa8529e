/* Builds the located tree from libyaml's events, with an explicit stack: depth, nodes and aliases
 * are counted before anything is made. */
#include "scenario/tree.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "scenario/syntax.h"

struct anchor {
  const char *name;
  struct node *node;
  struct anchor *next;
};

/* A collection that is being read. */
struct frame {
  struct node *node;
  struct node *key; /* of a mapping: read, its value not yet */
  bool drop;        /* the key was a duplicate: its value is read and forgotten */
};

struct builder {
  struct arena *arena;
  struct mistakes *mistakes;
  const char *argument;
  struct frame stack[SCENARIO_DEPTH_MAX];
  uint32_t depth, nodes, aliases, documents;
  struct anchor *anchors; /* the newest first */
  struct node *root;
};

struct node *tree_node(struct arena *arena, enum node_kind kind, const struct place *place,
                       const char *text) {
  struct node *node = arena_alloc(arena, sizeof *node);
  if (node) *node = (struct node){.kind = kind, .place = *place, .text = text};
  return node;
}

static uint32_t hash_text(const char *text) { /* FNV-1a */
  uint32_t hash = 2166136261u;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 16777619u;
  return hash;
}

static struct node_item *append_hashed(struct arena *arena, struct node *parent, struct node *key,
                                       uint32_t hash, struct node *value) {
  struct node_item *item = arena_alloc(arena, sizeof *item);
  if (!item) return NULL;
  *item = (struct node_item){.key = key, .value = value, .hash = hash};
  if (parent->last)
    parent->last->next = item;
  else
    parent->items = item;
  parent->last = item;
  parent->count++;
  return item;
}

struct node_item *tree_append(struct arena *arena, struct node *parent, struct node *key,
                              struct node *value) {
  return append_hashed(arena, parent, key, key ? hash_text(key->text) : 0, value);
}

struct node_item *tree_find(const struct node *mapping, const char *key) {
  if (!mapping || mapping->kind != NODE_MAPPING) return NULL;
  uint32_t hash = hash_text(key);
  for (struct node_item *item = mapping->items; item; item = item->next)
    if (item->hash == hash && strcmp(item->key->text, key) == 0) return item;
  return NULL;
}

struct node *tree_get(const struct node *mapping, const char *key) {
  const struct node_item *item = tree_find(mapping, key);
  return item ? item->value : NULL;
}

const char *tree_describe(const struct node *node, char buffer[SHOWN_SIZE]) {
  switch (node->kind) {
    case NODE_NULL: snprintf(buffer, SHOWN_SIZE, "nothing"); break;
    case NODE_SCALAR: return shown(node->text, buffer);
    case NODE_LIST: snprintf(buffer, SHOWN_SIZE, "a list"); break;
    case NODE_MAPPING: snprintf(buffer, SHOWN_SIZE, "a mapping"); break;
  }
  return buffer;
}

static struct place place_of(const struct builder *b, const yaml_mark_t *mark) {
  return (struct place){
      .argument = b->argument, .line = (int)mark->line + 1, .column = (int)mark->column + 1};
}

static int out_of_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory while reading the scenario");
}

/* A mistake after which the rest cannot be read. */
static int stop_at(struct builder *b, const struct place *place, struct error *err,
                   const char *message) {
  mistakes_add(b->mistakes, place, "%s", message);
  return error_set(err, STATUS_USAGE, "%s", message);
}

static int count_node(struct builder *b, const struct place *place, struct error *err) {
  if (b->nodes++ < SCENARIO_NODES_MAX) return 0;
  char message[96];
  snprintf(message, sizeof message, "too large: more than %d values, aliases expanded",
           SCENARIO_NODES_MAX);
  return stop_at(b, place, err, message);
}

/* libyaml reads no longer keys without '?', and the printer writes none with it. */
#define KEY_BYTES_MAX 200

/* Takes `node` as the next key: false when it is a duplicate. */
static bool take_key(struct builder *b, const struct frame *frame, const struct node *key) {
  char text[SHOWN_SIZE];
  if (key->text[0] == '\0') {
    mistakes_add(b->mistakes, &key->place, "a key is empty; expected a name before the ':'");
    return false;
  }
  if (strlen(key->text) > KEY_BYTES_MAX) {
    mistakes_add(b->mistakes, &key->place, "the key %s is too long; expected at most %d bytes",
                 shown(key->text, text), KEY_BYTES_MAX);
    return false;
  }
  const struct node_item *earlier = tree_find(frame->node, key->text);
  if (!earlier) return true;
  if (earlier->key->place.argument)
    mistakes_add(b->mistakes, &key->place, "duplicate key %s; expected it once",
                 shown(key->text, text));
  else
    mistakes_add(b->mistakes, &key->place,
                 "duplicate key %s; expected it once, and it is on line %d already",
                 shown(key->text, text), earlier->key->place.line);
  return false;
}

/* Puts a finished scalar, or a collection that begins, where it belongs. */
static int attach(struct builder *b, struct node *node, struct error *err) {
  if (b->depth == 0) {
    b->root = node;
    return 0;
  }
  struct frame *frame = &b->stack[b->depth - 1];
  if (frame->node->kind == NODE_MAPPING && !frame->key) {
    if (node->kind != NODE_SCALAR && node->kind != NODE_NULL)
      return stop_at(b, &node->place, err, "a key is a list or a mapping; expected a plain name");
    frame->key = node;
    frame->drop = !take_key(b, frame, node);
    return 0;
  }
  struct node *key = frame->key;
  frame->key = NULL;
  if (frame->drop) {
    frame->drop = false;
    return 0;
  }
  return tree_append(b->arena, frame->node, key, node) ? 0 : out_of_memory(err);
}

static int add_anchor(struct builder *b, const yaml_char_t *name, struct node *node,
                      struct error *err) {
  if (!name) return 0;
  struct anchor *anchor = arena_alloc(b->arena, sizeof *anchor);
  const char *copy = anchor ? arena_strdup(b->arena, (const char *)name) : NULL;
  if (!copy) return out_of_memory(err);
  *anchor = (struct anchor){.name = copy, .node = node, .next = b->anchors};
  b->anchors = anchor;
  return 0;
}

static void refuse_tag(struct builder *b, const yaml_char_t *tag, const struct place *place) {
  char text[SHOWN_SIZE];
  if (tag)
    mistakes_add(b->mistakes, place, "the tag %s is not understood; expected a value without a tag",
                 shown((const char *)tag, text));
}

static bool is_null(const yaml_event_t *event) {
  if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
  static const char *const words[] = {"", "~", "null", "Null", "NULL"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (strcmp((const char *)event->data.scalar.value, words[i]) == 0) return true;
  return false;
}

static int build_scalar(struct builder *b, const yaml_event_t *event, struct error *err) {
  struct place place = place_of(b, &event->start_mark);
  int status = count_node(b, &place, err);
  if (status < 0) return status;
  refuse_tag(b, event->data.scalar.tag, &place);
  const char *value = (const char *)event->data.scalar.value;
  if (strlen(value) != event->data.scalar.length)
    mistakes_add(b->mistakes, &place, "the text contains a NUL character; expected text");
  const char *text = arena_strdup(b->arena, value);
  struct node *node =
      text ? tree_node(b->arena, is_null(event) ? NODE_NULL : NODE_SCALAR, &place, text) : NULL;
  if (!node) return out_of_memory(err);
  node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  status = add_anchor(b, event->data.scalar.anchor, node, err);
  return status < 0 ? status : attach(b, node, err);
}

static int too_deep(struct builder *b, const struct place *place, struct error *err) {
  char message[96];
  snprintf(message, sizeof message, "nested too deeply; expected at most %d levels",
           SCENARIO_DEPTH_MAX);
  return stop_at(b, place, err, message);
}

static int build_collection(struct builder *b, enum node_kind kind, const yaml_mark_t *mark,
                            const yaml_char_t *anchor, const yaml_char_t *tag, struct error *err) {
  struct place place = place_of(b, mark);
  if (b->depth == SCENARIO_DEPTH_MAX) return too_deep(b, &place, err);
  int status = count_node(b, &place, err);
  if (status < 0) return status;
  refuse_tag(b, tag, &place);
  struct node *node = tree_node(b->arena, kind, &place, "");
  if (!node) return out_of_memory(err);
  status = add_anchor(b, anchor, node, err);
  if (status == 0) status = attach(b, node, err);
  if (status < 0) return status;
  b->stack[b->depth++] = (struct frame){.node = node};
  return 0;
}

/* A copy of what an anchor names. Recursion is as deep as the caps allow. */
static int copy_node(struct builder *b, const struct node *from, uint32_t depth,
                     const struct place *place, struct node **ret_copy, struct error *err) {
  bool collection = from->kind == NODE_LIST || from->kind == NODE_MAPPING;
  if (collection && depth >= SCENARIO_DEPTH_MAX) return too_deep(b, place, err);
  int status = count_node(b, place, err);
  if (status < 0) return status;
  struct node *copy = tree_node(b->arena, from->kind, &from->place, from->text);
  if (!copy) return out_of_memory(err);
  copy->quoted = from->quoted;
  for (const struct node_item *item = from->items; item; item = item->next) {
    struct node *value = NULL;
    status = copy_node(b, item->value, depth + 1, place, &value, err);
    if (status < 0) return status;
    if (!append_hashed(b->arena, copy, item->key, item->hash, value)) return out_of_memory(err);
  }
  *ret_copy = copy;
  return 0;
}

static int build_alias(struct builder *b, const yaml_event_t *event, struct error *err) {
  struct place place = place_of(b, &event->start_mark);
  char text[SHOWN_SIZE];
  const char *name = (const char *)event->data.alias.anchor;
  if (b->aliases++ == SCENARIO_ALIASES_MAX) {
    char message[64];
    snprintf(message, sizeof message, "too many aliases; expected at most %d",
             SCENARIO_ALIASES_MAX);
    return stop_at(b, &place, err, message);
  }
  const struct anchor *anchor = b->anchors;
  while (anchor && strcmp(anchor->name, name) != 0) anchor = anchor->next;
  struct node *node = NULL;
  if (!anchor) {
    mistakes_add(b->mistakes, &place, "the alias %s names no anchor above it; expected '&%s'",
                 shown(name, text), name);
    const char *copy = arena_strdup(b->arena, name); /* the event's text does not live on */
    node = copy ? tree_node(b->arena, NODE_NULL, &place, copy) : NULL;
    return node ? attach(b, node, err) : out_of_memory(err);
  }
  for (uint32_t i = 0; i < b->depth; i++)
    if (b->stack[i].node == anchor->node)
      return stop_at(b, &place, err, "an alias stands inside its own anchor; expected it after");
  int status = copy_node(b, anchor->node, b->depth, &place, &node, err);
  if (status < 0) return status;
  assert(node);
  node->place = place;
  return attach(b, node, err);
}

/* Adds to `into` the pairs of `from` that it does not have. */
static int merge_mapping(struct builder *b, struct node *into, const struct node *from,
                         struct error *err) {
  char text[SHOWN_SIZE];
  if (from->kind != NODE_MAPPING) {
    mistakes_add(b->mistakes, &from->place, "'<<' merges mappings, found %s; expected an alias",
                 tree_describe(from, text));
    return 0;
  }
  for (const struct node_item *item = from->items; item; item = item->next)
    if (!tree_find(into, item->key->text) && !tree_append(b->arena, into, item->key, item->value))
      return out_of_memory(err);
  return 0;
}

/* Resolves `<<: *anchor` and `<<: [*a, *b]`: own pairs win, then the earlier mapping. */
static int merge(struct builder *b, struct node *mapping, struct error *err) {
  struct node_item *previous = NULL, *item = mapping->items;
  while (item && (item->key->quoted || strcmp(item->key->text, "<<") != 0)) {
    previous = item;
    item = item->next;
  }
  if (!item) return 0;
  if (previous)
    previous->next = item->next;
  else
    mapping->items = item->next;
  if (mapping->last == item) mapping->last = previous;
  mapping->count--;
  if (item->value->kind != NODE_LIST) return merge_mapping(b, mapping, item->value, err);
  int status = 0;
  for (const struct node_item *i = item->value->items; i && status == 0; i = i->next)
    status = merge_mapping(b, mapping, i->value, err);
  return status;
}

/* libyaml ends what it began. */
static struct node *pop(struct builder *b) {
  assert(b->depth > 0);
  struct node *node = b->stack[--b->depth].node;
  assert(node);
  return node;
}

static int build_document(struct builder *b, const yaml_event_t *event, struct error *err) {
  if (b->documents++ == 0) return 0;
  struct place place = place_of(b, &event->start_mark);
  return stop_at(b, &place, err, "a second document begins here; expected one document in a file");
}

static int build_event(struct builder *b, const yaml_event_t *event, struct error *err) {
  switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return build_document(b, event, err);
    case YAML_SCALAR_EVENT: return build_scalar(b, event, err);
    case YAML_ALIAS_EVENT: return build_alias(b, event, err);
    case YAML_SEQUENCE_START_EVENT:
      return build_collection(b, NODE_LIST, &event->start_mark, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag, err);
    case YAML_MAPPING_START_EVENT:
      return build_collection(b, NODE_MAPPING, &event->start_mark, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag, err);
    case YAML_MAPPING_END_EVENT: return merge(b, pop(b), err);
    case YAML_SEQUENCE_END_EVENT: pop(b); return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
  }
  return 0;
}

static int build(struct builder *b, yaml_parser_t *parser, const char *bytes, size_t length,
                 struct error *err) {
  for (;;) {
    CLEANUP(yaml_event_delete) yaml_event_t event = {.type = YAML_NO_EVENT};
    if (!yaml_parser_parse(parser, &event)) {
      if (parser->error == YAML_MEMORY_ERROR) return out_of_memory(err);
      syntax_add_mistake(parser, bytes, length, b->argument, b->mistakes);
      return error_set(err, STATUS_USAGE, "not valid YAML");
    }
    int status = build_event(b, &event, err);
    if (status < 0) return status;
    if (event.type == YAML_STREAM_END_EVENT) return 0;
  }
}

int tree_parse(struct arena *arena, const char *bytes, size_t length, const char *argument,
               struct mistakes *mistakes, struct node **ret_root, struct error *err) {
  struct builder b = {.arena = arena, .mistakes = mistakes, .argument = argument};
  if (length > SCENARIO_BYTES_MAX) {
    struct place place = {.argument = argument, .line = 1, .column = 1};
    char message[64];
    snprintf(message, sizeof message, "too large; expected at most %u bytes", SCENARIO_BYTES_MAX);
    return stop_at(&b, &place, err, message);
  }
  if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no text */
    bytes += 3;
    length -= 3;
  }
  if (!syntax_check_encoding(bytes, length, argument, mistakes))
    return error_set(err, STATUS_USAGE, "not a text");
  CLEANUP(yaml_parser_delete) yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) return out_of_memory(err);
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
  int status = build(&b, &parser, bytes, length, err);
  if (status < 0) return status;
  struct place start = {.argument = argument, .line = 1, .column = 1};
  if (!b.root) b.root = tree_node(arena, NODE_NULL, &start, "");
  if (!b.root) return out_of_memory(err);
  *ret_root = b.root;
  return 0;
}
