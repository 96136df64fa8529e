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
  memset(server->follows, 0xFF, sizeof server->follows);
}

bool redis_nodes_agree(const struct redis_watcher *watcher) {
  for (uint32_t m = 0; m < watcher->server_count; m++) {
    uint32_t primary =
        redis_one_primary(watcher->words, watcher->server_count, watcher->words[m].shard);
    for (uint32_t i = 0; i < watcher->server_count; i++)
      if (watcher->servers[i].follows[m] != primary) return false;
  }
  return true;
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
                                                    uint16_t shard) {
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
                                                       uint16_t shard) {
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

static void judge(struct redis_watcher *watcher, uint16_t shard) {
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

/* The member that is the master of a replica's line; UINT16_MAX: none of ours. */
static uint16_t master_of(const struct redis_watcher *watcher, const struct redis_node *replica,
                          const struct redis_node *nodes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(nodes[i].id, replica->master_id) == 0)
      return (uint16_t)redis_member_at(watcher->service, nodes[i].address);
  return UINT16_MAX;
}

static void take_node(struct redis_server_watch *server, uint32_t member,
                      const struct redis_node *node, const struct redis_node *nodes,
                      uint32_t count) {
  struct redis_watcher *watcher = server->watcher;
  bool serves = node->master && node->slot_count > 0;
  if (!node->failed && !node->suspected && (serves || node->master_id[0]))
    server->follows[member] = serves ? (uint16_t)member : master_of(watcher, node, nodes, count);
  if (!serves) return;
  uint16_t shard = redis_slot_shard(node->first_slot, redis_shards(redis_config(watcher->service)));
  server->claims[shard - 1].host = watcher->service->members[member]->index;
  server->claims[shard - 1].failed = node->failed;
  server->claims[shard - 1].epoch = node->epoch;
}

static void take_nodes(struct redis_tap *tap, const redisReply *reply) {
  struct redis_server_watch *server = tap->owner;
  struct redis_watcher *watcher = server->watcher;
  struct redis_node nodes[2 * REDIS_INSTANCES_MAX];
  if (reply->type != REDIS_REPLY_STRING) return;
  uint32_t count = redis_parse_nodes(reply->str, reply->len, nodes, sizeof nodes / sizeof nodes[0]);
  for (uint32_t i = 0; i < REDIS_SHARDS_MAX; i++) server->claims[i].host = HOST_NONE;
  memset(server->follows, 0xFF, sizeof server->follows);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t member = redis_member_at(watcher->service, nodes[i].address);
    if (member != UINT32_MAX) take_node(server, member, &nodes[i], nodes, count);
  }
  uint16_t shards = redis_shards(redis_config(watcher->service));
  for (uint16_t shard = 1; shard <= shards; shard++) judge(watcher, shard);
}

void redis_cluster_ask(struct redis_server_watch *server) {
  static const struct redis_question state = {.answered = take_state};
  static const struct redis_question nodes = {.answered = take_nodes};
  redis_tap_ask(&server->tap, &state, "CLUSTER INFO");
  redis_tap_ask(&server->tap, &nodes, "CLUSTER NODES");
}
