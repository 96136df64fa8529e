/* Signals that end a command that works on files. */
#include "stopping.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/interrupt.h"

static sigset_t signal_set(void) {
  sigset_t set;
  interrupt_signals(&set);
  sigaddset(&set, SIGUSR1); /* from us: it is over */
  return set;
}

static void take(struct stopping *stopping, int number) {
  pthread_mutex_lock(&stopping->mutex);
  if (stopping->phase == STOPPING_AT_ONCE) {
    log_print(stopping->log, LOG_ERROR, "interrupted: %s", stopping->said);
    _exit((int)cli_exit_code(STATUS_INTERRUPTED, number));
  }
  if (stopping->signal == 0) stopping->signal = number;
  if (stopping->phase == STOPPING_BY_FD) (void)eventfd_write(stopping->fd, 1);
  pthread_mutex_unlock(&stopping->mutex);
}

static void *stopping_main(void *data) {
  sigset_t set = signal_set();
  for (;;) {
    int number;
    if (sigwait(&set, &number) != 0) continue;
    if (number == SIGUSR1) return NULL;
    take(data, number);
  }
}

int stopping_begin(struct stopping *stopping, struct log *log, const char *said,
                   struct error *err) {
  sigset_t set = signal_set();
  *stopping = (struct stopping){.log = log, .said = said};
  stopping->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stopping->fd < 0) return error_set(err, STATUS_SYSTEM, "cannot make an event descriptor");
  pthread_mutex_init(&stopping->mutex, NULL);
  pthread_sigmask(SIG_BLOCK, &set, &stopping->before);
  int errnum = pthread_create(&stopping->thread, NULL, stopping_main, stopping);
  if (errnum == 0) return 0;
  pthread_sigmask(SIG_SETMASK, &stopping->before, NULL);
  pthread_mutex_destroy(&stopping->mutex);
  close(stopping->fd);
  return error_set_errno(err, errnum, "cannot start a thread");
}

int stopping_enter(struct stopping *stopping, enum stopping_phase phase) {
  pthread_mutex_lock(&stopping->mutex);
  int number = stopping->signal;
  if (number == 0) stopping->phase = phase;
  pthread_mutex_unlock(&stopping->mutex);
  return number;
}

bool stopping_now(struct stopping *stopping) {
  pthread_mutex_lock(&stopping->mutex);
  bool now = stopping->signal != 0 && stopping->phase != STOPPING_LATER;
  pthread_mutex_unlock(&stopping->mutex);
  return now;
}

int stopping_end(struct stopping *stopping) {
  pthread_kill(stopping->thread, SIGUSR1);
  pthread_join(stopping->thread, NULL);
  pthread_sigmask(SIG_SETMASK, &stopping->before, NULL);
  pthread_mutex_destroy(&stopping->mutex);
  close(stopping->fd);
  return stopping->signal;
}
