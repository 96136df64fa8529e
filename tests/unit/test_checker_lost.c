/* Which fault a lost write is charged to: by who was promoted when, and by what survived. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

/* A run with load from 10 s to 70 s, and what the checker is to find in it; lists end with zeros.
 */
struct history {
  const char *name;
  struct synthetic_span spans[8]; /* how the writes on the primary fare */
  struct {
    double at_s;
    uint16_t host;
    int64_t timeline; /* 0: it does not say */
  } promotions[5];    /* the last one lasts */
  struct {
    uint16_t host;
    double from_s, to_s;
  } faults[3];
  struct synthetic_value expected[8];
};

static const struct history histories[] = {
    /* The second fault takes what the first failover's new primary acknowledged. */
    {.name = "loss_is_charged_to_the_fault_that_caused_it",
     .spans = {KEPT_ON(0, PG1, 1), OK_ON(19.9, PG1, 1), DOWN(20), KEPT_ON(25, PG2, 2),
               OK_ON(44, PG2, 2), DOWN(45), KEPT_ON(50, PG3, 3)},
     .promotions = {{5, PG1, 0}, {24, PG2, 0}, {49, PG3, 0}},
     .faults = {{PG1, 20, 30}, {PG2, 45, 60}},
     .expected = {{"data_loss", FAULT_NONE, 110},
                  {"recovery_point", 0, 20 - 19.892},
                  {"recovery_point", 1, 45 - 43.992},
                  {"lost_after_fault", FAULT_NONE, 0}}},
    /* A replica's crash takes nothing away; what is lost is lost by the primary's crash later. */
    {.name = "a_fault_without_failover_is_not_charged_with_loss",
     .spans = {KEPT_ON(0, PG1, 1), OK_ON(44.5, PG1, 1), DOWN(45), KEPT_ON(50, PG2, 2)},
     .promotions = {{49, PG2, 0}},
     .faults = {{PG3, 20, 30}, {PG1, 45, 60}},
     .expected = {{"recovery_point", 0, 0},
                  {"lost_after_fault", 0, 0},
                  {"recovery_point", 1, 45 - 44.492}}},
    /* pg1 thaws at 40 s and answers as a primary of its old timeline for a moment: pg2 stays the
     * new one, and what it acknowledges later and loses is lost by the second fault. */
    {.name = "an_old_primary_that_answers_again_is_not_the_new_one",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), KEPT_ON(25, PG2, 2), OK_ON(54.5, PG2, 2), DOWN(55),
               KEPT_ON(60, PG3, 3)},
     .promotions = {{5, PG1, 1}, {24, PG2, 2}, {40.1, PG1, 1}, {59, PG3, 3}},
     .faults = {{PG1, 20, 40}, {PG2, 55, 65}},
     .expected = {{"data_loss", FAULT_NONE, 50},
                  {"lost_after_fault", FAULT_NONE, 0},
                  {"recovery_point", 0, 0},
                  {"recovery_point", 1, 55 - 54.492}}},
    /* The same, and it is pg1 that loses what it acknowledges on its old timeline: by the first
     * fault, which had replaced it, and not by the second. */
    {.name = "what_an_old_primary_acknowledges_is_not_the_new_ones",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), KEPT_ON(25, PG2, 2), OK_ON(40.2, PG1, 1), DOWN(41),
               KEPT_ON(50, PG3, 3)},
     .promotions = {{5, PG1, 1}, {24, PG2, 2}, {40.1, PG1, 1}, {49, PG3, 3}},
     .faults = {{PG1, 20, 40}, {PG2, 41, 60}},
     .expected = {{"data_loss", FAULT_NONE, 80},
                  {"lost_after_fault", 0, 80},
                  {"lost_after_fault", 1, 0},
                  {"recovery_point", 1, 0}}},
    /* A failover follows the first fault, and nothing that was sent later survived until the
     * second: what was acknowledged between the fault and the promotion is lost by the first. */
    {.name = "what_is_acknowledged_until_the_promotion_is_lost_by_the_fault_before_it",
     .spans = {KEPT_ON(0, PG1, 1), OK_ON(20, PG1, 1), DOWN(22), KEPT_ON(32, PG2, 2)},
     .promotions = {{5, PG1, 1}, {24, PG2, 2}},
     .faults = {{PG1, 20, 45}, {PG3, 26, 60}},
     .expected = {{"data_loss", FAULT_NONE, 200},
                  {"lost_after_fault", 0, 200},
                  {"recovery_point", 0, 0},
                  {"lost_after_fault", 1, 0},
                  {"recovery_point", 1, 0}}},
    /* A failover of the cluster's own before the first fault: what it lost reaches back before that
     * fault all the same. */
    {.name = "what_was_lost_before_any_fault_is_the_first_ones",
     .spans = {KEPT_ON(0, PG1, 1), OK_ON(14.9, PG1, 1), KEPT_ON(15, PG2, 2)},
     .promotions = {{16, PG2, 2}},
     .faults = {{PG3, 30, 60}},
     .expected = {{"data_loss", FAULT_NONE, 10},
                  {"recovery_point", 0, 30 - 14.892},
                  {"lost_after_fault", FAULT_NONE, 0}}},
    /* The same, and pg1 went on after pg2 had been promoted. */
    {.name = "what_a_replaced_primary_lost_before_any_fault_is_the_first_ones",
     .spans = {KEPT_ON(0, PG2, 2), OK_ON(14.9, PG1, 1), KEPT_ON(15, PG2, 2)},
     .promotions = {{5, PG1, 1}, {8, PG2, 2}},
     .faults = {{PG3, 30, 60}},
     .expected = {{"data_loss", FAULT_NONE, 10},
                  {"recovery_point", 0, 30 - 14.892},
                  {"lost_after_fault", FAULT_NONE, 0}}},
    /* pg1 is frozen at 20 s and thaws at 30 s, before anybody has replaced it: it is heard of as a
     * primary again, and acknowledges for a second what is lost when pg2 is promoted at 31 s. The
     * first fault has done that. The second, at 50 s, lost nothing. */
    {.name = "a_primary_that_answers_again_was_not_promoted",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), OK_ON(30, PG1, 1), DOWN(31), KEPT_ON(32, PG2, 2),
               DOWN(50), KEPT_ON(56, PG3, 3)},
     .promotions = {{5, PG1, 1}, {30.05, PG1, 1}, {31.5, PG2, 2}, {55, PG3, 3}},
     .faults = {{PG1, 20, 30}, {PG2, 50, 60}},
     .expected = {{"data_loss", FAULT_NONE, 100},
                  {"lost_after_fault", 0, 100},
                  {"lost_after_fault", FAULT_NONE, 100},
                  {"recovery_point", 0, 0},
                  {"lost_after_fault", 1, 0},
                  {"recovery_point", 1, 0}}},
    /* The twin: it thaws and stays. What it acknowledged in the meantime and lost when it crashed
     * at 50 s is the crash's, though it was heard of anew in between. */
    {.name = "a_primary_that_answers_again_and_stays_loses_by_the_next_fault",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), OK_ON(25, PG1, 1), DOWN(50), KEPT_ON(56, PG2, 2)},
     .promotions = {{5, PG1, 1}, {25.05, PG1, 1}, {55, PG2, 2}},
     .faults = {{PG1, 20, 25}, {PG1, 50, 60}},
     .expected = {{"data_loss", FAULT_NONE, 2500},
                  {"lost_after_fault", FAULT_NONE, 0},
                  {"recovery_point", 0, 0},
                  {"recovery_point", 1, 50 - 19.992}}},
    /* pg1 is frozen at 20 s; pg2 is promoted and acknowledges until pg1 thaws at 40 s and takes the
     * leadership back on its old timeline (Patroni 3.0 with etcd's version 3 does): all of that is
     * lost, by the freeze. A replica's crash at 55 s took nothing. */
    {.name = "a_history_that_goes_back_is_lost_by_what_sent_it_back",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), OK_ON(25, PG2, 2), DOWN(40), KEPT_ON(41, PG1, 1)},
     .promotions = {{5, PG1, 1}, {24, PG2, 2}, {40.05, PG1, 1}},
     .faults = {{PG1, 20, 40}, {PG3, 55, 60}},
     .expected = {{"data_loss", FAULT_NONE, 1500},
                  {"lost_after_fault", 0, 1500},
                  {"recovery_point", 0, 0},
                  {"lost_after_fault", 1, 0},
                  {"recovery_point", 1, 0}}},
    /* The twin: nothing that was written later survived until then, so that the second fault may
     * have taken it. */
    {.name = "a_history_without_an_end_is_lost_by_the_next_fault",
     .spans = {KEPT_ON(0, PG1, 1), DOWN(20), OK_ON(25, PG2, 2), DOWN(55), KEPT_ON(58, PG1, 3)},
     .promotions = {{5, PG1, 1}, {24, PG2, 2}, {40.05, PG1, 1}},
     .faults = {{PG1, 20, 40}, {PG3, 55, 60}},
     .expected = {{"data_loss", FAULT_NONE, 3000},
                  {"lost_after_fault", FAULT_NONE, 0},
                  {"recovery_point", 1, 55 - 19.992}}},
};

