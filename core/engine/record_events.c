/* Reads events.jsonl and derives from it what everyone asks: when each fault happened, which time
 * is measured, what hosts were at the end. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record_internal.h"

#define EVENTS_BYTES_MAX ((size_t)256 << 20)

struct event_reader {
  struct record *record;
  const char *path;
  int line;
  uint32_t capacity;
};

static void free_json(json_t **json) {
  json_decref(*json);
}

static int damaged(const struct event_reader *reader, struct error *err, const char *what) {
  return error_set_at(err, reader->path, reader->line, 1, "%s", what);
}

static int kind_of(const char *name, uint8_t *ret_kind) {
  for (uint8_t i = 0; name && i < EVENT_KIND_COUNT; i++)
    if (strcmp(name, event_kind_name((enum event_kind)i)) == 0) {
      *ret_kind = i;
      return 0;
    }
  return -1;
}

static int role_of(const char *name, uint8_t *ret_role) {
  for (uint8_t i = ROLE_NONE; name && i <= ROLE_REPLICA; i++)
    if (strcmp(name, role_name((enum role)i)) == 0) {
      *ret_role = i;
      return 0;
    }
  return -1;
}

/* The index under `key`, or `none` when it is absent. -1: not an index below `count`. */
static int index_of(const json_t *object, const char *key, uint32_t count, int64_t none,
                    int64_t *ret_index) {
  const json_t *value = json_object_get(object, key);
  *ret_index = none;
  if (!value) return 0;
  json_int_t number = json_integer_value(value);
  if (!json_is_integer(value) || number < 0 || number >= (json_int_t)count) return -1;
  *ret_index = number;
  return 0;
}

/* A NULL text is "". Longer ones than an event holds cannot have been written by us. */
static int copy_text(const struct event_reader *reader, const json_t *object, const char **ret_text,
                     struct error *err) {
  const char *text = json_string_value(json_object_get(object, "text"));
  *ret_text = "";
  if (!text) return 0;
  *ret_text = arena_strndup(&reader->record->arena, text, EVENT_TEXT_SIZE - 1);
  if (!*ret_text) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  return 0;
}

static int decode(const struct event_reader *reader, const json_t *object,
                  struct record_event *ret_event, struct error *err) {
  const struct record_info *info = &reader->record->info;
  struct record_event event = {.role = ROLE_NONE};
  const json_t *time = json_object_get(object, "time_ns");
  json_int_t time_ns = json_integer_value(time);
  if (!json_is_integer(time) || time_ns < 0 || (uint64_t)time_ns > RECORD_TIME_MAX)
    return damaged(reader, err, "time_ns is missing or out of range");
  event.time_ns = (uint64_t)time_ns;
  if (kind_of(json_string_value(json_object_get(object, "kind")), &event.kind) < 0)
    return damaged(reader, err, "kind is missing or not known to this version");
  int64_t fault = FAULT_NONE, host = HOST_NONE;
  if (index_of(object, "fault", info->fault_count, FAULT_NONE, &fault) < 0)
    return damaged(reader, err, "fault is not an index of run.json's faults");
  if (index_of(object, "host", info->host_count, HOST_NONE, &host) < 0)
    return damaged(reader, err, "host is not an index of run.json's hosts");
  event.fault = (int32_t)fault;
  event.host = (uint16_t)host;
  if (event.kind == EVENT_ROLE &&
      role_of(json_string_value(json_object_get(object, "role")), &event.role) < 0)
    return damaged(reader, err, "role must be none, primary or replica");
  event.number = json_integer_value(json_object_get(object, "number"));
  event.number2 = json_integer_value(json_object_get(object, "number2"));
  int status = copy_text(reader, object, &event.text, err);
  if (status == 0) *ret_event = event;
  return status;
}

