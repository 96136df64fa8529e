/* The fresh-connection probe: a client whose class is `fresh` connects for each operation, reads,
 * writes and closes; every step is timed into a sample of its own. The loop's thread. */
#ifndef GAMEDAY_ENGINE_LOAD_PROBE_H
#define GAMEDAY_ENGINE_LOAD_PROBE_H

#include "engine/load_client.h"

/* Begins with the oldest waiting operation, when no probe is under way. */
void load_probe_start(struct load_client *client);
/* The connection is ready: the samples of its steps, then the read. */
void load_probe_connected(struct load_client *client);
/* The read or the write was answered. A read that failed makes the operation FAIL: its write was
 * never sent. */
void load_probe_answered(struct load_client *client, struct load_flight *flight,
                         const struct reply *reply);
/* Time to connect (again), or to close after the operation. */
void load_probe_connect_due(struct load_client *client);
/* No connection in time: the operation is given up. */
void load_probe_give_up(struct load_client *client, uint64_t now_ns);
/* For an operation that is cut short: makes `flight` hold the operation itself, not its read; true
 * when its write had been sent. */
bool load_probe_wrote(struct load_client *client, struct load_flight *flight);

#endif
