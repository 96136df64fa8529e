/* The writer's thread of the recorder: takes operations from the rings, events and samples from
 * their queues, brings operations into the order of done_ns, and appends everything to files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/recorder_internal.h"

/* Between two rounds; and how long an operation waits for one that was done before it and is not in
 * its ring yet. Together below the 100 ms that a killed harness may lose. */
#define ROUND_NS (25 * NS_PER_MS)
#define HOLD_NS (50 * NS_PER_MS)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the record is little-endian");
_Static_assert(sizeof(struct record_head) == 64, "documented in docs/record.md");
_Static_assert(sizeof(struct final_row) == 24, "documented in docs/record.md");

static void keep_error(struct recorder *recorder, const struct error *error) {
  pthread_mutex_lock(&recorder->mutex);
  if (recorder->first.status == STATUS_OK) recorder->first = *error;
  pthread_mutex_unlock(&recorder->mutex);
}

int record_stream_open(struct recorder *recorder, struct record_stream *stream,
                       const struct record_stream_spec *spec, struct error *err) {
  int status =
      path_format(stream->path, sizeof stream->path, err, "%s/%s", recorder->directory, spec->name);
  if (status < 0) return status;
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (spec->append ? 0 : O_TRUNC);
  int fd = open(stream->path, flags, 0644);
  if (fd < 0) return error_set_errno(err, errno, "cannot create %s", stream->path);
  struct stat before;
  if (fstat(fd, &before) < 0) {
    status = error_set_errno(err, errno, "cannot stat %s", stream->path);
  } else if (before.st_size == 0 && spec->magic) {
    struct record_head head = {.head_size = sizeof head,
                               .element_size = spec->element_size,
                               .wall_start_ns = recorder->wall_start_ns};
    memcpy(head.magic, spec->magic, sizeof head.magic);
    status = file_write_all(fd, &head, sizeof head, stream->path, err);
    before.st_size = sizeof head;
    /* A file that is not there is missing; one without its head would be a damaged one. */
    if (status < 0) unlink(stream->path);
  }
  if (status < 0) {
    close(fd);
    return status;
  }
  stream->fd = fd;
  stream->bytes = (uint64_t)before.st_size;
  stream->failed = false;
  return 0;
}

bool record_stream_write(struct recorder *recorder, struct record_stream *stream, const void *bytes,
                         size_t length) {
  if (stream->failed) return false;
  if (length == 0) return true;
  struct error err = ERROR_INIT;
  if (file_write_all(stream->fd, bytes, length, stream->path, &err) == 0) {
    stream->bytes += length;
    return true;
  }
  stream->failed = true;
  (void)error_wrap(&err, "the record is incomplete");
  keep_error(recorder, &err);
  /* Half an element may be there; when it cannot be cut off, readers ignore a torn last one. */
  if (ftruncate(stream->fd, (off_t)stream->bytes) < 0) return false;
  return false;
}

void record_stream_close(struct recorder *recorder, struct record_stream *stream) {
  if (stream->fd < 0) return;
  struct error err = ERROR_INIT;
  /* EINVAL: this file system has nothing to sync. */
  if (fsync(stream->fd) < 0 && errno != EINVAL) {
    (void)error_set_errno(&err, errno, "cannot sync %s", stream->path);
    keep_error(recorder, &err);
  }
  if (close(stream->fd) < 0) {
    (void)error_set_errno(&err, errno, "cannot write %s", stream->path);
    keep_error(recorder, &err);
  }
  stream->fd = -1;
}

/* --- operations: in the order of done_ns ----------------------------------------------------- */

/* Merges the sorted runs [0, middle) and [middle, count); equal times keep their order. */
static void merge(struct operation *operations, struct operation *scratch, uint32_t middle,
                  uint32_t count) {
  if (middle == 0 || middle == count) return;
  if (operations[middle - 1].done_ns <= operations[middle].done_ns) return;
  uint32_t left = 0, right = middle, out = 0;
  while (left < middle && right < count)
    scratch[out++] = operations[right].done_ns < operations[left].done_ns ? operations[right++]
                                                                          : operations[left++];
  while (left < middle) scratch[out++] = operations[left++];
  while (right < count) scratch[out++] = operations[right++];
  memcpy(operations, scratch, (size_t)count * sizeof *operations);
}

