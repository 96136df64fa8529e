/* Programs and files on a host. Programs go through the helper's `enter`, files through a thread in
 * the host's mount namespace, so that their bytes pass no command line. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

void local_enter_add(struct local_enter *enter, const char *argument) {
  if (enter->count + 1 >= sizeof enter->argv / sizeof *enter->argv) {
    enter->full = true;
    return;
  }
  enter->argv[enter->count++] = argument;
  enter->argv[enter->count] = NULL;
}

static int host_is_off(const struct host *host, struct error *err) {
  return error_set(err, STATUS_SERVER, "host %s is off", host->name);
}

int local_enter_init(struct local_enter *enter, const struct local_cluster *lc,
                     const struct local_host *lh, const char *unit, struct error *err) {
  struct local_proc init;
  if (!local_proc_init(lc, lh->host, &init)) return host_is_off(lh->host, err);
  enter->count = 0;
  enter->full = false;
  snprintf(enter->pid, sizeof enter->pid, "%d", (int)init.world);
  local_enter_add(enter, LOCAL_WORLD "/" LOCAL_HELPER);
  local_enter_add(enter, "enter");
  local_enter_add(enter, "--pid");
  local_enter_add(enter, enter->pid);
  for (uint32_t i = 0; i < lc->cgroups.count; i++) {
    char *path = enter->cgroups[i];
    int status = path_format(path, PATH_MAX, err, "%s/gameday-%s/%s", lc->cgroups.mounts[i], lc->id,
                             lh->host->name);
    bool main = strcmp(lc->cgroups.mounts[i], lc->cgroups.main) == 0;
    if (status == 0 && main && unit) status = local_cgroup_unit(lc, lh->host, unit, path, err);
    if (status < 0) return status;
    if (!file_exists(path)) continue; /* a hierarchy that the runtime does not use */
    local_enter_add(enter, "--cgroup");
    local_enter_add(enter, path);
  }
  return 0;
}

int local_exec(struct cluster *cluster, const struct host *host, const char *user,
               const struct process_spec *spec, struct process_result *ret, struct error *err) {
  const struct local_cluster *lc = local_of(cluster);
  CLEANUP_FREE struct local_enter *enter = calloc(1, sizeof *enter);
  if (!enter) return error_set(err, STATUS_MEMORY, "out of memory");
  int status = local_enter_init(enter, lc, local_host_of(cluster, host), NULL, err);
  if (status < 0) return status;
  local_enter_add(enter, "--user");
  local_enter_add(enter, user ? user : "root");
  for (const char *const *env = spec->env_extra; env && *env; env++) {
    local_enter_add(enter, "--env");
    local_enter_add(enter, *env);
  }
  local_enter_add(enter, "--");
  for (const char *const *argument = spec->argv; *argument; argument++)
    local_enter_add(enter, *argument);
  if (enter->full)
    return error_set(err, STATUS_USAGE, "too many arguments for host %s", host->name);
  struct process_spec inside = *spec;
  inside.argv = enter->argv;
  if (inside.timeout_ns == 0) inside.timeout_ns = 30 * NS_PER_S;
  status = local_world_run(lc, &inside, ret, err);
  return status < 0 ? error_wrap(err, "%s on host %s", spec->argv[0], host->name) : 0;
}

/* --- files */

struct put_call {
  const char *path;
  const void *bytes;
  size_t length;
  mode_t mode;
  const char *owner;
};

/* User and group number by the host's own /etc/passwd. */
static int find_owner(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct error *err) {
  CLEANUP_FCLOSE FILE *file = fopen("/etc/passwd", "re");
  char line[4096];
  size_t length = strlen(name);
  while (file && fgets(line, sizeof line, file)) {
    unsigned uid, gid;
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    if (sscanf(line + length, ":%*[^:]:%u:%u", &uid, &gid) != 2) continue;
    *ret_uid = uid;
    *ret_gid = gid;
    return 0;
  }
  return error_set(err, STATUS_USAGE, "there is no user '%s'", name);
}

/* Never half a file under its name, never wider rights than asked for, not for a moment. */
static int put_inside(void *argument, struct error *err) {
  const struct put_call *call = argument;
  uid_t uid = 0;
  gid_t gid = 0;
  int status = call->owner ? find_owner(call->owner, &uid, &gid, err) : 0;
  if (status < 0) return status;
  char path[PATH_MAX];
  status = path_format(path, sizeof path, err, "%s", call->path);
  if (status < 0) return status;
  char *slash = strrchr(path, '/');
  if (!slash) return error_set(err, STATUS_USAGE, "%s is not absolute", path);
  if (slash != path) {
    *slash = 0;
    status = directory_make(path, 0755, err);
  }
  if (status == 0) status = path_format(path, sizeof path, err, "%s.gameday-new", call->path);
  if (status < 0) return status;
  unlink(path);
  CLEANUP_CLOSE int fd =
      open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, call->mode & 0700);
  if (fd < 0) return error_set_errno(err, errno, "%s", path);
  status = file_write_all(fd, call->bytes, call->length, call->path, err);
  if (status == 0 && (fchown(fd, uid, gid) < 0 || fchmod(fd, call->mode) < 0 || fsync(fd) < 0 ||
                      rename(path, call->path) < 0))
    status = error_set_errno(err, errno, "%s", call->path);
  if (status < 0) unlink(path);
  return status;
}

int local_file_put(struct cluster *cluster, const struct host *host, const char *path,
                   const void *bytes, size_t length, mode_t mode, const char *owner,
                   struct error *err) {
  struct local_proc init;
  if (!local_proc_init(local_of(cluster), host, &init)) return host_is_off(host, err);
  CLEANUP_CLOSE int fd = local_proc_open(&init);
  if (fd < 0) return host_is_off(host, err);
  struct put_call call = {
      .path = path, .bytes = bytes, .length = length, .mode = mode, .owner = owner};
  int status = local_call_inside(fd, put_inside, &call, err);
  return status < 0 ? error_wrap(err, "file %s on host %s", path, host->name) : 0;
}
