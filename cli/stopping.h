/* SIGINT, SIGTERM and SIGHUP while a command works on files: it ends with a word, the right exit
 * code and no half of anything. */
#ifndef GAMEDAY_CLI_STOPPING_H
#define GAMEDAY_CLI_STOPPING_H

#include <pthread.h>
#include <signal.h>

#include "cli.h"

enum stopping_phase {
  STOPPING_AT_ONCE, /* there is nothing to clean up: the signal ends the process */
  STOPPING_BY_FD,   /* `fd` becomes readable, and the command gives up as soon as it can */
  STOPPING_LATER,   /* what goes on comes to its end first */
};

/* Begun, these signals are blocked in the calling thread, which is to be the only one, and taken by
 * a thread of its own. */
struct stopping {
  int fd; /* readable once a signal came while it was to be told so */
  pthread_t thread;
  sigset_t before; /* the calling thread's mask */
  pthread_mutex_t mutex;
  enum stopping_phase phase;
  int signal; /* the first; 0: none */
  struct log *log;
  const char *said; /* what is logged when it ends at once */
};

/* Begins with STOPPING_AT_ONCE. */
int stopping_begin(struct stopping *stopping, struct log *log, const char *said, struct error *err);
/* The phase is another one from now on, unless a signal came before: then it is returned. 0: none.
 */
int stopping_enter(struct stopping *stopping, enum stopping_phase phase);
/* Whether to give up: a signal came, and what goes on is not to come to its end first. */
bool stopping_now(struct stopping *stopping);
/* The signals are as before. Returns the one that came; 0: none did. */
int stopping_end(struct stopping *stopping);

#endif
