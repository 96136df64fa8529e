/* Reads through a cache and calls of its origin: kept whole, because what a time is compared with
 * is known only when a fault has come. */
#include "stampede_parts.h"

#include <stdlib.h>

#include "measures.h"

static bool grow(void **items, uint64_t count, uint64_t *capacity, size_t size) {
  if (count < *capacity) return true;
  uint64_t wanted = *capacity ? *capacity * 2 : 4096;
  void *larger = realloc(*items, wanted * size);
  if (!larger) return false;
  *items = larger;
  *capacity = wanted;
  return true;
}

static void mark_cached(struct stampede_log *log, uint8_t workload) {
  log->cached[workload / 64] |= UINT64_C(1) << workload % 64;
}

static bool is_cached(const struct stampede_log *log, uint8_t workload) {
  return log->cached[workload / 64] >> workload % 64 & 1;
}

int stampede_add_read(struct stampede_log *log, const struct operation *operation,
                      struct error *err) {
  void *items = log->reads;
  bool room = grow(&items, log->read_count, &log->read_capacity, sizeof *log->reads);
  log->reads = items;
  if (!room) return error_set(err, STATUS_MEMORY, "out of memory for reads");
  uint64_t latency_us = difference_ns(operation->done_ns, operation->scheduled_ns) / NS_PER_US;
  bool ok = operation->outcome == OUTCOME_OK;
  bool known = ok && operation->sequence < CACHE_SOURCE_COUNT;
  if (known && operation->sequence > 0) mark_cached(log, operation->workload);
  log->reads[log->read_count++] = (struct stampede_read){
      .scheduled_ns = operation->scheduled_ns,
      .latency_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX,
      .source = known ? (uint8_t)operation->sequence : CACHE_NONE,
      .workload = operation->workload};
  return 0;
}

int stampede_add_call(struct stampede_log *log, const struct operation *operation,
                      struct error *err) {
  void *items = log->calls;
  bool room = grow(&items, log->call_count, &log->call_capacity, sizeof *log->calls);
  log->calls = items;
  if (!room) return error_set(err, STATUS_MEMORY, "out of memory for calls of the origin");
  mark_cached(log, operation->workload);
  log->calls[log->call_count++] =
      (struct stampede_call){.scheduled_ns = operation->scheduled_ns,
                             .sent_ns = operation->sent_ns,
                             .done_ns = operation->done_ns,
                             .key = operation->read_identity,
                             .workload = operation->workload,
                             .ok = operation->outcome == OUTCOME_OK,
                             .refused = operation->code == code_pack(CODE_TOO_MANY)};
  return 0;
}

static int compare_reads(const void *left, const void *right) {
  const struct stampede_read *a = left, *b = right;
  return a->scheduled_ns < b->scheduled_ns ? -1 : a->scheduled_ns > b->scheduled_ns;
}

void stampede_settle(struct stampede_log *log) {
  uint64_t kept = 0;
  for (uint64_t i = 0; i < log->read_count; i++)
    if (is_cached(log, log->reads[i].workload)) log->reads[kept++] = log->reads[i];
  log->read_count = kept;
  if (kept > 1) qsort(log->reads, kept, sizeof *log->reads, compare_reads);
}

void stampede_release(struct stampede_log *log) {
  free(log->reads);
  free(log->calls);
  *log = (struct stampede_log){.read_count = 0};
}

/* --- reads ----------------------------------------------------------------------------------- */

