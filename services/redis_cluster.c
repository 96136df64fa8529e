/* Making a Redis Cluster of servers that run but know nothing of each other: they meet, the first
 * so many get equal ranges of the slots, the others each follow one of them. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "services/redis.h"

#define SLOTS 16384u
#define COMMAND_TIMEOUT_NS (5 * NS_PER_S)

struct making {
  char ids[REDIS_INSTANCES_MAX][REDIS_ID_SIZE];
};

/* The first slot of a shard, counted from 0; of the one after the last: their number. */
static uint32_t first_slot(uint32_t shard, uint32_t shards) {
  return shard * SLOTS / shards;
}

/* One command with a word for each slot, which every version understands. */
static int add_slots(struct redis_console *link, uint32_t shard, uint32_t shards,
                     struct error *err) {
  uint32_t from = first_slot(shard, shards), to = first_slot(shard + 1, shards);
  uint32_t count = to - from;
  CLEANUP_FREE const char **words = calloc(count + 2, sizeof *words);
  CLEANUP_FREE char(*numbers)[6] = calloc(count, sizeof *numbers);
  if (!words || !numbers) return error_set(err, STATUS_MEMORY, "out of memory for slots");
  words[0] = "CLUSTER";
  words[1] = "ADDSLOTS";
  for (uint32_t i = 0; i < count; i++) {
    snprintf(numbers[i], sizeof numbers[i], "%hu", (unsigned short)(from + i));
    words[i + 2] = numbers[i];
  }
  return redis_console_ask(link, count + 2, words, NULL, err);
}

/* Each gets an epoch of its own, as `redis-cli --cluster create` gives them: otherwise nodes with
 * the same one would have to sort that out first. */
static int introduce(struct service_instance *service, uint32_t member, struct making *making,
                     struct error *err) {
  const struct redis_config *config = redis_config(service);
  char text[96];
  CLEANUP(redis_console_close) struct redis_console link = {.talk = NULL};
  CLEANUP(cleanup_reply) redisReply *id = NULL;
  int status = redis_console_open(service, member, REDIS_PORT, COMMAND_TIMEOUT_NS, &link, err);
  if (status == 0) status = redis_console_say(&link, "CLUSTER MYID", &id, err);
  if (status == 0 && (id->type != REDIS_REPLY_STRING || id->len != REDIS_ID_SIZE - 1))
    status = error_set(err, STATUS_SERVER, "%s: CLUSTER MYID is no id", link.name);
  if (status < 0) return status;
  memcpy(making->ids[member], id->str, REDIS_ID_SIZE);
  snprintf(text, sizeof text, "CLUSTER SET-CONFIG-EPOCH %u", member + 1);
  status = redis_console_say(&link, text, NULL, err);
  if (status == 0 && member < config->masters)
    status = add_slots(&link, member, config->masters, err);
  /* All others at once, which spares waiting for gossip. */
  for (uint32_t i = 0; status == 0 && i < member; i++) {
    snprintf(text, sizeof text, "CLUSTER MEET %s %d", service->members[i]->address, REDIS_PORT);
    status = redis_console_say(&link, text, NULL, err);
  }
  return status;
}

static int introduce_all(struct service_instance *service, void *data, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < redis_data_count(service); i++)
    status = introduce(service, i, data, err);
  return status < 0 ? error_wrap(err, "cannot make the cluster") : 0;
}

