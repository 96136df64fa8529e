/* Gathers the truth in memory and writes it at the end. */
#include "sim/truth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "gameday/event.h"

struct list {
  char *items;
  size_t size; /* of one */
  uint64_t count, capacity;
};

struct sim_truth {
  struct sim_world *world;
  uint64_t start_ns;
  struct sim_postgres_cluster *servers;
  struct sim_redis_cluster *redis;
  uint32_t redis_count;
  uint16_t shards;           /* 0: there are none */
  uint16_t hosts[HOSTS_MAX]; /* by member */
  struct list acks, events, rows, keys;
  bool full;
};

static void *add(struct sim_truth *truth, struct list *list) {
  if (list->count == list->capacity) {
    uint64_t capacity = list->capacity ? list->capacity * 2 : 1024;
    char *larger = realloc(list->items, capacity * list->size);
    if (!larger) {
      truth->full = true;
      return NULL;
    }
    list->items = larger;
    list->capacity = capacity;
  }
  void *item = list->items + list->count++ * list->size;
  memset(item, 0, list->size);
  return item;
}

static uint64_t now_ns(const struct sim_truth *truth) {
  return sim_now_ns(truth->world) - truth->start_ns;
}

void sim_truth_note(struct sim_truth *truth, enum sim_truth_kind kind, uint16_t host,
                    uint32_t number) {
  struct sim_truth_event *event = truth ? add(truth, &truth->events) : NULL;
  if (!event) return;
  event->time_ns = now_ns(truth);
  event->kind = (uint8_t)kind;
  event->host = host;
  event->number = number;
}

/* --- what the servers say -------------------------------------------------------------------- */

static void received(void *data, const struct sim_record *record, uint32_t member) {
  struct sim_truth *truth = data;
  if (record->kind != SIM_RECORD_ROW) return;
  struct sim_truth_ack *ack = add(truth, &truth->acks);
  if (!ack) return;
  ack->time_ns = now_ns(truth);
  ack->sequence = record->sequence;
  ack->identity = record->identity;
  ack->timeline = record->timeline;
  ack->host = truth->hosts[member];
}

static void promoted(void *data, uint32_t member, uint32_t timeline) {
  struct sim_truth *truth = data;
  sim_truth_note(truth, SIM_TRUTH_PROMOTED, truth->hosts[member], timeline);
}

static void accepting(void *data, uint32_t member, bool yes) {
  struct sim_truth *truth = data;
  sim_truth_note(truth, SIM_TRUTH_ACCEPTING, truth->hosts[member], yes);
}

void sim_truth_listen(struct sim_truth *truth, struct sim_postgres_cluster *servers,
                      const struct host *const *members) {
  truth->servers = servers;
  for (uint32_t i = 0; i < sim_postgres_member_count(servers); i++)
    truth->hosts[i] = members[i]->index;
  const struct sim_postgres_truth listener = {
      .data = truth, .received = received, .promoted = promoted, .accepting = accepting};
  sim_postgres_observe(servers, &listener);
}

/* --- Redis ----------------------------------------------------------------------------------- */

/* "gd:w:IDENTITY:SEQUENCE", a tag before it or not, and "CHECKSUM:..."; false: no ledger's row. */
static bool read_entry(const struct sim_redis_entry *entry, struct sim_truth_row *ret) {
  char *end = NULL;
  const char *at = entry->key;
  if (strncmp(at, "gd:w:", 5) != 0) return false;
  at += 5;
  if (*at == '{') {
    at = strstr(at, "}:");
    if (!at) return false;
    at += 2;
  }
  *ret = (struct sim_truth_row){.identity = (uint32_t)strtoul(at, &end, 10)};
  if (*end != ':') return false;
  ret->sequence = strtoull(end + 1, NULL, 10);
  ret->checksum = (uint32_t)strtoul(entry->value, NULL, 10);
  return true;
}

static void add_ack(struct sim_truth *truth, const char *key, uint32_t identity, uint64_t sequence,
                    uint32_t member) {
  struct sim_truth_ack *ack = add(truth, &truth->acks);
  if (!ack) return;
  ack->time_ns = now_ns(truth);
  ack->sequence = sequence;
  ack->identity = identity;
  ack->host = truth->hosts[member];
  if (truth->shards > 0)
    ack->shard = redis_slot_shard(redis_key_slot(key, strlen(key)), truth->shards);
}

