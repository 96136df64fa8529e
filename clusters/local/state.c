/* What outlives the process: RUN_DIRECTORY/cluster.json, from which a cluster is found again or
 * removed, and one file a cluster in the machine's registry. Neither holds a secret. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"

#define SCHEMA "gameday/cluster/v1"

static const char *const storage_names[] = {"auto", "loop", "tmpfs"};
static const char *const kind_names[] = {"server", "client", "monitor"};

static void cleanup_json(json_t **json) {
  json_decref(*json);
}
static void cleanup_closedir(DIR **directory) {
  if (*directory) closedir(*directory);
}

bool local_id_valid(const char *id) {
  size_t length = strlen(id);
  return length > 0 && length <= LOCAL_ID_MAX &&
         strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static json_t *process_json(pid_t pid, uint64_t start) {
  return json_pack("{s:i, s:I}", "pid", (int)pid, "start", (json_int_t)start);
}

/* Appends, or drops the whole array when memory ran out. */
static json_t *append(json_t *array, json_t *entry) {
  if (json_array_append_new(array, entry) == 0) return array;
  json_decref(array);
  return NULL;
}

static json_t *hosts_json(const struct local_cluster *lc) {
  json_t *hosts = json_array();
  for (uint32_t i = 0; i < lc->public.host_count; i++) {
    const struct local_host *lh = &lc->locals[i];
    hosts = append(
        hosts, json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", lh->host->name, "kind",
                         kind_names[lh->host->kind], "address", lh->host->address, "memory_bytes",
                         (json_int_t)lh->memory_bytes, "disk_bytes", (json_int_t)lh->disk_bytes));
  }
  return hosts;
}

static json_t *cgroups_json(const struct local_cluster *lc) {
  json_t *paths = json_array();
  for (uint32_t i = 0; i < lc->cgroups.count; i++)
    paths = append(paths, json_sprintf("%s/gameday-%s", lc->cgroups.mounts[i], lc->id));
  return paths;
}

static int write_json(const char *path, json_t *json, struct error *err) {
  CLEANUP_FREE char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for %s", path);
  return file_puts(path, text, 0600, err);
}

int local_state_write(const struct local_cluster *lc, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/cluster.json", lc->run_directory);
  if (status < 0) return status;
  CLEANUP(cleanup_json)
  json_t *json = json_pack(
      "{s:s, s:s, s:s, s:s, s:b, s:o, s:s, s:s, s:b, s:s, s:o, s:o}", "schema", SCHEMA, "provider",
      "local", "id", lc->id, "run_directory", lc->run_directory, "keep", (int)lc->keep, "anchor",
      process_json(lc->anchor, lc->anchor_start), "runtime", lc->runtime, "storage",
      storage_names[lc->storage], "power_loss", (int)lc->power_loss, "image", lc->image, "cgroups",
      cgroups_json(lc), "hosts", hosts_json(lc));
  return write_json(path, json, err);
}

static int parse_host(json_t *json, struct host *host, struct local_host *lh) {
  const char *name, *kind, *address;
  json_int_t memory, disk;
  if (json_unpack(json, "{s:s, s:s, s:s, s:I, s:I}", "name", &name, "kind", &kind, "address",
                  &address, "memory_bytes", &memory, "disk_bytes", &disk) < 0)
    return -1;
  if (strlen(name) >= sizeof host->name || strlen(address) >= sizeof host->address) return -1;
  memcpy(host->name, name, strlen(name) + 1);
  memcpy(host->address, address, strlen(address) + 1);
  lh->memory_bytes = (uint64_t)memory;
  lh->disk_bytes = (uint64_t)disk;
  for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++) {
    if (strcmp(kind, kind_names[i]) != 0) continue;
    host->kind = (enum host_kind)i;
    return 0;
  }
  return -1;
}

static int parse_state(json_t *json, struct local_cluster *lc) {
  const char *id, *directory, *runtime, *storage, *image;
  int keep, power_loss, pid;
  json_int_t start;
  json_t *hosts;
  if (json_unpack(json, "{s:s, s:s, s:b, s:{s:i, s:I}, s:s, s:s, s:b, s:s, s:o}", "id", &id,
                  "run_directory", &directory, "keep", &keep, "anchor", "pid", &pid, "start",
                  &start, "runtime", &runtime, "storage", &storage, "power_loss", &power_loss,
                  "image", &image, "hosts", &hosts) < 0)
    return -1;
  if (!local_id_valid(id) || strlen(directory) >= sizeof lc->run_directory ||
      strlen(runtime) >= sizeof lc->runtime || strlen(image) >= sizeof lc->image)
    return -1;
  memcpy(lc->id, id, strlen(id) + 1);
  memcpy(lc->run_directory, directory, strlen(directory) + 1);
  memcpy(lc->runtime, runtime, strlen(runtime) + 1);
  memcpy(lc->image, image, strlen(image) + 1);
  lc->keep = keep != 0;
  lc->power_loss = power_loss != 0;
  lc->storage = strcmp(storage, storage_names[LOCAL_STORAGE_LOOP]) == 0 ? LOCAL_STORAGE_LOOP
                                                                        : LOCAL_STORAGE_TMPFS;
  lc->anchor = (pid_t)pid;
  lc->anchor_start = (uint64_t)start;
  for (uint32_t i = 0; i < lc->public.host_count; i++)
    if (parse_host(json_array_get(hosts, i), &lc->hosts[i], &lc->locals[i]) < 0) return -1;
  return 0;
}

