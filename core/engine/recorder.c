/* The recorder's public face: making it, handing things over to its writer, final rows, the end. */
#include "engine/recorder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/recorder_internal.h"
#include "gameday/provider.h"

#define EVENTS_QUEUED 4096u
/* A client tells of its new identity when a write of it has become unknown, and all clients do at
 * the same moment when their server dies. */
#define EVENTS_QUEUED_MAX (1u << 17)
#define SAMPLES_QUEUED_MAX (1u << 16)
#define ROWS_BUFFERED 4096

static int queue_init(struct record_queue *queue, size_t element_size, uint32_t capacity,
                      uint32_t most, struct error *err) {
  *queue = (struct record_queue){
      .element_size = element_size, .capacity = capacity, .taken_capacity = capacity, .most = most};
  queue->filling = calloc(capacity, element_size);
  queue->taken = calloc(capacity, element_size);
  if (!queue->filling || !queue->taken)
    return error_set(err, STATUS_MEMORY, "out of memory for the recorder's queues");
  return 0;
}

/* False: as long as it may be, or no memory. */
static bool queue_grow(struct record_queue *queue) {
  if (queue->capacity >= queue->most) return false;
  uint32_t capacity = queue->capacity * 2 < queue->most ? queue->capacity * 2 : queue->most;
  unsigned char *larger = realloc(queue->filling, (size_t)capacity * queue->element_size);
  if (!larger) return false;
  queue->filling = larger;
  queue->capacity = capacity;
  return true;
}

/* Under the mutex. False: full. */
static bool queue_push(struct record_queue *queue, const void *element) {
  if (queue->count == queue->capacity && !queue_grow(queue)) return false;
  memcpy(queue->filling + (size_t)queue->count * queue->element_size, element, queue->element_size);
  queue->count++;
  return true;
}

static void enqueue(struct recorder *recorder, struct record_queue *queue, const void *element) {
  if (recorder->one_thread && queue->count == queue->capacity) recorder_write_all(recorder);
  pthread_mutex_lock(&recorder->mutex);
  bool fits = queue_push(queue, element);
  if (queue->count >= queue->capacity / 2) pthread_cond_signal(&recorder->wake);
  pthread_mutex_unlock(&recorder->mutex);
  if (!fits) atomic_fetch_add(&recorder->dropped, 1);
}

static uint64_t run_time_ns(const struct recorder *recorder) {
  uint64_t now_ns = clock_now_ns(recorder->clock);
  return now_ns > recorder->start_ns ? now_ns - recorder->start_ns : 0;
}

static void take_event(struct sink *sink, const struct event *event) {
  struct recorder *recorder = (struct recorder *)sink;
  struct event copy = *event;
  if (copy.time_ns == 0) copy.time_ns = run_time_ns(recorder);
  enqueue(recorder, &recorder->event_queue, &copy);
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  struct recorder *recorder = (struct recorder *)sink;
  struct sample copy = *sample;
  if (copy.time_ns == 0) copy.time_ns = run_time_ns(recorder);
  enqueue(recorder, &recorder->sample_queue, &copy);
}

static int make_buffers(struct recorder *recorder, uint32_t producers, uint32_t ring_count,
                        struct error *err) {
  size_t capacity = 2 * (size_t)producers * ring_count;
  if (capacity > UINT32_MAX)
    return error_set(err, STATUS_INTERNAL, "rings of %u elements are too long", ring_count);
  recorder->rings = calloc(producers, sizeof *recorder->rings);
  recorder->pending = calloc(capacity, sizeof *recorder->pending);
  recorder->scratch = calloc(capacity, sizeof *recorder->scratch);
  recorder->row_buffer = calloc(ROWS_BUFFERED, sizeof(struct final_row));
  if (!recorder->rings || !recorder->pending || !recorder->scratch || !recorder->row_buffer)
    return error_set(err, STATUS_MEMORY, "out of memory for the recorder");
  recorder->pending_capacity = (uint32_t)capacity;
  recorder->ring_count = ring_count;
  int status = 0;
  while (status == 0 && recorder->producers < producers) {
    status =
        ring_init(&recorder->rings[recorder->producers], sizeof(struct operation), ring_count, err);
    if (status == 0) recorder->producers++;
  }
  if (status == 0)
    status = queue_init(&recorder->event_queue, sizeof(struct event), EVENTS_QUEUED,
                        EVENTS_QUEUED_MAX, err);
  if (status == 0)
    status = queue_init(&recorder->sample_queue, sizeof(struct sample), SAMPLES_QUEUED_MAX,
                        SAMPLES_QUEUED_MAX, err);
  return status;
}

