/* Child processes: argv (never a shell line), optional namespaces, deadlines, captured output. */
#ifndef GAMEDAY_BASE_PROCESS_H
#define GAMEDAY_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* How a child is started. Zero-initialised is a plain child with /dev/null on all three. */
struct process_spec {
  const char *const *argv;      /* NULL-terminated; argv[0] is looked up in PATH */
  const char *const *env_extra; /* "KEY=value", NULL-terminated, added to ours; NULL: none */
  const char *directory;        /* NULL: ours */
  const char *input;            /* given on standard input; NULL: /dev/null */
  size_t input_length;
  bool inherits_input;      /* ours on standard input, when there is no `input`; not a terminal */
  int stdout_fd, stderr_fd; /* <= 0: captured by process_run(), /dev/null for process_start() */
  int namespace_pidfd;      /* > 0: enter the namespaces of this process first (setns) */
  int namespace_flags;      /* CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID ...; 0: none */
  bool new_session;         /* setsid(): keeps a terminal's Ctrl-C away from it */
  bool dies_with_parent;    /* SIGKILL when the starting thread ends */
  uint64_t timeout_ns;      /* for process_run(): 0 is 60 s */
  int cancel_fd;            /* > 0: for process_run(): once it is readable, the child is killed */
};

struct process_result {
  int exit_code;       /* 0..255, or 128 + signal */
  int signal;          /* 0, or the signal that ended it */
  bool timed_out;      /* killed by our deadline */
  struct buf out, err; /* captured, at most 1 MiB each, the rest is read and dropped */
};

void process_result_init(struct process_result *result);
void process_result_release(struct process_result *result);

/* Runs to the end. STATUS_ENVIRONMENT when the program is not on the PATH (says its name);
 * STATUS_TIMEOUT on the deadline, STATUS_INTERRUPTED by cancel_fd (the child's process group is
 * killed, and the child reaped). A non-zero exit is not an
 * error here. Blocks; any thread. */
int process_run(const struct process_spec *spec, struct process_result *ret, struct error *err);
/* As process_run(), and a non-zero exit is STATUS_SYSTEM with the last line of its stderr. */
int process_check(const struct process_spec *spec, struct error *err);
/* Starts and returns at once; the caller reaps with waitpid(). */
int process_start(const struct process_spec *spec, pid_t *ret_pid, struct error *err);
/* Whether `program` is on the PATH. */
bool process_exists(const char *program);

#endif
