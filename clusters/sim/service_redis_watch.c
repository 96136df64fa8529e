/* Watches a simulated `redis` as services/redis_watch.c watches a real one: the same events and
 * samples at the same periods. But what changes is told at the very tick; only silence is noticed
 * as late as it is in reality. */
#include <stdio.h>
#include <string.h>

#include "gameday/tell.h"
#include "sim/service_redis.h"

#define POLL_NS (100 * NS_PER_MS)
#define STATS_NS NS_PER_S
#define SILENCE_NS NS_PER_S

static uint16_t host_of(const struct sim_redis_service *service, uint32_t member) {
  return service->instance->members[member]->index;
}

void redis_service_tell(struct sim_redis_service *service, const struct event *event) {
  struct event full = *event;
  full.time_ns = redis_service_now_ns(service) - service->instance->start_ns;
  full.fault = FAULT_NONE;
  service->instance->sink->event(service->instance->sink, &full);
}

static void sample(struct sim_redis_service *service, uint32_t member, enum metric metric,
                   double value) {
  service_sample(service->instance, redis_service_now_ns(service), metric, host_of(service, member),
                 value);
}

/* --- one member ------------------------------------------------------------------------------ */

bool redis_service_unreachable(const struct sim_redis_service *service, uint16_t host,
                               uint16_t port) {
  struct sim_world *world = &service->cluster->world;
  return service->monitor != HOST_NONE && (!sim_link_is_open(world, service->monitor, host, port) ||
                                           !sim_link_is_open(world, host, service->monitor, port));
}

static bool is_mute(const struct sim_redis_service *service, uint32_t member) {
  return sim_redis_process(service->servers, member)->frozen ||
         redis_service_unreachable(service, host_of(service, member), REDIS_PORT);
}

static bool is_silent(struct sim_redis_service *service, uint32_t member) {
  struct sim_redis_watched *watched = &service->watched[member];
  uint64_t now_ns = redis_service_now_ns(service);
  if (!is_mute(service, member)) {
    watched->mute_since_ns = TIME_NEVER;
    return false;
  }
  if (watched->mute_since_ns == TIME_NEVER) watched->mute_since_ns = now_ns;
  return now_ns - watched->mute_since_ns >= SILENCE_NS;
}

static enum role role_of(const struct redis_word *word) {
  if (!word->answers) return ROLE_NONE;
  return word->primary ? ROLE_PRIMARY : ROLE_REPLICA;
}

static void tell_role(struct sim_redis_service *service, uint32_t member, enum event_kind kind,
                      const char *text) {
  const struct redis_word *word = &service->words[member];
  struct event event = {.kind = kind,
                        .host = host_of(service, member),
                        .role = (uint8_t)role_of(word),
                        .number = word->history,
                        .number2 = word->shard};
  snprintf(event.text, sizeof event.text, "%s", text);
  redis_service_tell(service, &event);
}

static void look_silent(struct sim_redis_service *service, uint32_t member, bool runs) {
  struct redis_word *word = &service->words[member];
  const char *why = "no answer within 1 s";
  if (!word->answers) return;
  if (!runs) why = "connection refused";
  if (!service->cluster->world.hosts[host_of(service, member)].on) why = "the host is off";
  word->answers = word->primary = word->writable = word->link_up = false;
  word->listed = (struct bits){{0}};
  service->watched[member].promoted = false;
  tell_role(service, member, EVENT_ROLE, why);
}

