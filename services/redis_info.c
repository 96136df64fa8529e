/* Reading what Redis says of itself: lines of "key:value", lines of words. */
#include "services/redis_info.h"

#include <stdlib.h>
#include <string.h>

/* A part of a text that is not ended by a NUL. */
struct span {
  const char *text;
  size_t length;
};

static bool span_is(struct span span, const char *text) {
  return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

static bool span_begins(struct span span, const char *text) {
  size_t length = strlen(text);
  return span.length >= length && memcmp(span.text, text, length) == 0;
}

static uint64_t span_number(struct span span) {
  uint64_t number = 0;
  for (size_t i = 0; i < span.length; i++) {
    if (span.text[i] < '0' || span.text[i] > '9') return i > 0 ? number : 0;
    uint64_t digit = (uint64_t)(span.text[i] - '0');
    if (number > (UINT64_MAX - digit) / 10) return UINT64_MAX;
    number = number * 10 + digit;
  }
  return number;
}

static uint32_t span_count(struct span span) {
  uint64_t number = span_number(span);
  return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* "" when it does not fit: a part of an address or id is another one. */
static void span_copy(struct span span, char *to, size_t size) {
  to[0] = '\0';
  if (span.length >= size) return;
  memcpy(to, span.text, span.length);
  to[span.length] = '\0';
}

/* Cuts what comes before `separator` (or all) off the front; false when nothing is left. */
static bool span_cut(struct span *rest, char separator, struct span *ret) {
  if (rest->length == 0) return false;
  const char *end = memchr(rest->text, separator, rest->length);
  size_t length = end ? (size_t)(end - rest->text) : rest->length;
  *ret = (struct span){rest->text, length};
  size_t used = end ? length + 1 : length;
  rest->text += used;
  rest->length -= used;
  return true;
}

/* A line without its end; false when there are no more. */
static bool next_line(struct span *rest, struct span *ret) {
  if (!span_cut(rest, '\n', ret)) return false;
  if (ret->length > 0 && ret->text[ret->length - 1] == '\r') ret->length--;
  return true;
}

/* The next word of a line; false at its end. */
static bool next_word(struct span *line, struct span *ret) {
  while (span_cut(line, ' ', ret))
    if (ret->length > 0) return true;
  return false;
}

/* --- INFO --- */

/* "ip=10.0.0.2,port=6379,state=online,offset=42,lag=1" */
static void take_listed(struct span value, struct redis_info *info) {
  struct redis_listed listed = {.online = false};
  struct span part, key;
  while (span_cut(&value, ',', &part)) {
    if (!span_cut(&part, '=', &key)) continue;
    if (span_is(key, "ip")) span_copy(part, listed.address, sizeof listed.address);
    if (span_is(key, "state")) listed.online = span_is(part, "online");
    if (span_is(key, "offset")) listed.offset = span_number(part);
    if (span_is(key, "lag")) listed.lag_s = span_count(part);
  }
  if (listed.address[0] && info->listed_count < REDIS_LISTED_MAX)
    info->listed[info->listed_count++] = listed;
}

/* "slave0", but not "slave_repl_offset" */
static bool is_listed_key(struct span key) {
  return span_begins(key, "slave") && key.length > 5 && key.text[5] >= '0' && key.text[5] <= '9';
}

static void take_replication(struct span key, struct span value, struct redis_info *info,
                             uint64_t *received) {
  if (span_is(key, "role")) {
    info->has_role = span_is(value, "master") || span_is(value, "slave");
    info->primary = span_is(value, "master");
  } else if (span_is(key, "master_replid")) {
    span_copy(value, info->history, sizeof info->history);
  } else if (span_is(key, "master_repl_offset")) {
    info->offset = span_number(value);
  } else if (span_is(key, "slave_repl_offset")) {
    *received = span_number(value);
  } else if (span_is(key, "master_host")) {
    span_copy(value, info->from, sizeof info->from);
  } else if (span_is(key, "master_link_status")) {
    info->link_up = span_is(value, "up");
  } else if (span_is(key, "master_sync_in_progress")) {
    info->syncing = span_is(value, "1");
  } else if (span_is(key, "min_slaves_good_slaves")) {
    info->has_good_replicas = true;
    info->good_replicas = span_count(value);
  } else if (is_listed_key(key)) {
    take_listed(value, info);
  }
}

static void take_rest(struct span key, struct span value, struct redis_info *info) {
  struct span name;
  if (span_is(key, "loading")) {
    info->loading = span_is(value, "1");
  } else if (span_is(key, "used_memory")) {
    info->memory_used = span_number(value);
    info->has_stats = true;
  } else if (span_is(key, "evicted_keys")) {
    info->evicted_keys = span_number(value);
  } else if (span_is(key, "expired_keys")) {
    info->expired_keys = span_number(value);
  } else if (span_is(key, "keyspace_hits")) {
    info->keyspace_hits = span_number(value);
  } else if (span_is(key, "keyspace_misses")) {
    info->keyspace_misses = span_number(value);
  } else if (span_is(key, "rdb_last_bgsave_status")) {
    info->snapshot_failed = !span_is(value, "ok");
  } else if (span_is(key, "maxmemory")) {
    info->memory_limit = span_number(value);
  } else if (span_is(key, "errorstat_OOM")) {
    if (span_cut(&value, '=', &name)) info->memory_refusals = span_number(value);
  } else if (span_is(key, "connected_clients")) {
    info->clients = span_number(value);
  } else if (span_is(key, "valkey_version")) {
    info->valkey = true;
    span_copy(value, info->version, sizeof info->version);
  } else if (span_is(key, "redis_version") && !info->valkey) {
    span_copy(value, info->version, sizeof info->version);
  }
}

bool redis_parse_info(const char *text, size_t length, struct redis_info *ret) {
  struct redis_info info = {.has_role = false};
  struct span rest = {text, length}, line, key;
  uint64_t received = 0;
  while (next_line(&rest, &line)) {
    if (line.length == 0 || line.text[0] == '#' || !span_cut(&line, ':', &key)) continue;
    take_replication(key, line, &info, &received);
    take_rest(key, line, &info);
  }
  if (!info.has_role) return false;
  if (!info.primary) info.offset = received;
  *ret = info;
  return true;
}

/* --- CLUSTER NODES --- */

/* "10.0.0.1:6379@16379,name": the address is what comes before the last colon of the first part. */
static void take_address(struct span word, struct redis_node *node) {
  struct span address;
  if (!span_cut(&word, '@', &address)) return;
  const char *colon = memrchr(address.text, ':', address.length);
  if (colon) address.length = (size_t)(colon - address.text);
  span_copy(address, node->address, sizeof node->address);
}

static void take_flags(struct span word, struct redis_node *node) {
  struct span flag;
  while (span_cut(&word, ',', &flag)) {
    if (span_is(flag, "myself")) node->myself = true;
    if (span_is(flag, "master")) node->master = true;
    if (span_is(flag, "fail")) node->failed = true;
    if (span_is(flag, "fail?")) node->suspected = true;
    if (span_is(flag, "handshake")) node->handshake = true;
  }
}

/* "0-5460", "7", or "[93->-...]" of a slot that moves, which is not served for good. */
static void take_slots(struct span word, struct redis_node *node) {
  struct span first;
  if (word.text[0] == '[' || !span_cut(&word, '-', &first)) return;
  uint64_t from = span_number(first), to = word.length > 0 ? span_number(word) : from;
  if (from > 16383 || to > 16383 || to < from) return;
  if (node->slot_count == 0 || from < node->first_slot) node->first_slot = (uint16_t)from;
  node->slot_count += (uint32_t)(to - from + 1);
}

static bool take_node(struct span line, struct redis_node *ret) {
  struct redis_node node = {.myself = false};
  struct span words[8], word;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (!next_word(&line, &words[i])) return false;
  span_copy(words[0], node.id, sizeof node.id);
  take_address(words[1], &node);
  take_flags(words[2], &node);
  if (!span_is(words[3], "-")) span_copy(words[3], node.master_id, sizeof node.master_id);
  node.epoch = span_number(words[6]);
  node.connected = span_is(words[7], "connected");
  while (next_word(&line, &word)) take_slots(word, &node);
  if (!node.id[0]) return false;
  *ret = node;
  return true;
}

uint32_t redis_parse_nodes(const char *text, size_t length, struct redis_node *ret, uint32_t size) {
  struct span rest = {text, length}, line;
  uint32_t count = 0;
  while (count < size && next_line(&rest, &line))
    if (take_node(line, &ret[count])) count++;
  return count;
}

bool redis_parse_cluster_info(const char *text, size_t length, struct redis_cluster_info *ret) {
  struct redis_cluster_info info = {.ok = false};
  struct span rest = {text, length}, line, key;
  bool has_state = false;
  while (next_line(&rest, &line)) {
    if (!span_cut(&line, ':', &key)) continue;
    if (span_is(key, "cluster_state")) {
      has_state = true;
      info.ok = span_is(line, "ok");
    }
    if (span_is(key, "cluster_slots_assigned")) info.slots_assigned = span_count(line);
    if (span_is(key, "cluster_known_nodes")) info.known_nodes = span_count(line);
    if (span_is(key, "cluster_size")) info.size = span_count(line);
  }
  if (has_state) *ret = info;
  return has_state;
}

/* --- Sentinel --- */

void redis_parse_message(const char *channel, const char *text, const char *master_name,
                         struct redis_message *ret) {
  struct span rest = {text, strlen(text)}, words[5];
  size_t count = 0;
  while (count < sizeof words / sizeof words[0] && next_word(&rest, &words[count])) count++;
  *ret = (struct redis_message){.notice = REDIS_NOTICE_OTHER};
  if (strcmp(channel, "+switch-master") == 0 && count == 5 && span_is(words[0], master_name)) {
    ret->notice = REDIS_NOTICE_SWITCH;
    span_copy(words[1], ret->address, sizeof ret->address);
    span_copy(words[3], ret->new_address, sizeof ret->new_address);
    return;
  }
  bool down = strcmp(channel, "+odown") == 0, back = strcmp(channel, "-odown") == 0;
  if ((!down && !back) || count < 4 || !span_is(words[0], "master") ||
      !span_is(words[1], master_name))
    return;
  ret->notice = down ? REDIS_NOTICE_DOWN : REDIS_NOTICE_BACK;
  span_copy(words[2], ret->address, sizeof ret->address);
}
