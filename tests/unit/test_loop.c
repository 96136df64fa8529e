/* The loop in virtual time, as the simulator uses it, and in real time. */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/prng.h"
#include "support/test.h"

/* --- virtual time: waiting is setting the clock --- */

struct virtual_time {
  struct clock clock;
  uint64_t now_ns;
  uint64_t waits;
};

static uint64_t virtual_now(const struct clock *clock) {
  return ((const struct virtual_time *)clock->state)->now_ns;
}

static int virtual_wait(struct loop *loop, uint64_t deadline_ns, struct error *err) {
  struct virtual_time *time = loop_state(loop);
  time->waits++;
  if (deadline_ns == TIME_NEVER) return error_set(err, STATUS_INTERNAL, "nothing will ever happen");
  if (deadline_ns > time->now_ns) time->now_ns = deadline_ns;
  return 0;
}

static const struct loop_backend virtual_backend = {.wait = virtual_wait};

static struct loop *virtual_loop(struct virtual_time *time) {
  *time = (struct virtual_time){.now_ns = 1000};
  time->clock = (struct clock){.now = virtual_now, .state = time};
  struct loop *loop = NULL;
  struct error err = ERROR_INIT;
  assert_ok(loop_new_with(&time->clock, &virtual_backend, time, &loop, &err), &err);
  return loop;
}

/* A timer that notes when it fired and in which order. */
struct noted {
  struct timer timer;
  struct loop *loop;
  uint64_t fired_ns;
  unsigned fired, *counter;
  struct noted *arms, *cancels;
  uint64_t arms_for_ns;
  bool stops;
};

static void note(struct timer *timer, uint64_t now_ns) {
  struct noted *noted = timer->owner;
  struct error err = ERROR_INIT;
  noted->fired_ns = now_ns;
  noted->fired = ++*noted->counter;
  if (noted->cancels) loop_timer_cancel(noted->loop, &noted->cancels->timer);
  if (noted->arms)
    assert_ok(loop_timer_arm(noted->loop, &noted->arms->timer, noted->arms_for_ns, &err), &err);
  if (noted->stops) loop_stop(noted->loop);
}

static struct noted noted_init(struct loop *loop, unsigned *counter) {
  return (struct noted){.timer = {.fire = note}, .loop = loop, .counter = counter};
}

static void arm(struct noted *noted, uint64_t deadline_ns) {
  struct error err = ERROR_INIT;
  noted->timer.owner = noted;
  assert_ok(loop_timer_arm(noted->loop, &noted->timer, deadline_ns, &err), &err);
}

static void test_timers_fire_in_order_at_their_time(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  unsigned counter = 0;
  struct noted a = noted_init(loop, &counter), b = a, c = a, d = a;
  arm(&a, 3000);
  arm(&b, 2000);
  arm(&c, 3000); /* as a, armed later */
  arm(&d, 500);  /* past */
  d.stops = false;
  a.stops = c.stops = true;
  struct error err = ERROR_INIT;
  assert_ok(loop_run(loop, &err), &err);
  assert_int_equal(d.fired, 1);
  assert_int_equal(d.fired_ns, 1000);
  assert_int_equal(b.fired, 2);
  assert_int_equal(b.fired_ns, 2000);
  assert_int_equal(a.fired, 3);
  assert_int_equal(c.fired, 4);
  assert_int_equal(c.fired_ns, 3000);
  assert_int_equal(c.timer.deadline_ns, 3000);
  assert_int_equal(c.timer.position, 0);
  loop_free(loop);
}

static void test_a_past_deadline_waits_for_the_next_turn(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  unsigned counter = 0;
  struct noted again = noted_init(loop, &counter), other = again;
  again.arms = &again; /* itself, for ever, in the past */
  again.arms_for_ns = 0;
  arm(&again, 1500);
  arm(&other, 1500);
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_int_equal(again.fired, 1);
  assert_int_equal(other.fired, 2); /* was not starved */
  assert_int_equal(again.timer.deadline_ns, 0);
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_int_equal(again.fired, 3);
  assert_int_equal(again.fired_ns, 1500); /* no time has passed */
  loop_free(loop);
}

