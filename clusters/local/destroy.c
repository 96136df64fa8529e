/* Removing a cluster, whatever is left of it: by its id and, if it is there, its state file. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

static void cleanup_closedir(DIR **directory) {
  if (*directory) closedir(*directory);
}

static void cleanup_cluster(struct local_cluster **lc) {
  local_cluster_free(*lc);
}

static bool belongs(pid_t pid, const char *id) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (file_read(path, 65536, &text, NULL) == 0 && local_proc_cgroup_names(text.data, id))
    return true;
  return local_proc_has_mark(pid, id);
}

/* A SIGKILL to exactly this process, and a descriptor to wait for its end; -1 when it is gone. */
static int kill_process(const struct local_proc *proc) {
  int fd = local_proc_open(proc);
  if (fd >= 0) syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
  return fd;
}

static int wait_ended(const struct local_proc *proc, int fd, uint64_t deadline_ns,
                      struct error *err) {
  for (;;) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    if (now_ns >= deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "process %d does not end", (int)proc->pid);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    if (poll(&ended, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) > 0) break;
  }
  /* Ours when up() was called by this process; else somebody else's to reap. */
  waitpid(proc->pid, NULL, WNOHANG);
  return 0;
}

/* Kills and waits for all that carry the id; *ret_found when there was one. */
static int kill_round(const char *id, uint64_t deadline_ns, bool *ret_found, struct error *err) {
  CLEANUP(cleanup_closedir) DIR *directory = opendir("/proc");
  if (!directory) return error_set_errno(err, errno, "/proc");
  int status = 0;
  *ret_found = false;
  for (const struct dirent *entry; status == 0 && (entry = readdir(directory)) != NULL;) {
    struct local_proc proc;
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (pid == getpid() || !local_proc_read(pid, &proc) || !belongs(pid, id)) continue;
    *ret_found = true;
    CLEANUP_CLOSE int fd = kill_process(&proc);
    if (fd >= 0) status = wait_ended(&proc, fd, deadline_ns, err);
  }
  return status;
}

/* The anchor first, if it is known: with it everything in the world ends at once. Then whoever is
 * still found, until nobody is. */
static int kill_everything(const struct local_cluster *lc, const struct local_cgroups *cgroups,
                           const char *id, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + LOCAL_WAIT_NS;
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/gameday-%s", cgroups->main, id);
  if (status < 0) return status;
  local_cgroup_thaw_all(cgroups, path); /* version 1 delivers no signal to the frozen */
  struct local_proc anchor = {.pid = 0};
  if (lc && lc->anchor > 0 && local_proc_read(lc->anchor, &anchor) &&
      anchor.start == lc->anchor_start) {
    CLEANUP_CLOSE int fd = kill_process(&anchor);
    if (fd >= 0) status = wait_ended(&anchor, fd, deadline_ns, err);
  }
  for (bool found = true; status == 0 && found;) {
    status = kill_round(id, deadline_ns, &found, err);
    if (status == 0 && found && clock_now_ns(&clock_monotonic) > deadline_ns)
      status = error_set(err, STATUS_TIMEOUT, "processes of cluster %s go on appearing", id);
  }
  return status;
}

/* The state file, and what is left of one that was just being written. */
static int remove_state(const char *run_directory, struct error *err) {
  CLEANUP(cleanup_closedir) DIR *directory = opendir(run_directory);
  if (!directory) return 0;
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (strcmp(entry->d_name, "cluster.json") != 0 &&
        strncmp(entry->d_name, "cluster.json.", strlen("cluster.json.")) != 0)
      continue;
    if (unlinkat(dirfd(directory), entry->d_name, 0) < 0 && errno != ENOENT)
      return error_set_errno(err, errno, "%s/%s", run_directory, entry->d_name);
  }
  return 0;
}

static int remove_files(const char *run_directory, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/disks", run_directory);
  if (status == 0) status = directory_remove(path, err);
  return status < 0 ? status : remove_state(run_directory, err);
}

int local_destroy(const char *run_directory, const char *id, struct error *err) {
  if (!local_id_valid(id)) return error_set(err, STATUS_USAGE, "'%s' is no cluster id", id);
  struct local_cgroups cgroups;
  int status = local_cgroups_find(&cgroups, err);
  if (status < 0) return status;
  CLEANUP(cleanup_cluster) struct local_cluster *lc = NULL;
  /* Without it, or with that of another cluster, everything is found by its marks. */
  if (local_state_read(run_directory, &lc, NULL) == 0 && strcmp(lc->id, id) != 0) {
    local_cluster_free(lc);
    lc = NULL;
  }
  status = kill_everything(lc, &cgroups, id, err);
  if (status == 0) status = local_cgroups_remove(&cgroups, id, LOCAL_WAIT_NS, err);
  if (status == 0) status = local_disk_wait_released(run_directory, LOCAL_WAIT_NS, err);
  if (status == 0) status = remove_files(run_directory, err);
  if (status < 0) return error_wrap(err, "remove cluster %s", id);
  local_registry_remove(id);
  return 0;
}
