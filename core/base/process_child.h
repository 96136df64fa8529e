/* The child's side of process.c: from fork() to exec(). */
#ifndef GAMEDAY_BASE_PROCESS_CHILD_H
#define GAMEDAY_BASE_PROCESS_CHILD_H

#include "base/process.h"

/* Everything the child needs, made before fork(): afterwards only async-signal-safe calls are
 * allowed, because another thread may have held malloc's lock. */
struct child_plan {
  const struct process_spec *spec;
  pid_t parent;
  const char **paths; /* candidates for the program, NULL-terminated */
  char *path_text;    /* owns what `paths` point to */
  const char **env;   /* NULL-terminated */
  int null_fd;
  int stdin_fd; /* -1: null_fd */
  int stdout_fd, stderr_fd;
  int report_fd; /* takes a struct child_report if the program cannot be started */
  bool own_group;
};
#define CHILD_PLAN_INIT \
  { .null_fd = -1, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .report_fd = -1 }

enum child_stage {
  CHILD_PARENT,
  CHILD_STDIO,
  CHILD_NAMESPACE,
  CHILD_DIRECTORY,
  CHILD_FORK,
  CHILD_EXEC
};

struct child_report {
  enum child_stage stage;
  int errnum;
};

const char *child_stage_name(enum child_stage stage);

/* Runs in the child with all signals blocked; never returns. */
_Noreturn void child_run(const struct child_plan *plan);

#endif
