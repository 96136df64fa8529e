/* The resolver: what the system answers, and that nobody waits for one that hangs. */
#include "base/resolver.h"

#include <pthread.h>
#include <semaphore.h>

#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)
#define MANY 1000u

/* A question and what became of it. */
struct asked {
  struct resolver_request request;
  uint32_t answers, order;
  struct resolver_answer answer;
  struct asked *cancels, *asks; /* from within its answer */
  struct bench *bench;
};

/* A look-up that begins and ends when the test says so. Shared with the resolver's thread, which
 * may outlive the resolver: the last look-up of a test is let through and waited for. */
struct gate {
  sem_t begun, go, ended;
  _Atomic uint32_t count;
  char last[RESOLVER_NAME_SIZE];
};

struct bench {
  struct loop *loop;
  struct resolver *resolver;
  struct gate gate;
  uint32_t answered;
};

static void gate_look_up(void *data, const char *name, struct resolver_answer *ret_answer) {
  struct gate *gate = data;
  gate->count++;
  snprintf(gate->last, sizeof gate->last, "%s", name);
  sem_post(&gate->begun);
  while (sem_wait(&gate->go) != 0) continue;
  snprintf(ret_answer->addresses[0], RESOLVER_ADDRESS_SIZE, "192.0.2.1");
  ret_answer->count = 1;
  sem_post(&gate->ended);
}

static void bench_begin(struct bench *bench, resolver_function *look_up) {
  struct error err = ERROR_INIT;
  memset(bench, 0, sizeof *bench);
  sem_init(&bench->gate.begun, 0, 0);
  sem_init(&bench->gate.go, 0, 0);
  sem_init(&bench->gate.ended, 0, 0);
  assert_ok(loop_new(&bench->loop, &err), &err);
  if (look_up)
    assert_ok(resolver_new_with(bench->loop, look_up, &bench->gate, &bench->resolver, &err), &err);
  else
    assert_ok(resolver_new(bench->loop, &bench->resolver, &err), &err);
}

static void bench_end(struct bench *bench) {
  resolver_free(bench->resolver);
  loop_free(bench->loop);
  sem_destroy(&bench->gate.begun);
  sem_destroy(&bench->gate.go);
  sem_destroy(&bench->gate.ended);
}

static void ask(struct bench *bench, struct asked *asked, const char *name);

static void answered(struct resolver_request *request, const struct resolver_answer *answer) {
  struct asked *asked = request->owner;
  assert_null(request->lookup);
  asked->answers++;
  asked->answer = *answer;
  asked->order = ++asked->bench->answered;
  if (asked->cancels) resolver_cancel(&asked->cancels->request);
  if (asked->asks) ask(asked->bench, asked->asks, "192.0.2.7");
}

static void ask(struct bench *bench, struct asked *asked, const char *name) {
  struct error err = ERROR_INIT;
  asked->request.answered = answered;
  asked->request.owner = asked;
  asked->bench = bench;
  assert_ok(resolver_ask(bench->resolver, &asked->request, name, &err), &err);
}

static void await(struct bench *bench, uint32_t answers) {
  struct error err = ERROR_INIT;
  uint64_t deadline_ns = loop_now_ns(bench->loop) + PATIENCE_NS;
  while (bench->answered < answers) {
    assert_ok(loop_turn(bench->loop, deadline_ns, &err), &err);
    if (loop_now_ns(bench->loop) >= deadline_ns) fail_msg("no answer in time");
  }
}

/* Turns the loop for what is there already. */
static void turn(struct bench *bench) {
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(bench->loop, 0, &err), &err);
}

static void let_one_through(struct bench *bench) {
  sem_post(&bench->gate.go);
  while (sem_wait(&bench->gate.ended) != 0) continue;
}

static void await_begun(struct bench *bench) {
  while (sem_wait(&bench->gate.begun) != 0) continue;
}

/* --- the system's look-up --- */

static void test_addresses_are_told_from_names(void **state) {
  (void)state;
  assert_true(resolver_is_numeric("127.0.0.1"));
  assert_true(resolver_is_numeric("::1"));
  assert_false(resolver_is_numeric("localhost"));
  assert_false(resolver_is_numeric("pg1"));
  assert_false(resolver_is_numeric(""));
}

static void test_an_address_resolves_to_itself(void **state) {
  (void)state;
  struct bench bench;
  struct asked v4 = {.answers = 0}, v6 = {.answers = 0};
  bench_begin(&bench, NULL);
  ask(&bench, &v4, "192.0.2.1");
  ask(&bench, &v6, "2001:db8::1");
  await(&bench, 2);
  assert_int_equal(v4.answer.count, 1);
  assert_string_equal(v4.answer.addresses[0], "192.0.2.1");
  assert_int_equal(v6.answer.count, 1);
  assert_string_equal(v6.answer.addresses[0], "2001:db8::1");
  bench_end(&bench);
}