static int append(struct event_reader *reader, const struct record_event *event,
                  struct error *err) {
  struct record_files *files = reader->record->files;
  if (files->event_count == reader->capacity) {
    uint32_t capacity = reader->capacity ? reader->capacity * 2 : 256;
    struct record_event *larger = realloc(files->events, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
    files->events = larger;
    reader->capacity = capacity;
  }
  files->events[files->event_count] = *event;
  files->events[files->event_count].order = files->event_count;
  files->event_count++;
  return 0;
}

static int read_line(struct event_reader *reader, const char *line, size_t length,
                     struct error *err) {
  json_error_t place;
  CLEANUP(free_json)
  json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &place);
  if (!object) return error_set_at(err, reader->path, reader->line, place.column, "%s", place.text);
  if (reader->line == 1) {
    const char *schema = json_string_value(json_object_get(object, "schema"));
    if (!schema || strcmp(schema, "gameday/events/v1") != 0)
      return damaged(reader, err, "schema is not gameday/events/v1");
    return 0;
  }
  struct record_event event;
  int status = decode(reader, object, &event, err);
  return status < 0 ? status : append(reader, &event, err);
}

static int compare_events(const void *left, const void *right) {
  const struct record_event *a = left, *b = right;
  if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

int record_read_events(struct record *record, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/events.jsonl", record->directory);
  if (status < 0) return status;
  if (!file_exists(path)) return error_set(err, STATUS_USAGE, "%s is not there", path);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  status = file_read_regular(path, EVENTS_BYTES_MAX, &text, err);
  struct event_reader reader = {.record = record, .path = path};
  const char *next = text.data, *end = text.data + text.length;
  while (status == 0) {
    const char *newline = memchr(next, '\n', (size_t)(end - next));
    if (!newline) break; /* nothing left, or a line that was torn when the harness died */
    reader.line++;
    status = read_line(&reader, next, (size_t)(newline - next), err);
    next = newline + 1;
  }
  if (status < 0) return status;
  if (reader.line == 0) return error_set_at(err, path, 1, 1, "the first line is missing");
  struct record_files *files = record->files;
  if (files->event_count > 1)
    qsort(files->events, files->event_count, sizeof *files->events, compare_events);
  return 0;
}

/* --- what follows from the events ------------------------------------------------------------ */

static void keep_first(uint64_t *time, uint64_t value) {
  if (*time == TIME_NEVER) *time = value;
}

static void derive_fault(struct fault_info *fault, const struct record_event *event) {
  if (fault->host == HOST_NONE) fault->host = event->host;
  switch ((enum event_kind)event->kind) {
    case EVENT_FAULT_PLANNED:
      keep_first(&fault->planned_ns, event->number > 0 && event->number <= INT64_MAX / 2
                                         ? (uint64_t)event->number
                                         : event->time_ns);
      break;
    case EVENT_FAULT_JOURNALED: keep_first(&fault->journaled_ns, event->time_ns); break;
    case EVENT_FAULT_INJECTED: keep_first(&fault->injected_ns, event->time_ns); break;
    case EVENT_FAULT_CONFIRMED: keep_first(&fault->confirmed_ns, event->time_ns); break;
    case EVENT_FAULT_HEALED: keep_first(&fault->healed_ns, event->time_ns); break;
    case EVENT_FAULT_HEAL_CONFIRMED: keep_first(&fault->heal_confirmed_ns, event->time_ns); break;
    case EVENT_FAULT_UNCONFIRMED:
    case EVENT_RUN:
    case EVENT_FAULT_HEAL_FAILED:
    case EVENT_ROLE:
    case EVENT_LEADER_LOST:
    case EVENT_LEADER:
    case EVENT_PROMOTED:
    case EVENT_REDUNDANT:
    case EVENT_IDENTITY:
    case EVENT_WARNING:
    case EVENT_FINAL_READ:
    case EVENT_MANAGER:
    case EVENT_KIND_COUNT: break;
  }
}

static void derive_faults(const struct record_files *files) {
  for (uint32_t i = 0; i < files->event_count; i++) {
    const struct record_event *event = &files->events[i];
    if (event->fault != FAULT_NONE) derive_fault(&files->faults[event->fault], event);
  }
  /* Some check said that the fault was not in effect; no other takes that back. */
  for (uint32_t i = 0; i < files->event_count; i++) {
    const struct record_event *event = &files->events[i];
    if (event->fault != FAULT_NONE && event->kind == EVENT_FAULT_UNCONFIRMED)
      files->faults[event->fault].confirmed_ns = TIME_NEVER;
  }
}

/* When the run entered the first of `phases` that it entered at all. */
static uint64_t phase_ns(const struct record_files *files, const char *const phases[]) {
  for (; *phases; phases++)
    for (uint32_t i = 0; i < files->event_count; i++)
      if (files->events[i].kind == EVENT_RUN && strcmp(files->events[i].text, *phases) == 0)
        return files->events[i].time_ns;
  return TIME_NEVER;
}

/* Which hosts were read in full, and what all said of their roles until then. */
static void derive_final(struct record *record) {
  struct record_info *info = &record->info;
  struct record_files *files = record->files;
  struct bits failed = {{0}}, read = {{0}};
  uint64_t expected[HOSTS_MAX] = {0};
  uint32_t last = 0;
  for (uint32_t i = 0; i < files->event_count; i++) {
    const struct record_event *event = &files->events[i];
    if (event->kind != EVENT_FINAL_READ || event->host >= HOSTS_MAX) continue;
    last = i;
    bits_add(&read, event->host);
    if (event->text[0] != '\0') bits_add(&failed, event->host);
    expected[event->host] += (uint64_t)event->number;
  }
  for (uint32_t h = 0; h < info->host_count; h++)
    if (files->rows[h].count != expected[h]) bits_add(&failed, h);
  bits_remove_all(&read, &failed);
  info->final_hosts = read;
  for (uint32_t i = 0; i < last; i++) {
    const struct record_event *event = &files->events[i];
    if (event->host >= HOSTS_MAX) continue;
    if (event->kind == EVENT_PROMOTED) files->promoted_at[event->host] = i + 1;
    if (event->kind != EVENT_ROLE) continue;
    bits_add(&files->role_hosts, event->host);
    if (event->role == ROLE_PRIMARY)
      bits_add(&files->primaries, event->host);
    else
      bits_remove(&files->primaries, event->host);
  }
}

/* Replicas may be given to another shard on the way: a fault is of the shard that its host belonged
 * to when it struck, a host of the last one. Here the `set` of a fault is only a shard's number. */
static void derive_shards(struct record *record) {
  const struct record_info *info = &record->info;
  struct record_files *files = record->files;
  for (uint32_t f = 0; f < info->fault_count; f++) files->faults[f].set = 0;
  for (uint32_t i = 0; i < files->event_count; i++) {
    const struct record_event *event = &files->events[i];
    bool strikes = event->kind == EVENT_FAULT_JOURNALED || event->kind == EVENT_FAULT_INJECTED ||
                   event->kind == EVENT_FAULT_CONFIRMED;
    if (strikes && event->fault != FAULT_NONE && event->host < HOSTS_MAX) {
      struct fault_info *fault = &files->faults[event->fault];
      if (fault->set == 0 && event->host == fault->host) fault->set = files->shards[event->host];
    }
    if (event->kind == EVENT_ROLE && event->host < HOSTS_MAX && event->number2 > 0 &&
        event->number2 <= SHARDS_MAX)
      files->shards[event->host] = (uint16_t)event->number2;
  }
  for (uint32_t h = 0; h < info->host_count; h++) {
    uint8_t service = info->host_services[h];
    if (files->shards[h] > 0 && service != SERVICE_NONE)
      bits_add(&files->shards_seen[service], files->shards[h] - 1u);
  }
}

void record_derive(struct record *record) {
  static const char *const begins[] = {"steady", "warmup", NULL};
  static const char *const ends[] = {"drain", "heal", "converge", "final-read", "end", NULL};
  struct record_info *info = &record->info;
  const struct record_files *files = record->files;
  derive_faults(files);
  derive_final(record);
  derive_shards(record);
  info->load_begin_ns = phase_ns(files, begins);
  info->load_end_ns = phase_ns(files, ends);
  info->end_ns = files->event_count ? files->events[files->event_count - 1].time_ns : 0;
}
