/* Who leads, as simulated Sentinels or the nodes of a simulated cluster see it: told once, by
 * whoever says so first; as services/redis_watch_sentinel.c and redis_watch_cluster.c do. */
#include <stdio.h>
#include <string.h>

#include "sim/service_redis.h"

static uint16_t host_of(const struct sim_redis_service *service, uint32_t member) {
  return member < service->count ? service->instance->members[member]->index : HOST_NONE;
}

static struct sim_redis_leader *leader_of(struct sim_redis_service *service, uint16_t shard) {
  return &service->leaders[shard ? shard - 1 : 0];
}

static void tell(struct sim_redis_service *service, enum event_kind kind, uint16_t shard,
                 uint16_t host, const char *text) {
  struct event event = {.kind = kind, .host = host, .number2 = shard};
  snprintf(event.text, sizeof event.text, "%s", text);
  redis_service_tell(service, &event);
  sim_truth_note(service->cluster->truth, SIM_TRUTH_LEADER, kind == EVENT_LEADER ? host : HOST_NONE,
                 shard);
}

static void leader_lost(struct sim_redis_service *service, uint16_t shard, const char *text) {
  struct sim_redis_leader *leader = leader_of(service, shard);
  if (leader->lost || leader->host == HOST_NONE) return;
  leader->lost = true;
  tell(service, EVENT_LEADER_LOST, shard, leader->host, text);
}

static void leader_is(struct sim_redis_service *service, uint16_t shard, uint16_t host,
                      const char *text) {
  struct sim_redis_leader *leader = leader_of(service, shard);
  if (host == HOST_NONE || (leader->host == host && !leader->lost)) return;
  if (leader->host != host) leader_lost(service, shard, text);
  leader->host = host;
  leader->lost = false;
  tell(service, EVENT_LEADER, shard, host, text);
}

/* --- Sentinels ------------------------------------------------------------------------------- */

static const char *sentinel_name(const struct sim_redis_service *service, uint32_t index) {
  return service->instance->members[index]->name;
}

static void tell_word(struct sim_redis_service *service, uint32_t index,
                      const struct sim_sentinel_word *word) {
  struct sim_sentinel_watched *watched = &service->sentinel_watched[index];
  char text[sizeof watched->text] = "";
  if (word->answers)
    snprintf(text, sizeof text, "Sentinel: primary %.30s, master%s%s",
             service->instance->members[word->primary]->name, word->odown ? ",o_down" : "",
             word->failing ? ",s_down or failover_in_progress" : "");
  if (strcmp(text, watched->text) == 0) return;
  memcpy(watched->text, text, sizeof text);
  struct event event = {.kind = EVENT_MANAGER, .host = service->instance->members[index]->index};
  snprintf(event.text, sizeof event.text, "%s", text);
  redis_service_tell(service, &event);
}

/* What one publishes counts when it speaks of the leader that is known. */
static void look_at_sentinel(struct sim_redis_service *service, uint32_t index) {
  struct sim_sentinel_watched *watched = &service->sentinel_watched[index];
  const struct sim_sentinel_word before = watched->word;
  const struct sim_redis_leader *leader = leader_of(service, 0);
  struct sim_sentinel_word word;
  char text[160];
  sim_sentinel_word(service->servers, index, &word);
  if (redis_service_unreachable(service, service->instance->members[index]->index,
                                REDIS_SENTINEL_PORT))
    word.answers = false;
  watched->word = word;
  tell_word(service, index, &word);
  if (!word.answers || before.primary == UINT32_MAX) return;
  const char *name = sentinel_name(service, index);
  bool known = leader->host == host_of(service, before.primary);
  if (word.primary != before.primary && known) {
    snprintf(text, sizeof text, "the Sentinel on %.60s: +switch-master", name);
    leader_is(service, 0, host_of(service, word.primary), text);
  } else if (word.odown != before.odown && known) {
    snprintf(text, sizeof text, "the Sentinel on %.60s: %codown", name, word.odown ? '+' : '-');
    if (word.odown)
      leader_lost(service, 0, text);
    else
      leader_is(service, 0, leader->host, text);
  }
}

