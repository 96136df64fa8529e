/* Starting child processes and waiting for them. What happens in the child between fork() and
 * exec() is in process_child.c. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process_child.h"

#define CAPTURE_MAX ((size_t)1 << 20)
#define TIMEOUT_DEFAULT_NS (60 * NS_PER_S)

extern char **environ;

void process_result_init(struct process_result *result) {
  *result = (struct process_result){.exit_code = 0};
  buf_init(&result->out);
  buf_init(&result->err);
}

void process_result_release(struct process_result *result) {
  if (!result) return;
  buf_release(&result->out);
  buf_release(&result->err);
}

/* --- what the child needs, prepared before fork() because it may not allocate --- */

static void plan_release(struct child_plan *plan) {
  free(plan->paths);
  free(plan->env);
  free(plan->path_text);
  if (plan->stdin_fd >= 0) close(plan->stdin_fd);
  if (plan->null_fd >= 0) close(plan->null_fd);
}

/* Calls `use` with every place where `program` may be: itself if it has a slash, else below each
 * directory of PATH. Stops when `use` says so. */
static bool each_place(const char *program, bool (*use)(void *data, const char *path), void *data) {
  if (strchr(program, '/')) return use(data, program);
  const char *next = getenv("PATH");
  if (!next || !*next) next = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  while (next) {
    const char *end = strchr(next, ':');
    int length = end ? (int)(end - next) : (int)strlen(next);
    char path[4096];
    int status = path_format(path, sizeof path, NULL, "%.*s%s%s", length, next, length ? "/" : "./",
                             program);
    if (!status && use(data, path)) return true;
    next = end ? end + 1 : NULL;
  }
  return false;
}

static bool is_program(void *data, const char *path) {
  (void)data;
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

bool process_exists(const char *program) {
  return each_place(program, is_program, NULL);
}

static bool add_place(void *data, const char *path) {
  buf_add(data, path, strlen(path) + 1);
  return false;
}

/* All candidates: which of them exists is seen after the child has entered its mount namespace. */
static int plan_paths(struct child_plan *plan, const char *program, struct error *err) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  each_place(program, add_place, &text);
  int status = buf_ok(&text, err);
  if (status) return status;
  size_t count = 0;
  for (size_t i = 0; i < text.length; i++) count += text.data[i] == '\0';
  plan->paths = calloc(count + 1, sizeof *plan->paths);
  plan->path_text = buf_steal(&text);
  if (!plan->paths || !plan->path_text) return error_set(err, STATUS_MEMORY, "out of memory");
  const char *next = plan->path_text;
  for (size_t i = 0; i < count; i++, next += strlen(next) + 1) plan->paths[i] = next;
  return 0;
}

static bool same_key(const char *a, const char *b) {
  size_t length = strcspn(a, "=");
  return strncmp(a, b, length) == 0 && b[length] == '=';
}

/* Our environment; extra variables replace ours of the same name. */
static int plan_environment(struct child_plan *plan, const char *const *extra, struct error *err) {
  size_t ours = 0, more = 0;
  while (environ && environ[ours]) ours++;
  while (extra && extra[more]) more++;
  plan->env = calloc(ours + more + 1, sizeof *plan->env);
  if (!plan->env) return error_set(err, STATUS_MEMORY, "out of memory");
  size_t count = 0;
  for (size_t i = 0; i < ours; i++) {
    bool replaced = false;
    for (size_t k = 0; k < more; k++) replaced = replaced || same_key(extra[k], environ[i]);
    if (!replaced) plan->env[count++] = environ[i];
  }
  for (size_t k = 0; k < more; k++) plan->env[count++] = extra[k];
  return 0;
}

/* The input goes through a file in memory: nobody has to feed a pipe, and a child that does not
 * read cannot block us. */
static int plan_input(struct child_plan *plan, const struct process_spec *spec, struct error *err) {
  plan->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (plan->null_fd < 0) return error_set_errno(err, errno, "cannot open /dev/null");
  if (!spec->input && spec->inherits_input) {
    plan->stdin_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (plan->stdin_fd < 0) return error_set_errno(err, errno, "standard input");
  }
  if (!spec->input) return 0;
  plan->stdin_fd = memfd_create("input", MFD_CLOEXEC);
  if (plan->stdin_fd < 0) return error_set_errno(err, errno, "cannot make a file in memory");
  int status = file_write_all(plan->stdin_fd, spec->input, spec->input_length, "input", err);
  if (status) return status;
  if (lseek(plan->stdin_fd, 0, SEEK_SET) < 0) return error_set_errno(err, errno, "input");
  return 0;
}

