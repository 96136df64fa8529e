/* Writes the record of a run as it happens: operations.bin, samples.bin, events.jsonl and
 * final-HOST.bin in the run directory. Workers hand operations over through rings; one writer
 * thread merges them in the order of done_ns and writes at least every 100 ms, so that a killed
 * harness leaves a readable record. The format is documented in docs/record.md. */
#ifndef GAMEDAY_ENGINE_RECORDER_H
#define GAMEDAY_ENGINE_RECORDER_H

#include "base/clock.h"
#include "base/error.h"
#include "gameday/event.h"

/* Head of operations.bin, samples.bin and final-HOST.bin: 64 bytes, then elements to the end of
 * the file; a torn last element is ignored by readers. */
struct record_head {
  char magic[8];      /* "GDOPS\0\0\2", "GDSMP\0\0\2", "GDROW\0\0\1": the last is the version */
  uint32_t head_size; /* 64 */
  uint32_t element_size;
  uint64_t wall_start_ns; /* wall clock of the run's zero */
  uint8_t reserved[40];
};

#define RECORD_OPERATIONS "GDOPS\0\0\2"
#define RECORD_SAMPLES "GDSMP\0\0\2"
#define RECORD_ROWS "GDROW\0\0\1"

struct recorder;

struct recorder_spec {
  const char *run_directory; /* exists */
  const struct clock *clock;
  uint64_t start_ns; /* clock time of the run's zero */
  uint64_t wall_start_ns;
  uint32_t producers;  /* how many workers will hand over operations */
  uint32_t ring_count; /* elements of the ring of each */
  /* Virtual time: everything is called by one thread, which writes itself whenever a ring or queue
   * is full and at recorder_flush(); nothing is ever dropped. */
  bool one_thread;
};
int recorder_new(const struct recorder_spec *spec, struct recorder **ret_recorder,
                 struct error *err);

/* The sink for events and samples; any thread; never blocks for long (a mutex around a bounded
 * queue; what does not fit is counted as dropped). Owned by the recorder. A time of 0 is stamped
 * with now; other times are run times already. */
struct sink *recorder_sink(struct recorder *recorder);

/* From the thread of producer `producer` only. False when the ring is full: counted, and the run is
 * untrustworthy. */
bool recorder_operation(struct recorder *recorder, uint32_t producer,
                        const struct operation *operation);

/* Blocks until the writer has taken everything that was handed over before the call. For producers
 * that are faster than any ring is long. Any thread. */
void recorder_flush(struct recorder *recorder);

/* Final rows of one host, written to final-HOSTNAME.bin; one host at a time, any one thread. A
 * second begin of the same host appends (several workloads). */
int recorder_rows_begin(struct recorder *recorder, uint16_t host, const char *host_name,
                        struct error *err);
int recorder_row(struct recorder *recorder, const struct final_row *row, struct error *err);
int recorder_rows_end(struct recorder *recorder, struct error *err);

struct recorder_totals {
  uint64_t operations, samples, events, rows;
  uint64_t dropped; /* did not fit into a ring or queue: the run is untrustworthy */
};
void recorder_totals(struct recorder *recorder, struct recorder_totals *ret); /* any thread */

/* The first write of the run that failed (a full disk); 0: none did so far. What cannot be written
 * is missing for good. Any thread. */
int recorder_failure(struct recorder *recorder, struct error *err);

/* Live view: operations of ROUTE_PRIMARY so far, written or without room, by outcome (writes: kind
 * WRITE; reads: kind READ_OWN). Any thread. */
void recorder_counts(struct recorder *recorder, uint64_t ret_writes[OUTCOME_COUNT],
                     uint64_t ret_reads[OUTCOME_COUNT]);

/* Live view: acknowledged writes of ROUTE_PRIMARY so far, by part: those that one primary
 * answers, of one workload and shard (0: it has none). Parts are numbered as they had their first;
 * those beyond the most are not counted. Any thread. */
#define RECORDER_PARTS (SHARDS_MAX + 64)
uint32_t recorder_parts(struct recorder *recorder, uint64_t ret_acknowledged[RECORDER_PARTS]);

/* Stops the writer, writes and fsyncs all; reports the first write error of the run (a full disk).
 * The recorder is freed by recorder_free(). */
int recorder_finish(struct recorder *recorder, struct recorder_totals *ret, struct error *err);
void recorder_free(struct recorder *recorder); /* NULL is fine; finishes if nobody did */

#endif
