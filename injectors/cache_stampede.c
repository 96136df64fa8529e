/* cache-stampede: what a cache holds is gone at once, and everybody who finds nothing there asks
 * what is behind it: keys that expire together, an emptied cache, one that was started anew. */
#include <inttypes.h>
#include <stdio.h>

#include "injectors.h"

static const char *const ways[] = {"expire", "flush", "restart", NULL};
static const enum keys_action actions[] = {KEYS_EXPIRE, KEYS_FLUSH, KEYS_RESTART};

struct cache_stampede_config {
  struct target target;
  int how; /* index in ways */
  const char *keys;
};

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct cache_stampede_config, target),
     .required = true,
     .help = "Which server of the cache: SERVICE.primary, SERVICE.replica[N], SERVICE.any or "
             "host/NAME."},
    {.key = "how",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct cache_stampede_config, how),
     .choices = ways,
     .default_text = "expire",
     .help = "expire: the keys that match are removed; flush: all keys are; restart: the server is "
             "killed and comes back with nothing."},
    {.key = "keys",
     .type = PARAM_STRING,
     .offset = offsetof(struct cache_stampede_config, keys),
     .default_text = "gd:c:*",
     .help = "expire: which keys, with * for anything; also which are counted to see that they are "
             "gone (default: those of the workload cache-aside)."},
    {0},
};

static int ask(const struct injection *in, enum keys_action action, struct keys_count *ret,
               struct error *err) {
  const struct cache_stampede_config *config = in->config;
  if (!in->service->service->keys)
    return error_set(err, STATUS_ENVIRONMENT, "the service %s has no keys to remove here",
                     in->service->service->plugin.name);
  return in->service->service->keys(in->service, action, in->host, config->keys, ret, err);
}

static int cache_stampede_fits(const void *config, const struct fault_place *place,
                               struct error *err) {
  (void)config;
  if (place->service->keys) return 0;
  return error_set(err, STATUS_USAGE, "target: %s is no cache; expected a service that is (redis)",
                   place->service->plugin.name);
}

/* The note is what tells that it happened: how many keys were there, and are left. It is written
 * before the keys are gone too, so that a heal knows nothing of a fault that never was. */
static int cache_stampede_inject(struct injection *in, struct error *err) {
  const struct cache_stampede_config *config = in->config;
  struct keys_count before = {.now = 0}, after = {.now = 0};
  int status = ask(in, KEYS_LOOK, &before, err);
  if (status == 0) status = ask(in, actions[config->how], &after, err);
  if (status < 0) return status;
  snprintf(in->note, sizeof in->note, "%" PRIu64 " %" PRIu64, before.now, after.now);
  return 0;
}

/* Those who use the cache begin to fill it at once: what counts is how many were left then, and
 * that there is a server that can be asked now. */
static int cache_stampede_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  struct keys_count now = {.now = 0};
  uint64_t before = 0, left = 0;
  if (!in->service) { /* from the journal: there is nothing that would last */
    *ret_active = false;
    return 0;
  }
  int status = ask(in, KEYS_LOOK, &now, err);
  if (status < 0) return status;
  bool noted = sscanf(in->note, "%" SCNu64 " %" SCNu64, &before, &left) == 2;
  uint64_t fewest = now.now < left ? now.now : left;
  *ret_active = noted && fewest < before;
  return 0;
}

/* A moment cannot be undone; from here on it is over. */
static int cache_stampede_heal(struct injection *in, struct error *err) {
  (void)err;
  in->note[0] = '\0';
  return 0;
}

const struct injector injector_cache_stampede = {
    .plugin = {.name = "cache-stampede",
               .summary = "What a cache holds is gone at once",
               .params = params,
               .config_size = sizeof(struct cache_stampede_config)},
    .flags = INJECTOR_MOMENT,
    .target_offset = offsetof(struct cache_stampede_config, target),
    .process_offset = SIZE_MAX,
    .fits = cache_stampede_fits,
    .inject = cache_stampede_inject,
    .confirm = cache_stampede_confirm,
    .heal = cache_stampede_heal,
};
