/* The two kinds of load behind load.h: on threads in real time, and on one loop in virtual time. */
#ifndef GAMEDAY_ENGINE_LOAD_INTERNAL_H
#define GAMEDAY_ENGINE_LOAD_INTERNAL_H

#include "engine/load.h"

/* As the functions of load.h. */
struct load_kind {
  int (*start)(const struct load_spec *spec, uint64_t deadline_ns, struct load **ret_load,
               struct error *err);
  void (*begin)(struct load *load, uint64_t begin_ns);
  int (*end)(struct load *load, uint64_t end_ns, struct error *err);
  int (*stop)(struct load *load, struct error *err);
  void (*totals)(struct load *load, struct load_totals *ret);
  void (*free)(struct load *load);
};

struct load {
  const struct load_kind *kind;
};

extern const struct load_kind load_on_threads, load_in_virtual_time;

/* What an end waits for beyond the longest operation timeout before it is taken for stuck. */
#define LOAD_DRAIN_MARGIN_NS (10 * NS_PER_S)
/* What a stop waits for heartbeats that are under way. */
#define LOAD_STOP_GRACE_NS NS_PER_S

#endif
