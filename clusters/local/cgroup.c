/* Control groups, version 1, 2 and both at once. Each host's processes are in gameday-ID/HOST of
 * every hierarchy, each unit's in a group of its own below it (in the one hierarchy that finds and
 * freezes). Nobody leaves a group by forking, so groups say exactly what belongs to a unit. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

static void cleanup_closedir(DIR **directory) {
  if (*directory) closedir(*directory);
}

/* Whether the comma-separated list has the word. */
static bool list_has(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) return true;
  return false;
}

static bool known_mount(const struct local_cgroups *cgroups, const char *mount) {
  for (uint32_t i = 0; i < cgroups->count; i++)
    if (strcmp(cgroups->mounts[i], mount) == 0) return true;
  return false;
}

/* One line of mountinfo, if it is a control group hierarchy that is not known yet. */
static void parse_mount(const char *line, struct local_cgroups *found, char *unified) {
  char mount[sizeof found->main], type[32], options[256];
  const char *tail = strstr(line, " - ");
  if (!tail || sscanf(line, "%*d %*d %*s %*s %127s", mount) != 1 ||
      sscanf(tail, " - %31s %*s %255s", type, options) != 2)
    return;
  bool v1 = strcmp(type, "cgroup") == 0, v2 = strcmp(type, "cgroup2") == 0;
  if ((!v1 && !v2) || known_mount(found, mount) || found->count == LOCAL_CGROUPS_MAX) return;
  memcpy(found->mounts[found->count++], mount, sizeof mount);
  if (v2 && !unified[0]) memcpy(unified, mount, sizeof mount);
  if (!v1) return;
  if (list_has(options, "freezer") && !found->main[0]) memcpy(found->main, mount, sizeof mount);
  found->memory = found->memory || list_has(options, "memory");
  found->pids = found->pids || list_has(options, "pids");
}

int local_cgroups_parse(const char *mountinfo, struct local_cgroups *ret, struct error *err) {
  struct local_cgroups found = {.unified = false};
  char unified[sizeof found.main] = "";
  for (const char *line = mountinfo; *line;) {
    size_t length = strcspn(line, "\n");
    char copy[1024];
    if (length < sizeof copy) {
      memcpy(copy, line, length);
      copy[length] = 0;
      parse_mount(copy, &found, unified);
    }
    line += length + (line[length] == '\n');
  }
  if (!found.main[0] && unified[0]) {
    found.unified = true;
    memcpy(found.main, unified, sizeof unified);
  }
  if (!found.main[0])
    return error_set(err, STATUS_ENVIRONMENT,
                     "control groups are missing: mount cgroup2 at /sys/fs/cgroup, or version 1 "
                     "with its freezer");
  *ret = found;
  return 0;
}

int local_cgroups_find(struct local_cgroups *ret, struct error *err) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = file_read("/proc/self/mountinfo", 4u << 20, &text, err);
  if (status == 0) status = local_cgroups_parse(text.data, ret, err);
  if (status < 0 || !ret->unified) return status;
  char path[PATH_MAX];
  status = path_format(path, sizeof path, err, "%s/cgroup.controllers", ret->main);
  if (status == 0) status = file_read(path, 4096, &text, err);
  if (status < 0) return status;
  for (char *c = text.data; *c; c++)
    if (*c == ' ' || *c == '\n') *c = ',';
  ret->memory = list_has(text.data, "memory");
  ret->pids = list_has(text.data, "pids");
  return 0;
}

int local_cgroup_path(const struct local_cluster *lc, const struct host *host, char *path,
                      struct error *err) {
  return path_format(path, PATH_MAX, err, "%s/gameday-%s/%s", lc->cgroups.main, lc->id, host->name);
}

int local_cgroup_unit(const struct local_cluster *lc, const struct host *host, const char *unit,
                      char *path, struct error *err) {
  int status = path_format(path, PATH_MAX, err, "%s/gameday-%s/%s/unit-%s", lc->cgroups.main,
                           lc->id, host->name, unit);
  if (status < 0) return status;
  if (mkdir(path, 0755) < 0 && errno != EEXIST) return error_set_errno(err, errno, "%s", path);
  return 0;
}

void local_pids_release(struct local_pids *pids) {
  free(pids->items);
  *pids = (struct local_pids){0};
}

static int pids_add(struct local_pids *pids, pid_t pid, struct error *err) {
  if (pids->count == pids->capacity) {
    uint32_t capacity = pids->capacity ? pids->capacity * 2 : 64;
    pid_t *items = realloc(pids->items, capacity * sizeof *items);
    if (!items) return error_set(err, STATUS_MEMORY, "out of memory for a list of processes");
    pids->items = items;
    pids->capacity = capacity;
  }
  pids->items[pids->count++] = pid;
  return 0;
}

static int pids_of_group(const char *path, struct local_pids *pids, struct error *err) {
  char name[PATH_MAX];
  int status = path_format(name, sizeof name, err, "%s/cgroup.procs", path);
  if (status < 0) return status;
  CLEANUP_FCLOSE FILE *file = fopen(name, "re");
  if (!file) return 0; /* removed meanwhile: nobody is in it */
  for (int pid; fscanf(file, "%d", &pid) == 1;) {
    if (pid <= 0) continue; /* of a process namespace that we do not see */
    status = pids_add(pids, (pid_t)pid, err);
    if (status < 0) return status;
  }
  return 0;
}