/* The first line says what the file is, so that even a run killed at once is recognised. */
static int open_events(struct recorder *recorder, struct error *err) {
  const struct record_stream_spec spec = {.name = "events.jsonl"};
  int status = record_stream_open(recorder, &recorder->events, &spec, err);
  if (status < 0) return status;
  buf_clear(&recorder->lines);
  buf_printf(&recorder->lines, "{\"schema\":\"gameday/events/v1\",\"wall_start_ns\":%" PRIu64 "}\n",
             recorder->wall_start_ns);
  status = buf_ok(&recorder->lines, err);
  if (status == 0)
    status = file_write_all(recorder->events.fd, recorder->lines.data, recorder->lines.length,
                            recorder->events.path, err);
  recorder->events.bytes = recorder->lines.length;
  return status;
}

static int open_streams(struct recorder *recorder, struct error *err) {
  const struct record_stream_spec operations = {.name = "operations.bin",
                                                .magic = RECORD_OPERATIONS,
                                                .element_size = sizeof(struct operation)};
  const struct record_stream_spec samples = {
      .name = "samples.bin", .magic = RECORD_SAMPLES, .element_size = sizeof(struct sample)};
  int status = open_events(recorder, err);
  if (status == 0) status = record_stream_open(recorder, &recorder->operations, &operations, err);
  if (status == 0) status = record_stream_open(recorder, &recorder->samples, &samples, err);
  return status;
}

/* Signals are for the main thread; and waits count on the same clock as everything else. */
static int start_writer(struct recorder *recorder, struct error *err) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int errnum = pthread_create(&recorder->writer, NULL, recorder_writer_main, recorder);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (errnum) return error_set_errno(err, errnum, "cannot start the recorder's thread");
  recorder->started = true;
  return 0;
}

static void init_locks(struct recorder *recorder) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&recorder->wake, &monotonic);
  pthread_cond_init(&recorder->taken, NULL);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&recorder->mutex, NULL);
}

int recorder_new(const struct recorder_spec *spec, struct recorder **ret_recorder,
                 struct error *err) {
  assert(spec->producers > 0 && spec->ring_count > 0);
  struct recorder *recorder = calloc(1, sizeof *recorder);
  if (!recorder) return error_set(err, STATUS_MEMORY, "out of memory for the recorder");
  recorder->sink = (struct sink){.event = take_event, .sample = take_sample};
  recorder->clock = spec->clock;
  recorder->start_ns = spec->start_ns;
  recorder->wall_start_ns = spec->wall_start_ns;
  recorder->one_thread = spec->one_thread;
  recorder->operations.fd = recorder->samples.fd = recorder->events.fd = recorder->rows.fd = -1;
  buf_init(&recorder->lines);
  init_locks(recorder);
  int status =
      path_format(recorder->directory, sizeof recorder->directory, err, "%s", spec->run_directory);
  if (status == 0) status = make_buffers(recorder, spec->producers, spec->ring_count, err);
  if (status == 0) status = open_streams(recorder, err);
  if (status == 0 && !spec->one_thread) status = start_writer(recorder, err);
  if (status < 0) {
    recorder_free(recorder);
    return status;
  }
  *ret_recorder = recorder;
  return 0;
}

struct sink *recorder_sink(struct recorder *recorder) {
  return &recorder->sink;
}

bool recorder_operation(struct recorder *recorder, uint32_t producer,
                        const struct operation *operation) {
  assert(producer < recorder->producers);
  if (ring_push(&recorder->rings[producer], operation)) return true;
  if (recorder->one_thread) {
    recorder_write_all(recorder);
    return ring_push(&recorder->rings[producer], operation);
  }
  atomic_fetch_add(&recorder->dropped, 1);
  return false;
}

void recorder_flush(struct recorder *recorder) {
  if (recorder->one_thread) {
    recorder_write_all(recorder);
    return;
  }
  pthread_mutex_lock(&recorder->mutex);
  uint64_t wanted = ++recorder->flush_wanted;
  pthread_cond_signal(&recorder->wake);
  while (recorder->flush_done < wanted) pthread_cond_wait(&recorder->taken, &recorder->mutex);
  pthread_mutex_unlock(&recorder->mutex);
}

int recorder_failure(struct recorder *recorder, struct error *err) {
  pthread_mutex_lock(&recorder->mutex);
  int status = recorder->first.status;
  if (status < 0 && err) *err = recorder->first;
  pthread_mutex_unlock(&recorder->mutex);
  return status;
}

/* --- final rows ------------------------------------------------------------------------------ */

int recorder_rows_begin(struct recorder *recorder, uint16_t host, const char *host_name,
                        struct error *err) {
  assert(recorder->rows.fd < 0 && host < HOSTS_MAX);
  if (host_name[0] == '\0' || strchr(host_name, '/'))
    return error_set(err, STATUS_INTERNAL, "'%s' is no host name", host_name);
  char name[NAME_MAX + 1];
  int status = path_format(name, sizeof name, err, "final-%s.bin", host_name);
  if (status < 0) return status;
  const struct record_stream_spec spec = {.name = name,
                                          .magic = RECORD_ROWS,
                                          .element_size = sizeof(struct final_row),
                                          .append = bits_has(&recorder->row_hosts, host)};
  recorder->row_count = 0;
  status = record_stream_open(recorder, &recorder->rows, &spec, err);
  if (status == 0) bits_add(&recorder->row_hosts, host);
  return status;
}

