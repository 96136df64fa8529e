/* A plausible run for the report tests, without a cluster: 90 s of load (200 writes/s, 50 reads/s)
 * that begins 12 s into the run; the primary pg1 crashes 20 s later, is detected after 21 s, pg2 is
 * promoted after 22 s, takes its first write after 22.3 s, and everything streams after 51 s. */
#ifndef GAMEDAY_TESTS_REPORT_FIXTURE_H
#define GAMEDAY_TESTS_REPORT_FIXTURE_H

#include "gameday/report.h"

#define FIXTURE_BEGIN_S 12
#define FIXTURE_HOSTILE "<script>alert('x')</script>&\"`id`$(id)\xff"

struct report_fixture_options {
  bool hostile;          /* every name and text holds FIXTURE_HOSTILE */
  bool nothing_measured; /* no operation, no measure, no known time */
  uint32_t repeats;      /* 0: one */
  uint32_t faults;       /* 0: one; more: the same crash again every 90 s of a longer run */
};

struct report_fixture {
  struct report_input input;
  struct fixture_state *state; /* owns everything that `input` points to */
};

/* `directory` is borrowed. Aborts when memory runs out. */
void report_fixture_init(struct report_fixture *fixture, const char *directory,
                         const struct report_fixture_options *options);
void report_fixture_release(struct report_fixture *fixture);

#endif
