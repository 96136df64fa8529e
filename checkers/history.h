/* The latest acknowledged writes, in the order of acknowledgement, found by (identity,
 * sequence): to ask which one was the first that was certainly newer than a row that somebody
 * read. */
#ifndef GAMEDAY_CHECKERS_HISTORY_H
#define GAMEDAY_CHECKERS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What is further back is forgotten: its age is then known to be at least so much. */
#define HISTORY_LENGTH (1u << 18)

struct history_entry {
  uint64_t sent_ns, done_ns, sequence;
  uint64_t before; /* number + 1 of the one before it in its chain; 0: none */
  uint32_t identity;
};
struct history {
  struct history_entry *entries; /* a ring: entry n is at n modulo capacity */
  uint64_t *chains;              /* number + 1 of the newest entry of each hash */
  uint64_t count;                /* ever added */
  uint64_t capacity;             /* a power of two, up to HISTORY_LENGTH: shards are many */
};

/* All zero is an empty history. */
void history_release(struct history *history);
int history_add(struct history *history, uint32_t identity, uint64_t sequence, uint64_t sent_ns,
                uint64_t done_ns, struct error *err);
/* The number of an entry; false: not there. */
bool history_find(const struct history *history, uint32_t identity, uint64_t sequence,
                  uint64_t *ret_number);
/* Acknowledgement of the first write after entry `number` that was sent after that one was
 * acknowledged; false: there is none. */
bool history_newer(const struct history *history, uint64_t number, uint64_t *ret_done_ns);
/* The oldest number that is remembered. */
uint64_t history_oldest(const struct history *history);

#endif
