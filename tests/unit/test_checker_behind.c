/* Outages of reads, with and without those that waited behind a write of their own client. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

/* One operation of a client; sent_s 0: given up in the queue. */
static void add(struct synthetic *it, uint16_t client, enum operation_kind kind, double scheduled_s,
                double sent_s, double done_s, enum outcome outcome) {
  const struct operation operation = {.scheduled_ns = SECONDS(scheduled_s),
                                      .sent_ns = SECONDS(sent_s),
                                      .done_ns = SECONDS(done_s),
                                      .identity = client + 1u,
                                      .client = client,
                                      .kind = kind,
                                      .outcome = outcome,
                                      .route = ROUTE_PRIMARY,
                                      .host = outcome == OUTCOME_OK ? PG1 : HOST_NONE};
  if (sent_s <= 0) assert_int_not_equal(outcome, OUTCOME_OK);
  synthetic_operation(it, &operation);
}

/* Reads of one client every 100 ms, each answered at once. */
static void healthy(struct synthetic *it, uint16_t client, double from_s, double to_s) {
  int count = (int)((to_s - from_s) * 10 + 0.5);
  for (int i = 0; i < count; i++) {
    double at_s = from_s + i * 0.1;
    add(it, client, OPERATION_READ_OWN, at_s, at_s + 0.0001, at_s + 0.001, OUTCOME_OK);
  }
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_availability, NULL);
}

/* A synchronous replica is gone: writes hang, and reads would be answered. Both clients are stuck
 * in a write; the reads behind it are given up before the write is, and the last one succeeds late.
 */
static void test_reads_behind_writes_that_hang(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG2, 30, 60);
  for (uint16_t client = 0; client < 2; client++) {
    healthy(&it, client, 10, 30);
    add(&it, client, OPERATION_WRITE, 30, 30.0001, 35, OUTCOME_UNKNOWN);
    for (int i = 1; i < 5; i++)
      add(&it, client, OPERATION_READ_OWN, 30 + i * 0.1, 0, 34.5 + i * 0.1, OUTCOME_FAIL);
    add(&it, client, OPERATION_READ_OWN, 30.8, 35.02, 35.021, OUTCOME_OK);
    healthy(&it, client, 36, 70);
  }
  judge(&it);
  EXPECT(&it, {"read_outage", FAULT_NONE, 35.021 - 30.1}, {"read_outage.unblocked", FAULT_NONE, 0},
         {"read_outage.unblocked", 0, 0});
  assert_string_equal(synthetic_witness(&it, "read_outage"),
                      "reads were scheduled from 30.100000 s on, and the next success came at "
                      "35.021000 s, 4.921 s later; reads that did not wait behind an unanswered "
                      "operation of their own client went unanswered for 0.000 s of it");
  synthetic_release(&it);
}

/* One client was reading: nobody stood before it. */
static void test_one_read_that_was_sent_proves_the_outage(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  for (uint16_t client = 0; client < 2; client++) healthy(&it, client, 10, 30);
  add(&it, 0, OPERATION_WRITE, 30, 30.0001, 35, OUTCOME_UNKNOWN);
  add(&it, 1, OPERATION_READ_OWN, 30.05, 30.0501, 35.05, OUTCOME_UNKNOWN);
  add(&it, 0, OPERATION_READ_OWN, 30.1, 0, 34.6, OUTCOME_FAIL);
  for (uint16_t client = 0; client < 2; client++) healthy(&it, client, 36, 70);
  judge(&it);
  EXPECT(&it, {"read_outage", FAULT_NONE, 36.001 - 30.05},
         {"read_outage.unblocked", FAULT_NONE, 36.001 - 30.05});
  assert_null(strstr(synthetic_witness(&it, "read_outage"), "behind"));
  synthetic_release(&it);
}

/* No connection is no fault of the client's other operations: what is given up unsent counts, also
 * before the client sends its next. */
static void test_reads_without_a_connection_count(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  healthy(&it, 0, 10, 30);
  for (int i = 0; i < 100; i++)
    add(&it, 0, i % 2 ? OPERATION_WRITE : OPERATION_READ_OWN, 30 + i * 0.1, 0, 34.5 + i * 0.1,
        OUTCOME_FAIL);
  add(&it, 0, OPERATION_WRITE, 44, 45, 45.002, OUTCOME_OK); /* as soon as it had one */
  healthy(&it, 0, 46, 60);
  for (int i = 0; i < 100; i++) /* and never again */
    add(&it, 0, OPERATION_READ_OWN, 60 + i * 0.1, 0, 64.5 + i * 0.1, OUTCOME_FAIL);
  judge(&it);
  NEAR(synthetic_measure(&it, "read_outage", FAULT_NONE)->value, 46.001 - 30);
  const struct measure *alone = synthetic_measure(&it, "read_outage.unblocked", FAULT_NONE);
  NEAR(alone->value, 46.001 - 30);
  assert_true(!alone->known && alone->floor); /* the last one was open */
  synthetic_release(&it);
}

/* The connection that hung is closed when the write is given up, and there is no other: from then
 * on the reads count, those scheduled before do not. */
static void test_reads_count_once_the_write_is_given_up(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  healthy(&it, 0, 10, 30);
  add(&it, 0, OPERATION_WRITE, 30, 30.0001, 35, OUTCOME_UNKNOWN);
  for (int i = 1; i < 100; i++)
    add(&it, 0, OPERATION_READ_OWN, 30 + i * 0.1, 0, 34.5 + i * 0.1, OUTCOME_FAIL);
  healthy(&it, 0, 46, 70);
  judge(&it);
  EXPECT(&it, {"read_outage", FAULT_NONE, 46.001 - 30.1},
         {"read_outage.unblocked", FAULT_NONE, 46.001 - 35});
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads_behind_writes_that_hang),
      cmocka_unit_test(test_one_read_that_was_sent_proves_the_outage),
      cmocka_unit_test(test_reads_without_a_connection_count),
      cmocka_unit_test(test_reads_count_once_the_write_is_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
