/* Freezing: the whole host by its control group; some processes by a group of their own below their
 * unit's, into which they are moved. Unlike SIGSTOP no parent is told of it, and no process can
 * refuse it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"

#define GROUP "frozen"
#define ROUNDS_MAX 20

/* The group a process is in, as a path of this machine; STATUS_SERVER when the process is gone. */
static int group_of(const struct local_cluster *lc, pid_t pid, char *path, struct error *err) {
  char name[64], mark[64];
  snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (file_read(name, 65536, &text, NULL) < 0)
    return error_set(err, STATUS_SERVER, "process %d has ended", (int)pid);
  snprintf(mark, sizeof mark, "/gameday-%s/", lc->id);
  for (char *line = text.data, *end; line && *line; line = end) {
    end = strchr(line, '\n');
    if (end) *end++ = 0;
    bool main = lc->cgroups.unified ? strncmp(line, "0::", 3) == 0
                                    : strstr(line, ":freezer:") || strstr(line, ",freezer") ||
                                          strstr(line, ":freezer,");
    const char *inside = main ? strstr(line, mark) : NULL;
    if (inside) return path_format(path, PATH_MAX, err, "%s%s", lc->cgroups.main, inside);
  }
  return error_set(err, STATUS_SERVER, "process %d has left its host", (int)pid);
}

/* Whether the path is a group that we froze; *ret_parent is then what it is below. */
static bool is_frozen_group(const char *path, char *ret_parent) {
  size_t length = strlen(path), suffix = strlen("/" GROUP);
  if (length <= suffix || strcmp(path + length - suffix, "/" GROUP) != 0) return false;
  memcpy(ret_parent, path, length - suffix);
  ret_parent[length - suffix] = 0;
  return true;
}

static int move(pid_t pid, const char *group, struct error *err) {
  char path[PATH_MAX], number[16];
  int status = path_format(path, sizeof path, err, "%s/cgroup.procs", group);
  if (status < 0) return status;
  snprintf(number, sizeof number, "%d", (int)pid);
  struct error reason = ERROR_INIT;
  status = file_set(path, number, &reason);
  if (status < 0 && reason.errnum == ESRCH) return 0; /* it has ended: nothing to move */
  if (status < 0 && err) *err = reason;
  return status;
}

/* One process into the frozen group below its own; *ret_moved when it was not there yet. */
static int freeze_one(const struct local_cluster *lc, pid_t pid, bool *ret_moved,
                      struct error *err) {
  char group[PATH_MAX], target[PATH_MAX];
  if (group_of(lc, pid, group, NULL) < 0) return 0; /* it has ended */
  if (is_frozen_group(group, target)) return 0;
  int status = path_format(target, sizeof target, err, "%s/%s", group, GROUP);
  if (status < 0) return status;
  if (mkdir(target, 0755) < 0 && errno != EEXIST) return error_set_errno(err, errno, "%s", target);
  /* Frozen while still empty: whoever comes in stops there. */
  status = local_cgroup_freeze(&lc->cgroups, target, true, err);
  if (status == 0) status = move(pid, target, err);
  *ret_moved = true;
  return status;
}

/* Until a look finds nothing more to freeze: the processes fork meanwhile. */
static int freeze_matching(const struct local_cluster *lc, const struct host *host,
                           const struct process_match *match, struct error *err) {
  for (int round = 0; round < ROUNDS_MAX; round++) {
    CLEANUP(local_matched_release) struct local_matched matched = {0};
    int status = local_match(lc, host, match, &matched, err);
    bool moved = false;
    for (uint32_t i = 0; status == 0 && i < matched.count; i++)
      status = freeze_one(lc, matched.items[i].pid, &moved, err);
    if (status < 0) return status;
    if (moved) continue;
    for (uint32_t i = 0; status == 0 && i < matched.count; i++) {
      char group[PATH_MAX];
      if (group_of(lc, matched.items[i].pid, group, NULL) == 0)
        status = local_cgroup_freeze(&lc->cgroups, group, true, err);
    }
    return status;
  }
  return error_set(err, STATUS_TIMEOUT, "processes of host %s fork faster than they freeze",
                   host->name);
}

static int thaw_matching(const struct local_cluster *lc, const struct host *host,
                         const struct process_match *match, struct error *err) {
  CLEANUP(local_matched_release) struct local_matched matched = {0};
  int status = local_match(lc, host, match, &matched, err);
  for (uint32_t i = 0; status == 0 && i < matched.count; i++) {
    char group[PATH_MAX], parent[PATH_MAX];
    if (group_of(lc, matched.items[i].pid, group, NULL) < 0) continue;
    if (!is_frozen_group(group, parent)) continue;
    status = move(matched.items[i].pid, parent, err); /* a thawed group thaws who comes in */
    if (status == 0 && local_cgroup_empty(group)) {
      local_cgroup_thaw_all(&lc->cgroups, group);
      local_cgroup_remove_tree(group);
    }
  }
  return status;
}

int local_freeze(struct cluster *cluster, const struct host *host,
                 const struct process_match *match, bool frozen, struct error *err) {
  const struct local_cluster *lc = local_of(cluster);
  struct local_host *lh = local_host_of(cluster, host);
  char path[PATH_MAX];
  int status = local_cgroup_path(lc, host, path, err);
  if (status < 0) return status;
  pthread_mutex_lock(&lh->lock);
  struct local_proc init;
  bool on = local_proc_init(lc, host, &init);
  if (match)
    status = frozen ? freeze_matching(lc, host, match, err) : thaw_matching(lc, host, match, err);
  else if (!frozen)
    local_cgroup_thaw_all(&lc->cgroups, path);
  else if (on)
    status = local_cgroup_freeze(&lc->cgroups, path, true, err);
  else
    status = error_set(err, STATUS_SERVER, "host %s is off", host->name);
  pthread_mutex_unlock(&lh->lock);
  return status < 0 ? error_wrap(err, "%s on host %s", frozen ? "freeze" : "thaw", host->name) : 0;
}

int local_frozen(struct cluster *cluster, const struct host *host,
                 const struct process_match *match, bool *ret_frozen, struct error *err) {
  const struct local_cluster *lc = local_of(cluster);
  CLEANUP(local_matched_release) struct local_matched matched = {0};
  int status = local_match(lc, host, match, &matched, err);
  if (status < 0) return status;
  struct local_proc init;
  char path[PATH_MAX];
  if (!match && local_proc_init(lc, host, &init)) {
    status = local_cgroup_path(lc, host, path, err);
    return status < 0 ? status : local_cgroup_is_frozen(&lc->cgroups, path, ret_frozen, err);
  }
  bool all = true;
  uint32_t living = 0;
  for (uint32_t i = 0; i < matched.count; i++) {
    char group[PATH_MAX];
    bool frozen = false;
    if (group_of(lc, matched.items[i].pid, group, NULL) < 0) continue;
    if (local_cgroup_is_frozen(&lc->cgroups, group, &frozen, NULL) < 0) continue;
    living++;
    all = all && (frozen || matched.items[i].state == 'T');
  }
  if (living == 0)
    return error_set(err, STATUS_SERVER, "no such process runs on host %s", host->name);
  *ret_frozen = all;
  return 0;
}
