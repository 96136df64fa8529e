/* Reads through a cache and the calls of what is behind it, kept for questions about times. */
#ifndef GAMEDAY_CHECKERS_STAMPEDE_PARTS_H
#define GAMEDAY_CHECKERS_STAMPEDE_PARTS_H

#include "gameday/checker.h"

struct stampede_read {
  uint64_t scheduled_ns;
  uint32_t latency_us;
  uint8_t source; /* enum cache_source */
  uint8_t workload;
};
struct stampede_call {
  uint64_t scheduled_ns, sent_ns, done_ns;
  uint32_t key;
  uint8_t workload;
  bool ok, refused;
};
struct stampede_log {
  struct stampede_read *reads; /* by scheduled_ns once settled */
  uint64_t read_count, read_capacity;
  struct stampede_call *calls;
  uint64_t call_count, call_capacity;
  uint64_t cached[4]; /* bit w: workload w reads through a cache */
};

int stampede_add_read(struct stampede_log *log, const struct operation *operation,
                      struct error *err);
int stampede_add_call(struct stampede_log *log, const struct operation *operation,
                      struct error *err);
/* After the last: forgets the reads of workloads without a cache, and sorts. */
void stampede_settle(struct stampede_log *log);
void stampede_release(struct stampede_log *log); /* zeroed is fine */

/* The reads that were scheduled in a time. */
struct stampede_view {
  uint64_t reads;
  double ratio; /* of them, those that the cache answered */
  uint64_t p50_ns, p99_ns, max_ns;
};
void stampede_look(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                   struct stampede_view *ret);
/* The lowest ratio of `count` reads in a row, scheduled in that time; 1 when there are not so many.
 */
double stampede_worst_ratio(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                            uint64_t count);
/* How many reads scheduled then were served beyond the value's time to live. */
uint64_t stampede_stale(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns);

/* The calls of the origin that were decided on in a time. */
struct stampede_calls {
  uint64_t calls, keys; /* for how many different keys */
  uint64_t failed;      /* not ok; refused ones too */
  uint64_t refused;     /* for want of connections */
  uint64_t most;        /* of them, in flight at one moment */
};
int stampede_count_calls(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                         struct stampede_calls *ret, struct error *err);

#endif
