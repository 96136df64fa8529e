/* Opens a run directory: reads run.json and the events, and goes over operations and samples once,
 * so that all who read them later may believe every field. */
#include "engine/record.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record_internal.h"
#include "engine/recorder.h"

static int check_operation(const struct record *record, const struct operation *operation,
                           uint64_t index, struct error *err) {
  const struct record_elements *file = &record->files->operations;
  if (operation->kind >= OPERATION_KIND_COUNT)
    return record_damaged(file, index, err, "kind %u is not known", operation->kind);
  if (operation->outcome >= OUTCOME_COUNT)
    return record_damaged(file, index, err, "outcome %u is not known", operation->outcome);
  if (operation->route >= ROUTE_COUNT)
    return record_damaged(file, index, err, "route %u is not known", operation->route);
  if (operation->host != HOST_NONE && operation->host >= record->info.host_count)
    return record_damaged(file, index, err, "host %u is not in run.json", operation->host);
  if (operation->shard > SHARDS_MAX)
    return record_damaged(file, index, err, "shard %u is out of range", operation->shard);
  if (operation->scheduled_ns > RECORD_TIME_MAX || operation->sent_ns > RECORD_TIME_MAX ||
      operation->done_ns > RECORD_TIME_MAX)
    return record_damaged(file, index, err, "a time is out of range");
  if (operation->done_ns < operation->sent_ns)
    return record_damaged(file, index, err, "it was done before it was sent");
  if (operation->identity > RECORD_IDENTITY_MAX)
    return record_damaged(file, index, err, "identity %" PRIu32 " is out of range",
                          operation->identity);
  return 0;
}

static void count_into(struct operation_counts *counts, enum outcome outcome) {
  counts->scheduled++;
  switch (outcome) {
    case OUTCOME_OK: counts->ok++; break;
    case OUTCOME_FAIL: counts->fail++; break;
    case OUTCOME_UNKNOWN: counts->unknown++; break;
    case OUTCOME_SKIPPED: counts->skipped++; break;
    case OUTCOME_COUNT: break;
  }
}

static void count_operation(struct record *record, const struct operation *operation) {
  const struct record_info *info = &record->info;
  if (operation->identity > info->identity_count) record->info.identity_count = operation->identity;
  if (operation->done_ns > info->end_ns) record->info.end_ns = operation->done_ns;
  uint8_t service = operation_service(info, operation);
  if (operation->shard > 0) bits_add(&record->files->shards_seen[service], operation->shard - 1u);
  if (operation->route != ROUTE_PRIMARY || operation->scheduled_ns < info->load_begin_ns ||
      operation->scheduled_ns >= info->load_end_ns)
    return;
  if (operation->kind == OPERATION_WRITE) {
    count_into(&record->files->writes, operation->outcome);
    record->files->writes_of[service][operation->shard]++;
  }
  if (operation_is_read(operation)) count_into(&record->files->reads, operation->outcome);
}

static int scan_operations(struct record *record, struct record_pass *pass, struct error *err) {
  uint64_t latest_ns = 0, disorder_ns = 0;
  for (uint64_t index = 0;; index++) {
    const void *element = NULL;
    int status = record_pass_next(pass, &element, err);
    if (status < 0) return status;
    if (!element) break;
    const struct operation *operation = element;
    status = check_operation(record, operation, index, err);
    if (status < 0) return status;
    count_operation(record, operation);
    if (operation->done_ns > latest_ns) latest_ns = operation->done_ns;
    if (latest_ns - operation->done_ns > disorder_ns) disorder_ns = latest_ns - operation->done_ns;
  }
  record->files->operation_disorder_ns = disorder_ns;
  return 0;
}

static int scan_samples(struct record *record, struct record_pass *pass, struct error *err) {
  const struct record_elements *file = &record->files->samples;
  uint64_t latest_ns = 0, disorder_ns = 0;
  for (uint64_t index = 0;; index++) {
    const void *element = NULL;
    int status = record_pass_next(pass, &element, err);
    if (status < 0) return status;
    if (!element) break;
    const struct sample *sample = element;
    if (sample->metric >= METRIC_COUNT)
      return record_damaged(file, index, err, "metric %u is not known", sample->metric);
    if (sample->host != HOST_NONE && sample->host >= record->info.host_count)
      return record_damaged(file, index, err, "host %u is not in run.json", sample->host);
    if (sample->time_ns > RECORD_TIME_MAX || !isfinite(sample->value))
      return record_damaged(file, index, err, "its time or value is out of range");
    if (sample->time_ns > latest_ns) latest_ns = sample->time_ns;
    if (latest_ns - sample->time_ns > disorder_ns) disorder_ns = latest_ns - sample->time_ns;
  }
  if (latest_ns > record->info.end_ns) record->info.end_ns = latest_ns;
  record->files->sample_disorder_ns = disorder_ns;
  return 0;
}

static int scan(struct record *record, const struct record_elements *elements,
                int (*each)(struct record *, struct record_pass *, struct error *),
                struct error *err) {
  CLEANUP(record_pass_end) struct record_pass pass;
  int status = record_pass_begin(&pass, elements, err);
  return status < 0 ? status : each(record, &pass, err);
}

