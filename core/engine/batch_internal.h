/* What the two sides of a batch share: the parent (batch.c), and its children (batch_worker.c). */
#ifndef GAMEDAY_ENGINE_BATCH_INTERNAL_H
#define GAMEDAY_ENGINE_BATCH_INTERNAL_H

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

#include "engine/batch.h"

/* What a child sends for each job; the result's bytes follow. */
struct batch_message {
  uint64_t index;
  int status; /* of the job */
  struct error error;
};

/* A process forked for the batch. */
struct batch_child {
  pid_t pid;                 /* 0: none */
  int command_fd, result_fd; /* the parent's ends */
};
#define BATCH_CHILD_NONE ((struct batch_child){.command_fd = -1, .result_fd = -1})

/* The janitor: removes `scratch` when the last holder of its life line is gone, however it went. It
 * is nobody's child, so that who kills the caller with all its descendants does not kill it. */
struct batch_janitor {
  int life_fd; /* the life line; -1: there is no janitor */
  int done_fd; /* ends when it has done its work */
};
int batch_janitor_start(const char *scratch, struct batch_janitor *ret_janitor, struct error *err);
/* Lets go of the life line, and waits for the janitor; so no worker may be left. */
void batch_janitor_end(struct batch_janitor *janitor);

/* A worker: takes indexes from its command pipe until that ends, and gives a message for each. It
 * holds the janitor's life line `life_fd` open, and dies with its parent. `mask` are the signals
 * that the caller had blocked before the batch. */
int batch_worker_start(const struct batch_spec *spec, const char *scratch, int life_fd,
                       const sigset_t *mask, struct batch_child *ret_worker, struct error *err);

/* Closes the parent's ends and waits for the child. Returns its wait status; 0 for none. */
int batch_child_end(struct batch_child *child);

#endif
