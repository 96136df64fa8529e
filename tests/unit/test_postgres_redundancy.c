/* When a replica streams and a `postgres` is redundant, by the words of both ends. */
#include "support/test.h"

#include "services/postgres_redundancy.h"

enum { PRIMARY, REPLICA, OTHER, COUNT };

#define MS NS_PER_MS

/* A primary and two replicas that stream from it, one of them synchronous. */
struct fixture {
  struct service_view view;
  struct replica_words words[COUNT];
  struct redundancy_rule rule;
};

static struct receiver_word receives(uint64_t number) {
  return (struct receiver_word){.streams = true, .from = PRIMARY, .timeline = 1, .number = number};
}

static struct sender_word sends(uint64_t number, uint64_t reply, uint64_t asked_ns) {
  return (struct sender_word){
      .streams = true, .host = PRIMARY, .number = number, .reply = reply, .asked_ns = asked_ns};
}

static struct fixture steady(void) {
  struct fixture f = {.view = {.primary = PRIMARY, .leader = PRIMARY},
                      .rule = {.lag_bound_bytes = 1000, .synchronous_count = 1}};
  f.view.hosts[PRIMARY] = (struct host_view){.role = ROLE_PRIMARY, .writable = true, .timeline = 1};
  for (uint16_t i = 0; i < COUNT; i++) {
    f.words[i].host = i;
    if (i == PRIMARY) continue;
    const struct receiver_word receiver = receives(7);
    const struct sender_word sender = sends(70, 1, 10 * MS);
    f.view.hosts[i] = (struct host_view){.role = ROLE_REPLICA, .streaming = true, .timeline = 1};
    postgres_hear_receiver(&f.words[i], &receiver, 5 * MS);
    postgres_hear_sender(&f.words[i], &sender);
  }
  f.words[REPLICA].sender.synchronous = true;
  return f;
}

static bool streams(const struct fixture *f) {
  return postgres_streams(&f->words[REPLICA], PRIMARY, 1);
}

static bool redundant(const struct fixture *f) {
  return postgres_redundant(&f->view, f->words, COUNT, &f->rule);
}

static void hear_receiver(struct fixture *f, struct receiver_word word, uint64_t now_ns) {
  postgres_hear_receiver(&f->words[REPLICA], &word, now_ns);
}

static void hear_sender(struct fixture *f, struct sender_word word) {
  postgres_hear_sender(&f->words[REPLICA], &word);
}

static void test_both_ends_agree(void **state) {
  (void)state;
  struct fixture f = steady();
  assert_true(streams(&f));
  assert_true(redundant(&f));
}

/* The replica is back from a power cut and answers; the primary shows the row from before. */
static void test_the_row_of_a_dead_sender_is_no_replica(void **state) {
  (void)state;
  struct fixture f = steady();
  hear_receiver(&f, (struct receiver_word){.from = HOST_NONE}, 9000 * MS);
  assert_false(streams(&f));
  for (uint64_t ns = 9100 * MS; ns < 20000 * MS; ns += 250 * MS) {
    hear_sender(&f, sends(70, 1, ns));
    assert_false(streams(&f));
  }
}

/* And what was asked before the replica's present receiver was there is about an earlier one. */
static void test_a_row_from_before_the_receiver(void **state) {
  (void)state;
  struct fixture f = steady();
  hear_sender(&f, sends(70, 1, 9000 * MS));
  hear_receiver(&f, receives(8), 9001 * MS);
  assert_false(streams(&f));
  hear_receiver(&f, receives(8), 9050 * MS);
  hear_sender(&f, sends(71, 2, 9002 * MS));
  assert_true(streams(&f));
}

static void test_the_wrong_end(void **state) {
  (void)state;
  struct fixture f = steady();
  assert_false(postgres_streams(&f.words[REPLICA], HOST_NONE, 1));
  assert_false(postgres_streams(&f.words[REPLICA], OTHER, 1));
  assert_false(postgres_streams(&f.words[REPLICA], PRIMARY, 2));
  struct receiver_word elsewhere = receives(8);
  elsewhere.from = OTHER; /* cascading, or still the old primary */
  hear_receiver(&f, elsewhere, 20 * MS);
  hear_sender(&f, sends(70, 2, 30 * MS));
  assert_false(streams(&f));
  struct receiver_word older = receives(9);
  older.timeline = 0;
  hear_receiver(&f, older, 40 * MS);
  hear_sender(&f, sends(71, 3, 50 * MS));
  assert_false(streams(&f));
  struct sender_word former = sends(71, 3, 70 * MS);
  former.host = OTHER;
  hear_receiver(&f, receives(10), 60 * MS);
  hear_sender(&f, former);
  assert_false(streams(&f));
}