static void test_history(void **state) {
  const struct history *h = *state;
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  struct synthetic_load load = {.client = 3, .spans = h->spans};
  options.faults = 0;
  while (h->faults[options.faults].to_s > 0) options.faults++;
  synthetic_begin(&it, &options);
  uint32_t p = 0;
  for (; h->promotions[p].at_s > 0; p++)
    synthetic_event(&it, h->promotions[p].at_s, EVENT_PROMOTED, FAULT_NONE, h->promotions[p].host,
                    h->promotions[p].timeline, "");
  synthetic_role(&it, h->promotions[p - 1].at_s, h->promotions[p - 1].host, ROLE_PRIMARY);
  for (uint32_t f = 0; f < options.faults; f++)
    synthetic_fault(&it, (int32_t)f, h->faults[f].host, h->faults[f].from_s, h->faults[f].to_s);
  while (h->spans[load.span_count].latency_s > 0) load.span_count++;
  synthetic_add_load(&it, &load);
  synthetic_judge(&it, &checker_loss, NULL);
  synthetic_expect(&it, h->expected);
  synthetic_release(&it);
}

/* Nobody saw the fault in effect, so that nothing is charged to it; but it was asked for, and
 * writes are gone that were acknowledged later. That none of them was lost after a fault is not
 * known. */
