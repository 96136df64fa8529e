/* A scenario while it is read and checked: the struct that is filled, and for each of its parts the
 * node it came from, so that every later mistake finds its place. */
#ifndef GAMEDAY_SCENARIO_DRAFT_H
#define GAMEDAY_SCENARIO_DRAFT_H

#include "scenario/mistakes.h"
#include "scenario/scenario.h"
#include "scenario/tree.h"

/* Where a plug-in was named, and its parameters. */
struct block {
  const struct node *entry; /* timeline: the entry around it */
  const struct node *node;  /* its parameters */
  struct place place;       /* of its name */
  bool clean;               /* no mistake in it: its hooks may be called */
  bool timed;               /* timeline: it is known when it happens */
};

struct draft {
  struct scenario *scenario;
  const struct scenario_tables *tables;
  struct mistakes mistakes;
  struct place client_hosts_place;
  /* In the order of scenario->services, workloads and timeline. */
  struct block provider, *services, *workloads, *entries;
  const struct node *explore; /* NULL: not given */
};

/* The sections, into draft->scenario. Errors: STATUS_MEMORY; the rest are mistakes. */
int draft_read(struct draft *draft, const struct node *root, struct error *err);
/* The section `objectives`; `node` is not NULL. */
int draft_read_objectives(struct draft *draft, const struct node *node, struct error *err);

/* What no part can know alone: names that must exist, capabilities, targets, times. */
int draft_check(struct draft *draft, struct error *err);

/* Applies one override to the tree. */
int draft_override(struct arena *arena, struct mistakes *mistakes,
                   const struct scenario_override *override, struct node *root, struct error *err);

/* The place of the parameter at `offset`, or of the block when it is not written. */
struct place block_param_place(const struct block *block, const struct param *table,
                               enum param_type type, size_t offset);

#endif
