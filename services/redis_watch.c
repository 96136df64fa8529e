/* Watches the servers of a `redis` service: one asynchronous connection each, asked every 100 ms
 * what it is and how far its data go, every second for everything else. Whatever a server does is
 * an observation; nothing here fails once watching has begun. */
#include "services/redis_watch.h"

#include <stdlib.h>
#include <string.h>

#include "gameday/tell.h"

#define POLL_NS (100 * NS_PER_MS)
#define FULL_NS NS_PER_S

/* --- telling --- */

void redis_event(struct service_instance *service, uint64_t now_ns, const struct event *event) {
  struct event full = *event;
  full.time_ns = now_ns - service->start_ns;
  full.fault = FAULT_NONE;
  service->sink->event(service->sink, &full);
}

static void sample(const struct redis_server_watch *server, uint64_t now_ns, enum metric metric,
                   double value) {
  service_sample(server->watcher->service, now_ns, metric, server->tap.host->index, value);
}

void redis_view(const struct service_instance *service, struct service_view *ret_view) {
  struct redis_state *state = redis_state(service);
  pthread_mutex_lock(&state->view_mutex);
  *ret_view = state->view;
  pthread_mutex_unlock(&state->view_mutex);
}

static enum role role_of(const struct redis_word *word) {
  if (!word->answers) return ROLE_NONE;
  return word->primary ? ROLE_PRIMARY : ROLE_REPLICA;
}

/* The primary of a member's shard, or of all: the only one that there is. */
static uint32_t primary_for(const struct redis_watcher *watcher, uint32_t member) {
  return redis_one_primary(watcher->words, watcher->server_count, watcher->words[member].shard);
}

static bool streams(const struct redis_watcher *watcher, uint32_t member) {
  uint32_t primary = primary_for(watcher, member);
  return primary != UINT32_MAX && primary != member &&
         redis_follows(watcher->words, member, primary);
}

static bool redundant(const struct redis_watcher *watcher, uint16_t primary) {
  uint16_t shards = redis_shards(redis_config(watcher->service));
  return redis_words_redundant(watcher->words, watcher->server_count, shards,
                               watcher->service->lag_bound_bytes) &&
         (watcher->sentinel_count == 0 || redis_sentinels_follow(watcher, primary)) &&
         (shards == 0 || redis_nodes_agree(watcher));
}

void redis_publish(struct redis_watcher *watcher, uint64_t now_ns) {
  struct redis_state *state = redis_state(watcher->service);
  struct service_view view;
  redis_view(watcher->service, &view);
  bool before = view.redundant;
  for (uint32_t i = 0; i < watcher->server_count; i++) {
    const struct redis_word *word = &watcher->words[i];
    struct host_view *host = &view.hosts[watcher->servers[i].tap.host->index];
    host->role = role_of(word);
    host->writable = word->answers && word->writable;
    host->streaming = streams(watcher, i);
    host->timeline = word->history;
    host->shard = word->shard;
    host->position = word->offset;
    host->lag_bytes = word->primary ? 0 : word->lag;
    host->seen_ns = watcher->servers[i].seen_ns;
  }
  uint32_t primary =
      view.shards ? UINT32_MAX : redis_one_primary(watcher->words, watcher->server_count, 0);
  view.primary = primary == UINT32_MAX ? HOST_NONE : watcher->servers[primary].tap.host->index;
  view.leader = view.shards || watcher->leaders[0].lost ? HOST_NONE : watcher->leaders[0].host;
  view.redundant = redundant(watcher, view.primary);
  pthread_mutex_lock(&state->view_mutex);
  state->view = view;
  pthread_mutex_unlock(&state->view_mutex);
  if (view.redundant == before) return;
  const struct event event = {.kind = EVENT_REDUNDANT, .host = HOST_NONE, .number = view.redundant};
  redis_event(watcher->service, now_ns, &event);
}

static void tell_role(struct redis_server_watch *server, uint64_t now_ns, enum event_kind kind,
                      const char *text) {
  const struct redis_word *word = &server->watcher->words[server->member];
  struct event event = {.kind = kind,
                        .host = server->tap.host->index,
                        .role = (uint8_t)role_of(word),
                        .number = word->history,
                        .number2 = word->shard};
  snprintf(event.text, sizeof event.text, "%s", text);
  redis_event(server->watcher->service, now_ns, &event);
}

/* --- answers --- */

/* What a primary lists of its replicas; of two rows for the same one (an old connection that it has
 * not given up) either will do. */