/* "gd:s:IDENTITY:SEQUENCE" or "gd:c:0:NUMBER", of session-store. */
static enum sim_truth_key_class read_key(const char *key, struct sim_truth_key *ret) {
  char *end = NULL;
  bool session = strncmp(key, "gd:s:", 5) == 0;
  if (!session && strncmp(key, "gd:c:", 5) != 0) return SIM_TRUTH_OTHER;
  ret->identity = (uint32_t)strtoul(key + 5, &end, 10);
  if (*end != ':') return SIM_TRUTH_OTHER;
  ret->sequence = strtoull(end + 1, NULL, 10);
  return session ? SIM_TRUTH_SESSION : SIM_TRUTH_CACHE;
}

/* NULL: it is no key of interest, or there is no memory. `entry` NULL: it is not there. */
static const struct sim_truth_key *add_key(struct sim_truth *truth, enum sim_truth_key_kind kind,
                                           const char *name, const struct sim_redis_entry *entry,
                                           uint32_t member) {
  struct sim_truth_key read = {.kind = (uint8_t)kind};
  enum sim_truth_key_class class = read_key(name, &read);
  if (class == SIM_TRUTH_OTHER && kind != SIM_TRUTH_KEY_EVICTED) return NULL;
  struct sim_truth_key *key = add(truth, &truth->keys);
  if (!key) return NULL;
  *key = read;
  key->time_ns = now_ns(truth);
  key->class = (uint8_t) class;
  key->host = truth->hosts[member];
  if (!entry) return key;
  key->written_ns = entry->written_ns - truth->start_ns;
  if (entry->until_ns > 0) key->until_ns = entry->until_ns - truth->start_ns;
  return key;
}

static enum sim_truth_key_kind missed_because(uint64_t until_ns) {
  if (until_ns == SIM_REDIS_EVICTED) return SIM_TRUTH_KEY_MISSING;
  return until_ns > SIM_REDIS_REMOVED ? SIM_TRUTH_KEY_OVER : SIM_TRUTH_KEY_NEVER;
}

static void redis_received(void *data, const struct sim_redis_told *told, uint32_t member) {
  struct sim_truth *truth = data;
  struct sim_truth_row row;
  const struct sim_truth_key *key = NULL;
  switch ((enum sim_redis_answer)told->answer) {
    case SIM_REDIS_WRITTEN:
      if (read_entry(told->entry, &row))
        add_ack(truth, told->key, row.identity, row.sequence, member);
      key = add_key(truth, SIM_TRUTH_KEY_WRITTEN, told->key, told->entry, member);
      if (key && key->class == SIM_TRUTH_SESSION)
        add_ack(truth, told->key, key->identity, key->sequence, member);
      break;
    case SIM_REDIS_FOUND: add_key(truth, SIM_TRUTH_KEY_FOUND, told->key, NULL, member); break;
    case SIM_REDIS_MISSED:
      add_key(truth, missed_because(told->until_ns), told->key, NULL, member);
      break;
    case SIM_REDIS_REFUSED: add_key(truth, SIM_TRUTH_KEY_REFUSED, told->key, NULL, member); break;
  }
}

static void redis_evicted(void *data, const struct sim_redis_entry *entry, uint32_t member) {
  add_key(data, SIM_TRUTH_KEY_EVICTED, entry->key, entry, member);
}

void sim_truth_listen_redis(struct sim_truth *truth, struct sim_redis_cluster *servers,
                            uint32_t count, uint16_t shards, const struct host *const *members) {
  truth->redis = servers;
  truth->redis_count = count;
  truth->shards = shards;
  for (uint32_t i = 0; i < count; i++) truth->hosts[i] = members[i]->index;
  const struct sim_redis_truth listener = {.data = truth,
                                           .received = redis_received,
                                           .evicted = redis_evicted,
                                           .promoted = promoted,
                                           .accepting = accepting};
  sim_redis_observe(servers, &listener);
}

