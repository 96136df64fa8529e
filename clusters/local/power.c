/* Power of a host. Off: first the link, then every process, then what its disk had not flushed. On:
 * a network without memory, the disk, the container, the units. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

/* Killing process 1 makes the kernel kill its whole process namespace. */
static int kill_all(const struct local_cluster *lc, const struct host *host, struct error *err) {
  char path[PATH_MAX];
  int status = local_cgroup_path(lc, host, path, err);
  if (status < 0) return status;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + LOCAL_WAIT_NS;
  local_cgroup_thaw_all(&lc->cgroups, path); /* version 1 delivers no signal to the frozen */
  struct local_proc init;
  CLEANUP_CLOSE int fd = -1;
  if (local_proc_init(lc, host, &init)) fd = local_proc_open(&init);
  if (fd >= 0) syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
  while (!local_cgroup_empty(path)) {
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "processes of host %s do not end", host->name);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    struct timespec moment = {.tv_nsec = (long)(NS_PER_MS / 2)};
    ppoll(&ended, fd >= 0 ? 1 : 0, &moment, NULL);
    if (fd >= 0 && ended.revents) cleanup_close(&fd), fd = -1;
  }
  return 0;
}

static int stop_locked(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  int status = local_network_link(lc, lh, false, err);
  if (status == 0) status = kill_all(lc, lh->host, err);
  if (status == 0 && lc->power_loss) status = local_disk_crash(lc, lh, err);
  return status;
}

static int server_only(const struct host *host, struct error *err) {
  if (host->kind == HOST_SERVER) return 0;
  return error_set(err, STATUS_USAGE, "host %s is no server: it has no power switch", host->name);
}

int local_host_stop(struct cluster *cluster, const struct host *host, struct error *err) {
  struct local_host *lh = local_host_of(cluster, host);
  int status = server_only(host, err);
  if (status < 0) return status;
  pthread_mutex_lock(&lh->lock);
  status = stop_locked(local_of(cluster), lh, err);
  pthread_mutex_unlock(&lh->lock);
  return status < 0 ? error_wrap(err, "power off %s", host->name) : 0;
}

static int start_locked(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  struct local_proc init;
  if (local_proc_init(lc, lh->host, &init)) {
    int status = local_network_link(lc, lh, true, err);
    return status < 0 ? status : local_units_start(lc, lh, err);
  }
  char group[PATH_MAX];
  int status = local_cgroup_path(lc, lh->host, group, err);
  if (status < 0) return status;
  local_cgroup_remove_tree(group); /* units' groups of the life before */
  status = local_container_delete(lc, lh, err);
  if (status == 0) status = local_network_renew(lc, lh, err);
  if (status == 0) status = local_disk_mount(lc, lh, err);
  if (status == 0) status = local_container_run(lc, lh, err);
  if (status == 0) status = local_units_start(lc, lh, err);
  return status;
}

int local_host_start(struct cluster *cluster, const struct host *host, struct error *err) {
  struct local_host *lh = local_host_of(cluster, host);
  int status = server_only(host, err);
  if (status < 0) return status;
  pthread_mutex_lock(&lh->lock);
  status = start_locked(local_of(cluster), lh, err);
  pthread_mutex_unlock(&lh->lock);
  return status < 0 ? error_wrap(err, "power on %s", host->name) : 0;
}

int local_host_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                       struct error *err) {
  struct local_cluster *lc = local_of(cluster);
  struct local_proc init;
  bool up = false;
  if (host->kind == HOST_SERVER && !local_proc_init(lc, host, &init)) {
    *ret_running = false;
    return 0;
  }
  int status = local_network_link_is_up(lc, local_host_of(cluster, host), &up, err);
  if (status < 0) return status;
  *ret_running = up;
  return 0;
}