static void look_at(struct sim_redis_service *service, uint32_t member) {
  struct redis_word *word = &service->words[member];
  struct sim_redis_watched *watched = &service->watched[member];
  const enum role role_before = role_of(word);
  const uint32_t history_before = word->history;
  struct sim_redis_view view;
  sim_redis_view(service->servers, member, &view);
  if (!view.runs || is_silent(service, member)) {
    look_silent(service, member, view.runs);
    return;
  }
  if (is_mute(service, member)) return; /* not yet silent, and says nothing new */
  word->answers = true;
  word->primary = view.primary;
  word->writable = view.writable;
  word->offset = view.offset;
  word->link_up = view.link_up;
  word->from = view.from;
  word->listed = view.listed;
  word->overdue = view.overdue;
  if (view.history) word->history = view.history;
  if (view.shard) word->shard = view.shard;
  service->view.hosts[host_of(service, member)].seen_ns = redis_service_now_ns(service);
  if (role_of(word) != role_before || word->history != history_before)
    tell_role(service, member, EVENT_ROLE, "");
  if (!word->primary) watched->promoted = false;
  if (!word->writable || watched->promoted) return;
  watched->promoted = true;
  tell_role(service, member, EVENT_PROMOTED, "");
}

/* --- all of them ----------------------------------------------------------------------------- */

static uint32_t primary_for(const struct sim_redis_service *service, uint32_t member) {
  uint16_t shard = service->words[member].shard, shards = service->view.shards;
  if (shard == 0 || shard > shards) return redis_one_primary(service->words, service->count, shard);
  return service->primaries[shard - 1];
}

static bool streams(const struct sim_redis_service *service, uint32_t member, uint32_t primary) {
  return primary != UINT32_MAX && primary != member &&
         redis_follows(service->words, member, primary);
}

static void take_lag(struct sim_redis_service *service, uint32_t member) {
  struct redis_word *word = &service->words[member];
  uint32_t primary = primary_for(service, member);
  word->lag = 0;
  if (!word->primary && primary != UINT32_MAX && service->words[primary].offset > word->offset)
    word->lag = service->words[primary].offset - word->offset;
}

static void publish(struct sim_redis_service *service) {
  struct service_view *view = &service->view;
  for (uint32_t i = 0; i < service->count; i++) {
    const struct redis_word *word = &service->words[i];
    struct host_view *host = &view->hosts[host_of(service, i)];
    host->role = role_of(word);
    host->writable = word->answers && word->writable;
    host->streaming = streams(service, i, primary_for(service, i));
    host->timeline = word->history;
    host->shard = word->shard;
    host->position = word->offset;
    host->lag_bytes = word->primary ? 0 : word->lag;
  }
  uint32_t primary =
      view->shards ? UINT32_MAX : redis_one_primary(service->words, service->count, 0);
  view->primary = primary == UINT32_MAX ? HOST_NONE : host_of(service, primary);
  view->leader = view->shards || service->leaders[0].lost ? HOST_NONE : service->leaders[0].host;
  bool redundant =
      redis_words_redundant(service->words, service->count, view->shards,
                            service->instance->lag_bound_bytes) &&
      (service->sentinel_count == 0 || redis_service_sentinels_follow(service, view->primary));
  if (redundant == view->redundant) return;
  view->redundant = redundant;
  const struct event event = {.kind = EVENT_REDUNDANT, .host = HOST_NONE, .number = redundant};
  redis_service_tell(service, &event);
}

static void look(struct sim_redis_service *service) {
  for (uint32_t i = 0; i < service->count; i++) look_at(service, i);
  redis_primaries(service->words, service->count, service->view.shards, service->primaries);
  for (uint32_t i = 0; i < service->count; i++) take_lag(service, i);
  if (service->sentinel_count > 0) redis_service_look_at_sentinels(service);
  if (service->view.shards > 0) redis_service_look_at_nodes(service);
  publish(service);
}

static void changed(void *data) {
  look(data);
}

/* --- samples --------------------------------------------------------------------------------- */

static void again(struct sim_redis_service *service, struct timer *timer, uint64_t period_ns) {
  loop_timer_arm(service->loop, timer, timer->deadline_ns + period_ns, NULL);
}

