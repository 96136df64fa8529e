/* The status line and the recent counts. */
#include "engine/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without a terminal, one line in so long. */
#define PLAIN_PERIOD_NS (10 * NS_PER_S)
#define BAR_WIDTH 20
/* A single part with fewer successes on average may well have none. */
#define PART_EXPECTED 3.0

int progress_init(struct progress *progress, struct log *log, struct recorder *recorder,
                  uint64_t start_ns, struct error *err) {
  *progress = (struct progress){
      .log = log, .recorder = recorder, .start_ns = start_ns, .phase = "", .printed_ns = start_ns};
  progress->points = calloc(PROGRESS_HISTORY, sizeof *progress->points);
  return progress->points ? 0 : error_set(err, STATUS_MEMORY, "out of memory for progress");
}

void progress_release(struct progress *progress) {
  free(progress->points);
  progress->points = NULL;
}

static double seconds(const struct progress *progress, uint64_t now_ns) {
  return (double)(now_ns - progress->start_ns) / (double)NS_PER_S;
}

void progress_phase(struct progress *progress, const char *phase, uint64_t now_ns) {
  progress->phase = phase;
  progress->printed_ns = now_ns;
  log_print(progress->log, LOG_INFO, "%7.1f s  %s", seconds(progress, now_ns), phase);
}

static void take_point(struct progress *progress, uint64_t now_ns) {
  uint64_t writes[OUTCOME_COUNT], reads[OUTCOME_COUNT];
  recorder_counts(progress->recorder, writes, reads);
  struct progress_point *point = &progress->points[progress->point_count++ % PROGRESS_HISTORY];
  point->time_ns = now_ns;
  point->ok = writes[OUTCOME_OK];
  point->bad = writes[OUTCOME_FAIL] + writes[OUTCOME_UNKNOWN] + writes[OUTCOME_SKIPPED];
  point->reads_ok = reads[OUTCOME_OK];
  point->reads_bad = reads[OUTCOME_FAIL] + reads[OUTCOME_UNKNOWN] + reads[OUTCOME_SKIPPED];
  /* Parts only come: those that were not there yet have the zeros of the beginning. */
  progress->part_count = recorder_parts(progress->recorder, point->parts);
}

/* The point `back` periods ago; the oldest kept when there are not so many. */
static const struct progress_point *point_back(const struct progress *progress, uint32_t back) {
  uint32_t kept =
      progress->point_count < PROGRESS_HISTORY ? progress->point_count : PROGRESS_HISTORY;
  if (kept == 0) return NULL;
  if (back >= kept) back = kept - 1;
  return &progress->points[(progress->point_count - 1 - back) % PROGRESS_HISTORY];
}

/* The newest point that is not after `time_ns`; NULL when none is kept. */
static const struct progress_point *point_at(const struct progress *progress, uint64_t time_ns) {
  for (uint32_t back = 0; back < PROGRESS_HISTORY && back < progress->point_count; back++) {
    const struct progress_point *point = point_back(progress, back);
    if (point->time_ns <= time_ns) return point;
  }
  return NULL;
}

/* Whether each part that is asked often enough had successes between the points: one that has had
 * three in such a time on average is silent in it once in twenty times, and looked at again soon.
 * Of many parts each needs more, for all of them together to be silent no more often. */
static bool all_parts_ok(const struct progress *progress, const struct progress_point *from,
                         const struct progress_point *to) {
  double share = (double)(to->time_ns - from->time_ns) / (double)(to->time_ns - progress->start_ns);
  if (progress->part_count <= 1) return true;
  double expected = PART_EXPECTED + log(progress->part_count);
  for (uint32_t i = 0; i < progress->part_count; i++)
    if ((double)to->parts[i] * share >= expected && to->parts[i] == from->parts[i]) return false;
  return true;
}

/* Nothing was written yet, but something read. */
static bool only_reads(const struct progress_point *point) {
  return point->ok + point->bad == 0 && point->reads_ok + point->reads_bad > 0;
}

/* Writes must have succeeded in the later half too: those of the earlier one may have been done
 * before `since_ns` and counted after it, and what hangs on a dead host is counted nowhere yet. */
