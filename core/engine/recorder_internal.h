/* What the parts of the recorder share: its struct, the files it writes, the JSON of one event. */
#ifndef GAMEDAY_ENGINE_RECORDER_INTERNAL_H
#define GAMEDAY_ENGINE_RECORDER_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/bits.h"
#include "base/buf.h"
#include "base/ring.h"
#include "engine/recorder.h"

/* One file that only grows, element by element. After its first failure nothing more is written to
 * it: a torn element in the middle would shift all that follow. */
struct record_stream {
  int fd; /* -1: not open */
  char path[PATH_MAX];
  uint64_t bytes; /* complete elements on disk */
  bool failed;
};

/* A bounded queue under the recorder's mutex; the writer swaps the two halves. Each grows by itself
 * when it is full, up to `most` elements. */
struct record_queue {
  unsigned char *filling, *taken;
  size_t element_size;
  uint32_t capacity, taken_capacity, most;
  uint32_t count;
};

struct recorder {
  struct sink sink; /* first: a sink pointer is a recorder pointer */
  const struct clock *clock;
  uint64_t start_ns, wall_start_ns;
  char directory[PATH_MAX];

  struct ring *rings; /* by producer */
  uint32_t ring_count, producers;
  /* The writer's: taken from the rings and not written yet, sorted by done_ns. */
  struct operation *pending, *scratch;
  uint32_t pending_count, pending_capacity;

  struct record_stream operations, samples, events, rows;
  struct buf lines;
  unsigned char *row_buffer; /* rows not written yet */
  uint32_t row_count;
  struct bits row_hosts; /* whose file this run has begun */

  pthread_t writer;
  bool started, finished, one_thread;
  pthread_mutex_t mutex; /* guards the queues, the three below, and `first` */
  pthread_cond_t wake, taken;
  bool stop;
  uint64_t flush_wanted, flush_done;
  struct record_queue event_queue, sample_queue;
  struct error first; /* the first write that failed */

  _Atomic uint64_t operation_total, sample_total, event_total, row_total, dropped;
  _Atomic uint64_t writes[OUTCOME_COUNT], reads[OUTCOME_COUNT];
  _Atomic uint64_t parts[RECORDER_PARTS]; /* acknowledged */
  _Atomic uint32_t part_count;
  uint16_t part_of[WORKLOADS_MAX][SHARDS_MAX + 1]; /* the writer's: index + 1; 0: none yet */
};

/* How a file begins. */
struct record_stream_spec {
  const char *name;
  const char *magic; /* 8 bytes; NULL: a text file without a head */
  uint32_t element_size;
  bool append; /* to what this run wrote before; else an older content goes */
};
int record_stream_open(struct recorder *recorder, struct record_stream *stream,
                       const struct record_stream_spec *spec, struct error *err);
/* Appends whole elements. On failure the file is cut back to whole elements and the error kept. */
bool record_stream_write(struct recorder *recorder, struct record_stream *stream, const void *bytes,
                         size_t length);
/* Syncs and closes; a failure is kept as the others are. */
void record_stream_close(struct recorder *recorder, struct record_stream *stream);

/* The writer's thread; `data` is the recorder. */
void *recorder_writer_main(void *data);
/* Writes everything that was handed over, whatever its time. Where there is no writer's thread, or
 * no longer. */
void recorder_write_all(struct recorder *recorder);

/* Appends the event as one line of JSON. */
void recorder_print_event(const struct event *event, struct buf *line);

#endif
