/* Readers of one client host: leaders, waiters, and the popularity of keys. */
#include "workload/cache_process.h"

#include <math.h>
#include <stdlib.h>

#include "workload/cache_aside.h"

/* Of one key. */
struct shared_key {
  struct reading *leader, *waiters;
};

struct cache_process {
  struct prng prng;
  uint32_t key_count;
  struct shared_key *keys;
  double *cumulative; /* [i]: share of the keys 1 to i + 1 */
};

void cache_process_free(void *data) {
  struct cache_process *process = data;
  if (!process) return;
  free(process->keys);
  free(process->cumulative);
  free(process);
}

static void weigh(struct cache_process *process, const struct cache_aside_config *config) {
  double sum = 0;
  for (uint32_t i = 0; i < process->key_count; i++) {
    sum += config->popularity == CACHE_ZIPF ? pow(i + 1.0, -config->skew) : 1.0;
    process->cumulative[i] = sum;
  }
  for (uint32_t i = 0; i < process->key_count; i++) process->cumulative[i] /= sum;
}

int cache_process_new(const struct workload_env *env, void **ret_process, struct error *err) {
  const struct cache_aside_config *config = env->config;
  struct cache_process *process = calloc(1, sizeof *process);
  if (!process) return error_set(err, STATUS_MEMORY, "out of memory for readers of a cache");
  process->key_count = config->keys;
  process->keys = calloc(config->keys, sizeof *process->keys);
  process->cumulative = calloc(config->keys, sizeof *process->cumulative);
  if (!process->keys || !process->cumulative) {
    cache_process_free(process);
    return error_set(err, STATUS_MEMORY, "out of memory for %u keys", (unsigned)config->keys);
  }
  prng_init(&process->prng, env->seed, "cache-process");
  weigh(process, config);
  *ret_process = process;
  return 0;
}

uint32_t cache_process_draw(const void *data, double unit) {
  const struct cache_process *process = data;
  uint32_t low = 0, high = process->key_count - 1;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (process->cumulative[middle] > unit)
      high = middle;
    else
      low = middle + 1;
  }
  return low + 1;
}

double cache_process_random(void *data) {
  struct cache_process *process = data;
  return prng_unit(&process->prng);
}

bool cache_process_lead(void *data, struct reading *reading) {
  struct cache_process *process = data;
  struct shared_key *key = &process->keys[reading->key - 1];
  if (!key->leader) {
    key->leader = reading;
    reading->leads = true;
    return true;
  }
  if (reading->served) return false; /* it has what it needs */
  reading->next = key->waiters;
  key->waiters = reading;
  reading->waits = true;
  return false;
}

static void leave(struct shared_key *key, struct reading *reading) {
  struct reading **place = &key->waiters;
  while (*place && *place != reading) place = &(*place)->next;
  if (*place) *place = reading->next;
  reading->waits = false;
}

void cache_process_release(void *data, struct reading *reading) {
  struct cache_process *process = data;
  if (reading->key == 0) return; /* not begun */
  struct shared_key *key = &process->keys[reading->key - 1];
  if (reading->waits) leave(key, reading);
  if (!reading->leads) return;
  reading->leads = false;
  key->leader = NULL;
  struct reading *waiter = key->waiters;
  key->waiters = NULL;
  while (waiter) {
    struct reading *after = waiter->next;
    waiter->waits = false;
    waiter->served = reading->served;
    waiter->stamp_ns = reading->stamp_ns;
    waiter->outcome = OUTCOME_FAIL;
    waiter->code = reading->code ? reading->code : code_pack(CODE_NO_CONNECTION);
    waiter->steps->wake(waiter->steps);
    waiter = after;
  }
}