bool progress_all_ok_since(const struct progress *progress, uint64_t since_ns) {
  const struct progress_point *first = point_at(progress, since_ns);
  const struct progress_point *last = point_back(progress, 0);
  if (!first || last->time_ns <= since_ns) return false;
  const struct progress_point *half = point_at(progress, since_ns + (last->time_ns - since_ns) / 2);
  if (only_reads(last))
    return last->reads_bad == first->reads_bad && half->reads_ok > first->reads_ok &&
           last->reads_ok > half->reads_ok;
  return last->bad == first->bad && half->ok > first->ok && last->ok > half->ok &&
         all_parts_ok(progress, first, half) && all_parts_ok(progress, half, last);
}

/* Appends " redis1:P2": the primary of shard 2. Returns how much is used then. */
static size_t describe_service(const struct service_instance *service, char *text, size_t used,
                               size_t size) {
  static const char letters[] = {'-', 'P', 'r'};
  struct service_view view;
  service->service->view(service, &view);
  for (uint32_t m = 0; m < service->member_count && used + 8 < size; m++) {
    const struct host *host = service->members[m];
    const struct host_view *seen = &view.hosts[host->index];
    char shard[8] = "";
    if (view.shards > 0 && seen->shard > 0)
      snprintf(shard, sizeof shard, "%u", (unsigned)seen->shard);
    int wrote =
        snprintf(text + used, size - used, " %s:%c%s", host->name, letters[seen->role], shard);
    used += wrote > 0 ? (size_t)wrote : 0;
  }
  return used;
}

static void describe_roles(const struct service_instance *first, uint32_t count, char *text,
                           size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t i = 0; first && i < count && used < size; i++)
    used = describe_service(&first[i], text, used, size);
}

static void describe_bar(const struct progress *progress, uint64_t now_ns, char text[64]) {
  text[0] = '\0';
  if (progress->expected_end_ns <= progress->start_ns) return;
  double part = (double)(now_ns - progress->start_ns) /
                (double)(progress->expected_end_ns - progress->start_ns);
  int full = part >= 1 ? BAR_WIDTH : (int)(part * BAR_WIDTH);
  text[0] = '[';
  for (int i = 0; i < BAR_WIDTH; i++) text[1 + i] = i < full ? '#' : '.';
  snprintf(text + 1 + BAR_WIDTH, 64 - 1 - BAR_WIDTH, "] ");
}

void progress_tick(struct progress *progress, uint64_t now_ns,
                   const struct service_instance *service, const char *detail) {
  take_point(progress, now_ns);
  bool plain = !progress->log->live;
  if (plain && now_ns - progress->printed_ns < PLAIN_PERIOD_NS) return;
  const struct progress_point *last = point_back(progress, 0), *before = point_back(progress, 10);
  double span = (double)(last->time_ns - before->time_ns) / (double)NS_PER_S;
  bool reads = only_reads(last);
  uint64_t done = reads ? last->reads_ok - before->reads_ok : last->ok - before->ok;
  uint64_t failed = reads ? last->reads_bad - before->reads_bad : last->bad - before->bad;
  double ok = span > 0 ? (double)done / span : 0;
  double bad = span > 0 ? (double)failed / span : 0;
  char roles[256], bar[64], line[512];
  describe_roles(service, progress->service_count ? progress->service_count : 1, roles,
                 sizeof roles);
  describe_bar(progress, now_ns, bar);
  snprintf(line, sizeof line, "%s%.1f s  %s  %s %.0f/s ok, %.0f/s not%s%s%s%s", plain ? "" : bar,
           seconds(progress, now_ns), progress->phase, reads ? "reads" : "writes", ok, bad,
           roles[0] ? " " : "", roles, detail[0] ? "  " : "", detail);
  progress->printed_ns = now_ns;
  if (plain)
    log_print(progress->log, LOG_INFO, "%s", line);
  else
    log_status(progress->log, line);
}

void progress_end(struct progress *progress) {
  log_status(progress->log, "");
}
