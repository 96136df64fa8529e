/* Streams a record in the order of time: operations, samples and events merged, final rows host by
 * host. What the files hold slightly out of order is put right on the way, by a heap that is no
 * larger than the disorder that was found when the record was opened. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/record_internal.h"

#define ELEMENT_BYTES_MAX sizeof(struct operation)

struct slot {
  uint64_t time_ns, order;
  _Alignas(8) unsigned char bytes[ELEMENT_BYTES_MAX];
};

/* One file, element by element in the order of time. */
struct stream {
  struct record_pass pass;
  uint64_t (*time_of)(const void *element);
  uint64_t disorder_ns;
  uint64_t latest_ns, order; /* of what was read */
  struct slot *heap;         /* unused without disorder */
  uint32_t count, capacity;
  bool exhausted;
  const void *head; /* the next one; NULL: at the end */
  uint64_t head_ns;
  struct slot given; /* holds `head` when it came from the heap */
};

static bool before(const struct slot *a, const struct slot *b) {
  return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

static int heap_push(struct stream *stream, const struct slot *slot, struct error *err) {
  if (stream->count == stream->capacity) {
    uint32_t capacity = stream->capacity ? stream->capacity * 2 : 1024;
    struct slot *larger =
        capacity > stream->capacity ? realloc(stream->heap, capacity * sizeof *larger) : NULL;
    if (!larger)
      return error_set(err, STATUS_MEMORY, "out of memory for sorting %s",
                       stream->pass.elements->path);
    stream->heap = larger;
    stream->capacity = capacity;
  }
  uint32_t place = stream->count++;
  for (; place > 0 && before(slot, &stream->heap[(place - 1) / 2]); place = (place - 1) / 2)
    stream->heap[place] = stream->heap[(place - 1) / 2];
  stream->heap[place] = *slot;
  return 0;
}

static void heap_pop(struct stream *stream) {
  stream->given = stream->heap[0];
  const struct slot last = stream->heap[--stream->count];
  uint32_t place = 0;
  for (;;) {
    uint32_t child = 2 * place + 1;
    if (child >= stream->count) break;
    if (child + 1 < stream->count && before(&stream->heap[child + 1], &stream->heap[child]))
      child++;
    if (!before(&stream->heap[child], &last)) break;
    stream->heap[place] = stream->heap[child];
    place = child;
  }
  stream->heap[place] = last;
}

/* Whether nothing that is still in the file can come before the top of the heap. */
static bool top_is_final(const struct stream *stream) {
  if (stream->count == 0) return false;
  return stream->exhausted || stream->heap[0].time_ns + stream->disorder_ns <= stream->latest_ns;
}

static int advance_sorted(struct stream *stream, struct error *err) {
  while (!top_is_final(stream) && !stream->exhausted) {
    const void *element = NULL;
    int status = record_pass_next(&stream->pass, &element, err);
    if (status < 0) return status;
    stream->exhausted = element == NULL;
    if (!element) break;
    struct slot slot = {.time_ns = stream->time_of(element), .order = stream->order++};
    memcpy(slot.bytes, element, stream->pass.elements->size);
    if (slot.time_ns > stream->latest_ns) stream->latest_ns = slot.time_ns;
    status = heap_push(stream, &slot, err);
    if (status < 0) return status;
  }
  stream->head = NULL;
  if (stream->count == 0) return 0;
  heap_pop(stream);
  stream->head = stream->given.bytes;
  stream->head_ns = stream->given.time_ns;
  return 0;
}

static int advance(struct stream *stream, struct error *err) {
  if (stream->disorder_ns > 0) return advance_sorted(stream, err);
  int status = record_pass_next(&stream->pass, &stream->head, err);
  if (status == 0 && stream->head) stream->head_ns = stream->time_of(stream->head);
  return status;
}

static int stream_begin(struct stream *stream, const struct record_elements *elements,
                        uint64_t (*time_of)(const void *), uint64_t disorder_ns,
                        struct error *err) {
  assert(elements->size <= ELEMENT_BYTES_MAX);
  stream->time_of = time_of;
  stream->disorder_ns = disorder_ns;
  int status = record_pass_begin(&stream->pass, elements, err);
  return status < 0 ? status : advance(stream, err);
}

static uint64_t operation_time(const void *element) {
  return ((const struct operation *)element)->done_ns;
}
static uint64_t sample_time(const void *element) {
  return ((const struct sample *)element)->time_ns;
}

struct visit {
  const struct record *record;
  record_visit *item;
  void *data;
  struct stream operations, samples;
  uint32_t next_event;
};

static void visit_release(struct visit *visit) {
  record_pass_end(&visit->operations.pass);
  record_pass_end(&visit->samples.pass);
  free(visit->operations.heap);
  free(visit->samples.heap);
}

static int give_event(struct visit *visit, struct error *err) {
  const struct record_event *kept = &visit->record->files->events[visit->next_event++];
  struct event event = {.time_ns = kept->time_ns,
                        .kind = (enum event_kind)kept->kind,
                        .fault = kept->fault,
                        .host = kept->host,
                        .role = kept->role,
                        .number = kept->number,
                        .number2 = kept->number2};
  strncpy(event.text, kept->text, sizeof event.text - 1);
  const struct record_item item = {.time_ns = event.time_ns, .event = &event};
  return visit->item(visit->data, &item, err);
}

static int give_operation(struct visit *visit, struct error *err) {
  const struct record_item item = {.time_ns = visit->operations.head_ns,
                                   .operation = visit->operations.head};
  int status = visit->item(visit->data, &item, err);
  return status != 0 ? status : advance(&visit->operations, err);
}

static int give_sample(struct visit *visit, struct error *err) {
  const struct record_item item = {.time_ns = visit->samples.head_ns,
                                   .sample = visit->samples.head};
  int status = visit->item(visit->data, &item, err);
  return status != 0 ? status : advance(&visit->samples, err);
}

/* At equal times events come first: they say what the numbers mean. */
static int give_all(struct visit *visit, uint32_t wants, struct error *err) {
  const struct record_files *files = visit->record->files;
  int status = 0;
  while (status == 0) {
    bool more = (wants & WANTS_EVENTS) && visit->next_event < files->event_count;
    uint64_t event_ns = more ? files->events[visit->next_event].time_ns : TIME_NEVER;
    uint64_t sample_ns = visit->samples.head ? visit->samples.head_ns : TIME_NEVER;
    uint64_t operation_ns = visit->operations.head ? visit->operations.head_ns : TIME_NEVER;
    if (more && event_ns <= sample_ns && event_ns <= operation_ns)
      status = give_event(visit, err);
    else if (visit->samples.head && sample_ns <= operation_ns)
      status = give_sample(visit, err);
    else if (visit->operations.head)
      status = give_operation(visit, err);
    else
      break;
  }
  return status;
}

static int give_rows(const struct record *record, record_visit *visitor, void *data,
                     struct error *err) {
  for (uint32_t h = 0; h < record->info.host_count; h++) {
    CLEANUP(record_pass_end) struct record_pass pass;
    int status = record_pass_begin(&pass, &record->files->rows[h], err);
    while (status == 0) {
      const void *element = NULL;
      status = record_pass_next(&pass, &element, err);
      if (status < 0 || !element) break;
      const struct record_item item = {
          .time_ns = record->info.end_ns, .row = element, .row_host = (uint16_t)h};
      status = visitor(data, &item, err);
    }
    if (status != 0) return status;
  }
  return 0;
}

int record_visit_all(const struct record *record, uint32_t wants, record_visit *item, void *data,
                     struct error *err) {
  const struct record_files *files = record->files;
  CLEANUP(visit_release) struct visit visit = {.record = record, .item = item, .data = data};
  if ((wants & WANTS_OPERATIONS) && files->operation_disorder_ns > RECORD_DISORDER_MAX_NS)
    return error_set(
        err, STATUS_UNTRUSTED,
        "%s is out of order by %.1f s: the harness was stalled, or the file was altered",
        files->operations.path, (double)files->operation_disorder_ns / (double)NS_PER_S);
  int status = 0;
  if (wants & WANTS_ROWS_FIRST) status = give_rows(record, item, data, err);
  if (status == 0 && (wants & WANTS_OPERATIONS))
    status = stream_begin(&visit.operations, &files->operations, operation_time,
                          files->operation_disorder_ns, err);
  if (status == 0 && (wants & WANTS_SAMPLES))
    status =
        stream_begin(&visit.samples, &files->samples, sample_time, files->sample_disorder_ns, err);
  if (status == 0) status = give_all(&visit, wants, err);
  if (status == 0 && (wants & (WANTS_ROWS | WANTS_ROWS_FIRST)) == WANTS_ROWS)
    status = give_rows(record, item, data, err);
  return status;
}
