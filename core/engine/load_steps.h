/* Operations of several steps: the clients of workloads with next(), see gameday/workload.h. The
 * engine keeps the stamps, the deadlines, the session to the origin and the record of the requests
 * to it; what comes after what is the workload's to say. The loop's thread. */
#ifndef GAMEDAY_ENGINE_LOAD_STEPS_H
#define GAMEDAY_ENGINE_LOAD_STEPS_H

#include "engine/load_client.h"

/* One operation that is not answered, and the rest of another in the background. */
#define LOAD_STEPS_FLIGHTS 2u

/* Makes what a client of such a workload has beside others; its flights are there. */
int load_steps_init(struct load_client *client, uint64_t seed, struct error *err);
void load_steps_release(struct load_client *client); /* of any client; zeroed is fine */
/* Begins with the oldest waiting operations, as far as the client is free. */
void load_steps_start(struct load_client *client);
/* Ends what is under way; the client is closed, and so is its session. */
void load_steps_abandon(struct load_client *client);
/* After the last client was released. */
void load_processes_free(struct load_context *context);

#endif
