/* Reads that waited behind an unanswered operation of their own client. A pooled client has one
 * connection for its writes and its reads: where writes hang, its reads do, though the server would
 * have answered them. What is left when these are no demand is what the reads alone prove. */
#ifndef GAMEDAY_CHECKERS_BEHIND_H
#define GAMEDAY_CHECKERS_BEHIND_H

#include "gameday/checker.h"

/* Takes a read that counts, as if it had been scheduled at `demand_ns`. */
typedef int behind_give(void *data, const struct operation *read, uint64_t demand_ns,
                        struct error *err);

struct behind_client;
struct behind {
  const struct record_info *info;
  behind_give *give;
  void *data;
  struct behind_client *clients; /* by operation.client */
  uint32_t client_count;
  uint64_t reads; /* that waited so */
};

void behind_init(struct behind *it, const struct record_info *info, behind_give *give, void *data);
void behind_release(struct behind *it);

/* One operation of the clients in question, in the order of done_ns; where it is a read it is given
 * on, now or when it is known what it waited for. STATUS_MEMORY. */
int behind_operation(struct behind *it, const struct operation *operation, bool read,
                     struct error *err);
/* After the last one: gives what is held. */
int behind_finish(struct behind *it, struct error *err);

#endif
