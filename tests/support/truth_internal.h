/* The comparison with the truth among its parts. */
#ifndef GAMEDAY_TESTS_SUPPORT_TRUTH_INTERNAL_H
#define GAMEDAY_TESTS_SUPPORT_TRUTH_INTERNAL_H

#include "base/buf.h"
#include "sim/truth.h"
#include "support/truth.h"

#define TRUTH_CLIENTS_MAX 4096
/* Measured values are seconds in a double: a tick of 1 ns is kept up to some months. */
#define TRUTH_TICK_S 1e-8

struct truth {
  const struct simulated *run;
  struct buf bytes;
  const struct sim_truth_head *head;
  const struct sim_truth_ack *acks;
  const struct sim_truth_event *events;
  const struct sim_truth_row *rows;
  const struct sim_truth_key *keys;
  struct sim_truth_row *sorted_rows;
  uint8_t client_kinds[TRUTH_CLIENTS_MAX]; /* by client */
  uint32_t *clients;                       /* by identity; UINT32_MAX: nobody's */
  struct truth_check *check;
};

/* One more value is compared; the text of the first that does not hold is kept. */
void truth_expect(struct truth *truth, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* truth_keys.c: what the checker `eviction` measured, where it did. */
int truth_compare_keys(struct truth *truth, const struct sim_truth_key *keys, uint64_t count,
                       struct error *err);

#endif
