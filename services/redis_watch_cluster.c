/* Watches what each node of a Redis Cluster knows of it: whether it serves, whom it takes for the
 * master of each shard and under which epoch, and whom the majority has declared failed. */
#include <stdio.h>
#include <string.h>

#include "services/redis_watch.h"

void redis_cluster_forget(struct redis_server_watch *server) {
  if (server->cluster_known) {
    struct event event = {.kind = EVENT_MANAGER, .host = server->tap.host->index};
    redis_event(server->watcher->service, loop_now_ns(server->watcher->loop), &event);
  }
  server->cluster_known = server->cluster_ok = false;
  for (uint32_t i = 0; i < REDIS_SHARDS_MAX; i++) server->claims[i].host = HOST_NONE;
}

static void take_state(struct redis_tap *tap, const redisReply *reply) {
  struct redis_server_watch *server = tap->owner;
  struct redis_cluster_info info;
  if (reply->type != REDIS_REPLY_STRING || !redis_parse_cluster_info(reply->str, reply->len, &info))
    return;
  if (!server->cluster_known || server->cluster_ok != info.ok) {
    struct event event = {.kind = EVENT_MANAGER, .host = tap->host->index};
    snprintf(event.text, sizeof event.text, "cluster_state:%s", info.ok ? "ok" : "fail");
    redis_event(server->watcher->service, loop_now_ns(server->watcher->loop), &event);
  }
  server->cluster_known = true;
  server->cluster_ok = info.ok;
}

/* Who says so, for the event's text. */
static void describe(const struct redis_server_watch *server, const char *what, char *text,
                     size_t size) {
  snprintf(text, size, "CLUSTER NODES on %s: %s", server->tap.host->name, what);
}

/* Whether anybody who answers sees the leader of the shard as failed. */
static const struct redis_server_watch *seen_failed(const struct redis_watcher *watcher,
                                                    uint8_t shard) {
  const struct redis_leader *leader = &watcher->leaders[shard - 1];
  for (uint32_t i = 0; i < watcher->server_count; i++) {
    const struct redis_server_watch *one = &watcher->servers[i];
    if (one->claims[shard - 1].host == leader->host && one->claims[shard - 1].failed) return one;
  }
  return NULL;
}

/* Who knows another master than the leader under a higher epoch than its own: that is the one that
 * all will follow; a node that was cut off shows an older one. NULL: nobody. */
static const struct redis_server_watch *seen_successor(const struct redis_watcher *watcher,
                                                       uint8_t shard) {
  const struct redis_leader *leader = &watcher->leaders[shard - 1];
  const struct redis_server_watch *newest = NULL, *own = NULL;
  for (uint32_t i = 0; i < watcher->server_count; i++) {
    const struct redis_server_watch *one = &watcher->servers[i], **best = &newest;
    if (one->claims[shard - 1].host == HOST_NONE) continue;
    if (one->claims[shard - 1].host == leader->host) best = &own;
    if (!*best || one->claims[shard - 1].epoch > (*best)->claims[shard - 1].epoch) *best = one;
  }
  if (!newest) return NULL;
  uint64_t known = leader->host == HOST_NONE ? 0 : leader->epoch;
  if (own && own->claims[shard - 1].epoch > known) known = own->claims[shard - 1].epoch;
  return newest->claims[shard - 1].epoch > known ? newest : NULL;
}

static void judge(struct redis_watcher *watcher, uint8_t shard) {
  struct redis_leader *leader = &watcher->leaders[shard - 1];
  char text[EVENT_TEXT_SIZE];
  const struct redis_server_watch *by = seen_successor(watcher, shard);
  if (by) {
    leader->epoch = by->claims[shard - 1].epoch;
    describe(by, "master of the shard", text, sizeof text);
    redis_leader_is(watcher, shard, by->claims[shard - 1].host, text);
  }
  const struct redis_server_watch *failed = seen_failed(watcher, shard);
  if (failed) {
    describe(failed, "flagged fail", text, sizeof text);
    redis_leader_lost(watcher, shard, leader->host, text);
  } else if (leader->lost) {
    redis_leader_is(watcher, shard, leader->host, "no node flags it as failed any more");
  }
}

static void take_nodes(struct redis_tap *tap, const redisReply *reply) {
  struct redis_server_watch *server = tap->owner;
  struct redis_watcher *watcher = server->watcher;
  struct redis_node nodes[2 * REDIS_INSTANCES_MAX];
  uint8_t shards = redis_shards(redis_config(watcher->service));
  if (reply->type != REDIS_REPLY_STRING) return;
  uint32_t count = redis_parse_nodes(reply->str, reply->len, nodes, sizeof nodes / sizeof nodes[0]);
  for (uint32_t i = 0; i < REDIS_SHARDS_MAX; i++) server->claims[i].host = HOST_NONE;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t member = redis_member_at(watcher->service, nodes[i].address);
    if (!nodes[i].master || nodes[i].slot_count == 0 || member == UINT32_MAX) continue;
    uint8_t shard = redis_slot_shard(nodes[i].first_slot, shards);
    server->claims[shard - 1].host = watcher->service->members[member]->index;
    server->claims[shard - 1].failed = nodes[i].failed;
    server->claims[shard - 1].epoch = nodes[i].epoch;
  }
  for (uint8_t shard = 1; shard <= shards; shard++) judge(watcher, shard);
}

void redis_cluster_ask(struct redis_server_watch *server) {
  static const struct redis_question state = {.answered = take_state};
  static const struct redis_question nodes = {.answered = take_nodes};
  redis_tap_ask(&server->tap, &state, "CLUSTER INFO");
  redis_tap_ask(&server->tap, &nodes, "CLUSTER NODES");
}