/* A worker stamps and hands over in one go, so a ring is nearly sorted: insertion is cheap. An
 * element that is far out of place stays so; the reader repairs what this leaves. */
static void sort_batch(struct operation *operations, uint32_t count) {
  const uint32_t reach = 256;
  for (uint32_t i = 1; i < count; i++) {
    if (operations[i - 1].done_ns <= operations[i].done_ns) continue;
    struct operation moved = operations[i];
    uint32_t lowest = i > reach ? i - reach : 0;
    uint32_t place = i;
    while (place > lowest && operations[place - 1].done_ns > moved.done_ns) {
      operations[place] = operations[place - 1];
      place--;
    }
    operations[place] = moved;
  }
}

static void take_operations(struct recorder *recorder) {
  for (uint32_t i = 0; i < recorder->producers; i++) {
    uint32_t room = recorder->pending_capacity - recorder->pending_count;
    uint32_t most = room < recorder->ring_count ? room : recorder->ring_count;
    struct operation *batch = recorder->pending + recorder->pending_count;
    uint32_t count = ring_pop(&recorder->rings[i], batch, most);
    sort_batch(batch, count);
    merge(recorder->pending, recorder->scratch, recorder->pending_count,
          recorder->pending_count + count);
    recorder->pending_count += count;
  }
}

/* Read by any thread, but written by one: there is no need for a locked instruction. */
static void count_one(_Atomic uint64_t *counter) {
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + 1, memory_order_relaxed);
}

static void count_acknowledged(struct recorder *recorder, const struct operation *operation) {
  if (operation->shard > SHARDS_MAX) return;
  uint16_t *part = &recorder->part_of[operation->workload][operation->shard];
  if (*part == 0) {
    uint32_t count = atomic_load_explicit(&recorder->part_count, memory_order_relaxed);
    if (count == RECORDER_PARTS) return;
    *part = (uint16_t)(count + 1);
    atomic_store_explicit(&recorder->part_count, count + 1, memory_order_relaxed);
  }
  count_one(&recorder->parts[*part - 1]);
}

static void count_operation(struct recorder *recorder, const struct operation *operation) {
  if (operation->route != ROUTE_PRIMARY || operation->outcome >= OUTCOME_COUNT) return;
  if (operation->kind == OPERATION_WRITE) {
    count_one(&recorder->writes[operation->outcome]);
    if (operation->outcome == OUTCOME_OK) count_acknowledged(recorder, operation);
  }
  if (operation_is_read(operation)) count_one(&recorder->reads[operation->outcome]);
}

/* Writes what was done before `cut_ns`. */
static void write_operations(struct recorder *recorder, uint64_t cut_ns) {
  uint32_t count = 0;
  while (count < recorder->pending_count && recorder->pending[count].done_ns <= cut_ns) count++;
  if (count == 0) return;
  size_t bytes = (size_t)count * sizeof *recorder->pending;
  bool written = record_stream_write(recorder, &recorder->operations, recorder->pending, bytes);
  atomic_fetch_add(written ? &recorder->operation_total : &recorder->dropped, count);
  /* Whether there was room for it says nothing about whether the cluster serves. */
  for (uint32_t i = 0; i < count; i++) count_operation(recorder, &recorder->pending[i]);
  recorder->pending_count -= count;
  memmove(recorder->pending, recorder->pending + count,
          (size_t)recorder->pending_count * sizeof *recorder->pending);
}

/* --- events and samples ---------------------------------------------------------------------- */

/* Takes what is queued; the elements stay in queue->taken until the next call. */
static uint32_t swap_queue(struct record_queue *queue) {
  unsigned char *filled = queue->filling;
  uint32_t capacity = queue->capacity;
  queue->filling = queue->taken;
  queue->capacity = queue->taken_capacity;
  queue->taken = filled;
  queue->taken_capacity = capacity;
  uint32_t count = queue->count;
  queue->count = 0;
  return count;
}