static void take_listed(const struct redis_watcher *watcher, const struct redis_info *info,
                        struct redis_word *word) {
  struct bits heard = {{0}};
  word->listed = heard;
  for (uint32_t i = 0; i < info->listed_count; i++) {
    uint32_t member = redis_member_at(watcher->service, info->listed[i].address);
    if (member == UINT32_MAX || !info->listed[i].online) continue;
    bits_add(&word->listed, member);
    if (info->listed[i].lag_s < REDIS_ACKNOWLEDGE_OVERDUE_S) bits_add(&heard, member);
  }
  word->overdue = word->listed;
  bits_remove_all(&word->overdue, &heard);
}

static void take_history(struct redis_server_watch *server, const struct redis_info *info,
                         struct redis_word *word) {
  /* A replica that has no data yet has a history of its own making, which is nobody's. */
  if (!info->primary && !info->link_up) return;
  word->history =
      redis_histories_number(&redis_state(server->watcher->service)->histories, info->history);
}

/* Redis refuses writes while it loads, while it is a cluster's node that sees no majority or a slot
 * without a master, and as the scenario asks for without enough replicas in time. */
static bool writable(const struct redis_server_watch *server, const struct redis_info *info) {
  const struct redis_config *config = redis_config(server->watcher->service);
  if (!info->primary || server->loading) return false;
  if (config->topology == REDIS_CLUSTER && !server->cluster_ok) return false;
  return config->min_replicas_to_write == 0 ||
         (info->has_good_replicas && info->good_replicas >= config->min_replicas_to_write);
}

static void take_word(struct redis_server_watch *server, const struct redis_info *info) {
  struct redis_watcher *watcher = server->watcher;
  struct redis_word *word = &watcher->words[server->member];
  word->answers = true;
  word->primary = info->primary;
  word->writable = writable(server, info);
  word->offset = info->offset;
  word->link_up = info->link_up;
  word->from = info->primary ? UINT32_MAX : redis_member_at(watcher->service, info->from);
  take_history(server, info, word);
  take_listed(watcher, info, word);
  word->lag = 0;
  uint32_t primary = primary_for(watcher, server->member);
  if (!word->primary && primary != UINT32_MAX && watcher->words[primary].offset > word->offset)
    word->lag = watcher->words[primary].offset - word->offset;
}

/* By the primary's word: whole seconds since a replica acknowledged. */
static void sample_lags(struct redis_server_watch *primary, const struct redis_info *info,
                        uint64_t now_ns) {
  struct redis_watcher *watcher = primary->watcher;
  for (uint32_t i = 0; i < info->listed_count; i++) {
    uint32_t member = redis_member_at(watcher->service, info->listed[i].address);
    if (member != UINT32_MAX && info->listed[i].online)
      sample(&watcher->servers[member], now_ns, METRIC_LAG_SECONDS, info->listed[i].lag_s);
  }
}

static void sample_stats(struct redis_server_watch *server, const struct redis_info *info,
                         uint64_t now_ns) {
  sample(server, now_ns, METRIC_CONNECTIONS, (double)info->clients);
  sample(server, now_ns, METRIC_MEMORY_USED, (double)info->memory_used);
  sample(server, now_ns, METRIC_EVICTED_KEYS, (double)info->evicted_keys);
  sample(server, now_ns, METRIC_EXPIRED_KEYS, (double)info->expired_keys);
  sample(server, now_ns, METRIC_KEYSPACE_HITS, (double)info->keyspace_hits);
  sample(server, now_ns, METRIC_KEYSPACE_MISSES, (double)info->keyspace_misses);
  sample(server, now_ns, METRIC_SNAPSHOT_FAILED, info->snapshot_failed);
  if (info->primary) sample_lags(server, info, now_ns);
}

static void sample_word(struct redis_server_watch *server, const struct redis_word *before,
                        uint64_t now_ns) {
  const struct redis_watcher *watcher = server->watcher;
  const struct redis_word *word = &watcher->words[server->member];
  sample(server, now_ns, METRIC_WAL_POSITION, (double)word->offset);
  if (word->history != before->history || !before->answers)
    sample(server, now_ns, METRIC_TIMELINE, word->history);
  if (word->primary) return;
  sample(server, now_ns, METRIC_STREAMING, streams(watcher, server->member));
  if (primary_for(watcher, server->member) != UINT32_MAX)
    sample(server, now_ns, METRIC_LAG_BYTES, (double)word->lag);
}