/* Whether a node knows all others for good, by their own ids. */
static bool node_knows_all(struct service_instance *service, uint32_t member, char *why,
                           size_t size) {
  struct redis_node nodes[2 * REDIS_INSTANCES_MAX];
  struct error err = ERROR_INIT;
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  if (redis_ask_once(service, member, REDIS_PORT, "CLUSTER NODES", COMMAND_TIMEOUT_NS, &reply,
                     &err) < 0) {
    snprintf(why, size, "%.*s", (int)size - 1, err.message);
    return false;
  }
  uint32_t known = 0, count = 0;
  if (reply->type == REDIS_REPLY_STRING)
    count = redis_parse_nodes(reply->str, reply->len, nodes, sizeof nodes / sizeof nodes[0]);
  for (uint32_t i = 0; i < count; i++)
    if (!nodes[i].handshake && (nodes[i].connected || nodes[i].myself)) known++;
  snprintf(why, size, "%s knows %u of %u nodes", service->members[member]->name, known,
           redis_data_count(service));
  return known == redis_data_count(service) && known == count;
}

static bool all_know_all(struct service_instance *service, char *why, size_t size) {
  for (uint32_t i = 0; i < redis_data_count(service); i++)
    if (!node_knows_all(service, i, why, size)) return false;
  return true;
}

static int replicate_all(struct service_instance *service, void *data, struct error *err) {
  const struct making *making = data;
  uint32_t masters = redis_config(service)->masters;
  int status = 0;
  for (uint32_t i = masters; status == 0 && i < redis_data_count(service); i++) {
    char text[96];
    snprintf(text, sizeof text, "CLUSTER REPLICATE %s", making->ids[i % masters]);
    status = redis_ask_once(service, i, REDIS_PORT, text, COMMAND_TIMEOUT_NS, NULL, err);
  }
  return status < 0 ? error_wrap(err, "cannot make the cluster") : 0;
}

/* A replica can take over only when the masters know whose replica it is. */
static bool node_is_right(struct service_instance *service, uint32_t member, char *why,
                          size_t size) {
  const struct redis_config *config = redis_config(service);
  struct redis_cluster_info info = {.ok = false};
  struct redis_node nodes[2 * REDIS_INSTANCES_MAX];
  struct error err = ERROR_INIT;
  CLEANUP(redis_console_close) struct redis_console link = {.talk = NULL};
  CLEANUP(cleanup_reply) redisReply *state = NULL;
  CLEANUP(cleanup_reply) redisReply *list = NULL;
  if (redis_console_open(service, member, REDIS_PORT, COMMAND_TIMEOUT_NS, &link, &err) < 0 ||
      redis_console_say(&link, "CLUSTER INFO", &state, &err) < 0 ||
      redis_console_say(&link, "CLUSTER NODES", &list, &err) < 0) {
    snprintf(why, size, "%.*s", (int)size - 1, err.message);
    return false;
  }
  uint32_t replicas = 0, count = 0;
  if (list->type == REDIS_REPLY_STRING)
    count = redis_parse_nodes(list->str, list->len, nodes, sizeof nodes / sizeof nodes[0]);
  for (uint32_t i = 0; i < count; i++)
    if (!nodes[i].master && nodes[i].master_id[0]) replicas++;
  bool read =
      state->type == REDIS_REPLY_STRING && redis_parse_cluster_info(state->str, state->len, &info);
  snprintf(why, size, "%s: cluster_state is %s, %u masters and %u replicas are known", link.name,
           info.ok ? "ok" : "fail", info.size, replicas);
  return read && info.ok && info.slots_assigned == SLOTS && info.size == config->masters &&
         replicas == config->masters * config->replicas;
}

static bool all_right(struct service_instance *service, char *why, size_t size) {
  for (uint32_t i = 0; i < redis_data_count(service); i++)
    if (!node_is_right(service, i, why, size)) return false;
  return redis_replicas_follow(service, why, size);
}

int redis_cluster_make(struct service_instance *service, uint64_t deadline_ns, struct error *err) {
  struct making making;
  int status = redis_on_monitor(service, introduce_all, &making, err);
  if (status == 0) status = redis_wait(service, all_know_all, false, deadline_ns, err);
  if (status == 0) status = redis_on_monitor(service, replicate_all, &making, err);
  if (status == 0) status = redis_wait(service, all_right, false, deadline_ns, err);
  return status;
}