static void test_what_is_lost_after_an_unconfirmed_fault_is_not_none(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {KEPT_ON(0, PG1, 1), OK_ON(30, PG1, 1),
                                         KEPT_ON(31, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_event(&it, 20, EVENT_FAULT_JOURNALED, 0, PG1, 0, "");
  synthetic_event(&it, 20.1, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_UNCONFIRMED, 0, PG1, 0, "no effect seen within 10 s");
  synthetic_role(&it, 5, PG1, ROLE_PRIMARY);
  synthetic_add_load(&it, &(struct synthetic_load){.client = 3, .spans = spans, .span_count = 3});
  synthetic_judge(&it, &checker_loss, NULL);
  EXPECT(&it, {"data_loss", FAULT_NONE, 100});
  const struct measure *after = synthetic_measure(&it, "lost_after_fault", FAULT_NONE);
  assert_true(!after->known && after->floor);
  NEAR(after->value, 0);
  synthetic_release(&it);
}

int main(void) {
  struct CMUnitTest tests[COUNT(histories) + 1] = {
      cmocka_unit_test(test_what_is_lost_after_an_unconfirmed_fault_is_not_none)};
  for (size_t i = 0; i < COUNT(histories); i++)
    tests[i + 1] = (struct CMUnitTest){.name = histories[i].name,
                                       .test_func = test_history,
                                       .initial_state = (void *)&histories[i]};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
