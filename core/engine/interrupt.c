/* Hands a signal from the thread that takes it to the loop of the run. */
#include "engine/interrupt.h"

void interrupt_signals(sigset_t *ret) {
  struct sigaction hangup = {.sa_handler = SIG_DFL};
  sigemptyset(ret);
  sigaddset(ret, SIGINT);
  sigaddset(ret, SIGTERM);
  /* A blocked signal comes even where it is ignored. */
  if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(ret, SIGHUP);
}

void interrupt_init(struct interrupt *interrupt) {
  *interrupt = (struct interrupt){.loop = NULL};
  pthread_mutex_init(&interrupt->mutex, NULL);
}

void interrupt_raise(struct interrupt *interrupt, int signal) {
  int none = 0;
  atomic_compare_exchange_strong(&interrupt->signal, &none, signal);
  pthread_mutex_lock(&interrupt->mutex);
  if (interrupt->loop) (void)loop_post(interrupt->loop, interrupt->wake, interrupt->data, NULL);
  pthread_mutex_unlock(&interrupt->mutex);
}
