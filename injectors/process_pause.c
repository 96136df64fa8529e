/* process-pause: a process, or a whole host, stands still and goes on later as if nothing had
 * happened: the long garbage collection, the stolen virtual CPU, the stuck storage. Its connections
 * stay open and silent, and what it believed before (that it is the primary) it believes after. */
#include "injectors.h"

struct process_pause_config {
  struct target target;
  const char *process;
};

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct process_pause_config, target),
     .required = true,
     .help = "Which host: SERVICE.primary, SERVICE.replica[N], SERVICE.any or host/NAME."},
    {.key = "process",
     .type = PARAM_STRING,
     .offset = offsetof(struct process_pause_config, process),
     .help = "Which process, by the service's name for it (postgres: postmaster with its children, "
             "patroni, etcd); the whole host when absent."},
    {0},
};

static const struct process_match *match_of(const struct injection *in) {
  return in->process ? &in->process->match : NULL;
}

static int process_pause_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->freeze(in->cluster, in->host, match_of(in), true, err);
}

static int process_pause_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  bool frozen = false;
  int status = in->cluster->provider->frozen(in->cluster, in->host, match_of(in), &frozen, err);
  if (status < 0) return status;
  *ret_active = frozen;
  return 0;
}

static int process_pause_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->freeze(in->cluster, in->host, match_of(in), false, err);
}

const struct injector injector_process_pause = {
    .plugin = {.name = "process-pause",
               .summary = "A process or a whole host stands still, and goes on when healed",
               .params = params,
               .config_size = sizeof(struct process_pause_config)},
    .needs = CAN_FREEZE,
    .target_offset = offsetof(struct process_pause_config, target),
    .process_offset = offsetof(struct process_pause_config, process),
    .inject = process_pause_inject,
    .confirm = process_pause_confirm,
    .heal = process_pause_heal,
};