int local_state_read(const char *run_directory, struct local_cluster **ret, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/cluster.json", run_directory);
  if (status < 0) return status;
  if (!file_exists(path)) return error_set(err, STATUS_USAGE, "%s: there is no cluster", path);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  status = file_read(path, 1u << 20, &text, err);
  if (status < 0) return status;
  CLEANUP(cleanup_json) json_t *json = json_loadb(text.data, text.length, 0, NULL);
  const char *schema = json_string_value(json_object_get(json, "schema"));
  const char *provider = json_string_value(json_object_get(json, "provider"));
  json_t *hosts = json_object_get(json, "hosts");
  if (!schema || strcmp(schema, SCHEMA) != 0 || !provider || strcmp(provider, "local") != 0 ||
      !json_is_array(hosts) || json_array_size(hosts) > LOCAL_HOSTS_MAX)
    return error_set(err, STATUS_USAGE, "%s is no state file of a local cluster", path);
  struct local_cluster *lc = NULL;
  status = local_cluster_new((uint32_t)json_array_size(hosts), &lc, err);
  if (status < 0) return status;
  if (parse_state(json, lc) < 0) {
    local_cluster_free(lc);
    return error_set(err, STATUS_USAGE, "%s is damaged", path);
  }
  *ret = lc;
  return 0;
}

int local_registry_add(const struct local_cluster *lc, struct error *err) {
  int status = directory_make(LOCAL_REGISTRY, 0700, err);
  if (status < 0) return status;
  char path[PATH_MAX];
  status = path_format(path, sizeof path, err, "%s/%s.json", LOCAL_REGISTRY, lc->id);
  if (status < 0) return status;
  uint64_t start = 0;
  local_proc_start(getpid(), &start);
  CLEANUP(cleanup_json)
  json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "schema", SCHEMA, "provider",
                           "local", "id", lc->id, "run_directory", lc->run_directory, "keep",
                           (int)lc->keep, "creator", process_json(getpid(), start), "anchor",
                           process_json(lc->anchor, lc->anchor_start));
  return write_json(path, json, err);
}

/* Whether the process that `json` names by number and start time lives. */
static bool process_lives(json_t *json) {
  int pid = 0;
  json_int_t start = 0;
  struct local_proc proc;
  return json_unpack(json, "{s:i, s:I}", "pid", &pid, "start", &start) == 0 && pid > 0 &&
         local_proc_read((pid_t)pid, &proc) && proc.start == (uint64_t)start;
}

/* Calls `visit` with every entry of the registry and its file, until it does not return 0. */
static int each_entry(int (*visit)(void *data, json_t *entry, const char *path), void *data,
                      struct error *err) {
  CLEANUP(cleanup_closedir) DIR *directory = opendir(LOCAL_REGISTRY);
  if (!directory && errno == ENOENT) return 0;
  if (!directory) return error_set_errno(err, errno, "%s", LOCAL_REGISTRY);
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    /* Only whole entries: a temporary one may tell of an earlier life of a cluster that lives. */
    const char *suffix = strrchr(entry->d_name, '.');
    if (!suffix || strcmp(suffix, ".json") != 0) continue;
    char path[PATH_MAX];
    int status = path_format(path, sizeof path, err, "%s/%s", LOCAL_REGISTRY, entry->d_name);
    if (status < 0) return status;
    CLEANUP(buf_release) struct buf text;
    buf_init(&text);
    if (file_read(path, 65536, &text, NULL) < 0) continue; /* removed meanwhile */
    CLEANUP(cleanup_json) json_t *json = json_loadb(text.data, text.length, 0, NULL);
    status = json ? visit(data, json, path) : 0;
    if (status != 0) return status;
  }
  return 0;
}

static int sweep_entry(void *data, json_t *entry, const char *path) {
  (void)data;
  const char *id = json_string_value(json_object_get(entry, "id"));
  const char *directory = json_string_value(json_object_get(entry, "run_directory"));
  if (!id || !directory || process_lives(json_object_get(entry, "creator")) ||
      process_lives(json_object_get(entry, "anchor")))
    return 0;
  /* A failure is of no concern to the cluster that is coming up. */
  if (local_destroy(directory, id, NULL) == 0) unlink(path);
  return 0;
}

void local_registry_sweep(void) {
  each_entry(sweep_entry, NULL, NULL);
}

struct listing {
  int (*found)(void *data, const char *id, const char *run_directory);
  void *data;
};

static int list_entry(void *data, json_t *entry, const char *path) {
  (void)path;
  const struct listing *listing = data;
  const char *id = json_string_value(json_object_get(entry, "id"));
  const char *directory = json_string_value(json_object_get(entry, "run_directory"));
  return id && directory ? listing->found(listing->data, id, directory) : 0;
}

int local_list(int (*found)(void *data, const char *id, const char *run_directory), void *data,
               struct error *err) {
  /* Also before there was a first cluster: the answer should not depend on who used the machine. */
  if (geteuid() != 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "root is missing: run with sudo to see local clusters");
  struct listing listing = {.found = found, .data = data};
  return each_entry(list_entry, &listing, err);
}

void local_registry_remove(const char *id) {
  char prefix[LOCAL_ID_MAX + 16];
  snprintf(prefix, sizeof prefix, "%s.json", id);
  size_t length = strlen(prefix);
  CLEANUP(cleanup_closedir) DIR *directory = opendir(LOCAL_REGISTRY);
  if (!directory) return;
  /* Also one that was just being written by a harness that was killed. */
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (strncmp(entry->d_name, prefix, length) == 0 &&
        (entry->d_name[length] == 0 || entry->d_name[length] == '.'))
      unlinkat(dirfd(directory), entry->d_name, 0);
}
