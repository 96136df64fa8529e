/* memory-fill: the memory that data live in runs full. Either a server's own limit is reached, by
 * keys that nobody reads, and its policy says what goes; or other processes of its host take the
 * host's memory, and the kernel kills somebody. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "injectors.h"

/* The processes that take a host's memory. Of many small ones none is what the kernel kills first,
 * which is the largest. */
#define EATER_UNIT "memory-fill"
#define EATERS 16u
#define EATER_MIN (UINT64_C(1) << 20)

enum until { UNTIL_MAXMEMORY, UNTIL_OOM };
static const char *const until_names[] = {"maxmemory", "oom", NULL};

struct memory_fill_config {
  struct target target;
  const char *process;
  int until; /* enum until */
  double beyond;
  uint64_t size;
};

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct memory_fill_config, target),
     .required = true,
     .help = "Which host: SERVICE.primary, SERVICE.replica[N], SERVICE.any or host/NAME."},
    {.key = "until",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct memory_fill_config, until),
     .choices = until_names,
     .default_text = "maxmemory",
     .help = "maxmemory: keys are written until the server is at its own limit. oom: processes "
             "take the host's memory until the kernel kills the one that `process` names."},
    {.key = "beyond",
     .type = PARAM_RATIO,
     .offset = offsetof(struct memory_fill_config, beyond),
     .default_text = "0%",
     .minimum = "0%",
     .maximum = "1000%",
     .help = "until: maxmemory: how much more is written when the limit is reached, as a share of "
             "it; a server that throws nothing away takes no more."},
    {.key = "size",
     .type = PARAM_SIZE,
     .offset = offsetof(struct memory_fill_config, size),
     .default_text = "0B",
     .maximum = "1TiB",
     .help = "until: oom: how much the processes take together; with what the server has it must "
             "be more than the host's limit (memory of the service)."},
    {.key = "process",
     .type = PARAM_STRING,
     .offset = offsetof(struct memory_fill_config, process),
     .help = "Which process is started again when healing, by the service's name for it (redis: "
             "redis); until: oom: whose end shows that the kernel killed."},
    {0},
};

static int memory_fill_validate(const void *data, struct error *err) {
  const struct memory_fill_config *config = data;
  if (config->until == UNTIL_MAXMEMORY) {
    if (config->size > 0)
      return error_set(err, STATUS_USAGE, "size: is of until: oom; expected none");
    return 0;
  }
  if (!config->process)
    return error_set(err, STATUS_USAGE,
                     "process: until: oom waits for its end; expected a process");
  if (config->size == 0)
    return error_set(err, STATUS_USAGE,
                     "size: until: oom takes as much; expected a size such as 128MiB");
  return 0;
}

static int memory_fill_fits(const void *data, const struct fault_place *place, struct error *err) {
  const struct memory_fill_config *config = data;
  if (config->until == UNTIL_OOM) return 0;
  const struct service *service = place->service;
  if (config->target.kind == TARGET_REPLICA)
    return error_set(err, STATUS_USAGE,
                     "target: a replica takes no keys but its primary's; expected %s.primary, or "
                     "until: oom",
                     service->plugin.name);
  if (!service->memory)
    return error_set(err, STATUS_USAGE,
                     "until: %s has no memory that could be filled; expected oom",
                     service->plugin.name);
  if (service->memory->limit(place->service_config) == 0)
    return error_set(err, STATUS_USAGE,
                     "until: %s has no limit of its own; expected oom, or a maxmemory of the "
                     "service",
                     service->plugin.name);
  return 0;
}

static const struct service_memory_hooks *hooks_of(const struct injection *in) {
  return in->service ? in->service->service->memory : NULL;
}

/* --- inject ---------------------------------------------------------------------------------- */

/* Each eater is a `tail` that waits for the end of a line which never comes, and keeps what it has
 * read of it: memory that is really used, and no more processor time after that. */
static int eat(struct injection *in, uint64_t size, struct error *err) {
  char script[256];
  uint64_t part = (size + EATERS - 1) / EATERS, each = part > EATER_MIN ? part : EATER_MIN;
  uint64_t count = (size + each - 1) / each;
  snprintf(script, sizeof script,
           "n=%" PRIu64
           "; while [ $n -gt 0 ]; do n=$((n-1)); "
           "(head -c %" PRIu64 " /dev/zero; exec sleep infinity) | tail >/dev/null & done; wait",
           count, each);
  const char *const argv[] = {"/bin/sh", "-c", script, NULL};
  const struct host_unit unit = {.name = EATER_UNIT,
                                 .argv = argv,
                                 .by_hand = true,
                                 .memory_processes = (uint32_t)count,
                                 .memory_bytes = each};
  const struct provider *provider = in->cluster->provider;
  int status = provider->unit_define(in->cluster, in->host, &unit, err);
  return status < 0 ? status : provider->unit_start(in->cluster, in->host, EATER_UNIT, err);
}