static int open_rows(struct record *record, struct error *err) {
  for (uint32_t h = 0; h < record->info.host_count; h++) {
    char name[HOST_NAME_SIZE + 16], path[4096];
    snprintf(name, sizeof name, "final-%s.bin", record->info.hosts[h]);
    int status = path_format(path, sizeof path, err, "%s/%s", record->directory, name);
    if (status < 0) return status;
    if (!file_exists(path)) continue; /* a client host, or a run that did not come so far */
    status = record_elements_open(record, name, RECORD_ROWS, sizeof(struct final_row),
                                  &record->files->rows[h], err);
    if (status < 0) return status;
    record_elements_rest(&record->files->rows[h]); /* hosts may be more than files at a time */
  }
  return 0;
}

static void derive_rates(struct record *record) {
  struct record_info *info = &record->info;
  if (info->load_begin_ns == TIME_NEVER) return;
  double seconds = (double)(info->load_end_ns - info->load_begin_ns) / (double)NS_PER_S;
  if (seconds <= 0) return;
  if (info->write_rate <= 0) info->write_rate = (double)record->files->writes.scheduled / seconds;
  if (info->read_rate <= 0) info->read_rate = (double)record->files->reads.scheduled / seconds;
}

/* The measured time has an end only when it has a beginning, and never ends before it. */
static void settle_times(struct record_info *info) {
  if (info->load_begin_ns == TIME_NEVER) {
    info->load_end_ns = TIME_NEVER;
  } else if (info->load_end_ns != TIME_NEVER && info->load_end_ns < info->load_begin_ns) {
    info->load_end_ns = info->load_begin_ns;
  }
}

/* A file that was cut or added to after the run reads like any other, so that only its length
 * tells. It is judged all the same, but nothing that is missing in it proves anything. */
static int check_length(struct record *record, const struct record_elements *elements,
                        uint64_t written, const char *what, struct error *err) {
  if (!record->finished || written == UINT64_MAX || written == elements->count) return 0;
  record->info.complete = false;
  record->damage =
      arena_printf(&record->arena,
                   "%s holds %" PRIu64 " %s, and the run wrote %" PRIu64 ": the record is damaged",
                   elements->path, elements->count, what, written);
  return record->damage ? 0 : error_set(err, STATUS_MEMORY, "out of memory for a record");
}

static int read_all(struct record *record, struct error *err) {
  struct record_files *files = record->files;
  struct record_info *info = &record->info;
  int status = record_read_run(record, err);
  if (status == 0) status = record_read_events(record, err);
  if (status == 0)
    status = record_elements_open(record, "operations.bin", RECORD_OPERATIONS,
                                  sizeof(struct operation), &files->operations, err);
  if (status == 0)
    status = record_elements_open(record, "samples.bin", RECORD_SAMPLES, sizeof(struct sample),
                                  &files->samples, err);
  if (status == 0)
    status = check_length(record, &files->samples, record->samples_written, "samples", err);
  if (status == 0)
    status =
        check_length(record, &files->operations, record->operations_written, "operations", err);
  if (status == 0) status = open_rows(record, err);
  if (status < 0) return status;
  record_derive(record);
  settle_times(info);
  bool cut = info->load_begin_ns != TIME_NEVER && info->load_end_ns == TIME_NEVER;
  status = scan(record, &files->operations, scan_operations, err);
  if (status == 0) status = scan(record, &files->samples, scan_samples, err);
  /* The harness died under load: what was measured ends with the last thing seen. */
  if (cut) info->load_end_ns = info->end_ns;
  if (status == 0) derive_rates(record);
  return status == 0 ? record_derive_sets(record, err) : status;
}

int record_open(const char *run_directory, struct record *ret, struct error *err) {
  struct record record = {.directory = NULL};
  arena_init(&record.arena, 0);
  record.directory = arena_strdup(&record.arena, run_directory);
  record.files = calloc(1, sizeof *record.files);
  if (!record.directory || !record.files) {
    free(record.files);
    arena_release(&record.arena);
    return error_set(err, STATUS_MEMORY, "out of memory for a record");
  }
  record.files->operations.fd = record.files->samples.fd = -1;
  for (int h = 0; h < HOSTS_MAX; h++) record.files->rows[h].fd = -1;
  int status = read_all(&record, err);
  if (status < 0) {
    record_close(&record);
    return status;
  }
  *ret = record;
  return 0;
}

static void close_elements(const struct record_elements *elements) {
  if (elements->fd >= 0) close(elements->fd);
}

void record_close(struct record *record) {
  if (!record || !record->files) return;
  close_elements(&record->files->operations);
  close_elements(&record->files->samples);
  for (int h = 0; h < HOSTS_MAX; h++) close_elements(&record->files->rows[h]);
  free(record->files->events);
  free(record->files);
  arena_release(&record->arena);
  *record = (struct record){.directory = NULL};
}

int record_count(const struct record *record, struct operation_counts *ret_writes,
                 struct operation_counts *ret_reads, struct error *err) {
  (void)err; /* counted when the record was opened */
  *ret_writes = record->files->writes;
  *ret_reads = record->files->reads;
  return 0;
}
