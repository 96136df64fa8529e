/* The world of a cluster: made by one clone() with all its namespaces, entered by threads (for what
 * a system call can do) and by programs (for the rest). */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"
#include "netlink.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

/* What the child needs; it may not allocate. */
struct anchor_plan {
  const char *const *argv;
  const char *const *env;
  int program, null, report;
  bool keep;
};

static _Noreturn void anchor_child(const struct anchor_plan *plan) {
  setsid(); /* a terminal's Ctrl-C is not for the hosts */
  /* Sent when the thread that made us ends. The anchor then removes everything: when harness and
   * guard were killed together nobody else is left to do so. */
  if (!plan->keep) prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (dup2(plan->null, 0) < 0 || dup2(plan->report, 1) < 0 || dup2(plan->report, 2) < 0) _exit(127);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  syscall(SYS_execveat, plan->program, "", plan->argv, plan->env, AT_EMPTY_PATH);
  _exit(127);
}

/* The helper program as a file in memory: nothing on disk must be executable. */
static int helper_open(int *ret_fd, struct error *err) {
  CLEANUP_CLOSE int fd = memfd_create(LOCAL_HELPER, MFD_CLOEXEC);
  if (fd < 0) return error_set_errno(err, errno, "a file in memory");
  int status = file_write_all(fd, local_helper_bytes, local_helper_length, LOCAL_HELPER, err);
  if (status < 0) return status;
  *ret_fd = fd;
  fd = -1;
  return 0;
}

/* Reads what the anchor says until it closes its output: "ok" or why not. */
static int read_report(int fd, struct error *err) {
  char text[512];
  size_t length = 0;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + LOCAL_WAIT_NS;
  for (;;) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    if (now_ns >= deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "the hosts' world did not come up in time");
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0) continue;
    ssize_t got = read(fd, text + length, sizeof text - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
    if (length == sizeof text - 1) break;
  }
  text[length] = 0;
  if (strcmp(text, "ok\n") == 0) return 0;
  text[strcspn(text, "\n")] = 0;
  return error_set(err, STATUS_ENVIRONMENT, "cannot make the hosts' world: %s",
                   *text ? text : "its process died");
}