static void test_a_row_that_is_gone_or_catches_up(void **state) {
  (void)state;
  struct fixture f = steady();
  struct sender_word catchup = sends(70, 2, 20 * MS);
  catchup.streams = false;
  hear_sender(&f, catchup);
  assert_false(streams(&f));
  hear_sender(&f, sends(70, 2, 30 * MS));
  assert_true(streams(&f));
  hear_sender(&f, (struct sender_word){.host = PRIMARY, .asked_ns = 40 * MS});
  assert_false(streams(&f));
}

/* Both ends still believe in a connection that is cut: log waits, and no answer comes. */
static void test_no_reply_while_log_waits(void **state) {
  (void)state;
  struct fixture f = steady();
  struct sender_word waiting = sends(70, 1, 0);
  waiting.behind = true;
  for (uint64_t ns = 1000 * MS; ns <= 3010 * MS; ns += 250 * MS) {
    waiting.asked_ns = ns;
    hear_sender(&f, waiting);
    assert_true(streams(&f));
  }
  waiting.asked_ns = 3011 * MS; /* the last that was heard was at 10 ms */
  hear_sender(&f, waiting);
  assert_false(streams(&f));
  waiting.reply = 2; /* it is healed */
  waiting.asked_ns = 9000 * MS;
  hear_sender(&f, waiting);
  assert_true(streams(&f));
}

static void test_nothing_to_reply_to(void **state) {
  (void)state;
  struct fixture f = steady();
  hear_sender(&f, sends(70, 1, 60000 * MS));
  assert_true(streams(&f));
  struct sender_word waiting = sends(70, 1, 60250 * MS); /* the first write in a minute */
  waiting.behind = true;
  hear_sender(&f, waiting);
  assert_true(streams(&f));
}

static void test_each_replica_must_follow(void **state) {
  (void)state;
  struct fixture f = steady();
  f.view.hosts[OTHER].lag_bytes = 1000;
  assert_true(redundant(&f));
  f.view.hosts[OTHER].lag_bytes = 1001;
  assert_false(redundant(&f));
  f = steady();
  f.view.hosts[OTHER].streaming = false;
  assert_false(redundant(&f));
  f = steady();
  f.view.hosts[OTHER].role = ROLE_NONE;
  assert_false(redundant(&f));
  f = steady();
  f.view.hosts[OTHER].timeline = 2;
  assert_false(redundant(&f));
  f = steady();
  f.view.primary = HOST_NONE;
  assert_false(redundant(&f));
}

/* All stream, but Patroni has not named the new synchronous one yet. */
static void test_too_few_synchronous(void **state) {
  (void)state;
  struct fixture f = steady();
  f.words[REPLICA].sender.synchronous = false;
  assert_false(redundant(&f));
  f.words[OTHER].sender.synchronous = true;
  assert_true(redundant(&f));
  f.rule.synchronous_count = 2;
  assert_false(redundant(&f));
  f.rule.synchronous_count = 0;
  f.words[OTHER].sender.synchronous = false;
  assert_true(redundant(&f));
}

static void test_the_rule_follows_the_configuration(void **state) {
  (void)state;
  struct postgres_config config = {
      .topology = TOPOLOGY_PATRONI, .instances = 3, .synchronous_node_count = 2};
  assert_int_equal(postgres_redundancy_rule(&config, 5).lag_bound_bytes, 5);
  assert_int_equal(postgres_redundancy_rule(&config, 5).synchronous_count, 0);
  config.synchronous_mode = true;
  assert_int_equal(postgres_redundancy_rule(&config, 5).synchronous_count, 2);
  config.instances = 1; /* nobody can be */
  assert_int_equal(postgres_redundancy_rule(&config, 5).synchronous_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_both_ends_agree),
      cmocka_unit_test(test_the_row_of_a_dead_sender_is_no_replica),
      cmocka_unit_test(test_a_row_from_before_the_receiver),
      cmocka_unit_test(test_the_wrong_end),
      cmocka_unit_test(test_a_row_that_is_gone_or_catches_up),
      cmocka_unit_test(test_no_reply_while_log_waits),
      cmocka_unit_test(test_nothing_to_reply_to),
      cmocka_unit_test(test_each_replica_must_follow),
      cmocka_unit_test(test_too_few_synchronous),
      cmocka_unit_test(test_the_rule_follows_the_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
