/* The provider `local`: hosts as OCI containers on this machine, without a daemon and without an
 * image. Its parts are in the other files of this folder; local.h is the map. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"

static const char *const storage_choices[] = {"auto", "loop", "tmpfs", NULL};

static const struct param params[] = {
    {.key = "image",
     .type = PARAM_STRING,
     .offset = offsetof(struct local_config, image),
     .default_text = "/",
     .help = "Root directory that every host sees, copied on write; the machine's own by default."},
    {.key = "storage",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct local_config, storage),
     .choices = storage_choices,
     .default_text = "auto",
     .help =
         "Where data directories are: `loop` on the machine's disk (a flush is real), `tmpfs` in "
         "memory, `auto` loop where loop devices work."},
    {.key = "disk",
     .type = PARAM_SIZE,
     .offset = offsetof(struct local_config, disk_bytes),
     .default_text = "2GiB",
     .minimum = "64MiB",
     .maximum = "1TiB",
     .help = "Size of a host's data file system where the service asks for none; it takes only the "
             "space that is used."},
    {.key = "power_loss",
     .type = PARAM_BOOL,
     .offset = offsetof(struct local_config, power_loss),
     .default_text = "true",
     .help =
         "Whether a host that loses power loses what it had not flushed to its disk (with `loop` "
         "storage)."},
    {0},
};

/* --- up */

struct bring_up {
  struct local_cluster *lc;
  struct local_host *lh;
  pthread_t thread;
  bool started;
  int status;
  struct error error;
};

/* Everything of one host, beside the others. */
static int bring_up_host(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  bool server = lh->host->kind == HOST_SERVER;
  int status = server ? local_disk_make(lc, lh, err) : 0;
  if (status == 0) status = local_network_attach(lc, lh, err);
  if (status < 0 || !server) return status;
  status = local_disk_mount(lc, lh, err);
  if (status == 0) status = local_container_prepare(lc, lh, err);
  return status < 0 ? status : local_container_run(lc, lh, err);
}

static void *bring_up_thread(void *argument) {
  struct bring_up *work = argument;
  work->status = bring_up_host(work->lc, work->lh, &work->error);
  return NULL;
}

static int bring_up_hosts(struct local_cluster *lc, struct error *err) {
  uint32_t count = lc->public.host_count;
  struct bring_up *work = calloc(count ? count : 1, sizeof *work);
  if (!work) return error_set(err, STATUS_MEMORY, "out of memory for %u hosts", count);
  int status = 0;
  for (uint32_t i = 0; i < count && status == 0; i++) {
    work[i].lc = lc;
    work[i].lh = &lc->locals[i];
    int errnum = pthread_create(&work[i].thread, NULL, bring_up_thread, &work[i]);
    if (errnum) status = error_set_errno(err, errnum, "cannot start a thread");
    work[i].started = errnum == 0;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!work[i].started) continue;
    pthread_join(work[i].thread, NULL);
    if (work[i].status < 0 && status == 0) {
      status = work[i].status;
      if (err) *err = work[i].error;
    }
  }
  free(work);
  return status;
}

static int put_world_file(const struct local_cluster *lc, const char *name, const void *bytes,
                          size_t length, mode_t mode, struct error *err) {
  char path[PATH_MAX];
  int status = local_world_path(lc, path, err, "%s", name);
  return status < 0 ? status : file_write(path, bytes, length, mode, err);
}

/* What all hosts share: the helper, the names. */
static int fill_world(const struct local_cluster *lc, struct error *err) {
  CLEANUP(buf_release) struct buf hosts;
  buf_init(&hosts);
  int status = local_names_text(lc, &hosts, err);
  if (status == 0)
    status = put_world_file(lc, LOCAL_HELPER, local_helper_bytes, local_helper_length, 0755, err);
  if (status == 0) status = put_world_file(lc, "hosts", hosts.data, hosts.length, 0644, err);
  return status < 0 ? status : put_world_file(lc, "empty", "", 0, 0644, err);
}

static int make_directories(const struct local_cluster *lc, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/disks", lc->run_directory);
  if (status == 0) status = directory_make(path, 0700, err);
  for (uint32_t i = 0; status == 0 && i < lc->public.host_count; i++) {
    if (lc->hosts[i].kind != HOST_SERVER) continue;
    status =
        path_format(path, sizeof path, err, "%s/logs/%s", lc->run_directory, lc->hosts[i].name);
    if (status == 0) status = directory_make(path, 0755, err);
  }
  return status;
}

static bool host_name_valid(const char *name) {
  size_t length = strlen(name);
  return length > 0 && length < HOST_NAME_SIZE && name[0] != '-' &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool host_name_taken(const struct local_cluster *lc, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(lc->hosts[i].name, name) == 0) return true;
  return false;
}

/* Servers first, in the order of the spec. */
static int take_hosts(struct local_cluster *lc, const struct cluster_spec *spec,
                      const struct local_config *config, struct error *err) {
  uint32_t next = 0;
  for (int servers = 1; servers >= 0; servers--)
    for (uint32_t i = 0; i < spec->host_count; i++) {
      const struct host_spec *wanted = &spec->hosts[i];
      if ((wanted->kind == HOST_SERVER) != (servers == 1)) continue;
      if (!host_name_valid(wanted->name))
        return error_set(err, STATUS_USAGE, "'%s' is no host name: [a-z0-9-] only", wanted->name);
      if (host_name_taken(lc, next, wanted->name))
        return error_set(err, STATUS_USAGE, "there are two hosts %s", wanted->name);
      struct host *host = &lc->hosts[next];
      host->kind = wanted->kind;
      memcpy(host->name, wanted->name, strlen(wanted->name) + 1);
      local_network_address(next, host->address);
      lc->locals[next].memory_bytes = wanted->memory_bytes;
      lc->locals[next].disk_bytes = wanted->disk_bytes ? wanted->disk_bytes : config->disk_bytes;
      next++;
    }
  return 0;
}