static int fill(struct injection *in, double beyond, struct error *err) {
  const struct service_memory_hooks *hooks = hooks_of(in);
  struct service_memory before;
  if (!hooks)
    return error_set(err, STATUS_USAGE, "no service on host %s has its data in memory",
                     in->host->name);
  int status = hooks->look(in->service, in->host, &before, err);
  if (status < 0) return status;
  snprintf(in->note, sizeof in->note, "%" PRIu64 " evicted, %" PRIu64 " refused", before.evicted,
           before.refused);
  double more = beyond * (double)before.limit_bytes;
  return hooks->fill(in->service, in->host, (uint64_t)more, err);
}

static int memory_fill_inject(struct injection *in, struct error *err) {
  const struct memory_fill_config *config = in->config;
  return config->until == UNTIL_OOM ? eat(in, config->size, err) : fill(in, config->beyond, err);
}

/* --- confirm --------------------------------------------------------------------------------- */

/* What the server says itself: it has reached its limit, or throws away, or refuses. That is this
 * fault's doing while keys of it are there. */
static int is_full(const struct injection *in, bool *ret_active, struct error *err) {
  const struct service_memory_hooks *hooks = hooks_of(in);
  struct service_memory memory = {.used_bytes = 0};
  uint64_t evicted = 0, refused = 0;
  /* Of a fault that is known from the journal alone nobody can be asked. */
  int status = hooks ? hooks->look(in->service, in->host, &memory, err) : 0;
  if (status < 0) return status;
  bool noted = sscanf(in->note, "%" SCNu64 " evicted, %" SCNu64, &evicted, &refused) == 2;
  bool full = memory.limit_bytes > 0 && memory.used_bytes >= memory.limit_bytes;
  *ret_active =
      noted && memory.fillers > 0 && (full || memory.evicted > evicted || memory.refused > refused);
  return 0;
}

static int is_killed(const struct injection *in, bool *ret_active, struct error *err) {
  uint32_t count = 0;
  int status = in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 0,
                                                     &count, err);
  if (status == 0) *ret_active = count == 0;
  return status;
}

static int memory_fill_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  const struct memory_fill_config *config = in->config;
  bool running = false;
  int status = in->cluster->provider->host_running(in->cluster, in->host, &running, err);
  if (status < 0) return status;
  if (!running) { /* its memory is gone, and its processes are for another reason */
    *ret_active = false;
    return 0;
  }
  if (config && config->until == UNTIL_OOM && in->process) return is_killed(in, ret_active, err);
  return is_full(in, ret_active, err);
}

/* --- heal ------------------------------------------------------------------------------------ */

/* All of it, whichever way it was filled: of a fault in the journal that is not known. */
static int memory_fill_heal(struct injection *in, struct error *err) {
  const struct provider *provider = in->cluster->provider;
  const struct service_memory_hooks *hooks = hooks_of(in);
  const struct process_match eaters = {.unit = EATER_UNIT, .tree = true};
  bool running = false;
  int status = provider->host_running(in->cluster, in->host, &running, err);
  if (status < 0 || !running) return status; /* its memory went with it */
  status = provider->process_signal(in->cluster, in->host, &eaters, SIGKILL, NULL, err);
  if (status == 0 && in->process && in->process->unit)
    status = provider->unit_start(in->cluster, in->host, in->process->unit, err);
  if (status == 0 && hooks) status = hooks->clear(in->service, in->host, err);
  return status;
}

const struct injector injector_memory_fill = {
    .plugin = {.name = "memory-fill",
               .summary = "Memory runs full: a server's own limit, or its host's, where the kernel "
                          "kills",
               .params = params,
               .config_size = sizeof(struct memory_fill_config),
               .validate = memory_fill_validate},
    .needs = CAN_SIGNAL | CAN_UNITS,
    .target_offset = offsetof(struct memory_fill_config, target),
    .process_offset = offsetof(struct memory_fill_config, process),
    .fits = memory_fill_fits,
    .inject = memory_fill_inject,
    .confirm = memory_fill_confirm,
    .heal = memory_fill_heal,
};
