/* The child processes of a batch: workers that do jobs, and the janitor that cleans up after all of
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/batch_internal.h"

/* Descriptors of a child, behind standard input, output and error. */
#define FIRST_FD 3

static int pipe_error(struct error *err) {
  return error_set_errno(err, errno, "cannot make a pipe");
}

static void close_both(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

/* Moves the descriptors to FIRST_FD and up, in order, and closes every other: a child must not hold
 * the ends of its siblings' pipes. */
static void keep_descriptors(int *fds, int count) {
  for (int i = 0; i < count; i++) fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + count);
  for (int i = 0; i < count; i++) fds[i] = dup2(fds[i], FIRST_FD + i);
  close_range((unsigned)(FIRST_FD + count), ~0U, 0);
}

static ssize_t read_full(int fd, void *bytes, size_t length) {
  size_t got = 0;
  while (got < length) {
    ssize_t part = read(fd, (char *)bytes + got, length - got);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return part;
    got += (size_t)part;
  }
  return (ssize_t)got;
}

/* --- the janitor ----------------------------------------------------------------------------- */

static _Noreturn void janitor_main(int fds[2], const char *scratch) {
  prctl(PR_SET_NAME, "gameday-janitor");
  setsid(); /* a terminal's Ctrl-C and hang-up pass it by */
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  keep_descriptors(fds, 2);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < FIRST_FD && null >= 0; i++) dup2(null, i);
  if (chdir("/") < 0) _exit(1);
  char byte;
  (void)read_full(fds[0], &byte, 1);
  _exit(directory_remove(scratch, NULL) < 0 ? 1 : 0);
}

/* By a child that ends at once: what is left is adopted by init. */
static int fork_janitor(int fds[2], const char *scratch, struct error *err) {
  pid_t pid = fork();
  if (pid == 0) {
    pid_t janitor = fork();
    if (janitor == 0) janitor_main(fds, scratch);
    _exit(janitor < 0 ? 1 : 0);
  }
  int wait_status = 0;
  int errnum = errno;
  while (pid > 0 && waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) continue;
  if (pid > 0 && wait_status == 0) return 0;
  return error_set_errno(err, pid < 0 ? errnum : EAGAIN, "cannot fork");
}

int batch_janitor_start(const char *scratch, struct batch_janitor *ret_janitor, struct error *err) {
  int life[2], done[2];
  if (pipe2(life, O_CLOEXEC) < 0) return pipe_error(err);
  if (pipe2(done, O_CLOEXEC) < 0) {
    int status = pipe_error(err);
    close_both(life);
    return status;
  }
  int fds[2] = {life[0], done[1]};
  int status = fork_janitor(fds, scratch, err);
  close(life[0]);
  close(done[1]);
  if (status < 0) {
    close(life[1]);
    close(done[0]);
    return status;
  }
  *ret_janitor = (struct batch_janitor){.life_fd = life[1], .done_fd = done[0]};
  return 0;
}

void batch_janitor_end(struct batch_janitor *janitor) {
  char byte;
  if (janitor->life_fd < 0) return;
  close(janitor->life_fd);
  (void)read_full(janitor->done_fd, &byte, 1);
  close(janitor->done_fd);
  *janitor = (struct batch_janitor){.life_fd = -1, .done_fd = -1};
}

/* --- workers --------------------------------------------------------------------------------- */

struct worker {
  const struct batch_spec *spec;
  const char *scratch; /* of all */
  char directory[PATH_MAX];
  struct batch_message *message; /* and the result behind it */
  void *result;
};

static int do_job(struct worker *worker, uint64_t index, struct error *err) {
  const struct batch_spec *spec = worker->spec;
  const char *below = spec->keep_directory ? spec->keep_directory : worker->scratch;
  uint64_t name = spec->keep_directory ? index : (uint64_t)getpid();
  int status =
      path_format(worker->directory, sizeof worker->directory, err, "%s/%" PRIu64, below, name);
  if (status == 0) status = directory_make(worker->directory, 0700, err);
  if (status == 0) status = spec->job(spec->data, index, worker->directory, worker->result, err);
  if (spec->keep_directory) return status;
  /* What was left in the way would be taken for a part of the next job. */
  int removed = directory_remove(worker->directory, status == 0 ? err : NULL);
  return status < 0 ? status : removed;
}

static _Noreturn void worker_main(struct worker *worker, int fds[3]) {
  const struct batch_spec *spec = worker->spec;
  size_t size = sizeof *worker->message + spec->result_size;
  keep_descriptors(fds, 3);
  worker->message = calloc(1, size);
  if (!worker->message) _exit(1);
  worker->result = worker->message + 1;
  uint64_t index;
  while (read_full(fds[0], &index, sizeof index) == (ssize_t)sizeof index) {
    memset(worker->message, 0, size);
    worker->message->index = index;
    worker->message->status = do_job(worker, index, &worker->message->error);
    if (file_write_all(fds[1], worker->message, size, "a result", NULL) < 0) break;
  }
  free(worker->message);
  _exit(0);
}

/* In the child, before anything else. */
static void settle_child(pid_t parent, const sigset_t *mask) {
  prctl(PR_SET_NAME, "gameday-worker");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  signal(SIGINT, SIG_IGN); /* the parent decides */
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_SETMASK, mask, NULL);
}

int batch_worker_start(const struct batch_spec *spec, const char *scratch, int life_fd,
                       const sigset_t *mask, struct batch_child *ret_worker, struct error *err) {
  int command[2], result[2];
  if (pipe2(command, O_CLOEXEC) < 0) return pipe_error(err);
  if (pipe2(result, O_CLOEXEC) < 0) {
    int status = pipe_error(err);
    close_both(command);
    return status;
  }
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    int fds[3] = {command[0], result[1], life_fd};
    struct worker worker = {.spec = spec, .scratch = scratch};
    settle_child(parent, mask);
    worker_main(&worker, fds);
  }
  int errnum = errno;
  close(command[0]);
  close(result[1]);
  if (pid < 0) {
    close(command[1]);
    close(result[0]);
    return error_set_errno(err, errnum, "cannot fork");
  }
  *ret_worker = (struct batch_child){.pid = pid, .command_fd = command[1], .result_fd = result[0]};
  return 0;
}

int batch_child_end(struct batch_child *child) {
  int status = 0;
  if (child->command_fd >= 0) close(child->command_fd);
  if (child->result_fd >= 0) close(child->result_fd);
  while (child->pid > 0 && waitpid(child->pid, &status, 0) < 0 && errno == EINTR) continue;
  *child = BATCH_CHILD_NONE;
  return status;
}