static int plan_child(struct child_plan *plan, const struct process_spec *spec, struct error *err) {
  plan->spec = spec;
  plan->parent = getpid();
  int status = plan_paths(plan, spec->argv[0], err);
  if (!status) status = plan_environment(plan, spec->env_extra, err);
  if (!status) status = plan_input(plan, spec, err);
  return status;
}

/* --- starting --- */

/* Reads why the child could not start; nothing comes when it did: exec() closed the pipe. */
static int read_report(int fd, const struct process_spec *spec, struct error *err) {
  struct child_report report;
  ssize_t got;
  do got = read(fd, &report, sizeof report);
  while (got < 0 && errno == EINTR);
  if (got == 0) return 0;
  if (got != (ssize_t)sizeof report)
    return error_set_errno(err, got < 0 ? errno : EIO, "cannot start %s", spec->argv[0]);
  bool missing = report.errnum == ENOENT || report.errnum == ENOTDIR;
  if (report.stage == CHILD_EXEC && missing)
    return error_set(err, STATUS_ENVIRONMENT, "the program %s is not installed%s", spec->argv[0],
                     strchr(spec->argv[0], '/') ? "" : " (not on the PATH)");
  return error_set_errno(err, report.errnum, "cannot start %s: %s", spec->argv[0],
                         child_stage_name(report.stage));
}

/* Forks and waits until the program runs or could not be started; then the child is reaped. */
static int start_planned(struct child_plan *plan, pid_t *ret_pid, struct error *err) {
  int report[2];
  if (pipe2(report, O_CLOEXEC)) return error_set_errno(err, errno, "cannot make a pipe");
  CLEANUP_CLOSE int report_out = report[0];
  plan->report_fd = report[1];
  /* No signal may run a handler of ours in the child: they are blocked until it has reset them. */
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pid_t pid = fork();
  if (pid == 0) child_run(plan);
  int errnum = errno;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  close(report[1]);
  if (pid < 0) return error_set_errno(err, errnum, "cannot fork");
  int status = read_report(report_out, plan->spec, err);
  if (status) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return status;
  }
  *ret_pid = pid;
  return 0;
}

int process_start(const struct process_spec *spec, pid_t *ret_pid, struct error *err) {
  CLEANUP(plan_release) struct child_plan plan = CHILD_PLAN_INIT;
  int status = plan_child(&plan, spec, err);
  if (status) return status;
  plan.stdout_fd = spec->stdout_fd > 0 ? spec->stdout_fd : plan.null_fd;
  plan.stderr_fd = spec->stderr_fd > 0 ? spec->stderr_fd : plan.null_fd;
  return start_planned(&plan, ret_pid, err);
}

/* --- running to the end --- */

/* One captured stream; fd -1: not captured, or at its end. */
struct capture {
  int fd;
  struct buf *text;
};

static void close_capture(struct capture *capture) {
  if (capture->fd >= 0) close(capture->fd);
  capture->fd = -1;
}

/* Takes what is there now; the descriptor does not block. */
static void drain(struct capture *capture) {
  char piece[16 * 1024];
  while (capture->fd >= 0) {
    ssize_t got = read(capture->fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close_capture(capture);
      return;
    }
    size_t room = CAPTURE_MAX - capture->text->length;
    buf_add(capture->text, piece, (size_t)got < room ? (size_t)got : room);
  }
}

static int open_capture(struct capture *capture, int *ret_write_fd, struct error *err) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return error_set_errno(err, errno, "cannot make a pipe");
  fcntl(ends[0], F_SETFL, O_NONBLOCK); /* our end only; cannot fail on a pipe */
  capture->fd = ends[0];
  *ret_write_fd = ends[1];
  return 0;
}

/* Waits until the child has ended or the deadline has passed, taking its output meanwhile. The end
 * of the output is not waited for: a daemon that the child left behind may hold it open. */
static int wait_child(int pid_fd, struct capture captures[2], uint64_t deadline_ns, int cancel_fd,
                      bool *ret_ended, struct error *err) {
  for (;;) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / NS_PER_S),
                            .tv_nsec = (long)(left_ns % NS_PER_S)};
    struct pollfd polls[4] = {{.fd = pid_fd, .events = POLLIN},
                              {.fd = captures[0].fd, .events = POLLIN},
                              {.fd = captures[1].fd, .events = POLLIN},
                              {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
    int ready = ppoll(polls, 4, &left, NULL);
    if (ready < 0 && errno != EINTR) return error_set_errno(err, errno, "cannot wait for a child");
    drain(&captures[0]);
    drain(&captures[1]);
    if (ready > 0 && polls[0].revents) {
      *ret_ended = true;
      return 0;
    }
    if (ready > 0 && polls[3].revents) return error_set(err, STATUS_INTERRUPTED, "interrupted");
    if (left_ns == 0) {
      *ret_ended = false;
      return 0;
    }
  }
}

