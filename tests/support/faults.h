/* A timeline of faults in virtual time, on a cluster in memory; with injectors that do what their
 * name says, as far as such a cluster can. Failures abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_FAULTS_H
#define GAMEDAY_TESTS_SUPPORT_FAULTS_H

#include "engine/timeline.h"
#include "support/fake.h"
#include "support/virtual_time.h"

#define FAULTS_MAX 4

/* The configuration of each of the injectors. */
struct fault_config {
  struct target target;
  const char *process;
};

struct faults {
  struct virtual_time time;
  struct fake fake;
  struct scenario scenario;
  struct timeline_entry entries[FAULTS_MAX]; /* "first", "second", ... */
  struct fault_config configs[FAULTS_MAX];
  struct journal journal;
  struct timeline *timeline;
  char directory[TEMPORARY_SIZE];
  uint64_t start_ns; /* of the run: ten seconds before the timeline begins */
  uint64_t seed;
  bool load_fails;
  bool done;
  int status;
  struct error error;
};

/* power: off and on; pause: freezes the host and notes the process; kill: passes by itself;
 * step: a switchover that is planned. */
extern const struct injector faults_power, faults_pause, faults_kill, faults_step;

extern const struct target faults_primary, faults_replica, faults_db3;

/* For CMocka: *state is a `struct faults` with an empty timeline. */
int faults_setup(void **state);
int faults_teardown(void **state);

/* Adds an entry that begins at `at_s`; change the returned one for more. */
struct timeline_entry *faults_add(struct faults *f, const struct injector *injector,
                                  struct target target, uint64_t at_s, uint64_t for_s);
void faults_begin(struct faults *f);
/* Goes on for so long, or until the timeline is over. */
void faults_go_on(struct faults *f, uint64_t seconds);
/* Seconds after the timeline's begin at which the n-th event of a kind happened. */
double faults_when(const struct faults *f, enum event_kind kind, uint32_t n);
/* It happened then, or up to 0.1 s later. */
void faults_assert_at(const struct faults *f, enum event_kind kind, uint32_t n, double seconds);
/* The cluster's primitive was called: "host_stop db1". */
void faults_assert_calls(const struct faults *f, const char *text);
/* How many faults the journal holds that are not healed. */
uint32_t faults_open(const struct faults *f);

#endif
