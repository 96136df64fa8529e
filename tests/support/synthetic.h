/* Records in which the truth is known: a run directory written through the recorder in virtual
 * time, with rates, outages, promotions and lost rows as a test says. Failures abort the test. */
#ifndef GAMEDAY_TESTS_SYNTHETIC_H
#define GAMEDAY_TESTS_SYNTHETIC_H

#include "base/arena.h"
#include "base/clock.h"
#include "engine/judge.h"
#include "engine/record.h"
#include "engine/recorder.h"

#define SECONDS(s) ((uint64_t)((s)*1e9 + 0.5))
#define SYNTHETIC_HOSTS 3 /* pg1 pg2 pg3; then client1 */
#define SYNTHETIC_HOSTS_MAX 6
#define SYNTHETIC_FAULTS_MAX 4
#define PG1 0
#define PG2 1
#define PG3 2
#define ALL_HOSTS 7u /* bit h: host h */

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* As near as times of a record let a measure be. */
#define NEAR(a, b) assert_float_equal((float)(a), (float)(b), 1e-4F)

/* What a run is unless a test changes it: load from 10 s to 70 s, one fault, all in order. */
struct synthetic_options {
  double load_begin_s, load_end_s, end_s;
  uint32_t faults;
  bool planned[SYNTHETIC_FAULTS_MAX];
  uint64_t outage_min_ns, dropped;
  uint32_t load_minimum;
  bool unfinished;
  bool no_final_read;
  double write_rate; /* 0: counted */
  uint32_t hosts;    /* 0: SYNTHETIC_HOSTS */
  /* > 0: the hosts from here on (pg3 ...) are of a second service, `redis`, and so is workload 1.
   */
  uint32_t redis_from;
  bool redis_unread; /* its workload does not read its rows back */
};
extern const struct synthetic_options synthetic_defaults;

/* How operations fare that are scheduled from from_s on; the last span that begins before an
 * operation counts. */
struct synthetic_span {
  double from_s;
  enum outcome outcome;
  double latency_s; /* of those that were sent: from scheduled to done */
  uint16_t host;
  uint32_t timeline;
  uint32_t rows; /* bit h: host h has the row at the end */
  const char *code;
  double until_s; /* > 0: done then, whenever it was scheduled (queued through an outage) */
};
/* Answered by a host on its timeline, and no row is there at the end; answered, and the row is on
 * all hosts; answered by nobody. */
#define OK_ON(from, where, line) \
  { .from_s = from, .outcome = OUTCOME_OK, .latency_s = 0.002, .host = where, .timeline = line }
#define KEPT_ON(from, where, line)                                                              \
  {                                                                                             \
    .from_s = from, .outcome = OUTCOME_OK, .latency_s = 0.002, .host = where, .timeline = line, \
    .rows = ALL_HOSTS                                                                           \
  }
#define DOWN(from)                                                                \
  {                                                                               \
    .from_s = from, .outcome = OUTCOME_FAIL, .latency_s = 0.5, .host = HOST_NONE, \
    .code = CODE_NO_CONNECTION                                                    \
  }
/* Equal operations at an even rate: writes on the primary unless it says otherwise. */
struct synthetic_load {
  enum operation_kind kind;
  enum route route;
  uint16_t client;
  uint8_t workload;
  uint16_t shard;
  double rate;                        /* a second; 0: 100 */
  double from_s, to_s;                /* both 0: as long as the run's load */
  const struct synthetic_span *spans; /* the first begins at 0 */
  uint32_t span_count;
};

struct synthetic_item;
struct synthetic {
  struct synthetic_options options;
  char directory[64];
  struct clock clock;
  _Atomic uint64_t now_ns;
  struct recorder *recorder;
  struct sink *sink;
  struct operation
      *operations; /* kept until finish: they are handed over in the order of done_ns */
  uint32_t operation_count, operation_capacity;
  struct {
    struct final_row *items;
    uint32_t count, capacity;
    int64_t reported; /* what the final read says; -1: as many as there are */
    const char *failed;
  } rows[SYNTHETIC_HOSTS_MAX];
  uint32_t identities;
  /* Afterwards: */
  struct record record;
  struct arena arena;
  struct run_result result;
  bool open;
};

void synthetic_begin(struct synthetic *it, const struct synthetic_options *options);
void synthetic_release(struct synthetic *it); /* removes the directory */

uint32_t synthetic_identity(struct synthetic *it);
/* The checksum that the workload would have sent for a row. */
uint64_t synthetic_value(uint32_t identity, uint64_t sequence);
void synthetic_operation(struct synthetic *it, const struct operation *operation);
/* Writes bring their rows with them; identities are renewed after unknown ones. */
void synthetic_add_load(struct synthetic *it, const struct synthetic_load *load);
void synthetic_row(struct synthetic *it, uint16_t host, const struct final_row *row);
void synthetic_remove_row(struct synthetic *it, uint16_t host, uint32_t identity,
                          uint64_t sequence);
void synthetic_event(struct synthetic *it, double time_s, enum event_kind kind, int32_t fault,
                     uint16_t host, int64_t number, const char *text);
void synthetic_role(struct synthetic *it, double time_s, uint16_t host, enum role role);
/* The host belongs to a shard, from 1. */
void synthetic_shard_role(struct synthetic *it, double time_s, uint16_t host, enum role role,
                          uint16_t shard);
void synthetic_sample(struct synthetic *it, double time_s, enum metric metric, uint16_t host,
                      double value);
/* Journaled 10 ms before, injected 5 ms before, confirmed at confirmed_s; healed when healed_s >
 * 0. */
void synthetic_fault(struct synthetic *it, int32_t fault, uint16_t host, double confirmed_s,
                     double healed_s);
/* The crash of pg1 that everyone knows: in effect at 30 s, detected at 50, pg2 promoted at 51 and
 * writable at 52, healed at 60, redundant at 65. `rate` writes a second on the primary. */
void synthetic_crash(struct synthetic *it, double rate);

/* Writes everything, opens the record. */
void synthetic_finish(struct synthetic *it);
/* Runs one checker (NULL: all) and judges `scenario` (NULL: no objectives); finishes first what is
 * not finished. */
void synthetic_judge(struct synthetic *it, const struct checker *checker,
                     const struct scenario *scenario);
/* A measure of the judged run; aborts when there is none. */
const struct measure *synthetic_measure(const struct synthetic *it, const char *name,
                                        int32_t fault);
/* Its value; aborts unless it is known. */
double synthetic_value_of(const struct synthetic *it, const char *name, int32_t fault);
struct synthetic_value {
  const char *name;
  int32_t fault;
  double value;
};
/* Every one of these measures is known and NEAR its value; a NULL name ends them. */
void synthetic_expect(const struct synthetic *it, const struct synthetic_value *values);
#define EXPECT(it, ...) \
  synthetic_expect(it, (const struct synthetic_value[]){__VA_ARGS__, {.name = NULL}})
/* The text of the first witness of that kind, or NULL. */
const char *synthetic_witness(const struct synthetic *it, const char *what);
const struct finding *synthetic_finding(const struct synthetic *it, const char *checker);

#endif
