/* When writes came back after a fault: the first acknowledged write, scheduled after the fault,
 * that begins a sustained recovery. That it is sustained is asked of the writes on the route to the
 * primary, as applications send them; the moment itself is given by whichever client was served
 * first, and that is mostly one pinned to the host, because it need not search for the primary.
 * Definition and reasons: docs/measurement.md. */
#ifndef GAMEDAY_CHECKERS_RECOVERY_H
#define GAMEDAY_CHECKERS_RECOVERY_H

#include "gameday/checker.h"
#include "grid.h"
#include "outage.h"

/* An acknowledged write that may be the first of a recovery. */
struct recovery_candidate {
  uint64_t done_ns, scheduled_ns;
  uint32_t faults; /* confirmed before it was scheduled */
  uint32_t timeline;
  uint16_t host;
};

/* The writes of all clients on the route to the primary, or those of one pinned client. */
struct recovery_stream {
  uint32_t client; /* pinned only */
  struct outage_tracker outages;
  struct recovery_candidate *candidates; /* by done_ns */
  uint32_t candidate_count, candidate_capacity;
  uint64_t cell;    /* of the last candidate */
  uint32_t highest; /* faults of the candidates in that cell */
};

/* Of one set of hosts. */
struct recovery_tracker {
  const struct record_info *info;
  uint16_t set;
  struct recovery_stream route;   /* all clients on ROUTE_PRIMARY */
  struct recovery_stream *pinned; /* a client each */
  uint32_t pinned_count;
  struct grid grid;    /* of `route` */
  uint64_t window_ns;  /* how long a recovery must hold */
  uint64_t *confirmed; /* of all faults in effect, sorted */
  uint32_t confirmed_count;
};

enum recovery_kind {
  RECOVERY_NOT_NEEDED, /* the fault did not disturb writes */
  RECOVERY_DONE,
  RECOVERY_CUT,     /* writes came back at at_ns, but the load ended before it could be sustained */
  RECOVERY_NEVER,   /* not until the load ended */
  RECOVERY_THIN,    /* too few writes were scheduled after the fault to say anything */
  RECOVERY_STARVED, /* the harness was starved during the outage */
};
struct recovery {
  enum recovery_kind kind;
  uint64_t at_ns;        /* DONE, CUT: of the acknowledgement; NEVER: when the load ended */
  uint64_t scheduled_ns; /* DONE, CUT: of that write */
  uint64_t clients_ns;   /* as at_ns, of the first write on the route to the primary; not earlier */
  bool pinned;           /* at_ns is of a pinned client's write */
  const struct outage *outage; /* the one it ended; NULL: writes failed in part only */
};

int recovery_init(struct recovery_tracker *tracker, const struct record_info *info, uint16_t set,
                  struct error *err);
void recovery_release(struct recovery_tracker *tracker);
/* Operations of the set in the order of done_ns; those that are no writes on ROUTE_PRIMARY or
 * ROUTE_PINNED are ignored. */
int recovery_operation(struct recovery_tracker *tracker, const struct operation *operation,
                       struct error *err);
int recovery_sample(struct recovery_tracker *tracker, const struct sample *sample,
                    struct error *err);
int recovery_finish(struct recovery_tracker *tracker, struct error *err);

/* Of a confirmed fault. `marks`: sorted times at which a leader was lost, taken or promoted: an
 * outage that begins later than at once is the fault's doing only when such a mark explains it. */
struct recovery recovery_of(const struct recovery_tracker *tracker, int32_t fault,
                            const uint64_t *marks, uint32_t mark_count);

#endif