static int write_rows(struct recorder *recorder, struct error *err) {
  size_t bytes = recorder->row_count * sizeof(struct final_row);
  bool written = record_stream_write(recorder, &recorder->rows, recorder->row_buffer, bytes);
  if (!written) return recorder_failure(recorder, err);
  atomic_fetch_add(&recorder->row_total, recorder->row_count);
  recorder->row_count = 0;
  return 0;
}

int recorder_row(struct recorder *recorder, const struct final_row *row, struct error *err) {
  assert(recorder->rows.fd >= 0);
  memcpy(recorder->row_buffer + recorder->row_count * sizeof *row, row, sizeof *row);
  if (++recorder->row_count < ROWS_BUFFERED) return 0;
  return write_rows(recorder, err);
}

int recorder_rows_end(struct recorder *recorder, struct error *err) {
  assert(recorder->rows.fd >= 0);
  int status = recorder->rows.failed ? 0 : write_rows(recorder, err);
  record_stream_close(recorder, &recorder->rows);
  return status == 0 ? recorder_failure(recorder, err) : status;
}

/* --- totals and the end ---------------------------------------------------------------------- */

void recorder_totals(struct recorder *recorder, struct recorder_totals *ret) {
  *ret = (struct recorder_totals){.operations = atomic_load(&recorder->operation_total),
                                  .samples = atomic_load(&recorder->sample_total),
                                  .events = atomic_load(&recorder->event_total),
                                  .rows = atomic_load(&recorder->row_total),
                                  .dropped = atomic_load(&recorder->dropped)};
}

void recorder_counts(struct recorder *recorder, uint64_t ret_writes[OUTCOME_COUNT],
                     uint64_t ret_reads[OUTCOME_COUNT]) {
  for (int i = 0; i < OUTCOME_COUNT; i++) {
    ret_writes[i] = atomic_load_explicit(&recorder->writes[i], memory_order_relaxed);
    ret_reads[i] = atomic_load_explicit(&recorder->reads[i], memory_order_relaxed);
  }
}

uint32_t recorder_parts(struct recorder *recorder, uint64_t ret_acknowledged[RECORDER_PARTS]) {
  uint32_t count = atomic_load_explicit(&recorder->part_count, memory_order_relaxed);
  for (uint32_t i = 0; i < count; i++)
    ret_acknowledged[i] = atomic_load_explicit(&recorder->parts[i], memory_order_relaxed);
  return count;
}

/* The names of the files must survive a power cut too. */
static void sync_directory(struct recorder *recorder) {
  CLEANUP_CLOSE int fd = open(recorder->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if ((fd >= 0 && fsync(fd) == 0) || errno == EINVAL) return;
  pthread_mutex_lock(&recorder->mutex);
  if (recorder->first.status == STATUS_OK)
    (void)error_set_errno(&recorder->first, errno, "cannot sync %s", recorder->directory);
  pthread_mutex_unlock(&recorder->mutex);
}

static void stop_writer(struct recorder *recorder) {
  if (!recorder->started) return;
  pthread_mutex_lock(&recorder->mutex);
  recorder->stop = true;
  pthread_cond_signal(&recorder->wake);
  pthread_mutex_unlock(&recorder->mutex);
  pthread_join(recorder->writer, NULL);
}

int recorder_finish(struct recorder *recorder, struct recorder_totals *ret, struct error *err) {
  if (!recorder->finished && (recorder->started || recorder->one_thread)) {
    stop_writer(recorder);
    recorder_write_all(recorder);
    record_stream_close(recorder, &recorder->operations);
    record_stream_close(recorder, &recorder->samples);
    record_stream_close(recorder, &recorder->events);
    record_stream_close(recorder, &recorder->rows);
    sync_directory(recorder);
  }
  recorder->finished = true;
  if (ret) recorder_totals(recorder, ret);
  return recorder_failure(recorder, err);
}

static void close_quietly(const struct record_stream *stream) {
  if (stream->fd >= 0) close(stream->fd);
}

void recorder_free(struct recorder *recorder) {
  if (!recorder) return;
  (void)recorder_finish(recorder, NULL, NULL);
  close_quietly(&recorder->operations);
  close_quietly(&recorder->samples);
  close_quietly(&recorder->events);
  close_quietly(&recorder->rows);
  for (uint32_t i = 0; i < recorder->producers; i++) ring_release(&recorder->rings[i]);
  free(recorder->rings);
  free(recorder->pending);
  free(recorder->scratch);
  free(recorder->row_buffer);
  free(recorder->event_queue.filling);
  free(recorder->event_queue.taken);
  free(recorder->sample_queue.filling);
  free(recorder->sample_queue.taken);
  buf_release(&recorder->lines);
  pthread_cond_destroy(&recorder->wake);
  pthread_cond_destroy(&recorder->taken);
  pthread_mutex_destroy(&recorder->mutex);
  free(recorder);
}
