/* The loop itself: a heap of timers, posted calls, one turn after another. How to wait is the
 * backend's. */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/loop_epoll.h"

#define POSTS_MAX 1024

/* The key is apart from the timer's deadline: see loop_timer_arm(). Order by key and order is
 * total, so timers fire in one sequence whatever the heap's form is. */
struct heap_entry {
  uint64_t key_ns, order;
  struct timer *timer;
};

/* Children of an entry. Four stand together in little more than a line of the cache, and half as
 * many levels as with two are half as many timers that are told their new position. */
#define HEAP_WAYS 4u

struct post {
  void (*call)(void *data);
  void *data;
};

struct loop {
  const struct clock *clock;
  const struct loop_backend *backend;
  void *state;
  struct heap_entry *heap;
  uint32_t heap_count, heap_capacity;
  uint32_t reserved; /* timers that room was asked for, by all who did */
  uint64_t next_order;
  uint64_t firing_ns; /* 0: not inside fire_timers() */
  bool stopped;

  int wake_fd; /* an eventfd watched by a real loop; -1 in virtual time */
  struct watch wake_watch;
  pthread_mutex_t posts_mutex; /* guards `posts` and `post_count` */
  struct post *posts;          /* room for POSTS_MAX, twice: filled, and being run */
  struct post *running;
  _Atomic uint32_t post_count; /* changed under the mutex; a turn looks whether there is any */
};

/* --- timers: a heap; timer->position is the index + 1 --- */

static bool entry_before(const struct heap_entry *a, const struct heap_entry *b) {
  if (a->key_ns != b->key_ns) return a->key_ns < b->key_ns;
  return a->order < b->order;
}

static void heap_place(struct loop *loop, uint32_t index, struct heap_entry entry) {
  loop->heap[index] = entry;
  entry.timer->position = index + 1;
}

static void heap_sift_up(struct loop *loop, uint32_t index, struct heap_entry entry) {
  while (index > 0) {
    uint32_t parent = (index - 1) / HEAP_WAYS;
    if (!entry_before(&entry, &loop->heap[parent])) break;
    heap_place(loop, index, loop->heap[parent]);
    index = parent;
  }
  heap_place(loop, index, entry);
}

static void heap_sift_down(struct loop *loop, uint32_t index, struct heap_entry entry) {
  for (;;) {
    uint32_t child = HEAP_WAYS * index + 1, end = child + HEAP_WAYS;
    if (child >= loop->heap_count) break;
    if (end > loop->heap_count) end = loop->heap_count;
    for (uint32_t other = child + 1; other < end; other++)
      if (entry_before(&loop->heap[other], &loop->heap[child])) child = other;
    if (!entry_before(&loop->heap[child], &entry)) break;
    heap_place(loop, index, loop->heap[child]);
    index = child;
  }
  heap_place(loop, index, entry);
}

static int make_room(struct loop *loop, uint32_t count, struct error *err) {
  if (count <= loop->heap_capacity) return 0;
  uint32_t capacity = loop->heap_capacity ? loop->heap_capacity : 16;
  while (capacity < count && capacity <= UINT32_MAX / 4) capacity *= 2;
  struct heap_entry *heap = NULL;
  if (capacity >= count) heap = realloc(loop->heap, (size_t)capacity * sizeof *heap);
  if (!heap) return error_set(err, STATUS_MEMORY, "out of memory for %u timers", count);
  loop->heap = heap;
  loop->heap_capacity = capacity;
  return 0;
}

int loop_reserve_timers(struct loop *loop, uint32_t count, struct error *err) {
  if (count > UINT32_MAX - loop->reserved)
    return error_set(err, STATUS_MEMORY, "out of memory for %u timers", count);
  int status = make_room(loop, loop->reserved + count, err);
  if (status == 0) loop->reserved += count;
  return status;
}

