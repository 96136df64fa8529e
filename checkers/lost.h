/* Lost acknowledged writes, charged to faults: which of them were acknowledged before the fault
 * and how far back the loss reaches (the recovery point), and which after it, by a primary that
 * had been replaced. Definition: docs/measurement.md. */
#ifndef GAMEDAY_CHECKERS_LOST_H
#define GAMEDAY_CHECKERS_LOST_H

#include "gameday/checker.h"

/* Lost writes of one kind between two faults. */
struct lost_bucket {
  uint64_t count;
  uint64_t last_ns;   /* acknowledgement of the last of them */
  uint64_t prefix_ns; /* acknowledgement of the last surviving write before the first lost one */
  bool no_prefix;     /* no write survived before it: prefix_ns is that write's schedule */
};
/* What was lost between a fault (or the beginning) and the next, by who acknowledged it. Which
 * fault it is charged to shows only when it is known whether a failover followed. */
struct lost_epoch {
  int32_t fault; /* FAULT_NONE: before the first */
  uint64_t begin_ns;
  bool promoted;          /* a promotion was seen */
  uint16_t promoted_host; /* of the last one */
  uint32_t promoted_timeline;
  struct lost_bucket before; /* acknowledged before any promotion */
  struct lost_bucket by_new; /* by the promoted host, after */
  struct lost_bucket by_old; /* by another host, after */
  /* Of `before` and `by_new` those after whose acknowledgement a write was sent that survived and
   * was acknowledged before the next fault: that one takes the end of a history, and they were not
   * part of it any more. */
  uint64_t settled;
};
/* Of one set of hosts. */
struct lost {
  struct lost_epoch *epochs; /* by time; the first is before all faults */
  uint32_t epoch_count, current;
  uint32_t timeline;    /* the highest that was promoted; 0: none told */
  uint16_t primary;     /* who was promoted last; HOST_NONE: nobody yet */
  uint64_t survivor_ns; /* acknowledgement of the last surviving write; TIME_NEVER: none yet */
};
/* What one fault is charged with. */
struct lost_charge {
  uint64_t before, after; /* lost writes acknowledged before and after it took effect */
  uint64_t prefix_ns;     /* meaningful when before > 0 */
};

/* Of the faults that may have hit `set`; of all of them where there is none of these, so that no
 * loss is charged to nobody. */
int lost_init(struct lost *lost, const struct record_info *info, uint16_t set, struct error *err);
void lost_release(struct lost *lost);
/* In the order of time. `timeline` 0: not known. A host that comes back on an older timeline than
 * was seen before is no promotion, nor is the primary that was silent for a while and answers on
 * the timeline that it had. */
void lost_promoted(struct lost *lost, uint64_t time_ns, uint16_t host, uint32_t timeline);
/* An acknowledged write that survived, or did not. */
void lost_survivor(struct lost *lost, const struct operation *operation);
void lost_write(struct lost *lost, const struct operation *operation);
struct lost_charge lost_charge_of(const struct lost *lost, int32_t fault);

#endif