static void test_cancel_and_arm_again(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  unsigned counter = 0;
  struct noted a = noted_init(loop, &counter), b = a, c = a;
  loop_timer_cancel(loop, &a.timer); /* never armed */
  a.cancels = &b;
  arm(&a, 2000);
  arm(&b, 2000);
  arm(&c, 9000);
  arm(&c, 2500); /* earlier now */
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_int_equal(a.fired, 1);
  assert_int_equal(b.fired, 0);
  assert_int_equal(c.fired, 2);
  assert_int_equal(c.fired_ns, 2500);
  assert_int_equal(loop_turn(loop, TIME_NEVER, &err), STATUS_INTERNAL); /* the backend's own */
  assert_string_equal(err.message, "nothing will ever happen");
  loop_free(loop);
}

static void test_turn_ends_at_its_deadline(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  unsigned counter = 0;
  struct noted a = noted_init(loop, &counter);
  arm(&a, 5000);
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(loop, 4000, &err), &err);
  assert_int_equal(time.now_ns, 4000);
  assert_int_equal(a.fired, 0);
  assert_ok(loop_turn(loop, 5000, &err), &err);
  assert_int_equal(a.fired, 1);
  loop_free(loop);
}

/* Many timers armed, moved and cancelled at random against the simplest model: an array. */
static void test_heap_against_a_model(void **state) {
  (void)state;
  enum { COUNT = 300 };
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  struct error err = ERROR_INIT;
  assert_ok(loop_reserve_timers(loop, 10, &err), &err);
  static struct noted timers[COUNT];
  static bool armed[COUNT];
  unsigned counter = 0;
  struct prng prng;
  prng_init(&prng, 7, "heap");
  for (int i = 0; i < COUNT; i++) timers[i] = noted_init(loop, &counter);
  for (int step = 0; step < 20000; step++) {
    uint64_t i = prng_below(&prng, COUNT);
    if (prng_below(&prng, 3) == 0) {
      loop_timer_cancel(loop, &timers[i].timer);
      armed[i] = false;
    } else {
      arm(&timers[i], time.now_ns + 1 + prng_below(&prng, 5000));
      armed[i] = true;
    }
    if (prng_below(&prng, 10) != 0) continue;
    uint64_t first = TIME_NEVER;
    for (int k = 0; k < COUNT; k++)
      if (armed[k] && timers[k].timer.deadline_ns < first) first = timers[k].timer.deadline_ns;
    if (first == TIME_NEVER) continue;
    assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
    assert_int_equal(time.now_ns, first);
    for (int k = 0; k < COUNT; k++) {
      bool due = armed[k] && timers[k].timer.deadline_ns == first;
      assert_int_equal(due, armed[k] && timers[k].timer.position == 0);
      if (due) armed[k] = false;
    }
  }
  loop_free(loop);
}

static void count_up(void *data) {
  ++*(unsigned *)data;
}

struct reposter {
  struct loop *loop;
  unsigned calls;
};

static void post_again(void *data) {
  struct reposter *reposter = data;
  struct error err = ERROR_INIT;
  reposter->calls++;
  assert_ok(loop_post(reposter->loop, post_again, data, &err), &err);
}

static void test_posts_run_without_time_passing(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  struct error err = ERROR_INIT;
  unsigned calls = 0, counter = 0;
  struct noted a = noted_init(loop, &counter);
  arm(&a, 8000);
  assert_ok(loop_post(loop, count_up, &calls, &err), &err);
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_int_equal(calls, 1);
  assert_int_equal(time.now_ns, 1000);
  struct reposter reposter = {.loop = loop};
  assert_ok(loop_post(loop, post_again, &reposter, &err), &err);
  for (unsigned i = 1; i < 5; i++) {
    assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
    assert_int_equal(reposter.calls, i); /* once a turn */
  }
  loop_free(loop);
}

static void test_posts_are_bounded(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  struct error err = ERROR_INIT;
  unsigned calls = 0;
  for (int i = 0; i < 1024; i++) assert_ok(loop_post(loop, count_up, &calls, &err), &err);
  assert_int_equal(loop_post(loop, count_up, &calls, &err), STATUS_SYSTEM);
  assert_int_equal(err.errnum, EAGAIN);
  assert_ok(loop_turn(loop, TIME_NEVER, &err), &err);
  assert_int_equal(calls, 1024);
  assert_ok(loop_post(loop, count_up, &calls, &err), &err);
  loop_free(loop);
}