void loop_timer_cancel(struct loop *loop, struct timer *timer) {
  if (timer->position == 0) return;
  uint32_t index = timer->position - 1;
  assert(index < loop->heap_count && loop->heap[index].timer == timer);
  timer->position = 0;
  struct heap_entry last = loop->heap[--loop->heap_count];
  if (last.timer == timer) return;
  if (index > 0 && entry_before(&last, &loop->heap[(index - 1) / HEAP_WAYS]))
    heap_sift_up(loop, index, last);
  else
    heap_sift_down(loop, index, last);
}

int loop_timer_arm(struct loop *loop, struct timer *timer, uint64_t deadline_ns,
                   struct error *err) {
  assert(timer->fire);
  loop_timer_cancel(loop, timer);
  int status = make_room(loop, loop->heap_count + 1, err);
  if (status) return status;
  timer->deadline_ns = deadline_ns;
  timer->order = loop->next_order++;
  /* A timer armed by a timer's callback for the past waits for the next turn: its key is now, so it
   * is sorted behind all that are due and older, where fire_timers() stops. */
  uint64_t key_ns = deadline_ns;
  if (key_ns < loop->firing_ns) key_ns = loop->firing_ns;
  heap_sift_up(loop, loop->heap_count++,
               (struct heap_entry){.key_ns = key_ns, .order = timer->order, .timer = timer});
  return 0;
}

static void fire_timers(struct loop *loop) {
  uint64_t now_ns = loop_now_ns(loop);
  uint64_t armed_later = loop->next_order;
  loop->firing_ns = now_ns;
  while (loop->heap_count > 0 && loop->heap[0].key_ns <= now_ns) {
    struct timer *timer = loop->heap[0].timer;
    if (timer->order >= armed_later) break;
    loop_timer_cancel(loop, timer);
    timer->fire(timer, loop_now_ns(loop)); /* may free the timer */
  }
  loop->firing_ns = 0;
}

/* --- posted calls --- */

int loop_post(struct loop *loop, void (*call)(void *data), void *data, struct error *err) {
  pthread_mutex_lock(&loop->posts_mutex);
  bool full = loop->post_count == POSTS_MAX;
  if (!full) loop->posts[loop->post_count++] = (struct post){.call = call, .data = data};
  /* Inside the mutex: afterwards the loop may have run the call, and that may have freed it. */
  if (!full && loop->wake_fd >= 0) {
    ssize_t written = write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* fails only when the counter is full, and then it wakes already */
  }
  pthread_mutex_unlock(&loop->posts_mutex);
  if (full) return error_set_errno(err, EAGAIN, "too many calls are posted to a loop");
  return 0;
}

/* Whoever posts writes to the eventfd after it has counted: what is missed here wakes the wait. */
static bool posts_pending(struct loop *loop) {
  return atomic_load(&loop->post_count) > 0;
}

/* Runs what was posted before; what these calls post waits for the next turn. */
static void run_posts(struct loop *loop) {
  if (!posts_pending(loop)) return;
  pthread_mutex_lock(&loop->posts_mutex);
  uint32_t count = loop->post_count;
  struct post *filled = loop->posts;
  loop->posts = loop->running;
  loop->running = filled;
  loop->post_count = 0;
  pthread_mutex_unlock(&loop->posts_mutex);
  for (uint32_t i = 0; i < count; i++) filled[i].call(filled[i].data);
}

static void wake_ready(struct watch *watch, unsigned events) {
  (void)events;
  uint64_t count;
  ssize_t got = read(watch->fd, &count, sizeof count); /* the posts are run by the turn */
  (void)got;
}

/* --- life --- */