static int configure(struct local_cluster *lc, const struct local_config *config,
                     const struct cluster_spec *spec, struct error *err) {
  int status = path_format(lc->id, sizeof lc->id, err, "%s", spec->id);
  if (status == 0)
    status =
        path_format(lc->run_directory, sizeof lc->run_directory, err, "%s", spec->run_directory);
  if (status == 0)
    status =
        path_format(lc->image, sizeof lc->image, err, "%s", config->image ? config->image : "/");
  if (status == 0) status = local_cgroups_find(&lc->cgroups, err);
  if (status < 0) return status;
  const char *runtime = local_probe_runtime(&lc->cgroups);
  if (!runtime)
    return error_set(err, STATUS_ENVIRONMENT,
                     "a container runtime is missing: apt-get install runc");
  snprintf(lc->runtime, sizeof lc->runtime, "%s", runtime);
  lc->storage = (enum local_storage)config->storage;
  if (lc->storage == LOCAL_STORAGE_AUTO)
    lc->storage = local_probe_loop(NULL) == 0 ? LOCAL_STORAGE_LOOP : LOCAL_STORAGE_TMPFS;
  lc->power_loss = config->power_loss && lc->storage == LOCAL_STORAGE_LOOP;
  lc->keep = spec->keep;
  return take_hosts(lc, spec, config, err);
}

static int make_everything(struct local_cluster *lc, struct error *err) {
  local_registry_sweep();
  int status = local_state_write(lc, err);
  if (status == 0) status = local_registry_add(lc, err);
  if (status == 0) status = make_directories(lc, err);
  if (status == 0) status = local_world_start(lc, err);
  if (status == 0) status = local_registry_add(lc, err); /* with the anchor */
  if (status == 0) status = fill_world(lc, err);
  if (status == 0) status = local_network_switch(lc, err);
  return status < 0 ? status : bring_up_hosts(lc, err);
}

static int local_up(const void *config, const struct cluster_spec *spec,
                    struct cluster **ret_cluster, struct error *err) {
  if (!local_id_valid(spec->id) || spec->run_directory[0] != '/')
    return error_set(err, STATUS_USAGE, "cluster '%s': a bad id or run directory", spec->id);
  if (spec->host_count > LOCAL_HOSTS_MAX)
    return error_set(err, STATUS_USAGE,
                     "cluster '%s': %u hosts; the provider local makes at most %d on one machine",
                     spec->id, spec->host_count, LOCAL_HOSTS_MAX);
  struct local_cluster *lc = NULL;
  int status = local_cluster_new(spec->host_count, &lc, err);
  if (status < 0) return status;
  lc->public.provider = &provider_local;
  status = configure(lc, config, spec, err);
  if (status < 0) {
    local_cluster_free(lc);
    return status;
  }
  status = make_everything(lc, err);
  if (status < 0) {
    local_cluster_free(lc);
    local_destroy(spec->run_directory, spec->id, NULL); /* what failed first is the news */
    return error_wrap(err, "bring up cluster %s", spec->id);
  }
  *ret_cluster = &lc->public;
  return 0;
}

/* --- attach */

static int local_attach(const char *run_directory, struct cluster **ret_cluster,
                        struct error *err) {
  struct local_cluster *lc = NULL;
  int status = local_state_read(run_directory, &lc, err);
  if (status < 0) return status;
  lc->public.provider = &provider_local;
  status = local_cgroups_find(&lc->cgroups, err);
  if (status == 0) status = local_world_open(lc, err);
  if (status < 0) {
    local_cluster_free(lc);
    return status;
  }
  *ret_cluster = &lc->public;
  return 0;
}

static void local_detach(struct cluster *cluster) {
  if (cluster) local_cluster_free(local_of(cluster));
}

static int local_network_enter(struct cluster *cluster, const struct host *host,
                               struct error *err) {
  struct local_host *lh = local_host_of(cluster, host);
  pthread_mutex_lock(&lh->lock);
  int result = setns(lh->netns, CLONE_NEWNET);
  int errnum = errno;
  pthread_mutex_unlock(&lh->lock);
  if (result < 0) return error_set_errno(err, errnum, "enter the network of host %s", host->name);
  return local_names_enter(local_of(cluster), err);
}

const struct provider provider_local = {
    .plugin = {.name = "local",
               .summary = "Hosts as containers of this machine, with a network of their own",
               .params = params,
               .config_size = sizeof(struct local_config)},
    .can = CAN_HOST_POWER | CAN_SIGNAL | CAN_FREEZE | CAN_UNITS | CAN_EXEC | CAN_FILES |
           CAN_NETWORK | CAN_LINKS,
    .hosts_max = LOCAL_HOSTS_MAX,
    .clients_max = LOCAL_CLIENTS_MAX,
    .probe = local_probe,
    .probe_can = local_probe_can,
    .up = local_up,
    .attach = local_attach,
    .detach = local_detach,
    .describe = local_describe,
    .list = local_list,
    .destroy = local_destroy,
    .host_stop = local_host_stop,
    .host_start = local_host_start,
    .host_running = local_host_running,
    .process_signal = local_process_signal,
    .freeze = local_freeze,
    .frozen = local_frozen,
    .unit_define = local_unit_define,
    .unit_start = local_unit_start,
    .unit_running = local_unit_running,
    .exec = local_exec,
    .file_put = local_file_put,
    .network_enter = local_network_enter,
    .link_cut = local_link_cut,
    .link_mend = local_link_mend,
    .link_passes = local_link_passes,
};