static void test_watches_need_a_backend_that_has_them(void **state) {
  (void)state;
  struct virtual_time time;
  struct loop *loop = virtual_loop(&time);
  struct watch watch = {.ready = NULL, .fd = 0};
  struct error err = ERROR_INIT;
  assert_ok(loop_watch_set(loop, &watch, 0, &err), &err);
  loop_free(loop);
  loop_free(NULL);
}

/* --- real time --- */

static struct loop *real_loop(void) {
  struct loop *loop = NULL;
  struct error err = ERROR_INIT;
  assert_ok(loop_new(&loop, &err), &err);
  return loop;
}

static void test_real_timers_are_never_early(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  struct error err = ERROR_INIT;
  unsigned counter = 0;
  for (uint64_t delay_ns = 1; delay_ns < 20 * NS_PER_MS; delay_ns = delay_ns * 7 + 1) {
    struct noted a = noted_init(loop, &counter);
    a.stops = true;
    uint64_t deadline_ns = loop_now_ns(loop) + delay_ns;
    arm(&a, deadline_ns);
    assert_ok(loop_run(loop, &err), &err);
    assert_true(a.fired_ns >= deadline_ns);
    assert_true(a.fired_ns < deadline_ns + 5 * NS_PER_S); /* and not lost */
  }
  /* The same deadline twice: the timerfd must be set again after it has expired. */
  struct noted late = noted_init(loop, &counter);
  uint64_t now_ns = loop_now_ns(loop);
  assert_ok(loop_turn(loop, now_ns + NS_PER_MS, &err), &err);
  late.stops = true;
  arm(&late, loop_now_ns(loop) + NS_PER_MS);
  assert_ok(loop_run(loop, &err), &err);
  loop_free(loop);
}

/* A watch that notes what it saw, and does something to another. */
struct observer {
  struct watch watch;
  struct loop *loop;
  unsigned calls, events;
  bool reads;
  struct observer *removes;
};

static void observe(struct watch *watch, unsigned events) {
  struct observer *observer = watch->owner;
  struct error err = ERROR_INIT;
  observer->calls++;
  observer->events = events;
  char byte;
  if (observer->reads && read(watch->fd, &byte, 1) < 0) observer->events |= 1024;
  if (observer->removes)
    assert_ok(loop_watch_set(observer->loop, &observer->removes->watch, 0, &err), &err);
}

static void observer_init(struct observer *observer, struct loop *loop, int fd) {
  *observer = (struct observer){
      .watch = {.ready = observe, .owner = observer, .fd = fd}, .loop = loop, .reads = true};
}

static void poll_once(struct loop *loop) {
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(loop, 0, &err), &err);
}

static void test_descriptors_are_watched(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  struct error err = ERROR_INIT;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  struct observer reader, writer;
  observer_init(&reader, loop, ends[0]);
  observer_init(&writer, loop, ends[1]);
  writer.reads = false;
  assert_ok(loop_watch_set(loop, &reader.watch, LOOP_READ, &err), &err);
  poll_once(loop);
  assert_int_equal(reader.calls, 0);
  assert_int_equal(write(ends[1], "xy", 2), 2);
  poll_once(loop);
  assert_int_equal(reader.calls, 1);
  assert_int_equal(reader.events, LOOP_READ);
  assert_ok(loop_watch_set(loop, &writer.watch, LOOP_WRITE, &err), &err);
  poll_once(loop); /* level triggered: the second byte is still there */
  assert_int_equal(reader.calls, 2);
  assert_int_equal(writer.events, LOOP_WRITE);
  assert_ok(loop_watch_set(loop, &writer.watch, 0, &err), &err);
  assert_false(writer.watch.active);
  close(ends[1]);
  poll_once(loop);
  assert_int_equal(reader.calls, 3);
  assert_int_equal(reader.events, LOOP_READ | LOOP_WRITE); /* hang-up: both */
  assert_ok(loop_watch_set(loop, &reader.watch, 0, &err), &err);
  poll_once(loop);
  assert_int_equal(reader.calls, 3);
  close(ends[0]);
  loop_free(loop);
}