static void take_info(struct redis_tap *tap, const redisReply *reply) {
  struct redis_server_watch *server = tap->owner;
  struct redis_watcher *watcher = server->watcher;
  struct redis_info info;
  if (reply->type != REDIS_REPLY_STRING || !redis_parse_info(reply->str, reply->len, &info)) {
    redis_tap_drop(tap, reply->type == REDIS_REPLY_ERROR ? reply->str : "INFO has no role");
    return;
  }
  uint64_t now_ns = loop_now_ns(watcher->loop);
  struct redis_word *word = &watcher->words[server->member];
  const struct redis_word before = *word;
  server->seen_ns = now_ns;
  if (info.has_stats) server->loading = info.loading;
  take_word(server, &info);
  if (role_of(word) != role_of(&before) || word->history != before.history)
    tell_role(server, now_ns, EVENT_ROLE, "");
  if (!word->primary) server->promoted = false;
  if (word->writable && !server->promoted) {
    server->promoted = true;
    tell_role(server, now_ns, EVENT_PROMOTED, "");
  }
  sample_word(server, &before, now_ns);
  if (info.has_stats) sample_stats(server, &info, now_ns);
  redis_publish(watcher, now_ns);
}

/* --- asking --- */

static void silent(struct redis_tap *tap, const char *why) {
  struct redis_server_watch *server = tap->owner;
  struct redis_watcher *watcher = server->watcher;
  struct redis_word *word = &watcher->words[server->member];
  redis_cluster_forget(server);
  if (!word->answers) return;
  uint64_t now_ns = loop_now_ns(watcher->loop);
  word->answers = word->primary = word->writable = word->link_up = false;
  word->listed = (struct bits){{0}};
  server->promoted = false;
  tell_role(server, now_ns, EVENT_ROLE, why);
  redis_publish(watcher, now_ns);
}

static void ask(struct redis_server_watch *server, uint64_t now_ns) {
  static const struct redis_question info = {.answered = take_info};
  if (!server->tap.ready || server->tap.awaited > 0) return;
  bool full = now_ns >= server->full_ns;
  if (full) server->full_ns = now_ns + FULL_NS;
  /* A server that loads says so in another section than its role. */
  bool all = full || server->loading;
  if (redis_config(server->watcher->service)->topology == REDIS_CLUSTER) redis_cluster_ask(server);
  redis_tap_ask(&server->tap, &info, all ? "INFO" : "INFO replication");
}

static void opened(struct redis_tap *tap) {
  struct redis_server_watch *server = tap->owner;
  server->loading = true; /* until it says that it does not */
  ask(server, loop_now_ns(server->watcher->loop));
}

static void tick_fired(struct timer *timer, uint64_t now_ns) {
  struct redis_server_watch *server = timer->owner;
  server->tick_ns += POLL_NS;
  if (server->tick_ns <= now_ns) server->tick_ns = now_ns + POLL_NS;
  loop_timer_arm(server->watcher->loop, &server->tick, server->tick_ns, NULL);
  ask(server, now_ns);
}

/* --- begin and end --- */

static int start_server(struct redis_watcher *watcher, uint32_t member, struct error *err) {
  struct redis_server_watch *server = &watcher->servers[member];
  struct service_instance *service = watcher->service;
  server->watcher = watcher;
  server->member = member;
  server->loading = true;
  server->tap = (struct redis_tap){.service = service,
                                   .loop = watcher->loop,
                                   .host = service->members[member],
                                   .port = REDIS_PORT,
                                   .opened = opened,
                                   .silent = silent,
                                   .owner = server};
  watcher->words[member] = (struct redis_word){
      .shard = redis_first_shard(redis_config(service), member), .from = UINT32_MAX};
  redis_cluster_forget(server);
  server->tick = (struct timer){.fire = tick_fired, .owner = server};
  server->tick_ns = loop_now_ns(watcher->loop);
  int status = redis_tap_start(&server->tap, err);
  if (status == 0) status = loop_reserve_timers(watcher->loop, 1, err);
  if (status == 0) status = loop_timer_arm(watcher->loop, &server->tick, server->tick_ns, err);
  return status;
}

int redis_watch(struct service_instance *service, struct loop *loop, struct error *err) {
  struct redis_watcher *watcher = calloc(1, sizeof *watcher);
  if (!watcher) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  service_block_sigpipe();
  watcher->service = service;
  watcher->loop = loop;
  for (uint32_t i = 0; i < REDIS_SHARDS_MAX; i++) watcher->leaders[i].host = HOST_NONE;
  redis_state(service)->watcher = watcher;
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < redis_data_count(service); i++) {
    watcher->server_count = i + 1;
    status = start_server(watcher, i, err);
  }
  if (status == 0) status = redis_sentinels_start(watcher, err);
  if (status < 0) redis_unwatch(service);
  return status;
}

void redis_unwatch(struct service_instance *service) {
  struct redis_watcher *watcher = redis_state(service)->watcher;
  if (!watcher) return;
  redis_state(service)->watcher = NULL;
  for (uint32_t i = 0; i < watcher->server_count; i++) {
    loop_timer_cancel(watcher->loop, &watcher->servers[i].tick);
    redis_tap_stop(&watcher->servers[i].tap);
  }
  redis_sentinels_stop(watcher);
  free(watcher);
}
