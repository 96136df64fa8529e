/* What a person sees on stderr while a run goes on: a status line on a terminal, a line now and
 * then elsewhere. Also remembers the recent counts, from which recovery is recognised. */
#ifndef GAMEDAY_ENGINE_PROGRESS_H
#define GAMEDAY_ENGINE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "engine/recorder.h"
#include "gameday/service.h"

#define PROGRESS_PERIOD_NS (100 * NS_PER_MS)
#define PROGRESS_HISTORY 64

struct progress_point {
  uint64_t time_ns;               /* clock time */
  uint64_t ok, bad;               /* writes so far: bad is fail + unknown + skipped */
  uint64_t reads_ok, reads_bad;   /* the same of reads */
  uint64_t parts[RECORDER_PARTS]; /* ok, by part */
};

struct progress {
  struct log *log;
  struct recorder *recorder;
  uint64_t start_ns;        /* clock time of the run's zero */
  uint64_t expected_end_ns; /* clock time; 0: not known */
  const char *phase;
  struct progress_point *points; /* a ring of PROGRESS_HISTORY, one a period; owned */
  uint32_t point_count;          /* ever taken */
  uint32_t part_count;           /* that have had an acknowledged write */
  uint32_t service_count; /* services behind the pointer that progress_tick() takes; 0: one */
  uint64_t printed_ns;
};

/* STATUS_MEMORY. */
int progress_init(struct progress *progress, struct log *log, struct recorder *recorder,
                  uint64_t start_ns, struct error *err);
void progress_release(struct progress *progress); /* zeroed is fine */
/* A new phase: always printed. */
void progress_phase(struct progress *progress, const char *phase, uint64_t now_ns);
/* Takes the counts and redraws; once a PROGRESS_PERIOD_NS. `service`: the first of as many as there
 * are, or NULL. `detail`: "" or what is happening. */
void progress_tick(struct progress *progress, uint64_t now_ns,
                   const struct service_instance *service, const char *detail);
/* Whether since clock time `since_ns` writes succeeded and none did anything else; on every shard
 * and of every workload that has any, because what hangs is counted nowhere yet. Of a load that
 * never wrote anything, reads are asked instead. */
bool progress_all_ok_since(const struct progress *progress, uint64_t since_ns);
/* Takes the status line off the screen. */
void progress_end(struct progress *progress);

#endif
