/* When a replica counts as streaming, and when a `postgres` is redundant: a primary shows the row
 * of a replica that lost power until it has noticed, and a replica its receiver before it is let
 * in. */
#include "services/postgres_redundancy.h"

void postgres_hear_receiver(struct replica_words *words, const struct receiver_word *word,
                            uint64_t now_ns) {
  const struct receiver_word before = words->receiver;
  bool same = before.streams && before.number == word->number && before.from == word->from &&
              before.timeline == word->timeline;
  words->receiver = word->streams ? *word : (struct receiver_word){.streams = false};
  words->receiver.since_ns = same ? before.since_ns : now_ns;
}

void postgres_hear_sender(struct replica_words *words, const struct sender_word *word) {
  const struct sender_word before = words->sender;
  bool same = before.streams && before.number == word->number && before.host == word->host;
  bool silent = same && word->behind && before.reply == word->reply;
  words->sender = word->streams ? *word : (struct sender_word){.streams = false};
  words->sender.heard_ns = silent ? before.heard_ns : word->asked_ns;
}

/* The primary must have been asked after the present receiver was first heard of. By then the
 * sender of an earlier one has let go of the slot, or a newer row hides its own. */
bool postgres_streams(const struct replica_words *words, uint16_t primary, uint32_t timeline) {
  const struct receiver_word *receiver = &words->receiver;
  const struct sender_word *sender = &words->sender;
  return primary != HOST_NONE && receiver->streams && receiver->from == primary &&
         receiver->timeline == timeline && sender->streams && sender->host == primary &&
         sender->asked_ns >= receiver->since_ns &&
         sender->asked_ns - sender->heard_ns <= POSTGRES_REPLY_OVERDUE_NS;
}

struct redundancy_rule postgres_redundancy_rule(const struct postgres_config *config,
                                                uint64_t lag_bound_bytes) {
  bool synchronous = config->topology == TOPOLOGY_PATRONI && config->synchronous_mode &&
                     postgres_instances(config) > 1;
  return (struct redundancy_rule){
      .lag_bound_bytes = lag_bound_bytes,
      .synchronous_count = synchronous ? config->synchronous_node_count : 0};
}

bool postgres_redundant(const struct service_view *view, const struct replica_words *words,
                        uint32_t count, const struct redundancy_rule *rule) {
  uint32_t synchronous = 0;
  if (view->primary == HOST_NONE) return false;
  for (uint32_t i = 0; i < count; i++) {
    const struct host_view *host = &view->hosts[words[i].host];
    if (words[i].host == view->primary) continue;
    if (host->role != ROLE_REPLICA || !host->streaming || host->lag_bytes > rule->lag_bound_bytes ||
        host->timeline != view->hosts[view->primary].timeline)
      return false;
    if (words[i].sender.synchronous) synchronous++;
  }
  return synchronous >= rule->synchronous_count;
}