/* The primary by the majority of all; HOST_NONE: there is none, or one still sees a failure. */
static uint16_t majority(const struct sim_redis_service *service) {
  uint32_t votes[REDIS_INSTANCES_MAX] = {0};
  for (uint32_t i = 0; i < service->sentinel_count; i++) {
    const struct sim_sentinel_word *word = &service->sentinel_watched[i].word;
    if (word->answers && word->failing) return HOST_NONE;
    if (word->answers) votes[word->primary]++;
  }
  for (uint32_t i = 0; i < service->count; i++)
    if (votes[i] > service->sentinel_count / 2) return host_of(service, i);
  return HOST_NONE;
}

void redis_service_look_at_sentinels(struct sim_redis_service *service) {
  for (uint32_t i = 0; i < service->sentinel_count; i++) look_at_sentinel(service, i);
  leader_is(service, 0, majority(service), "by the majority of the Sentinels");
}

bool redis_service_sentinels_follow(const struct sim_redis_service *service, uint16_t primary) {
  for (uint32_t i = 0; i < service->sentinel_count; i++) {
    const struct sim_sentinel_word *word = &service->sentinel_watched[i].word;
    if (!word->answers || word->failing || host_of(service, word->primary) != primary) return false;
  }
  return true;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void tell_state(struct sim_redis_service *service, uint32_t member) {
  struct sim_redis_watched *watched = &service->watched[member];
  bool ok = sim_node_ok(service->servers, member);
  const char *word = ok ? "cluster_state:ok" : "cluster_state:fail";
  if (!service->words[member].answers) word = "";
  if (strcmp(word, watched->word) == 0) return;
  snprintf(watched->word, sizeof watched->word, "%s", word);
  struct event event = {.kind = EVENT_MANAGER, .host = host_of(service, member)};
  snprintf(event.text, sizeof event.text, "%s", word);
  redis_service_tell(service, &event);
}

/* Whom anybody knows under the highest epoch leads; a leader that anybody sees failed is lost. */
static void judge(struct sim_redis_service *service, uint16_t shard) {
  struct sim_redis_leader *leader = leader_of(service, shard);
  const struct bits *answering = &service->answering;
  bool failed = false;
  for (uint32_t i = bits_next(answering, 0); i < BITS_MAX; i = bits_next(answering, i + 1)) {
    struct sim_node_word word;
    sim_node_word(service->servers, i, shard, &word);
    uint16_t host = host_of(service, word.primary);
    if (host == HOST_NONE) continue;
    if (leader->host == HOST_NONE || (host != leader->host && word.epoch > leader->epoch)) {
      leader->epoch = word.epoch;
      leader_is(service, shard, host, "CLUSTER NODES: master of the shard");
      failed = false;
    }
    if (host == leader->host && word.epoch > leader->epoch) leader->epoch = word.epoch;
    failed = failed || (host == leader->host && word.failed);
  }
  if (failed)
    leader_lost(service, shard, "CLUSTER NODES: flagged fail");
  else if (leader->lost)
    leader_is(service, shard, leader->host, "no node flags it as failed any more");
}

/* What nodes say of a shard is compared only when one of them says something new, or somebody has
 * fallen silent or answers again; and until it has led to nothing new: there may be many shards and
 * many nodes. */
static struct bits to_be_judged(struct sim_redis_service *service) {
  struct bits answering = {{0}}, shards = sim_redis_news(service->servers);
  for (uint32_t i = 0; i < service->count; i++)
    if (service->words[i].answers) bits_add(&answering, i);
  bool others = memcmp(&answering, &service->answering, sizeof answering) != 0;
  service->answering = answering;
  if (others) return bits_below(service->view.shards);
  bits_add_all(&shards, &service->unsettled);
  return shards;
}

void redis_service_look_at_nodes(struct sim_redis_service *service) {
  for (uint32_t i = 0; i < service->count; i++) tell_state(service, i);
  const struct bits shards = to_be_judged(service);
  service->unsettled = (struct bits){{0}};
  for (uint32_t s = bits_next(&shards, 0); s < BITS_MAX; s = bits_next(&shards, s + 1)) {
    const struct sim_redis_leader before = service->leaders[s], *leader = &service->leaders[s];
    judge(service, (uint16_t)(s + 1));
    if (before.host != leader->host || before.lost != leader->lost || before.epoch != leader->epoch)
      bits_add(&service->unsettled, s);
  }
}