int loop_new_with(const struct clock *clock, const struct loop_backend *backend, void *state,
                  struct loop **ret_loop, struct error *err) {
  struct loop *loop = calloc(1, sizeof *loop);
  struct post *posts = calloc(POSTS_MAX, sizeof *posts);
  struct post *running = calloc(POSTS_MAX, sizeof *running);
  if (!loop || !posts || !running) {
    free(loop);
    free(posts);
    free(running);
    return error_set(err, STATUS_MEMORY, "out of memory for a loop");
  }
  *loop = (struct loop){.clock = clock,
                        .backend = backend,
                        .state = state,
                        .wake_fd = -1,
                        .posts = posts,
                        .running = running};
  pthread_mutex_init(&loop->posts_mutex, NULL); /* never fails with default attributes */
  *ret_loop = loop;
  return 0;
}

int loop_new(struct loop **ret_loop, struct error *err) {
  void *state = NULL;
  int status = loop_epoll_new(&state, err);
  if (status) return status;
  struct loop *loop = NULL;
  status = loop_new_with(&clock_monotonic, &loop_backend_epoll, state, &loop, err);
  if (status) {
    loop_epoll_free(state);
    return status;
  }
  assert(loop);
  loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->wake_fd < 0)
    status = error_set_errno(err, errno, "cannot make an eventfd");
  else {
    loop->wake_watch = (struct watch){.ready = wake_ready, .owner = loop, .fd = loop->wake_fd};
    status = loop_watch_set(loop, &loop->wake_watch, LOOP_READ, err);
  }
  if (status) {
    loop_free(loop);
    return status;
  }
  *ret_loop = loop;
  return 0;
}

void loop_free(struct loop *loop) {
  if (!loop) return;
  if (loop->backend->free_state) loop->backend->free_state(loop);
  if (loop->wake_fd >= 0) close(loop->wake_fd);
  pthread_mutex_destroy(&loop->posts_mutex);
  free(loop->heap);
  free(loop->posts);
  free(loop->running);
  free(loop);
}

const struct clock *loop_clock(const struct loop *loop) {
  return loop->clock;
}

void *loop_state(const struct loop *loop) {
  return loop->state;
}

uint64_t loop_now_ns(const struct loop *loop) {
  return clock_now_ns(loop->clock);
}

/* --- watches --- */

int loop_watch_set(struct loop *loop, struct watch *watch, unsigned interest, struct error *err) {
  assert(watch->ready || !interest);
  assert((interest & ~(unsigned)(LOOP_READ | LOOP_WRITE)) == 0);
  unsigned current = watch->active ? watch->interest : 0;
  if (interest == current) return 0;
  if (!loop->backend->watch_set)
    return error_set(err, STATUS_INTERNAL, "this loop watches no descriptors");
  int status = loop->backend->watch_set(loop, watch, interest, err);
  if (status) return status;
  watch->interest = interest;
  watch->active = interest != 0;
  return 0;
}

int loop_watch_renew(struct loop *loop, struct watch *watch, int fd, unsigned interest,
                     struct error *err) {
  /* The old descriptor may be closed already, so failing to forget it is no failure. */
  struct error ignored;
  loop_watch_set(loop, watch, 0, &ignored);
  watch->active = false;
  watch->fd = fd;
  return loop_watch_set(loop, watch, interest, err);
}

/* --- turns --- */

int loop_turn(struct loop *loop, uint64_t deadline_ns, struct error *err) {
  if (loop->heap_count > 0 && loop->heap[0].key_ns < deadline_ns)
    deadline_ns = loop->heap[0].key_ns;
  if (posts_pending(loop)) deadline_ns = 0;
  int status = loop->backend->wait(loop, deadline_ns, err);
  if (status) return status;
  run_posts(loop);
  fire_timers(loop);
  return 0;
}

int loop_run(struct loop *loop, struct error *err) {
  int status = 0;
  while (!status && !loop->stopped) status = loop_turn(loop, TIME_NEVER, err);
  /* Reset at the end and not at the beginning, so that a stop before the run is heard too. */
  loop->stopped = false;
  return status;
}

void loop_stop(struct loop *loop) {
  loop->stopped = true;
}
