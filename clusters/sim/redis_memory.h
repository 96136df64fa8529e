/* The memory of a simulated Redis server: what it counts as used, what it throws away at its limit,
 * and keys whose time is over. After Redis 7.0.15 on 64 bits with jemalloc:
 *
 * used = 875,920 when it has started (INFO, used_memory_startup)
 *      + 24 KiB a client: 20 KiB to read into, the answer's buffer, and what is known of it
 *      + the replication backlog, up to repl-backlog-size, where there are replicas
 *      + 8 a place of the hash tables of keys and of times to live, whose sizes are powers of two
 *      + for each key
 *          its entry of 24 in the table, 40 in a cluster (dict.h, server.h)
 *          the key, with a head of 1 below 32 bytes, 3 below 256, 5 below 64 Ki, and an end of 1
 *            (sds.h)
 *          the value: an object of 16 (object.c), in one piece with the string and its 4 bytes
 *            up to 44, else beside a string of its own as the key's, with a head of 9 from 64 Ki on
 *          another entry of 24 for its time to live
 *
 * each rounded up as jemalloc has sizes: 8, then multiples of 16 up to 128, then four sizes to each
 * doubling.
 *
 * tests/unit/test_sim_redis_memory.c holds that against what a real server says. Not counted: small
 * integers, which Redis keeps in the object itself; a table while it is copied to a larger one;
 * buffers of replicas and of the append-only file, which Redis leaves out itself (evict.c,
 * freeMemoryGetNotCountedMemory()).
 *
 * Sources: evict.c (performEvictions(), evictionPoolPopulate(), LFULogIncr(), LFUDecrAndReturn(),
 * evictionTimeLimitUs()), expire.c (activeExpireCycle(), the slow one), db.c (lookupKey(),
 * expireIfNeeded(), dbOverwrite()), server.c (processCommand(): memory is looked at before a
 * command and with its arguments; htNeedsResize()). */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_MEMORY_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_MEMORY_H

#include "sim/redis_internal.h"

/* --- redis_memory.c --- */

/* What jemalloc takes for `bytes`. */
uint64_t memory_rounded(uint64_t bytes);
/* Without the tables' places. Below 4 GiB. */
uint32_t memory_of_key(const struct redis_config *config, uint64_t key_length,
                       uint64_t value_length, bool expires);
/* Of the arguments of a command that writes, while it is run. */
uint64_t memory_of_write(uint64_t key_length, uint64_t value_length);
uint64_t memory_used(struct sim_redis *server);
void memory_read_settings(struct sim_redis_cluster *cluster);
void memory_init(struct sim_redis *server);
void memory_started(struct sim_redis *server);
/* Every second. */
void memory_cron(struct sim_redis *server);

/* struct sim_redis_key.clock of a key that is new, or was written again. */
uint32_t memory_clock_of_new(const struct sim_redis *server, const struct sim_redis_entry *entry);
uint32_t memory_clock_of_changed(struct sim_redis *server, const struct sim_redis_key *key,
                                 const struct sim_redis_entry *entry);
/* How much rather than others the key is to go: by the policy. */
uint64_t memory_score(const struct sim_redis *server, const struct sim_redis_key *key);

/* lookupKey(): a key is used; `read`: it counts as a hit or a miss. NULL: it is not there, and one
 * whose time is over is removed on a primary. */
const struct sim_redis_entry *memory_look_up(struct sim_redis *server, const char *key,
                                             size_t length, bool read);

/* --- redis_evict.c --- */

/* Before a command whose arguments take `pending` bytes: throws keys away until the memory is below
 * its limit. True: it is not, and nothing is left to go. */
bool memory_evict(struct sim_redis *server, uint64_t pending);
/* Every 100 ms, while keys have a time to live. */
void memory_begin_to_expire(struct sim_redis *server);

#endif
