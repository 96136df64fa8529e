/* The event loop of one thread: timers and file descriptors. Everything that waits in gameday waits
 * here, so that the same workload and timeline code runs in real and in virtual time: the `struct
 * loop_backend` decides what "wait until" means (epoll + timerfd, or the simulator's clock).
 *
 * A loop belongs to the thread that runs it; only loop_post() and loop_wake() may be called from
 * another. Callbacks may add and remove anything, themselves included. */
#ifndef GAMEDAY_BASE_LOOP_H
#define GAMEDAY_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

struct loop;

enum loop_interest { LOOP_READ = 1, LOOP_WRITE = 2 };

/* A timer lives in its owner's struct; zero-initialised means "not armed". */
struct timer {
  void (*fire)(struct timer *timer, uint64_t now_ns);
  void *owner;
  uint64_t deadline_ns;
  uint64_t order;    /* the loop's: equal deadlines fire in the order they were armed */
  uint32_t position; /* the loop's: heap index + 1, 0 when not armed */
};

/* A watched descriptor, in its owner's struct. `ready` gets LOOP_READ | LOOP_WRITE; an error or
 * hang-up is reported as both, so that the owner's next read or write finds it. */
struct watch {
  void (*ready)(struct watch *watch, unsigned events);
  void *owner;
  int fd;
  unsigned interest;
  bool active; /* the loop's */
};

/* What differs between real and virtual time. */
struct loop_backend {
  /* Waits until a descriptor is ready or `deadline_ns` (TIME_NEVER: no deadline), dispatches ready
   * watches. */
  int (*wait)(struct loop *loop, uint64_t deadline_ns, struct error *err);
  int (*watch_set)(struct loop *loop, struct watch *watch, unsigned interest, struct error *err);
  void (*free_state)(struct loop *loop);
};

/* A real-time loop on CLOCK_MONOTONIC. `ret_loop` is owned by the caller (loop_free). */
int loop_new(struct loop **ret_loop, struct error *err);
/* A loop of another backend (the simulator); `state` goes to the backend. */
int loop_new_with(const struct clock *clock, const struct loop_backend *backend, void *state,
                  struct loop **ret_loop, struct error *err);
void loop_free(struct loop *loop);

const struct clock *loop_clock(const struct loop *loop);
void *loop_state(const struct loop *loop);
/* The time now, read from the clock (not cached). */
uint64_t loop_now_ns(const struct loop *loop);

/* Arms (or re-arms) `timer` for `deadline_ns`; a past deadline fires in the next turn. Room for
 * timers grows as needed; asserts on allocation failure are avoided by loop_reserve_timers(). */
int loop_timer_arm(struct loop *loop, struct timer *timer, uint64_t deadline_ns, struct error *err);
void loop_timer_cancel(struct loop *loop, struct timer *timer); /* not armed is fine */
/* Room for `count` more timers than what was reserved before: who reserves for all of its timers
 * never fails to arm one, whoever shares the loop and does the same. */
int loop_reserve_timers(struct loop *loop, uint32_t count, struct error *err);

/* Watches watch->fd for `interest`; 0 stops watching. A socket that a library may have replaced
 * (libpq) must be removed before the library closes it and added anew: loop_watch_renew(). */
int loop_watch_set(struct loop *loop, struct watch *watch, unsigned interest, struct error *err);
/* Forgets what the kernel knows of watch->fd and registers `fd` anew. */
int loop_watch_renew(struct loop *loop, struct watch *watch, int fd, unsigned interest,
                     struct error *err);

/* Runs until loop_stop(), or returns the first error of the backend. */
int loop_run(struct loop *loop, struct error *err);
/* One turn: waits at most until `deadline_ns`, fires what is due. */
int loop_turn(struct loop *loop, uint64_t deadline_ns, struct error *err);
void loop_stop(struct loop *loop); /* from a callback of this loop */

/* From any thread: `call(data)` runs in the loop's thread in its next turn. At most 1024 pending;
 * returns STATUS_SYSTEM with EAGAIN when full. */
int loop_post(struct loop *loop, void (*call)(void *data), void *data, struct error *err);

#endif