static void write_events(struct recorder *recorder, const struct event *events, uint32_t count) {
  if (count == 0) return;
  buf_clear(&recorder->lines);
  for (uint32_t i = 0; i < count; i++) recorder_print_event(&events[i], &recorder->lines);
  struct error err = ERROR_INIT;
  bool written = false;
  if (buf_ok(&recorder->lines, &err) < 0)
    keep_error(recorder, &err);
  else
    written = record_stream_write(recorder, &recorder->events, recorder->lines.data,
                                  recorder->lines.length);
  atomic_fetch_add(written ? &recorder->event_total : &recorder->dropped, count);
}

static void write_samples(struct recorder *recorder, const struct sample *samples, uint32_t count) {
  if (count == 0) return;
  bool written =
      record_stream_write(recorder, &recorder->samples, samples, (size_t)count * sizeof *samples);
  atomic_fetch_add(written ? &recorder->sample_total : &recorder->dropped, count);
}

/* --- the thread ------------------------------------------------------------------------------ */

static uint64_t run_time_ns(const struct recorder *recorder) {
  uint64_t now_ns = clock_now_ns(recorder->clock);
  return now_ns > recorder->start_ns ? now_ns - recorder->start_ns : 0;
}

static void round_of(struct recorder *recorder, uint32_t event_count, uint32_t sample_count) {
  uint64_t now_ns = run_time_ns(recorder);
  write_events(recorder, (const struct event *)(const void *)recorder->event_queue.taken,
               event_count);
  write_samples(recorder, (const struct sample *)(const void *)recorder->sample_queue.taken,
                sample_count);
  take_operations(recorder);
  write_operations(recorder, now_ns > HOLD_NS ? now_ns - HOLD_NS : 0);
  /* Held back so many that the rings would not find room: order is worth less than an operation. */
  if (recorder->pending_count > recorder->pending_capacity / 2)
    write_operations(recorder, UINT64_MAX);
}

static void wait_for_round(struct recorder *recorder) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  uint64_t nanoseconds = (uint64_t)until.tv_nsec + ROUND_NS;
  until.tv_sec += (time_t)(nanoseconds / NS_PER_S);
  until.tv_nsec = (long)(nanoseconds % NS_PER_S);
  while (!recorder->stop && recorder->flush_wanted == recorder->flush_done &&
         recorder->event_queue.count < recorder->event_queue.capacity / 2 &&
         recorder->sample_queue.count < recorder->sample_queue.capacity / 2)
    if (pthread_cond_timedwait(&recorder->wake, &recorder->mutex, &until) == ETIMEDOUT) break;
}

void *recorder_writer_main(void *data) {
  struct recorder *recorder = data;
  pthread_mutex_lock(&recorder->mutex);
  while (!recorder->stop) {
    wait_for_round(recorder);
    uint64_t wanted = recorder->flush_wanted;
    uint32_t events = swap_queue(&recorder->event_queue);
    uint32_t samples = swap_queue(&recorder->sample_queue);
    pthread_mutex_unlock(&recorder->mutex);
    round_of(recorder, events, samples);
    pthread_mutex_lock(&recorder->mutex);
    recorder->flush_done = wanted;
    pthread_cond_broadcast(&recorder->taken);
  }
  /* Nobody waits for a writer that has gone. */
  recorder->flush_done = UINT64_MAX;
  pthread_cond_broadcast(&recorder->taken);
  pthread_mutex_unlock(&recorder->mutex);
  return NULL;
}

void recorder_write_all(struct recorder *recorder) {
  pthread_mutex_lock(&recorder->mutex);
  uint32_t events = swap_queue(&recorder->event_queue);
  uint32_t samples = swap_queue(&recorder->sample_queue);
  pthread_mutex_unlock(&recorder->mutex);
  round_of(recorder, events, samples);
  write_operations(recorder, UINT64_MAX);
}