static void take_status(int wait_status, struct process_result *result) {
  result->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  result->exit_code = result->signal ? 128 + result->signal : WEXITSTATUS(wait_status);
}

/* Waits for a started child and reaps it, killed if need be. */
static int finish_child(pid_t pid, struct capture captures[2], const struct process_spec *spec,
                        struct process_result *result, struct error *err) {
  uint64_t timeout_ns = spec->timeout_ns ? spec->timeout_ns : TIMEOUT_DEFAULT_NS;
  uint64_t deadline_ns;
  if (__builtin_add_overflow(clock_now_ns(&clock_monotonic), timeout_ns, &deadline_ns))
    deadline_ns = TIME_NEVER;
  bool ended = false;
  int status = 0;
  CLEANUP_CLOSE int pid_fd = pidfd_open(pid, 0);
  if (pid_fd < 0)
    status = error_set_errno(err, errno, "cannot watch the child %s", spec->argv[0]);
  else
    status = wait_child(pid_fd, captures, deadline_ns, spec->cancel_fd, &ended, err);
  result->timed_out = !status && !ended;
  if (!ended) kill(-pid, SIGKILL); /* its whole group; it leads one of its own */
  int wait_status = 0;
  while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) continue;
  take_status(wait_status, result);
  drain(&captures[0]);
  drain(&captures[1]);
  if (status) return status;
  status = buf_ok(&result->out, err);
  if (!status) status = buf_ok(&result->err, err);
  if (!status && result->timed_out)
    status = error_set(err, STATUS_TIMEOUT, "%s did not end within %.3g s and was killed",
                       spec->argv[0], (double)timeout_ns / (double)NS_PER_S);
  return status;
}

/* Opens the pipes that are wanted, starts and waits. */
static int run_planned(struct child_plan *plan, struct process_result *result, struct error *err) {
  const struct process_spec *spec = plan->spec;
  CLEANUP(close_capture) struct capture out = {.fd = -1, .text = &result->out};
  CLEANUP(close_capture) struct capture errors = {.fd = -1, .text = &result->err};
  CLEANUP_CLOSE int out_write = -1;
  CLEANUP_CLOSE int errors_write = -1;
  int status = 0;
  if (spec->stdout_fd <= 0) status = open_capture(&out, &out_write, err);
  if (!status && spec->stderr_fd <= 0) status = open_capture(&errors, &errors_write, err);
  if (status) return status;
  plan->stdout_fd = spec->stdout_fd > 0 ? spec->stdout_fd : out_write;
  plan->stderr_fd = spec->stderr_fd > 0 ? spec->stderr_fd : errors_write;
  plan->own_group = true;
  pid_t pid = 0;
  status = start_planned(plan, &pid, err);
  if (status) return status;
  cleanup_close(&out_write);
  cleanup_close(&errors_write);
  out_write = errors_write = -1;
  struct capture captures[2] = {out, errors};
  out.fd = errors.fd = -1;
  status = finish_child(pid, captures, spec, result, err);
  close_capture(&captures[0]);
  close_capture(&captures[1]);
  return status;
}

int process_run(const struct process_spec *spec, struct process_result *ret, struct error *err) {
  CLEANUP(plan_release) struct child_plan plan = CHILD_PLAN_INIT;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = plan_child(&plan, spec, err);
  if (!status) status = run_planned(&plan, &result, err);
  if (status && !result.timed_out) return status;
  struct process_result old = *ret;
  *ret = result; /* on a timeout too: what it said until then tells why */
  result = old;
  return status;
}

/* The last line of a text that is not empty, without its end of line. */
static const char *last_line(struct buf *text) {
  while (text->length > 0 && strchr("\r\n \t", text->data[text->length - 1]))
    text->data[--text->length] = '\0';
  const char *line = strrchr(text->data, '\n');
  return line ? line + 1 : text->data;
}

int process_check(const struct process_spec *spec, struct error *err) {
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = process_run(spec, &result, err);
  if (status == STATUS_TIMEOUT && result.err.length > 0)
    return error_set(err, status, "%s did not end in time and was killed; it said: %s",
                     spec->argv[0], last_line(&result.err));
  if (status) return status;
  if (result.exit_code == 0) return 0;
  char how[48];
  if (result.signal)
    snprintf(how, sizeof how, "was ended by signal %d", result.signal);
  else
    snprintf(how, sizeof how, "failed (exit code %d)", result.exit_code);
  const char *line = last_line(result.err.length > 0 ? &result.err : &result.out);
  return error_set(err, STATUS_SYSTEM, "%s %s%s%s", spec->argv[0], how, *line ? ": " : "", line);
}