static void look_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_redis_service *service = timer->owner;
  (void)now_ns;
  again(service, timer, POLL_NS);
  look(service);
  for (uint32_t i = 0; i < service->count; i++) {
    const struct redis_word *word = &service->words[i];
    struct sim_redis_watched *watched = &service->watched[i];
    if (!word->answers) watched->sampled_history = 0;
    if (!word->answers || is_mute(service, i)) continue;
    sample(service, i, METRIC_WAL_POSITION, (double)word->offset);
    if (word->history != watched->sampled_history)
      sample(service, i, METRIC_TIMELINE, word->history);
    watched->sampled_history = word->history;
    if (word->primary) continue;
    uint32_t primary = primary_for(service, i);
    sample(service, i, METRIC_STREAMING, streams(service, i, primary));
    if (primary != UINT32_MAX) sample(service, i, METRIC_LAG_BYTES, (double)word->lag);
  }
}

static void stats_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_redis_service *service = timer->owner;
  (void)now_ns;
  again(service, timer, STATS_NS);
  for (uint32_t i = 0; i < service->count; i++) {
    struct sim_redis_view view;
    if (!service->words[i].answers || is_mute(service, i)) continue;
    sim_redis_view(service->servers, i, &view);
    sample(service, i, METRIC_CONNECTIONS, view.clients);
    if (!view.answers) continue; /* one that loads has no data to count yet */
    struct sim_redis_memory memory;
    sim_redis_memory(service->servers, i, &memory);
    sample(service, i, METRIC_MEMORY_USED, (double)memory.used_bytes);
    sample(service, i, METRIC_EVICTED_KEYS, (double)memory.evicted);
    sample(service, i, METRIC_EXPIRED_KEYS, (double)memory.expired);
    sample(service, i, METRIC_KEYSPACE_HITS, (double)memory.hits);
    sample(service, i, METRIC_KEYSPACE_MISSES, (double)memory.misses);
    sample(service, i, METRIC_SNAPSHOT_FAILED, 0); /* none ever does here */
  }
}

/* --- begin and end --------------------------------------------------------------------------- */

static int arm(struct sim_redis_service *service, struct timer *timer,
               void (*fire)(struct timer *timer, uint64_t now_ns), struct error *err) {
  *timer = (struct timer){.fire = fire, .owner = service};
  return loop_timer_arm(service->loop, timer, redis_service_now_ns(service), err);
}

int redis_service_watch(struct service_instance *instance, struct loop *loop, struct error *err) {
  struct sim_redis_service *service = redis_service_of(instance);
  service->loop = loop;
  service->view = (struct service_view){.primary = HOST_NONE,
                                        .leader = HOST_NONE,
                                        .shards = redis_shards(redis_service_config(service))};
  service->monitor = HOST_NONE;
  for (uint32_t i = 0; i < instance->cluster->host_count; i++)
    if (instance->cluster->hosts[i].kind == HOST_MONITOR) service->monitor = (uint16_t)i;
  for (uint32_t i = 0; i < service->count; i++) {
    service->watched[i] = (struct sim_redis_watched){.mute_since_ns = TIME_NEVER};
    service->words[i] =
        (struct redis_word){.shard = redis_first_shard(instance->config, i), .from = UINT32_MAX};
  }
  for (uint32_t i = 0; i < REDIS_SHARDS_MAX; i++)
    service->leaders[i] = (struct sim_redis_leader){.host = HOST_NONE};
  service->answering = (struct bits){{0}};
  service->unsettled = bits_below(service->view.shards);
  for (uint32_t i = 0; i < service->sentinel_count; i++)
    service->sentinel_watched[i] = (struct sim_sentinel_watched){.word = {.primary = UINT32_MAX}};
  sim_redis_listen(service->servers, changed, service);
  int status = arm(service, &service->look, look_fired, err);
  if (status == 0) status = arm(service, &service->stats, stats_fired, err);
  if (status < 0) redis_service_unwatch(instance);
  if (status == 0) look(service);
  return status;
}

void redis_service_unwatch(struct service_instance *instance) {
  struct sim_redis_service *service = redis_service_of(instance);
  if (!service->loop) return;
  loop_timer_cancel(service->loop, &service->look);
  loop_timer_cancel(service->loop, &service->stats);
  sim_redis_listen(service->servers, NULL, NULL);
  service->loop = NULL;
}
