/* Interrupts: SIGINT, SIGTERM and SIGHUP, taken by one thread, end a run in order. */
#ifndef GAMEDAY_ENGINE_INTERRUPT_H
#define GAMEDAY_ENGINE_INTERRUPT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/loop.h"

/* The signals that ask to end: SIGINT, SIGTERM, and SIGHUP, by which a terminal or a session that
 * closes does, unless it is ignored (nohup). For who blocks them and takes them himself. */
void interrupt_signals(sigset_t *ret);

/* The user's wish to stop, shared between the thread that takes signals and the run. */
struct interrupt {
  _Atomic int signal; /* 0: none */
  pthread_mutex_t mutex;
  struct loop *loop; /* of the run while it runs one; under the mutex */
  void (*wake)(void *data);
  void *data;
};
void interrupt_init(struct interrupt *interrupt);
void interrupt_raise(struct interrupt *interrupt, int signal); /* any thread */

#endif
