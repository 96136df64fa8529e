/* From fork() to exec(). A PID namespace is entered by the children of whoever calls setns(), so
 * with CLONE_NEWPID there is one more process: the intermediate, whose pid the caller has. It stays
 * outside, passes signals on to the program and ends as the program ended. The program dies with it
 * in any case, so that "dies with the parent" holds through it, and so that killing what the caller
 * knows never leaves the program behind. */
#include "base/process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The conventional exit code of "could not be started"; the report has the reason. */
#define EXIT_NOT_STARTED 127

const char *child_stage_name(enum child_stage stage) {
  switch (stage) {
    case CHILD_PARENT: return "its parent ended";
    case CHILD_STDIO: return "redirecting its standard streams failed";
    case CHILD_NAMESPACE: return "entering the namespaces failed";
    case CHILD_DIRECTORY: return "changing into its directory failed";
    case CHILD_FORK: return "forking inside the namespaces failed";
    case CHILD_EXEC: return "executing it failed";
  }
  return "it failed";
}

static _Noreturn void fail(int report_fd, enum child_stage stage, int errnum) {
  struct child_report report = {.stage = stage, .errnum = errnum};
  ssize_t written = write(report_fd, &report, sizeof report);
  (void)written; /* the parent is gone, then nobody needs it */
  _exit(EXIT_NOT_STARTED);
}

/* Dies with the parent, also when the parent was faster. */
static void tie_to_parent(pid_t parent, int report_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) fail(report_fd, CHILD_PARENT, ESRCH);
}

/* Puts the three streams in place. All are copied above 2 first: they may stand in each other's
 * place, and so may the report. Returns the report's new descriptor. */
static int place_streams(const struct child_plan *plan) {
  int report = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, 3);
  if (report < 0) fail(plan->report_fd, CHILD_STDIO, errno);
  int streams[3] = {plan->stdin_fd >= 0 ? plan->stdin_fd : plan->null_fd, plan->stdout_fd,
                    plan->stderr_fd};
  for (int i = 0; i < 3; i++) {
    streams[i] = fcntl(streams[i], F_DUPFD_CLOEXEC, 3);
    if (streams[i] < 0) fail(report, CHILD_STDIO, errno);
  }
  for (int i = 0; i < 3; i++)
    if (dup2(streams[i], i) < 0) fail(report, CHILD_STDIO, errno);
  return report;
}

/* The program starts with the defaults, whatever we ignore, handle or block. */
static void reset_signals(void) {
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &by_default, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As execvp(): goes on to the next place when there is nothing, and remembers a refusal. */
static _Noreturn void execute(const struct child_plan *plan, int report_fd) {
  reset_signals();
  /* Nothing but the three streams is inherited, whatever a library forgot to mark. */
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  int errnum = ENOENT;
  /* exec() does not write to its arguments; their type is older than const. */
  char *const *argv = (char *const *)plan->spec->argv;
  for (const char **path = plan->paths; *path; path++) {
    execve(*path, argv, (char *const *)plan->env);
    if (errno != ENOENT && errno != ENOTDIR) errnum = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  fail(report_fd, CHILD_EXEC, errnum);
}

static _Noreturn void end_as(int wait_status) {
  if (WIFEXITED(wait_status)) _exit(WEXITSTATUS(wait_status));
  int number = WTERMSIG(wait_status);
  /* A second core file would be of the wrong program. */
  setrlimit(RLIMIT_CORE, &(struct rlimit){.rlim_cur = 0});
  reset_signals();
  kill(getpid(), number);
  _exit(128 + number); /* a signal that does not end a process cannot have ended the program */
}

/* The intermediate: all signals are blocked, so each one is taken here. */
static _Noreturn void attend(pid_t program) {
  sigset_t all;
  sigfillset(&all);
  /* It never executes, so what it inherited is not closed by itself: a pipe whose end somebody
   * waits for must not be held open here. */
  close_range(0, ~0U, 0);
  for (;;) {
    int number = sigwaitinfo(&all, NULL);
    if (number > 0 && number != SIGCHLD) kill(program, number);
    int wait_status;
    pid_t ended = waitpid(program, &wait_status, WNOHANG);
    if (ended == program) end_as(wait_status);
  }
}

/* Forks once more, into the PID namespace. Returns in the program's process only. */
static void fork_inside(int report_fd) {
  /* A SIGCHLD that is ignored would not be delivered. */
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
  pid_t program = fork();
  if (program < 0) fail(report_fd, CHILD_FORK, errno);
  if (program > 0) attend(program);
  /* The intermediate is outside of this namespace and so has the number 0 here; once it is gone,
   * the namespace's init is the parent. */
  tie_to_parent(0, report_fd);
}

_Noreturn void child_run(const struct child_plan *plan) {
  const struct process_spec *spec = plan->spec;
  if (spec->new_session)
    setsid();
  else if (plan->own_group)
    setpgid(0, 0);
  if (spec->dies_with_parent) tie_to_parent(plan->parent, plan->report_fd);
  int report_fd = place_streams(plan);
  bool enters = spec->namespace_pidfd > 0 && spec->namespace_flags != 0;
  if (enters && setns(spec->namespace_pidfd, spec->namespace_flags))
    fail(report_fd, CHILD_NAMESPACE, errno);
  if (enters && (spec->namespace_flags & CLONE_NEWPID)) fork_inside(report_fd);
  if (spec->directory && chdir(spec->directory)) fail(report_fd, CHILD_DIRECTORY, errno);
  execute(plan, report_fd);
}