/* The first read that was scheduled at `time_ns` or later. */
static uint64_t first_read(const struct stampede_log *log, uint64_t time_ns) {
  uint64_t low = 0, high = log->read_count;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (log->reads[middle].scheduled_ns < time_ns)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool is_hit(const struct stampede_read *read) {
  return read->source == CACHE_HIT || read->source == CACHE_STALE || read->source == CACHE_EARLY;
}

void stampede_look(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                   struct stampede_view *ret) {
  struct histogram histogram;
  uint64_t hits = 0;
  histogram_init(&histogram);
  for (uint64_t i = first_read(log, from_ns);
       i < log->read_count && log->reads[i].scheduled_ns < to_ns; i++) {
    hits += is_hit(&log->reads[i]) ? 1 : 0;
    histogram_add(&histogram, log->reads[i].latency_us);
  }
  *ret = (struct stampede_view){.reads = histogram.count, .ratio = 1};
  if (histogram.count == 0) return;
  ret->ratio = (double)hits / (double)histogram.count;
  ret->p50_ns = histogram_quantile(&histogram, 0.5) * NS_PER_US;
  ret->p99_ns = histogram_quantile(&histogram, 0.99) * NS_PER_US;
  ret->max_ns = histogram.maximum * NS_PER_US;
}

double stampede_worst_ratio(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                            uint64_t count) {
  uint64_t first = first_read(log, from_ns), hits = 0;
  double worst = 1;
  for (uint64_t i = first; i < log->read_count && log->reads[i].scheduled_ns < to_ns; i++) {
    hits += is_hit(&log->reads[i]) ? 1 : 0;
    if (i - first >= count) hits -= is_hit(&log->reads[i - count]) ? 1 : 0;
    if (i - first + 1 < count) continue;
    double ratio = (double)hits / (double)count;
    if (ratio < worst) worst = ratio;
  }
  return worst;
}

uint64_t stampede_stale(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns) {
  uint64_t stale = 0;
  for (uint64_t i = first_read(log, from_ns);
       i < log->read_count && log->reads[i].scheduled_ns < to_ns; i++)
    stale += log->reads[i].source == CACHE_STALE ? 1 : 0;
  return stale;
}

/* --- calls ----------------------------------------------------------------------------------- */

/* A call begins (+1) or ends (-1). */
struct edge {
  uint64_t time_ns;
  int change;
};

/* At one moment ends come first. */
static int compare_edges(const void *left, const void *right) {
  const struct edge *a = left, *b = right;
  if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
  return a->change - b->change;
}

static uint64_t most_at_once(struct edge *edges, uint64_t count) {
  uint64_t most = 0;
  int64_t now = 0;
  qsort(edges, count, sizeof *edges, compare_edges);
  for (uint64_t i = 0; i < count; i++) {
    now += edges[i].change;
    if (now > (int64_t)most) most = (uint64_t)now;
  }
  return most;
}

static int compare_numbers(const void *left, const void *right) {
  const uint64_t *a = left, *b = right;
  return *a < *b ? -1 : *a > *b;
}

static uint64_t count_different(uint64_t *numbers, uint64_t count) {
  uint64_t different = 0;
  qsort(numbers, count, sizeof *numbers, compare_numbers);
  for (uint64_t i = 0; i < count; i++)
    if (i == 0 || numbers[i] != numbers[i - 1]) different++;
  return different;
}

int stampede_count_calls(const struct stampede_log *log, uint64_t from_ns, uint64_t to_ns,
                         struct stampede_calls *ret, struct error *err) {
  struct edge *edges = calloc(2 * log->call_count + 1, sizeof *edges);
  uint64_t *keys = calloc(log->call_count + 1, sizeof *keys);
  struct stampede_calls counts = {.calls = 0};
  uint64_t edge_count = 0;
  for (uint64_t i = 0; edges && keys && i < log->call_count; i++) {
    const struct stampede_call *call = &log->calls[i];
    if (call->scheduled_ns < from_ns || call->scheduled_ns >= to_ns) continue;
    if (call->sent_ns > 0) {
      edges[edge_count++] = (struct edge){.time_ns = call->sent_ns, .change = 1};
      edges[edge_count++] = (struct edge){.time_ns = call->done_ns, .change = -1};
    }
    keys[counts.calls++] = (uint64_t)call->workload << 32 | call->key;
    counts.failed += call->ok ? 0 : 1;
    counts.refused += call->refused ? 1 : 0;
  }
  if (edges && keys) {
    counts.most = most_at_once(edges, edge_count);
    counts.keys = count_different(keys, counts.calls);
    *ret = counts;
  }
  int status = edges && keys ? 0 : error_set(err, STATUS_MEMORY, "out of memory for calls");
  free(edges);
  free(keys);
  return status;
}