static void test_a_callback_may_remove_a_watch_that_is_ready_too(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  struct error err = ERROR_INIT;
  int one[2], two[2];
  assert_int_equal(pipe(one), 0);
  assert_int_equal(pipe(two), 0);
  struct observer a, b;
  observer_init(&a, loop, one[0]);
  observer_init(&b, loop, two[0]);
  a.removes = &b;
  b.removes = &a;
  assert_ok(loop_watch_set(loop, &a.watch, LOOP_READ, &err), &err);
  assert_ok(loop_watch_set(loop, &b.watch, LOOP_READ, &err), &err);
  assert_int_equal(write(one[1], "x", 1), 1);
  assert_int_equal(write(two[1], "x", 1), 1);
  poll_once(loop);
  assert_int_equal(a.calls + b.calls, 1); /* whichever came first removed the other */
  for (int i = 0; i < 2; i++) {
    close(one[i]);
    close(two[i]);
  }
  loop_free(loop);
}

static void test_renew_after_the_descriptor_was_replaced(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  struct error err = ERROR_INIT;
  int one[2], two[2], three[2];
  assert_int_equal(pipe(one), 0);
  assert_int_equal(pipe(two), 0);
  struct observer a;
  observer_init(&a, loop, one[0]);
  assert_ok(loop_watch_set(loop, &a.watch, LOOP_READ, &err), &err);
  /* A library closes its socket and the next one gets the same number. */
  assert_int_equal(dup2(two[0], one[0]), one[0]);
  close(two[0]);
  assert_ok(loop_watch_renew(loop, &a.watch, one[0], LOOP_READ, &err), &err);
  assert_int_equal(write(two[1], "x", 1), 1);
  poll_once(loop);
  assert_int_equal(a.calls, 1);
  /* Closed before it was renewed, and another number now. */
  close(one[0]);
  assert_int_equal(pipe(three), 0);
  assert_ok(loop_watch_renew(loop, &a.watch, three[0], LOOP_READ, &err), &err);
  assert_int_equal(write(three[1], "x", 1), 1);
  poll_once(loop);
  assert_int_equal(a.calls, 2);
  close(three[0]);
  close(three[1]);
  close(two[1]);
  close(one[1]);
  assert_int_equal(loop_watch_renew(loop, &a.watch, three[0], LOOP_READ, &err), STATUS_SYSTEM);
  assert_false(a.watch.active);
  loop_free(loop);
}

enum { POSTERS = 3, POSTS_EACH = 2000 };

struct poster {
  struct loop *loop;
  unsigned *sum; /* touched by the loop's thread only */
};

static void add_and_stop(void *data) {
  struct poster *poster = data;
  if (++*poster->sum == POSTERS * POSTS_EACH) loop_stop(poster->loop);
}

static void *post_many(void *data) {
  struct poster *poster = data;
  for (int i = 0; i < POSTS_EACH; i++)
    while (loop_post(poster->loop, add_and_stop, poster, NULL)) sched_yield(); /* full */
  return NULL;
}

static void test_posts_from_other_threads_wake_the_loop(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  unsigned sum = 0;
  struct poster poster = {.loop = loop, .sum = &sum};
  pthread_t threads[POSTERS];
  for (int i = 0; i < POSTERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, post_many, &poster), 0);
  struct error err = ERROR_INIT;
  assert_ok(loop_run(loop, &err), &err); /* no timer: only the posts can wake it */
  for (int i = 0; i < POSTERS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(sum, POSTERS * POSTS_EACH);
  loop_free(loop);
}

static void test_a_stop_before_the_run_is_heard(void **state) {
  (void)state;
  struct loop *loop = real_loop();
  struct error err = ERROR_INIT;
  loop_stop(loop);
  assert_ok(loop_run(loop, &err), &err);
  loop_free(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_timers_fire_in_order_at_their_time),
      cmocka_unit_test(test_a_past_deadline_waits_for_the_next_turn),
      cmocka_unit_test(test_cancel_and_arm_again),
      cmocka_unit_test(test_turn_ends_at_its_deadline),
      cmocka_unit_test(test_heap_against_a_model),
      cmocka_unit_test(test_posts_run_without_time_passing),
      cmocka_unit_test(test_posts_are_bounded),
      cmocka_unit_test(test_watches_need_a_backend_that_has_them),
      cmocka_unit_test(test_real_timers_are_never_early),
      cmocka_unit_test(test_descriptors_are_watched),
      cmocka_unit_test(test_a_callback_may_remove_a_watch_that_is_ready_too),
      cmocka_unit_test(test_renew_after_the_descriptor_was_replaced),
      cmocka_unit_test(test_posts_from_other_threads_wake_the_loop),
      cmocka_unit_test(test_a_stop_before_the_run_is_heard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
