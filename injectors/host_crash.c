/* host-crash: a host loses power. Its link goes silent first, so that no peer sees a FIN or RST,
 * then everything on it dies at once; with `for` it is switched on again after that time. */
#include "injectors.h"

struct host_crash_config {
  struct target target;
};

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct host_crash_config, target),
     .required = true,
     .help = "Which host: SERVICE.primary, SERVICE.replica[N], SERVICE.any or host/NAME."},
    {0},
};

static int host_crash_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->host_stop(in->cluster, in->host, err);
}

static int host_crash_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  bool running = false;
  int status = in->cluster->provider->host_running(in->cluster, in->host, &running, err);
  if (status < 0) return status;
  *ret_active = !running;
  return 0;
}

static int host_crash_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->host_start(in->cluster, in->host, err);
}

const struct injector injector_host_crash = {
    .plugin = {.name = "host-crash",
               .summary = "A host loses power: everything on it is gone at once, without a goodbye",
               .params = params,
               .config_size = sizeof(struct host_crash_config)},
    .needs = CAN_HOST_POWER,
    .target_offset = offsetof(struct host_crash_config, target),
    .process_offset = SIZE_MAX,
    .inject = host_crash_inject,
    .confirm = host_crash_confirm,
    .heal = host_crash_heal,
};
