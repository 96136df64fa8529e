/* Finding and signalling the processes of a host, seen from this machine: by control group, by what
 * /proc says of them, by descent. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

#define COMMAND_SIZE 65536

void local_matched_release(struct local_matched *matched) {
  free(matched->items);
  *matched = (struct local_matched){0};
}

/* Parents start before their children. */
static int by_start(const void *a, const void *b) {
  const struct local_proc *one = a, *two = b;
  if (one->start != two->start) return one->start < two->start ? -1 : 1;
  return one->pid < two->pid ? -1 : one->pid > two->pid;
}

/* All living processes of a control group, without the host's process 1, which is ours. */
static int read_all(const char *path, struct local_matched *ret, struct error *err) {
  CLEANUP(local_pids_release) struct local_pids pids = {0};
  int status = local_cgroup_pids(path, &pids, err);
  if (status < 0) return status;
  struct local_proc *items = calloc(pids.count ? pids.count : 1, sizeof *items);
  if (!items) return error_set(err, STATUS_MEMORY, "out of memory for a list of processes");
  uint32_t count = 0;
  for (uint32_t i = 0; i < pids.count; i++)
    if (local_proc_read(pids.items[i], &items[count]) && items[count].inner != 1) count++;
  qsort(items, count, sizeof *items, by_start);
  ret->items = items;
  ret->count = count;
  return 0;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool program_is(pid_t pid, const char *command, const char *program) {
  if (strcmp(base_name(command), program) == 0) return true;
  char path[64], target[PATH_MAX];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return false;
  target[length] = 0;
  return strcmp(base_name(target), program) == 0;
}

/* `command` has room for COMMAND_SIZE. */
static bool process_matches(const struct local_proc *proc, const struct process_match *match,
                            char *command) {
  if (!match->program && !match->argument) return true;
  snprintf(command, COMMAND_SIZE, "/proc/%d/cmdline", (int)proc->pid);
  CLEANUP_CLOSE int fd = open(command, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, command, COMMAND_SIZE - 1);
  if (length < 0) return false;
  command[length] = 0;
  if (match->program && !program_is(proc->pid, command, match->program)) return false;
  /* The arguments as one line. */
  for (ssize_t i = 0; i < length; i++)
    if (command[i] == 0) command[i] = ' ';
  return !match->argument || strstr(command, match->argument);
}

static bool has_pid(const struct local_matched *matched, pid_t pid) {
  for (uint32_t i = 0; i < matched->count; i++)
    if (matched->items[i].pid == pid) return true;
  return false;
}

/* Adds the descendants among `all`; `all` is in order of start, so one pass finds them. */
static int add_descendants(const struct local_matched *all, struct local_matched *matched,
                           struct error *err) {
  struct local_matched grown = {.items = calloc(all->count + 1, sizeof *grown.items)};
  if (!grown.items) return error_set(err, STATUS_MEMORY, "out of memory for a list of processes");
  for (uint32_t i = 0; i < all->count; i++)
    if (has_pid(matched, all->items[i].pid) || has_pid(&grown, all->items[i].parent))
      grown.items[grown.count++] = all->items[i];
  local_matched_release(matched);
  *matched = grown;
  return 0;
}

static int match_within(const char *path, const struct process_match *match,
                        struct local_matched *ret, struct error *err) {
  CLEANUP_FREE char *command = malloc(COMMAND_SIZE);
  if (!command) return error_set(err, STATUS_MEMORY, "out of memory");
  int status = read_all(path, ret, err);
  uint32_t kept = 0;
  for (uint32_t i = 0; status == 0 && i < ret->count; i++)
    if (process_matches(&ret->items[i], match, command)) ret->items[kept++] = ret->items[i];
  if (status == 0) ret->count = kept;
  return status;
}

int local_match(const struct local_cluster *lc, const struct host *host,
                const struct process_match *match, struct local_matched *ret, struct error *err) {
  static const struct process_match any = {.tree = false};
  if (!match) match = &any;
  char group[PATH_MAX], path[PATH_MAX];
  int status = local_cgroup_path(lc, host, group, err);
  if (status == 0)
    status =
        path_format(path, sizeof path, err, match->unit ? "%s/unit-%s" : "%s", group, match->unit);
  if (status < 0) return status;
  CLEANUP(local_matched_release) struct local_matched matched = {0};
  status = match_within(path, match, &matched, err);
  if (status == 0 && match->tree) {
    CLEANUP(local_matched_release) struct local_matched all = {0};
    status = read_all(group, &all, err);
    if (status == 0) status = add_descendants(&all, &matched, err);
  }
  if (status < 0) return status;
  *ret = matched;
  matched = (struct local_matched){0};
  return 0;
}

/* A killed process is gone a moment later; whoever looks next should not see it. A frozen one
 * stays, so the wait is short. */
static void wait_ended(const int *fds, uint32_t count) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + NS_PER_S;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    struct pollfd ended = {.fd = fds[i], .events = POLLIN};
    if (now_ns < deadline_ns) poll(&ended, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
  }
}

int local_process_signal(struct cluster *cluster, const struct host *host,
                         const struct process_match *match, int signal, uint32_t *ret_count,
                         struct error *err) {
  CLEANUP(local_matched_release) struct local_matched matched = {0};
  int status = local_match(local_of(cluster), host, match, &matched, err);
  if (status < 0) return status;
  CLEANUP_FREE int *fds = calloc(matched.count + 1, sizeof *fds);
  if (!fds) return error_set(err, STATUS_MEMORY, "out of memory for a list of processes");
  uint32_t count = 0;
  /* All opened first: between the first and the last signal there is nothing but signals. */
  for (uint32_t i = 0; i < matched.count; i++) {
    int fd = local_proc_open(&matched.items[i]);
    if (fd >= 0) fds[count++] = fd;
  }
  uint32_t sent = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (syscall(SYS_pidfd_send_signal, fds[i], signal, NULL, 0) == 0)
      sent++;
    else if (errno != ESRCH && status == 0)
      status = error_set_errno(err, errno, "signal %d on host %s", signal, host->name);
  }
  if (signal == SIGKILL) wait_ended(fds, count);
  for (uint32_t i = 0; i < count; i++) close(fds[i]);
  if (status == 0 && ret_count) *ret_count = sent;
  return status;
}
