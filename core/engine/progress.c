/* The status line and the recent counts. */
#include "engine/progress.h"

#include <stdio.h>
#include <string.h>

/* Without a terminal, one line in so long. */
#define PLAIN_PERIOD_NS (10 * NS_PER_S)
#define BAR_WIDTH 20

void progress_init(struct progress *progress, struct log *log, struct recorder *recorder,
                   uint64_t start_ns) {
  *progress = (struct progress){
      .log = log, .recorder = recorder, .start_ns = start_ns, .phase = "", .printed_ns = start_ns};
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
  progress->points[progress->point_count++ % PROGRESS_HISTORY] = (struct progress_point){
      .time_ns = now_ns,
      .ok = writes[OUTCOME_OK],
      .bad = writes[OUTCOME_FAIL] + writes[OUTCOME_UNKNOWN] + writes[OUTCOME_SKIPPED]};
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

/* Writes must have succeeded in the later half too: those of the earlier one may have been done
 * before `since_ns` and counted after it, and what hangs on a dead host is counted nowhere yet. */
bool progress_all_ok_since(const struct progress *progress, uint64_t since_ns) {
  const struct progress_point *first = point_at(progress, since_ns);
  const struct progress_point *last = point_back(progress, 0);
  if (!first || last->time_ns <= since_ns) return false;
  const struct progress_point *half = point_at(progress, since_ns + (last->time_ns - since_ns) / 2);
  return last->bad == first->bad && half->ok > first->ok && last->ok > half->ok;
}

static void describe_roles(const struct service_instance *service, char *text, size_t size) {
  static const char letters[] = {'-', 'P', 'r'};
  struct service_view view;
  size_t used = 0;
  text[0] = '\0';
  if (!service) return;
  service->service->view(service, &view);
  for (uint32_t m = 0; m < service->member_count && used + 8 < size; m++) {
    const struct host *host = service->members[m];
    int wrote = snprintf(text + used, size - used, " %s:%c", host->name,
                         letters[view.hosts[host->index].role]);
    used += wrote > 0 ? (size_t)wrote : 0;
  }
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
  double ok = span > 0 ? (double)(last->ok - before->ok) / span : 0;
  double bad = span > 0 ? (double)(last->bad - before->bad) / span : 0;
  char roles[256], bar[64], line[512];
  describe_roles(service, roles, sizeof roles);
  describe_bar(progress, now_ns, bar);
  snprintf(line, sizeof line, "%s%.1f s  %s  writes %.0f/s ok, %.0f/s not%s%s%s%s",
           plain ? "" : bar, seconds(progress, now_ns), progress->phase, ok, bad,
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
