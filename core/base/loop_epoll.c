/* Waiting in real time: epoll for descriptors, and a timerfd among them, because epoll_wait()
 * counts in milliseconds and a schedule of operations counts in microseconds. */
#include "base/loop_epoll.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 128

/* Who watches a descriptor. The kernel is given the descriptor's number and this generation, not
 * the watch: it goes on reporting a descriptor that was closed before it was removed for as long as
 * somebody holds a copy (a child between fork() and exec() holds one of everything), and the watch
 * may be freed by then, or its number belong to another. */
struct slot {
  struct watch *watch; /* NULL: nobody */
  uint32_t generation;
};

#define TIMER_DATA UINT64_MAX

struct loop_epoll {
  int epoll_fd, timer_fd;
  uint64_t armed_ns;  /* what the timerfd is set to; TIME_NEVER: not set */
  struct slot *slots; /* by descriptor */
  int slot_count;
};

int loop_epoll_new(void **ret_state, struct error *err) {
  struct loop_epoll *state = calloc(1, sizeof *state);
  if (!state) return error_set(err, STATUS_MEMORY, "out of memory for a loop");
  state->armed_ns = TIME_NEVER;
  state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  state->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  /* Edge triggered: an expiry is seen once and needs no read(). */
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TIMER_DATA};
  if (state->epoll_fd < 0 || state->timer_fd < 0 ||
      epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, state->timer_fd, &event)) {
    int errnum = errno;
    loop_epoll_free(state);
    return error_set_errno(err, errnum, "cannot make an event loop");
  }
  *ret_state = state;
  return 0;
}

void loop_epoll_free(void *epoll_state) {
  struct loop_epoll *state = epoll_state;
  if (!state) return;
  if (state->epoll_fd >= 0) close(state->epoll_fd);
  if (state->timer_fd >= 0) close(state->timer_fd);
  free(state->slots);
  free(state);
}

static void free_state(struct loop *loop) {
  loop_epoll_free(loop_state(loop));
}

static int reserve_slot(struct loop_epoll *state, int fd, struct error *err) {
  if (fd < state->slot_count) return 0;
  int count = state->slot_count ? state->slot_count : 64;
  while (count <= fd) count *= 2; /* descriptors are far below INT_MAX */
  struct slot *slots = realloc(state->slots, (size_t)count * sizeof *slots);
  if (!slots) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  for (int i = state->slot_count; i < count; i++) slots[i] = (struct slot){.watch = NULL};
  state->slots = slots;
  state->slot_count = count;
  return 0;
}

static int watch_remove(struct loop_epoll *state, struct watch *watch, struct error *err) {
  struct slot *slot =
      watch->fd >= 0 && watch->fd < state->slot_count ? &state->slots[watch->fd] : NULL;
  /* Closed, and its number is somebody else's now. */
  if (!slot || slot->watch != watch) return 0;
  slot->watch = NULL;
  /* The kernel forgot it already if it was closed. */
  if (epoll_ctl(state->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) && errno != ENOENT &&
      errno != EBADF)
    return error_set_errno(err, errno, "cannot stop watching descriptor %d", watch->fd);
  return 0;
}

static int watch_set(struct loop *loop, struct watch *watch, unsigned interest, struct error *err) {
  struct loop_epoll *state = loop_state(loop);
  if (interest == 0) return watch_remove(state, watch, err);
  if (watch->fd < 0) return error_set_errno(err, EBADF, "cannot watch descriptor %d", watch->fd);
  int status = reserve_slot(state, watch->fd, err);
  if (status) return status;
  struct slot *slot = &state->slots[watch->fd];
  if (!watch->active) slot->generation++;
  struct epoll_event event = {.data.u64 = (uint64_t)slot->generation << 32 | (uint32_t)watch->fd};
  if (interest & LOOP_READ) event.events |= EPOLLIN;
  if (interest & LOOP_WRITE) event.events |= EPOLLOUT;
  int operation = watch->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(state->epoll_fd, operation, watch->fd, &event))
    return error_set_errno(err, errno, "cannot watch descriptor %d", watch->fd);
  slot->watch = watch;
  return 0;
}

/* NULL for a watch that was removed, before the event or by a callback of this batch. */
static struct watch *watch_of(const struct loop_epoll *state, uint64_t data) {
  const struct slot *slot = &state->slots[(uint32_t)data];
  return slot->generation == data >> 32 ? slot->watch : NULL;
}

static void dispatch(struct loop_epoll *state, const struct epoll_event *events_seen, int count) {
  for (int i = 0; i < count; i++) {
    if (events_seen[i].data.u64 == TIMER_DATA) continue;
    struct watch *watch = watch_of(state, events_seen[i].data.u64);
    if (!watch) continue;
    uint32_t seen = events_seen[i].events;
    unsigned events = 0;
    if (seen & EPOLLIN) events |= LOOP_READ;
    if (seen & EPOLLOUT) events |= LOOP_WRITE;
    events &= watch->interest; /* may have shrunk since the kernel answered */
    if (seen & (EPOLLERR | EPOLLHUP)) events = LOOP_READ | LOOP_WRITE;
    if (events) watch->ready(watch, events);
  }
}

/* Sets the timerfd to `deadline_ns`, if it is not already. */
static int set_timer(struct loop_epoll *state, uint64_t deadline_ns, struct error *err) {
  if (deadline_ns == state->armed_ns) return 0;
  struct itimerspec spec = {.it_value = {.tv_sec = 0}};
  if (deadline_ns != TIME_NEVER) {
    spec.it_value.tv_sec = (time_t)(deadline_ns / NS_PER_S);
    spec.it_value.tv_nsec = (long)(deadline_ns % NS_PER_S);
  }
  if (timerfd_settime(state->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL))
    return error_set_errno(err, errno, "cannot set a timer");
  state->armed_ns = deadline_ns;
  return 0;
}

static int wait_epoll(struct loop *loop, uint64_t deadline_ns, struct error *err) {
  struct loop_epoll *state = loop_state(loop);
  int timeout = -1;
  if (deadline_ns != TIME_NEVER && deadline_ns <= loop_now_ns(loop)) {
    timeout = 0; /* due: only look, and leave the timer as it is */
  } else {
    int status = set_timer(state, deadline_ns, err);
    if (status) return status;
  }
  struct epoll_event events[BATCH];
  int count = epoll_wait(state->epoll_fd, events, BATCH, timeout);
  if (count < 0 && errno != EINTR) return error_set_errno(err, errno, "cannot wait for events");
  for (int i = 0; i < count; i++)
    if (events[i].data.u64 == TIMER_DATA) state->armed_ns = TIME_NEVER; /* it expired */
  dispatch(state, events, count);
  return 0;
}

const struct loop_backend loop_backend_epoll = {
    .wait = wait_epoll, .watch_set = watch_set, .free_state = free_state};