static void test_localhost_resolves_to_the_loopback(void **state) {
  (void)state;
  struct bench bench;
  struct asked asked = {.answers = 0};
  bench_begin(&bench, NULL);
  ask(&bench, &asked, "localhost");
  assert_int_equal(asked.answers, 0); /* never from within the question */
  await(&bench, 1);
  assert_true(asked.answer.count >= 1);
  for (uint32_t i = 0; i < asked.answer.count; i++) {
    const char *address = asked.answer.addresses[i];
    if (strncmp(address, "127.", 4) != 0) assert_string_equal(address, "::1");
  }
  bench_end(&bench);
}

/* No name server is asked: an empty label ends the look-up within the library. */
static void test_an_unknown_name_says_why(void **state) {
  (void)state;
  struct bench bench;
  struct asked asked = {.answers = 0};
  bench_begin(&bench, NULL);
  ask(&bench, &asked, "no..such.name");
  await(&bench, 1);
  assert_int_equal(asked.answer.count, 0);
  assert_true(strlen(asked.answer.why) > 0);
  bench_end(&bench);
}

static void test_what_is_no_name_is_refused(void **state) {
  (void)state;
  struct bench bench;
  struct error err = ERROR_INIT;
  char name[RESOLVER_NAME_SIZE + 1];
  struct asked asked = {.request = {.answered = answered}};
  memset(name, 'a', sizeof name);
  name[sizeof name - 1] = '\0';
  bench_begin(&bench, NULL);
  assert_int_equal(resolver_ask(bench.resolver, &asked.request, "", &err), STATUS_USAGE);
  assert_int_equal(resolver_ask(bench.resolver, &asked.request, name, &err), STATUS_USAGE);
  assert_null(asked.request.lookup);
  bench_end(&bench);
}

/* --- one at a time, each name once --- */

static void test_questions_for_one_name_share_a_look_up_that_has_not_begun(void **state) {
  (void)state;
  struct bench bench;
  struct asked first = {.answers = 0}, later[3] = {{.answers = 0}};
  bench_begin(&bench, gate_look_up);
  ask(&bench, &first, "one");
  await_begun(&bench);
  for (uint32_t i = 0; i < 3; i++) ask(&bench, &later[i], "one");
  let_one_through(&bench);
  await(&bench, 1);
  assert_int_equal(first.answers, 1);
  assert_int_equal(later[0].answers, 0); /* that look-up was older than the question */
  let_one_through(&bench);
  await(&bench, 4);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(later[i].order, 2 + i);
  assert_int_equal(bench.gate.count, 2);
  bench_end(&bench);
}

static void test_many_requests_are_all_answered(void **state) {
  (void)state;
  struct bench bench;
  struct asked *many = calloc(MANY, sizeof *many);
  assert_non_null(many);
  bench_begin(&bench, NULL);
  for (uint32_t i = 0; i < MANY; i++) {
    char name[32];
    snprintf(name, sizeof name, "192.0.2.%u", (unsigned)(i % 100));
    ask(&bench, &many[i], name);
  }
  await(&bench, MANY);
  for (uint32_t i = 0; i < MANY; i++) {
    char name[32];
    snprintf(name, sizeof name, "192.0.2.%u", (unsigned)(i % 100));
    assert_int_equal(many[i].answers, 1);
    assert_string_equal(many[i].answer.addresses[0], name);
  }
  bench_end(&bench);
  free(many);
}

static void test_the_queue_is_bounded(void **state) {
  (void)state;
  struct bench bench;
  struct error err = ERROR_INIT;
  struct asked *many = calloc(RESOLVER_QUEUE_MAX + 2, sizeof *many);
  assert_non_null(many);
  char name[32];
  bench_begin(&bench, gate_look_up);
  for (uint32_t i = 0; i <= RESOLVER_QUEUE_MAX; i++) {
    snprintf(name, sizeof name, "host%u", (unsigned)i);
    ask(&bench, &many[i], name);
    if (i == 0) await_begun(&bench); /* out of the queue */
  }
  struct asked *last = &many[RESOLVER_QUEUE_MAX + 1];
  last->request.answered = answered;
  assert_int_equal(resolver_ask(bench.resolver, &last->request, "one-more", &err), STATUS_SYSTEM);
  assert_non_null(strstr(err.message, "names wait to be resolved"));
  ask(&bench, &(struct asked){.answers = 0}, "host7"); /* one that is there may be joined */
  resolver_cancel(&many[5].request);                   /* makes room */
  ask(&bench, last, "one-more");
  resolver_free(bench.resolver);
  bench.resolver = NULL;
  let_one_through(&bench);
  bench_end(&bench);
  free(many);
}

