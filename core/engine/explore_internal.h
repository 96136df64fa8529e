/* What the parts of an exploration share. */
#ifndef GAMEDAY_ENGINE_EXPLORE_INTERNAL_H
#define GAMEDAY_ENGINE_EXPLORE_INTERNAL_H

#include <limits.h>

#include "engine/batch.h"
#include "engine/explore.h"
#include "engine/schedule.h"

#define VIOLATIONS_MAX 16
#define SEEDS_SHOWN 8
#define REMARKS_MAX 3
#define GROUPS_MAX 64

/* Something that was violated: an objective missed, or a checker's own rule broken. */
struct violation {
  bool checker;
  char what[56];
  char text[200]; /* by how much */
};

/* What a child tells of one schedule. */
struct verdict_message {
  struct schedule schedule;
  enum verdict verdict;
  uint32_t violation_count;
  struct violation violations[VIOLATIONS_MAX];
  char why[256]; /* unknown: the reason */
};

/* What a child tells of one group, of which it has shrunk one schedule. */
struct shrunk_message {
  uint32_t chosen; /* index in the group's candidates */
  struct schedule schedule;
  uint32_t tries;        /* schedules tried on the way */
  uint32_t shown, seeds; /* with how many of so many other seeds it is violated too */
  char text[200];        /* of the violation that is left */
};

/* A schedule that violates something, drawn from `seed`. */
struct candidate {
  uint64_t seed;
  struct schedule schedule;
  char text[200];
};

/* All schedules that violate one thing, and the one that stands for them. */
struct group {
  bool checker;
  char what[56];
  uint64_t count;
  uint64_t seeds[SEEDS_SHOWN];                     /* the first */
  struct candidate candidates[EXPLORE_SHRINK_MAX]; /* the smallest, in order */
  uint32_t candidate_count;
  bool is_shrunk;
  struct shrunk_message shrunk; /* when not: all zero */
  char error[200];              /* why it could not be shrunk; "": nothing failed */
  char path[PATH_MAX];          /* of its file; "": not written yet */
};

/* A seed about which there is something to say. */
struct remark {
  uint64_t seed;
  struct schedule schedule;
  char text[320];
  char path[PATH_MAX];
};

struct coverage {
  uint32_t kinds;
  uint64_t *drawn;                   /* by kind */
  uint64_t *targets;                 /* by kind and enum target_kind */
  uint64_t *overlapping, *following; /* by first kind * kinds + second kind */
};
#define COVERAGE_TARGETS (TARGET_ANY + 1)

struct explore {
  const struct explore_spec *spec;
  struct schedule_rules rules;
  struct arena arena;
  struct coverage coverage;
  struct explore_result result;
  struct group *groups; /* GROUPS_MAX */
  uint32_t group_count;
  uint64_t groups_left_out; /* violations of further groups */
  struct remark unknown[REMARKS_MAX], crashed[REMARKS_MAX];
  uint32_t unknown_count, crashed_count; /* remembered */
  uint64_t start_ns, told_ns;
  uint32_t shrunk_count; /* groups, so far */
  uint32_t told_count;   /* of these, when a line was logged last */
};

/* --- explore_job.c: in the children --- */

/* Jobs of a batch whose data is the `struct explore`. */
int explore_job_verdict(void *data, uint64_t index, const char *directory, void *ret_message,
                        struct error *err);
int explore_job_shrink(void *data, uint64_t index, const char *directory, void *ret_message,
                       struct error *err);

/* --- explore_coverage.c --- */

int coverage_init(struct coverage *coverage, uint32_t kinds, struct error *err);
void coverage_release(struct coverage *coverage);
void coverage_add(struct coverage *coverage, const struct schedule *schedule);
uint32_t coverage_kinds(const struct coverage *coverage); /* drawn at least once */
uint32_t coverage_pairs(const struct coverage *coverage, bool overlapping);

/* --- explore_report.c --- */

static inline const struct candidate *group_candidate(const struct group *group) {
  return &group->candidates[group->shrunk.chosen];
}
static inline const struct schedule *group_schedule(const struct group *group) {
  return group->is_shrunk ? &group->shrunk.schedule : &group_candidate(group)->schedule;
}

/* Writes the schedule as a scenario file in spec->directory, with `comment` (lines that begin with
 * "# ") before it. `suffix` is appended to the name; "" mostly. */
int explore_write_schedule(const struct explore *explore, const struct schedule *schedule,
                           uint64_t seed, const char *suffix, const char *comment,
                           char ret_path[PATH_MAX], struct error *err);
int explore_write_remark(const struct explore *explore, const char *what, struct remark *remark,
                         struct error *err);
/* The schedule that stands for the group, shrunk or as it was found. */
int explore_write_group(const struct explore *explore, struct group *group, struct error *err);
void explore_print_summary(const struct explore *explore, struct buf *text);

#endif
