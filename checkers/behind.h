/* Reads that waited behind an unanswered operation of their own client. A pooled client has one
 * connection for its writes and its reads: where writes hang, its reads do, though the server would
 * have answered them. What is left when these are no demand is what the reads alone prove. */
#ifndef GAMEDAY_CHECKERS_BEHIND_H
#define GAMEDAY_CHECKERS_BEHIND_H

#include "outage.h"

struct behind_client;
struct behind {
  const struct record_info *info;
  struct behind_client *clients; /* by operation.client */
  uint32_t client_count;
  uint64_t reads; /* that waited so */
};

void behind_init(struct behind *it, const struct record_info *info);
void behind_release(struct behind *it);

/* One operation of the clients in question, in the order of done_ns; where it is a read it goes on
 * to `tracker`, now or when it is known what it waited for. STATUS_MEMORY. */
int behind_operation(struct behind *it, struct outage_tracker *tracker,
                     const struct operation *operation, bool read, struct error *err);
/* After the last one, before outage_finish(). */
int behind_finish(struct behind *it, struct outage_tracker *tracker, struct error *err);

#endif
