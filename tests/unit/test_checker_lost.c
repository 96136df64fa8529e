/* Which fault a lost write is charged to, where a primary answers again after a silence. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define VALUE(name, fault) synthetic_value_of(&it, name, fault)

static void add_load(struct synthetic *it, const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {.kind = OPERATION_WRITE,
                                      .route = ROUTE_PRIMARY,
                                      .client = 3,
                                      .rate = 100,
                                      .from_s = 10,
                                      .to_s = 70,
                                      .spans = spans,
                                      .span_count = count};
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it) {
  synthetic_finish(it);
  synthetic_judge(it, &checker_loss, NULL);
}

/* pg1 is frozen at 20 s and thaws at 30 s, before anybody has replaced it: it is heard of as a
 * primary again, and acknowledges for a second what is lost when pg2 is promoted at 31 s. The first
 * fault has done that. The second, at 50 s, lost nothing. */
static void test_a_primary_that_answers_again_was_not_promoted(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 20, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 30, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = 0},
      {.from_s = 31, .outcome = OUTCOME_FAIL, .latency_s = 0.5, .host = HOST_NONE},
      {.from_s = 32, .latency_s = 0.002, .host = PG2, .timeline = 2, .rows = ALL_HOSTS},
      {.from_s = 50, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 56, .latency_s = 0.002, .host = PG3, .timeline = 3, .rows = ALL_HOSTS}};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(&it, 0, PG1, 20, 30);
  synthetic_event(&it, 30.05, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_event(&it, 31.5, EVENT_PROMOTED, FAULT_NONE, PG2, 2, "");
  synthetic_fault(&it, 1, PG2, 50, 60);
  synthetic_event(&it, 55, EVENT_PROMOTED, FAULT_NONE, PG3, 3, "");
  synthetic_role(&it, 55, PG3, ROLE_PRIMARY);
  add_load(&it, spans, COUNT(spans));
  judge(&it);
  NEAR(VALUE("data_loss", FAULT_NONE), 100);
  NEAR(VALUE("lost_after_fault", 0), 100);
  NEAR(VALUE("lost_after_fault", FAULT_NONE), 100);
  NEAR(VALUE("recovery_point", 0), 0);
  NEAR(VALUE("lost_after_fault", 1), 0);
  NEAR(VALUE("recovery_point", 1), 0);
  synthetic_release(&it);
}

/* The twin: it thaws and stays. What it acknowledged in the meantime and lost when it crashed at
 * 50 s is the crash's, though it was heard of anew in between. */
static void test_a_primary_that_answers_again_and_stays_loses_by_the_next_fault(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 20, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 25, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = 0},
      {.from_s = 50, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 56, .latency_s = 0.002, .host = PG2, .timeline = 2, .rows = ALL_HOSTS}};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(&it, 0, PG1, 20, 25);
  synthetic_event(&it, 25.05, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(&it, 1, PG1, 50, 60);
  synthetic_event(&it, 55, EVENT_PROMOTED, FAULT_NONE, PG2, 2, "");
  synthetic_role(&it, 55, PG2, ROLE_PRIMARY);
  add_load(&it, spans, COUNT(spans));
  judge(&it);
  NEAR(VALUE("data_loss", FAULT_NONE), 2500);
  NEAR(VALUE("lost_after_fault", FAULT_NONE), 0);
  NEAR(VALUE("recovery_point", 0), 0);
  NEAR(VALUE("recovery_point", 1), 50 - 19.992);
  synthetic_release(&it);
}

/* pg1 is frozen at 20 s; pg2 is promoted and acknowledges until pg1 thaws at 40 s and takes the
 * leadership back on its old timeline (Patroni 3.0 with etcd's version 3 does): all of that is
 * lost, by the freeze. A replica's crash at 55 s took nothing. */
static void add_history_that_goes_back(struct synthetic *it, const struct synthetic_span *spans,
                                       uint32_t count) {
  struct synthetic_options options = synthetic_defaults;
  options.faults = 2;
  synthetic_begin(it, &options);
  synthetic_event(it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(it, 0, PG1, 20, 40);
  synthetic_event(it, 24, EVENT_PROMOTED, FAULT_NONE, PG2, 2, "");
  synthetic_event(it, 40.05, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(it, 1, PG3, 55, 60);
  synthetic_role(it, 41, PG1, ROLE_PRIMARY);
  add_load(it, spans, count);
  judge(it);
}

static void test_a_history_that_goes_back_is_lost_by_what_sent_it_back(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 20, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 25, .latency_s = 0.002, .host = PG2, .timeline = 2, .rows = 0},
      {.from_s = 40, .outcome = OUTCOME_FAIL, .latency_s = 0.5, .host = HOST_NONE},
      {.from_s = 41, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS}};
  (void)state;
  add_history_that_goes_back(&it, spans, COUNT(spans));
  NEAR(VALUE("data_loss", FAULT_NONE), 1500);
  NEAR(VALUE("lost_after_fault", 0), 1500);
  NEAR(VALUE("recovery_point", 0), 0);
  NEAR(VALUE("lost_after_fault", 1), 0);
  NEAR(VALUE("recovery_point", 1), 0);
  synthetic_release(&it);
}

/* The twin: nothing that was written later survived until then, so that the second fault may have
 * taken it. */
static void test_a_history_without_an_end_is_lost_by_the_next_fault(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 20, .outcome = OUTCOME_FAIL, .latency_s = 1, .host = HOST_NONE},
      {.from_s = 25, .latency_s = 0.002, .host = PG2, .timeline = 2, .rows = 0},
      {.from_s = 55, .outcome = OUTCOME_FAIL, .latency_s = 0.5, .host = HOST_NONE},
      {.from_s = 58, .latency_s = 0.002, .host = PG1, .timeline = 3, .rows = ALL_HOSTS}};
  (void)state;
  add_history_that_goes_back(&it, spans, COUNT(spans));
  NEAR(VALUE("data_loss", FAULT_NONE), 3000);
  NEAR(VALUE("lost_after_fault", FAULT_NONE), 0);
  NEAR(VALUE("recovery_point", 1), 55 - 19.992);
  synthetic_release(&it);
}

/* Nobody saw the fault in effect, so that nothing is charged to it; but it was asked for, and
 * writes are gone that were acknowledged later. That none of them was lost after a fault is not
 * known. */
static void test_what_is_lost_after_an_unconfirmed_fault_is_not_none(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 30, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = 0},
      {.from_s = 31, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = ALL_HOSTS}};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_event(&it, 20, EVENT_FAULT_JOURNALED, 0, PG1, 0, "");
  synthetic_event(&it, 20.1, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_UNCONFIRMED, 0, PG1, 0, "no effect seen within 10 s");
  synthetic_role(&it, 5, PG1, ROLE_PRIMARY);
  add_load(&it, spans, COUNT(spans));
  judge(&it);
  NEAR(VALUE("data_loss", FAULT_NONE), 100);
  const struct measure *after = synthetic_measure(&it, "lost_after_fault", FAULT_NONE);
  assert_true(!after->known && after->floor);
  NEAR(after->value, 0);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_primary_that_answers_again_was_not_promoted),
      cmocka_unit_test(test_a_primary_that_answers_again_and_stays_loses_by_the_next_fault),
      cmocka_unit_test(test_a_history_that_goes_back_is_lost_by_what_sent_it_back),
      cmocka_unit_test(test_a_history_without_an_end_is_lost_by_the_next_fault),
      cmocka_unit_test(test_what_is_lost_after_an_unconfirmed_fault_is_not_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
