/* The timeline: when each fault starts and heals, whom it hits, whether it took effect, and whether
 * the cluster has recovered since. Runs on one loop and clock, in real and in virtual time alike.
 */
#ifndef GAMEDAY_ENGINE_TIMELINE_H
#define GAMEDAY_ENGINE_TIMELINE_H

#include "base/error.h"
#include "base/loop.h"
#include "engine/journal.h"
#include "gameday/injector.h"
#include "gameday/service.h"
#include "scenario/scenario.h"

struct timeline_spec {
  struct loop *loop;
  const struct scenario *scenario;
  struct cluster *cluster;
  struct service_instance *services; /* in the order of scenario->services */
  uint32_t service_count;
  struct sink *sink;
  struct journal *journal;
  uint64_t start_ns; /* clock time of the run's zero */
  uint64_t seed;
  /* Whether the load has been succeeding since clock time `since_ns`; asked about once in 100 ms.
   */
  bool (*load_recovered)(void *data, uint64_t since_ns);
  /* Called once, on the loop, when every entry is through (status 0), or one could not be injected
   * (its error). */
  void (*done)(void *data, int status, const struct error *err);
  void *data;
};

struct timeline;

int timeline_new(const struct timeline_spec *spec, struct timeline **ret_timeline,
                 struct error *err);
void timeline_free(struct timeline *timeline); /* NULL is fine; heals nothing */

/* Plans all entries from clock time `begin_ns`, the start of the measured load. */
int timeline_begin(struct timeline *timeline, uint64_t begin_ns, struct error *err);

/* Heals whatever is in effect, the last one first, and waits (at most 30 s each) until it is seen
 * to be. Goes on after a failure; returns the first. Nothing starts any more. Blocks. */
int timeline_heal_all(struct timeline *timeline, struct error *err);

/* "host-crash on pg1, in effect" for the progress line; the entry that is furthest. */
void timeline_describe(const struct timeline *timeline, char *text, size_t size);

#endif
