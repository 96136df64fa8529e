/* The OCI side of a host: an overlay over the image as its root, a config.json, and the runtime
 * that makes a container of them. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

#define PIDS_MAX 4096

static void cleanup_json(json_t **json) {
  json_decref(*json);
}

/* --- config.json, by the OCI runtime specification 1.0 */

/* False when memory ran out; nothing is added then. */
static bool add_mount(json_t *mounts, const char *destination, const char *type, const char *source,
                      const char *options) {
  json_t *list = json_array();
  bool ok = list != NULL;
  for (const char *at = options; ok && *at;) {
    size_t length = strcspn(at, ",");
    ok = json_array_append_new(list, json_stringn(at, length)) == 0;
    at += length + (at[length] == ',');
  }
  json_t *entry = json_pack("{s:s, s:s, s:s, s:O}", "destination", destination, "type", type,
                            "source", source, "options", list);
  json_decref(list);
  if (ok) return json_array_append_new(mounts, entry) == 0;
  json_decref(entry);
  return false;
}

static json_t *mounts_json(const struct local_cluster *lc, const struct local_host *lh) {
  char data[PATH_MAX], hidden[PATH_MAX];
  json_t *mounts = json_array();
  snprintf(data, sizeof data, "%s/data/%s", LOCAL_WORLD, lh->host->name);
  bool ok = add_mount(mounts, "/proc", "proc", "proc", "nosuid,noexec,nodev");
  ok = ok && add_mount(mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
  ok = ok && add_mount(mounts, "/dev/pts", "devpts", "devpts",
                       "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
  ok = ok &&
       add_mount(mounts, "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=512m");
  ok = ok && add_mount(mounts, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
  ok = ok && add_mount(mounts, "/run", "tmpfs", "tmpfs", "nosuid,nodev,mode=755,size=64m");
  ok = ok && add_mount(mounts, "/tmp", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777,size=256m");
  local_container_hidden(lc->image, lc->run_directory, hidden, sizeof hidden);
  if (*hidden)
    ok = ok && add_mount(mounts, hidden, "tmpfs", "tmpfs", "nosuid,nodev,mode=755,size=1m");
  ok = ok && add_mount(mounts, "/home", "tmpfs", "tmpfs", "nosuid,nodev,mode=755,size=16m");
  ok = ok && add_mount(mounts, "/root", "tmpfs", "tmpfs", "nosuid,nodev,mode=700,size=16m");
  ok = ok &&
       add_mount(mounts, "/run/" LOCAL_HELPER, "bind", LOCAL_WORLD "/" LOCAL_HELPER, "bind,ro");
  ok = ok && add_mount(mounts, "/etc/hosts", "bind", LOCAL_WORLD "/hosts", "bind,ro");
  ok = ok && add_mount(mounts, "/etc/resolv.conf", "bind", LOCAL_WORLD "/empty", "bind,ro");
  ok = ok && add_mount(mounts, HOST_DATA_DIRECTORY, "bind", data, "bind,rw,nosuid,nodev");
  if (ok) return mounts;
  json_decref(mounts);
  return NULL;
}

static json_t *linux_json(const struct local_cluster *lc, const struct local_host *lh) {
  char netns[PATH_MAX], cgroup[128];
  snprintf(netns, sizeof netns, "%s/ns/%s", LOCAL_WORLD, lh->host->name);
  snprintf(cgroup, sizeof cgroup, "/gameday-%s/%s", lc->id, lh->host->name);
  json_t *resources = json_pack("{s:[{s:b, s:s}]}", "devices", "allow", 0, "access", "rwm");
  bool ok = true;
  if (lc->cgroups.pids)
    ok = json_object_set_new(resources, "pids", json_pack("{s:i}", "limit", PIDS_MAX)) == 0;
  if (ok && lc->cgroups.memory && lh->memory_bytes > 0)
    ok = json_object_set_new(resources, "memory",
                             json_pack("{s:I}", "limit", (json_int_t)lh->memory_bytes)) == 0;
  if (!ok) { /* rather no host than one without a limit */
    json_decref(resources);
    return NULL;
  }
  return json_pack("{s:[{s:s},{s:s},{s:s},{s:s},{s:s},{s:s,s:s}], s:s, s:o, s:[s,s,s], s:[s,s]}",
                   "namespaces", "type", "pid", "type", "ipc", "type", "uts", "type", "mount",
                   "type", "cgroup", "type", "network", "path", netns, "cgroupsPath", cgroup,
                   "resources", resources, "maskedPaths", "/proc/kcore", "/proc/keys",
                   "/proc/timer_list", "readonlyPaths", "/proc/sys", "/proc/sysrq-trigger");
}

static json_t *config_json(const struct local_cluster *lc, const struct local_host *lh) {
  char root[PATH_MAX];
  snprintf(root, sizeof root, "%s/root/%s", LOCAL_WORLD, lh->host->name);
  /* Process 1 only reaps: no capability at all. */
  json_t *process =
      json_pack("{s:b, s:{s:i, s:i}, s:s, s:[s, s], s:[s], s:{s:[], s:[], s:[]}, s:b}", "terminal",
                0, "user", "uid", 0, "gid", 0, "cwd", "/", "args", "/run/" LOCAL_HELPER, "init",
                "env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "capabilities", "bounding",
                "effective", "permitted", "noNewPrivileges", 1);
  return json_pack("{s:s, s:s, s:{s:s, s:b}, s:o, s:o, s:o}", "ociVersion", "1.0.2", "hostname",
                   lh->host->name, "root", "path", root, "readonly", 0, "process", process,
                   "mounts", mounts_json(lc, lh), "linux", linux_json(lc, lh));
}

static int write_config(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char path[PATH_MAX];
  int status = local_world_path(lc, path, err, "bundle/%s/config.json", lh->host->name);
  if (status < 0) return status;
  CLEANUP(cleanup_json) json_t *json = config_json(lc, lh);
  CLEANUP_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for a host's configuration");
  return file_puts(path, text, 0600, err);
}

void local_container_hidden(const char *image, const char *run_directory, char *ret_path,
                            size_t size) {
  ret_path[0] = 0;
  size_t prefix = strcmp(image, "/") == 0 ? 0 : strlen(image);
  if (strncmp(run_directory, image, prefix) != 0 || run_directory[prefix] != '/') return;
  const char *inside = run_directory + prefix;
  const char *last = strrchr(inside, '/');
  size_t length = (size_t)(last - inside);
  /* Directories that a server needs are not hidden as a whole. */
  static const char *const needed[] = {"",     "/usr", "/etc",  "/var", "/var/lib", "/opt",
                                       "/srv", "/bin", "/sbin", "/lib", "/lib64"};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (strlen(needed[i]) == length && strncmp(inside, needed[i], length) == 0)
      length = strlen(inside);
  snprintf(ret_path, size, "%.*s", (int)length, inside);
  /* These are covered already. */
  static const char *const covered[] = {"/tmp", "/run", "/home", "/root", "/dev", "/proc", "/sys"};
  for (size_t i = 0; i < sizeof covered / sizeof *covered; i++) {
    size_t known = strlen(covered[i]);
    if (strncmp(ret_path, covered[i], known) == 0 &&
        (ret_path[known] == 0 || ret_path[known] == '/'))
      ret_path[0] = 0;
  }
}

/* --- the root file system, in the world */

struct overlay_call {
  const struct local_cluster *lc;
  const struct local_host *lh;
};

static int mount_overlay(const char *lower, const char *upper, const char *work, const char *to,
                         struct error *err) {
  char options[3 * PATH_MAX + 64];
  if ((mkdir(upper, 0755) < 0 && errno != EEXIST) || (mkdir(work, 0755) < 0 && errno != EEXIST))
    return error_set_errno(err, errno, "%s", upper);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
  if (mount("overlay", to, "overlay", 0, options) < 0)
    return error_set_errno(err, errno, "an overlay over %s", lower);
  return 0;
}

/* Parts of the machine's tree that may be file systems of their own; an overlay does not cross into
 * them. In this order: a part comes after what it is in. */
static const char *const part_paths[] = {"/usr", "/usr/local", "/opt",    "/etc",
                                         "/srv", "/var",       "/var/lib"};

static int overlay_parts(const struct overlay_call *call, struct error *err) {
  const char *name = call->lh->host->name;
  const char *image = strcmp(call->lc->image, "/") == 0 ? "" : call->lc->image;
  for (size_t i = 0; i < sizeof part_paths / sizeof *part_paths; i++) {
    char from[PATH_MAX], above[PATH_MAX], to[PATH_MAX], upper[PATH_MAX], work[PATH_MAX];
    struct stat inside, outside;
    int status = path_format(from, sizeof from, err, "%s%s", image, part_paths[i]);
    if (status == 0) status = path_format(above, sizeof above, err, "%s/..", from);
    if (status < 0) return status;
    if (lstat(from, &inside) < 0 || !S_ISDIR(inside.st_mode) || stat(above, &outside) < 0 ||
        inside.st_dev == outside.st_dev)
      continue;
    status = path_format(to, sizeof to, err, "%s/root/%s%s", LOCAL_WORLD, name, part_paths[i]);
    if (status == 0)
      status = path_format(upper, sizeof upper, err, "%s/upper/%s.%zu", LOCAL_WORLD, name, i);
    if (status == 0)
      status = path_format(work, sizeof work, err, "%s/work/%s.%zu", LOCAL_WORLD, name, i);
    if (status == 0) status = mount_overlay(from, upper, work, to, err);
    if (status < 0) return status;
  }
  return 0;
}

static int make_root(void *argument, struct error *err) {
  const struct overlay_call *call = argument;
  const char *name = call->lh->host->name;
  char root[PATH_MAX], upper[PATH_MAX], work[PATH_MAX];
  static const char *const kinds[] = {"bundle", "units", "root"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int status = path_format(root, sizeof root, err, "%s/%s/%s", LOCAL_WORLD, kinds[i], name);
    if (status < 0) return status;
    if (mkdir(root, 0755) < 0 && errno != EEXIST) return error_set_errno(err, errno, "%s", root);
  }
  int status = path_format(upper, sizeof upper, err, "%s/upper/%s", LOCAL_WORLD, name);
  if (status == 0) status = path_format(work, sizeof work, err, "%s/work/%s", LOCAL_WORLD, name);
  if (status == 0) status = mount_overlay(call->lc->image, upper, work, root, err);
  return status < 0 ? status : overlay_parts(call, err);
}

int local_container_prepare(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  struct overlay_call call = {.lc = lc, .lh = lh};
  int status = local_call_inside(lc->anchor_fd, make_root, &call, err);
  return status < 0 ? status : write_config(lc, lh, err);
}

/* --- the runtime */

int local_container_run(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char bundle[PATH_MAX];
  int status = path_format(bundle, sizeof bundle, err, "%s/bundle/%s", LOCAL_WORLD, lh->host->name);
  if (status < 0) return status;
  const char *root = LOCAL_WORLD "/state";
  const char *argv[] = {lc->runtime, "--root", root,           "run", "--detach",
                        "--bundle",  bundle,   lh->host->name, NULL};
  status = local_world_check(lc, argv, err);
  return status < 0 ? error_wrap(err, "start host %s", lh->host->name) : 0;
}

int local_container_delete(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char state[PATH_MAX];
  int status = local_world_path(lc, state, err, "state/%s", lh->host->name);
  if (status < 0) return status;
  if (!file_exists(state)) return 0;
  const char *root = LOCAL_WORLD "/state";
  const char *argv[] = {lc->runtime, "--root", root, "delete", "--force", lh->host->name, NULL};
  status = local_world_check(lc, argv, err);
  return status < 0 ? error_wrap(err, "clean up host %s", lh->host->name) : 0;
}