static int anchor_clone(struct local_cluster *lc, const char *const argv[], int *ret_report,
                        struct error *err) {
  char mark[64];
  snprintf(mark, sizeof mark, "%s=%s", LOCAL_MARK, lc->id);
  const char *env[] = {mark, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  CLEANUP_CLOSE int program = -1;
  int status = helper_open(&program, err);
  if (status < 0) return status;
  CLEANUP_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int ends[2];
  if (null < 0 || pipe2(ends, O_CLOEXEC) < 0) return error_set_errno(err, errno, "a pipe");
  CLEANUP_CLOSE int report = ends[1];
  struct anchor_plan plan = {.argv = argv,
                             .env = env,
                             .program = program,
                             .null = null,
                             .report = report,
                             .keep = lc->keep};
  /* Blocked, so that no handler of ours runs in the child, and so that the anchor loses none. */
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  /* As fork(), and with namespaces of its own. */
  long pid = syscall(SYS_clone, NAMESPACES | SIGCHLD, NULL, NULL, NULL, NULL);
  int errnum = errno;
  if (pid == 0) anchor_child(&plan);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (pid < 0) {
    close(ends[0]);
    return error_set_errno(err, errnum, "cannot make namespaces");
  }
  lc->anchor = (pid_t)pid;
  *ret_report = ends[0];
  return 0;
}

int local_world_open_netns(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char path[PATH_MAX];
  int status = local_world_path(lc, path, err, "ns/%s", lh->host->name);
  if (status < 0) return status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error_set_errno(err, errno, "the network of host %s", lh->host->name);
  cleanup_close(&lh->netns);
  lh->netns = fd;
  return 0;
}

static int open_netlink(void *argument, struct error *err) {
  struct local_cluster *lc = argument;
  return netlink_open(&lc->netlink, err);
}

int local_world_open(struct local_cluster *lc, struct error *err) {
  struct local_proc proc = {.pid = lc->anchor, .start = lc->anchor_start};
  lc->anchor_fd = lc->anchor > 0 ? local_proc_open(&proc) : -1;
  struct pollfd ended = {.fd = lc->anchor_fd, .events = POLLIN};
  if (lc->anchor_fd < 0 || poll(&ended, 1, 0) != 0)
    return error_set(err, STATUS_ENVIRONMENT, "the hosts of cluster %s are gone", lc->id);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/root%s", (int)lc->anchor, LOCAL_WORLD);
  lc->world_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (lc->world_fd < 0) return error_set_errno(err, errno, "the world of cluster %s", lc->id);
  int status = local_call_inside(lc->anchor_fd, open_netlink, lc, err);
  for (uint32_t i = 0; status == 0 && i < lc->public.host_count; i++)
    status = local_world_open_netns(lc, &lc->locals[i], err);
  return status;
}

int local_world_start(struct local_cluster *lc, struct error *err) {
  int status = directory_make(LOCAL_WORLD, 0700, err);
  if (status < 0) return status;
  char registry[PATH_MAX];
  status = path_format(registry, sizeof registry, err, "%s/%s.json", LOCAL_REGISTRY, lc->id);
  if (status < 0) return status;
  const char *argv[2 * (LOCAL_HOSTS_MAX + LOCAL_CGROUPS_MAX) + 12] = {
      LOCAL_HELPER, "anchor",          "--directory",     LOCAL_WORLD,  "--id",
      lc->id,       "--run-directory", lc->run_directory, "--registry", registry};
  size_t count = 10;
  for (uint32_t i = 0; i < lc->cgroups.count; i++) {
    argv[count++] = "--cgroup";
    argv[count++] = lc->cgroups.mounts[i];
  }
  for (uint32_t i = 0; i < lc->public.host_count; i++) {
    argv[count++] = "--host";
    argv[count++] = lc->hosts[i].name;
  }
  CLEANUP_CLOSE int report = -1;
  status = anchor_clone(lc, argv, &report, err);
  if (status < 0) return status;
  if (!local_proc_start(lc->anchor, &lc->anchor_start)) lc->anchor_start = 0;
  /* Known on disk as early as can be: whoever cleans up after us finds it at once. */
  status = local_state_write(lc, err);
  if (status == 0) status = read_report(report, err);
  if (status == 0) status = local_world_open(lc, err);
  return status;
}

int local_world_path(const struct local_cluster *lc, char *path, struct error *err,
                     const char *format, ...) {
  int used = snprintf(path, PATH_MAX, "/proc/self/fd/%d/", lc->world_fd);
  va_list args;
  va_start(args, format);
  int more = vsnprintf(path + used, PATH_MAX - (size_t)used, format, args);
  va_end(args);
  if (more < 0 || used + more >= PATH_MAX)
    return error_set(err, STATUS_USAGE, "a path in the world is too long");
  return 0;
}

/* --- threads */

struct call {
  int fd, flags;
  int (*function)(void *argument, struct error *err);
  void *argument;
  struct error *err;
  int status;
};

static void *call_thread(void *argument) {
  struct call *call = argument;
  /* A thread may change its mount namespace only when it shares its root with no other. */
  if ((call->flags & CLONE_NEWNS) && unshare(CLONE_FS) < 0)
    call->status = error_set_errno(call->err, errno, "a root of its own");
  else if (setns(call->fd, call->flags) < 0)
    call->status = error_set_errno(call->err, errno, "cannot enter a host's namespaces");
  else
    call->status = call->function(call->argument, call->err);
  return NULL;
}

static int run_call(struct call *call) {
  pthread_t thread;
  int errnum = pthread_create(&thread, NULL, call_thread, call);
  if (errnum) return error_set_errno(call->err, errnum, "cannot start a thread");
  pthread_join(thread, NULL);
  return call->status;
}

int local_call_inside(int pidfd, int (*function)(void *argument, struct error *err), void *argument,
                      struct error *err) {
  struct call call = {.fd = pidfd,
                      .flags = CLONE_NEWNS | CLONE_NEWNET,
                      .function = function,
                      .argument = argument,
                      .err = err};
  return run_call(&call);
}

int local_call_on_network(int netns, int (*function)(void *argument, struct error *err),
                          void *argument, struct error *err) {
  struct call call = {
      .fd = netns, .flags = CLONE_NEWNET, .function = function, .argument = argument, .err = err};
  return run_call(&call);
}

/* --- programs */

int local_world_run(const struct local_cluster *lc, const struct process_spec *spec,
                    struct process_result *ret, struct error *err) {
  char mark[64];
  snprintf(mark, sizeof mark, "%s=%s", LOCAL_MARK, lc->id);
  const char *env[] = {mark, NULL};
  struct process_spec inside = *spec;
  inside.env_extra = env;
  inside.namespace_pidfd = lc->anchor_fd;
  inside.namespace_flags = NAMESPACES;
  inside.dies_with_parent = true;
  return process_run(&inside, ret, err);
}

int local_world_check(const struct local_cluster *lc, const char *const argv[], struct error *err) {
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = argv, .timeout_ns = 30 * NS_PER_S};
  int status = local_world_run(lc, &spec, &result, err);
  if (status < 0) return status;
  if (result.exit_code == 0) return 0;
  /* The last line says why. */
  char *text = result.err.length ? result.err.data : result.out.data;
  size_t length = strlen(text);
  while (length > 0 && text[length - 1] == '\n') text[--length] = 0;
  const char *line = strrchr(text, '\n');
  return error_set(err, STATUS_SYSTEM, "%s (exit %d): %s", argv[0], result.exit_code,
                   line ? line + 1 : text);
}
