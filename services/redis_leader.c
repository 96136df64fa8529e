/* Who leads, as Sentinels or the nodes of a cluster see it: told once, by whoever says so first. */
#include <stdio.h>

#include "services/redis_watch.h"

static void tell(struct redis_watcher *watcher, enum event_kind kind, uint16_t shard, uint16_t host,
                 const char *text) {
  struct event event = {.kind = kind, .host = host, .number2 = shard};
  snprintf(event.text, sizeof event.text, "%s", text);
  redis_event(watcher->service, loop_now_ns(watcher->loop), &event);
}

static struct redis_leader *leader_of(struct redis_watcher *watcher, uint16_t shard) {
  return &watcher->leaders[shard ? shard - 1 : 0];
}

void redis_leader_lost(struct redis_watcher *watcher, uint16_t shard, uint16_t host,
                       const char *text) {
  struct redis_leader *leader = leader_of(watcher, shard);
  if (leader->lost || leader->host != host || host == HOST_NONE) return;
  leader->lost = true;
  leader->told_ns = loop_now_ns(watcher->loop);
  tell(watcher, EVENT_LEADER_LOST, shard, host, text);
  redis_publish(watcher, leader->told_ns);
}

void redis_leader_is(struct redis_watcher *watcher, uint16_t shard, uint16_t host,
                     const char *text) {
  struct redis_leader *leader = leader_of(watcher, shard);
  if (host == HOST_NONE || (leader->host == host && !leader->lost)) return;
  if (leader->host != host) redis_leader_lost(watcher, shard, leader->host, text);
  leader->host = host;
  leader->lost = false;
  leader->told_ns = loop_now_ns(watcher->loop);
  tell(watcher, EVENT_LEADER, shard, host, text);
  redis_publish(watcher, leader->told_ns);
}