static int take_entry(void *data, const struct sim_redis_entry *entry, struct error *err) {
  struct sim_truth *truth = data;
  struct sim_truth_row read;
  if (!read_entry(entry, &read)) return 0;
  struct sim_truth_row *row = add(truth, &truth->rows);
  if (!row) return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  *row = read;
  return 0;
}

/* Of each set of servers what its one primary holds; of a cluster with a set without one, nothing
 * is known. */
static int take_entries(struct sim_truth *truth, uint16_t *ret_primary, struct error *err) {
  uint32_t primaries = 0;
  for (uint32_t i = 0; i < truth->redis_count; i++) {
    struct sim_redis_view view;
    sim_redis_view(truth->redis, i, &view);
    primaries += view.answers && view.primary;
  }
  if (primaries != (truth->shards > 0 ? truth->shards : 1u)) return 0;
  int status = 0;
  for (uint32_t i = 0; i < truth->redis_count && status == 0; i++) {
    struct sim_redis_view view;
    sim_redis_view(truth->redis, i, &view);
    if (!view.answers || !view.primary) continue;
    *ret_primary = truth->hosts[i];
    status = sim_redis_rows(truth->redis, i, take_entry, truth, err);
  }
  return status;
}

/* --- the file -------------------------------------------------------------------------------- */

static int take_row(void *data, const struct sim_record *record, struct error *err) {
  struct sim_truth *truth = data;
  struct sim_truth_row *row = add(truth, &truth->rows);
  if (!row) return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  row->sequence = record->sequence;
  row->identity = record->identity;
  row->checksum = record->checksum;
  return 0;
}

static int take_rows(struct sim_truth *truth, uint16_t *ret_primary, struct error *err) {
  uint32_t primary = UINT32_MAX, primaries = 0;
  for (uint32_t i = 0; i < sim_postgres_member_count(truth->servers); i++) {
    if (sim_postgres_state(sim_postgres_member(truth->servers, i)) != SIM_PG_PRIMARY) continue;
    primary = i;
    primaries++;
  }
  if (primaries != 1) return 0;
  *ret_primary = truth->hosts[primary];
  return sim_postgres_rows(sim_postgres_member(truth->servers, primary), take_row, truth, err);
}

static int put(int fd, const struct list *list, const char *path, struct error *err) {
  return list->count ? file_write_all(fd, list->items, list->count * list->size, path, err) : 0;
}

int sim_truth_write(struct sim_truth *truth, const char *run_directory, struct error *err) {
  struct sim_truth_head head = {.primary = HOST_NONE};
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/%s", run_directory, SIM_TRUTH_FILE);
  if (status == 0 && truth->servers) status = take_rows(truth, &head.primary, err);
  if (status == 0 && truth->redis) status = take_entries(truth, &head.primary, err);
  if (status < 0) return status;
  if (truth->full) return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  memcpy(head.magic, SIM_TRUTH_MAGIC, sizeof head.magic);
  head.ack_count = truth->acks.count;
  head.event_count = truth->events.count;
  head.row_count = truth->rows.count;
  head.key_count = truth->keys.count;
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return error_set_errno(err, errno, "cannot write %s", path);
  status = file_write_all(fd, &head, sizeof head, path, err);
  if (status == 0) status = put(fd, &truth->acks, path, err);
  if (status == 0) status = put(fd, &truth->events, path, err);
  if (status == 0) status = put(fd, &truth->rows, path, err);
  if (status == 0) status = put(fd, &truth->keys, path, err);
  return status;
}

/* --- life ------------------------------------------------------------------------------------ */

int sim_truth_new(struct sim_world *world, uint64_t start_ns, struct sim_truth **ret_truth,
                  struct error *err) {
  struct sim_truth *truth = calloc(1, sizeof *truth);
  if (!truth) return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  truth->world = world;
  truth->start_ns = start_ns;
  truth->acks.size = sizeof(struct sim_truth_ack);
  truth->events.size = sizeof(struct sim_truth_event);
  truth->rows.size = sizeof(struct sim_truth_row);
  truth->keys.size = sizeof(struct sim_truth_key);
  *ret_truth = truth;
  return 0;
}

void sim_truth_free(struct sim_truth *truth) {
  if (!truth) return;
  free(truth->acks.items);
  free(truth->events.items);
  free(truth->rows.items);
  free(truth->keys.items);
  free(truth);
}
