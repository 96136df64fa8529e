/* process-kill: one process of a host gets a signal, the host and its kernel live on: peers see
 * connections reset. Whether and how fast it comes back is the manager's affair. */
#include <signal.h>

#include "injectors.h"

static const char *const signal_names[] = {"SIGKILL", "SIGTERM", "SIGINT", NULL};
static const int signal_numbers[] = {SIGKILL, SIGTERM, SIGINT};

struct process_kill_config {
  struct target target;
  const char *process;
  int signal; /* index in signal_names */
};

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct process_kill_config, target),
     .required = true,
     .help = "Which host: SERVICE.primary, SERVICE.replica[N], SERVICE.any or host/NAME."},
    {.key = "process",
     .type = PARAM_STRING,
     .offset = offsetof(struct process_kill_config, process),
     .required = true,
     .help = "Which process, by the service's name for it (postgres: postmaster with its children, "
             "patroni, etcd)."},
    {.key = "signal",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct process_kill_config, signal),
     .choices = signal_names,
     .default_text = "SIGKILL",
     .help = "SIGKILL is a crash. SIGTERM and SIGINT ask for a shutdown, which PostgreSQL takes as "
             "smart (waits for clients, so that the effect may never come) and fast."},
    {0},
};

static int process_kill_inject(struct injection *in, struct error *err) {
  const struct process_kill_config *config = in->config;
  struct process_match match = in->process->match;
  /* A crash takes the children too; a request to shut down goes to the process that decides. */
  if (signal_numbers[config->signal] != SIGKILL) match.tree = false;
  uint32_t count = 0;
  int status = in->cluster->provider->process_signal(in->cluster, in->host, &match,
                                                     signal_numbers[config->signal], &count, err);
  if (status < 0) return status;
  if (count == 0)
    return error_set(err, STATUS_SERVER, "no process '%s' runs on host %s", in->process->name,
                     in->host->name);
  return 0;
}

static int process_kill_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  uint32_t count = 0;
  int status = in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 0,
                                                     &count, err);
  if (status < 0) return status;
  *ret_active = count == 0;
  return 0;
}

static int process_kill_heal(struct injection *in, struct error *err) {
  const struct provider *provider = in->cluster->provider;
  if (!in->process || !in->process->unit) return 0; /* its manager brings it back */
  bool running = false;
  int status = provider->host_running(in->cluster, in->host, &running, err);
  if (status < 0 || !running) return status; /* a host that is down starts it when it boots */
  return provider->unit_start(in->cluster, in->host, in->process->unit, err);
}

const struct injector injector_process_kill = {
    .plugin = {.name = "process-kill",
               .summary = "A process is killed by a signal while its host lives on",
               .params = params,
               .config_size = sizeof(struct process_kill_config)},
    .needs = CAN_SIGNAL | CAN_UNITS, /* the latter to heal what no manager brings back */
    .flags = INJECTOR_PASSES,
    .target_offset = offsetof(struct process_kill_config, target),
    .process_offset = offsetof(struct process_kill_config, process),
    .inject = process_kill_inject,
    .confirm = process_kill_confirm,
    .heal = process_kill_heal,
};
