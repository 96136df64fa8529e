/* YAML bytes to a tree of located nodes in an arena. Anchors, aliases and merges (`<<`) are
 * resolved by copying within the caps of scenario.h, so that no input grows beyond them; every
 * node keeps the place where it was written. */
#ifndef GAMEDAY_SCENARIO_TREE_H
#define GAMEDAY_SCENARIO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "scenario/mistakes.h"

enum node_kind {
  NODE_NULL, /* nothing after the colon, ~ or null */
  NODE_SCALAR,
  NODE_LIST,
  NODE_MAPPING,
};

struct node;
/* One element of a list, or one pair of a mapping. */
struct node_item {
  struct node *key; /* a scalar; NULL in a list */
  struct node *value;
  struct node_item *next;
  uint32_t hash; /* of the key: makes looking for duplicates cheap */
};
struct node {
  enum node_kind kind;
  bool quoted; /* a scalar in quotes or a block text: never a number or a truth value */
  struct place place;
  const char *text; /* of a scalar (and NODE_NULL, as written); valid UTF-8 without NUL */
  struct node_item *items, *last;
  uint32_t count; /* of items */
};

/* Parses one document. `argument` names a command-line argument that holds the text, NULL for a
 * file. On a syntax error the mistake is added and STATUS_USAGE returned; mistakes that leave a
 * tree to look at (a duplicate key) are added, and 0 is returned. An empty document gives
 * a NODE_NULL. Other errors: STATUS_MEMORY. */
int tree_parse(struct arena *arena, const char *bytes, size_t length, const char *argument,
               struct mistakes *mistakes, struct node **ret_root, struct error *err);

/* The value of `key` in a mapping; NULL when there is none or `mapping` is no mapping. */
struct node *tree_get(const struct node *mapping, const char *key);
struct node_item *tree_find(const struct node *mapping, const char *key);

/* A new node, and a new element of a list (key NULL) or mapping. NULL: out of memory. */
struct node *tree_node(struct arena *arena, enum node_kind kind, const struct place *place,
                       const char *text);
struct node_item *tree_append(struct arena *arena, struct node *parent, struct node *key,
                              struct node *value);

/* "a list", "a mapping", "nothing", the text for messages. */
const char *tree_describe(const struct node *node, char buffer[SHOWN_SIZE]);

#endif