/* The next directory in `directory`, or NULL. */
static const char *next_group(DIR *directory) {
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') return entry->d_name;
  return NULL;
}

int local_cgroup_pids(const char *path, struct local_pids *pids, struct error *err) {
  int status = pids_of_group(path, pids, err);
  CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
  if (!directory) return status;
  for (const char *name; status == 0 && (name = next_group(directory)) != NULL;) {
    char child[PATH_MAX];
    status = path_format(child, sizeof child, err, "%s/%s", path, name);
    if (status == 0) status = local_cgroup_pids(child, pids, err);
  }
  return status;
}

bool local_cgroup_empty(const char *path) {
  CLEANUP(local_pids_release) struct local_pids pids = {0};
  return local_cgroup_pids(path, &pids, NULL) == 0 && pids.count == 0;
}

/* Waits a little: the kernel gives no event for what is asked here. */
static void pause_ns(uint64_t ns) {
  struct timespec time = {.tv_nsec = (long)ns};
  ppoll(NULL, 0, &time, NULL);
}

static int own_state(const struct local_cgroups *cgroups, const char *path, bool *ret_frozen,
                     struct error *err) {
  char name[PATH_MAX];
  int status = path_format(name, sizeof name, err, "%s/%s", path,
                           cgroups->unified ? "cgroup.events" : "freezer.state");
  if (status < 0) return status;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  status = file_read(name, 4096, &text, err);
  if (status < 0) return status;
  *ret_frozen = cgroups->unified ? strstr(text.data, "frozen 1") != NULL
                                 : strncmp(text.data, "FROZEN", 6) == 0;
  return 0;
}

/* Version 2 calls a group frozen when its own processes are, whatever those below it still do: so
 * all of them are asked. */
int local_cgroup_is_frozen(const struct local_cgroups *cgroups, const char *path, bool *ret_frozen,
                           struct error *err) {
  bool frozen = false;
  int status = own_state(cgroups, path, &frozen, err);
  CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
  const char *child;
  while (status == 0 && frozen && directory && (child = next_group(directory)) != NULL) {
    char name[PATH_MAX];
    status = path_format(name, sizeof name, err, "%s/%s", path, child);
    if (status == 0) status = local_cgroup_is_frozen(cgroups, name, &frozen, err);
  }
  if (status == 0) *ret_frozen = frozen;
  return status;
}

int local_cgroup_freeze(const struct local_cgroups *cgroups, const char *path, bool frozen,
                        struct error *err) {
  char name[PATH_MAX];
  int status = path_format(name, sizeof name, err, "%s/%s", path,
                           cgroups->unified ? "cgroup.freeze" : "freezer.state");
  const char *value = cgroups->unified ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
  if (status == 0) status = file_set(name, value, err);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + LOCAL_WAIT_NS;
  while (status == 0) {
    bool now = false;
    status = local_cgroup_is_frozen(cgroups, path, &now, err);
    if (status < 0 || now == frozen) return status;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "%s does not become %s", path,
                       frozen ? "frozen" : "thawed");
    pause_ns(200 * NS_PER_US);
    /* Version 1 tries again only when asked again. */
    if (frozen && !cgroups->unified) status = file_set(name, value, err);
  }
  return status;
}

void local_cgroup_thaw_all(const struct local_cgroups *cgroups, const char *path) {
  char name[PATH_MAX];
  if (path_format(name, sizeof name, NULL, "%s/%s", path,
                  cgroups->unified ? "cgroup.freeze" : "freezer.state") == 0)
    file_set(name, cgroups->unified ? "0" : "THAWED", NULL);
  CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
  if (!directory) return;
  for (const char *child; (child = next_group(directory)) != NULL;)
    if (path_format(name, sizeof name, NULL, "%s/%s", path, child) == 0)
      local_cgroup_thaw_all(cgroups, name);
}

int local_cgroup_remove_tree(const char *path) {
  {
    CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
    if (!directory) return errno == ENOENT ? 0 : -errno;
    for (const char *child; (child = next_group(directory)) != NULL;) {
      char name[PATH_MAX];
      if (path_format(name, sizeof name, NULL, "%s/%s", path, child) == 0)
        local_cgroup_remove_tree(name);
    }
  }
  return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int local_cgroups_remove(const struct local_cgroups *cgroups, const char *id, uint64_t timeout_ns,
                         struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  for (uint32_t i = 0; i < cgroups->count; i++) {
    char path[PATH_MAX];
    int status = path_format(path, sizeof path, err, "%s/gameday-%s", cgroups->mounts[i], id);
    if (status < 0) return status;
    for (int result; (result = local_cgroup_remove_tree(path)) < 0;) {
      if (result == -EROFS) break; /* a hierarchy we could not have used */
      if (clock_now_ns(&clock_monotonic) > deadline_ns)
        return error_set_errno(err, -result, "remove control group %s", path);
      pause_ns(NS_PER_MS);
    }
  }
  return 0;
}