/* --- cancelling, and freeing while busy --- */

static void test_a_cancelled_request_gets_no_answer(void **state) {
  (void)state;
  struct bench bench;
  struct asked running = {.answers = 0}, queued = {.answers = 0}, kept = {.answers = 0};
  bench_begin(&bench, gate_look_up);
  ask(&bench, &running, "one");
  await_begun(&bench);
  ask(&bench, &queued, "two");
  ask(&bench, &kept, "three");
  resolver_cancel(&running.request);
  resolver_cancel(&queued.request);
  resolver_cancel(&queued.request); /* twice is fine */
  let_one_through(&bench);
  let_one_through(&bench);
  await(&bench, 1);
  assert_int_equal(running.answers + queued.answers, 0);
  assert_int_equal(kept.answers, 1);
  assert_string_equal(bench.gate.last, "three");
  assert_int_equal(bench.gate.count, 2); /* nobody asked for the second name any more */
  ask(&bench, &queued, "two");           /* a cancelled request can be used again */
  let_one_through(&bench);
  await(&bench, 2);
  assert_int_equal(queued.answers, 1);
  bench_end(&bench);
}

static void test_an_answer_that_is_under_way_can_still_be_cancelled(void **state) {
  (void)state;
  struct bench bench;
  struct asked first = {.answers = 0}, second = {.answers = 0};
  bench_begin(&bench, gate_look_up);
  ask(&bench, &first, "one");
  ask(&bench, &second, "two");
  first.cancels = &second;
  let_one_through(&bench);
  let_one_through(&bench);
  await(&bench, 1);
  turn(&bench);
  assert_int_equal(first.answers, 1);
  assert_int_equal(second.answers, 0);
  bench_end(&bench);
}

static void test_an_answer_may_ask_again(void **state) {
  (void)state;
  struct bench bench;
  struct asked second = {.answers = 0}, first = {.asks = &second};
  bench_begin(&bench, NULL);
  ask(&bench, &first, "192.0.2.6");
  await(&bench, 2);
  assert_string_equal(second.answer.addresses[0], "192.0.2.7");
  bench_end(&bench);
}

static void test_freeing_does_not_wait_for_a_look_up_that_hangs(void **state) {
  (void)state;
  struct bench bench;
  struct asked running = {.answers = 0}, queued = {.answers = 0};
  bench_begin(&bench, gate_look_up);
  ask(&bench, &running, "one");
  await_begun(&bench);
  ask(&bench, &queued, "two");
  resolver_free(bench.resolver); /* nobody has let the look-up through: this would be for ever */
  bench.resolver = NULL;
  assert_null(running.request.lookup);
  assert_null(queued.request.lookup);
  resolver_cancel(&running.request);
  let_one_through(&bench);
  turn(&bench);
  assert_int_equal(bench.answered, 0);
  assert_int_equal(bench.gate.count, 1);
  bench_end(&bench);
}

static void test_answers_that_nobody_took_are_freed(void **state) {
  (void)state;
  struct bench bench;
  struct asked asked = {.answers = 0};
  bench_begin(&bench, gate_look_up);
  ask(&bench, &asked, "one");
  let_one_through(&bench);
  bench_end(&bench);
  assert_int_equal(asked.answers, 0);
}

static void test_one_that_was_never_asked_is_freed(void **state) {
  (void)state;
  struct bench bench;
  bench_begin(&bench, NULL);
  bench_end(&bench);
  resolver_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_addresses_are_told_from_names),
      cmocka_unit_test(test_an_address_resolves_to_itself),
      cmocka_unit_test(test_localhost_resolves_to_the_loopback),
      cmocka_unit_test(test_an_unknown_name_says_why),
      cmocka_unit_test(test_what_is_no_name_is_refused),
      cmocka_unit_test(test_questions_for_one_name_share_a_look_up_that_has_not_begun),
      cmocka_unit_test(test_many_requests_are_all_answered),
      cmocka_unit_test(test_the_queue_is_bounded),
      cmocka_unit_test(test_a_cancelled_request_gets_no_answer),
      cmocka_unit_test(test_an_answer_that_is_under_way_can_still_be_cancelled),
      cmocka_unit_test(test_an_answer_may_ask_again),
      cmocka_unit_test(test_freeing_does_not_wait_for_a_look_up_that_hangs),
      cmocka_unit_test(test_answers_that_nobody_took_are_freed),
      cmocka_unit_test(test_one_that_was_never_asked_is_freed),
  };
  return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
