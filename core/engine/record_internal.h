/* What the parts of the record reader share. */
#ifndef GAMEDAY_ENGINE_RECORD_INTERNAL_H
#define GAMEDAY_ENGINE_RECORD_INTERNAL_H

#include "base/bits.h"
#include "base/clock.h"
#include "engine/record.h"
#include "gameday/provider.h"

_Static_assert(HOSTS_MAX <= BITS_MAX && SHARDS_MAX <= BITS_MAX, "hosts and shards are in bit sets");

/* Longer than any run, and short enough that sums of times do not overflow. */
#define RECORD_TIME_MAX (UINT64_C(31) * 24 * 3600 * NS_PER_S)
#define RECORD_FAULTS_MAX 10000
#define RECORD_IDENTITY_MAX (UINT32_C(1) << 24)
/* An operation may be found this much later in the file than its done_ns says. */
#define RECORD_DISORDER_MAX_NS (2 * NS_PER_S)

/* An event as it is kept: texts are shared and short, struct event is for passing on. */
struct record_event {
  uint64_t time_ns;
  const char *text;
  int64_t number, number2;
  int32_t fault;
  uint32_t order; /* in the file: equal times keep it */
  uint16_t host;
  uint8_t kind, role;
};

/* One file of fixed-size elements. Read with pread into a buffer, not mapped: a file that is cut
 * while it is read is an error then, not a signal. */
struct record_elements {
  int fd; /* -1: there is none, or it is only open while somebody reads it */
  bool at_rest;
  size_t size;
  uint64_t count;
  const char *path;
};

struct record_files {
  struct record_elements operations, samples;
  struct record_elements rows[HOSTS_MAX];
  struct record_event *events; /* sorted by time; owned */
  uint32_t event_count;
  struct fault_info *faults;  /* what info.faults shows to others */
  uint16_t shards[HOSTS_MAX]; /* to which each host was last said to belong; 0: to none */
  struct bits shards_seen[SERVICES_MAX]; /* number s - 1: there is a shard s of that service */
  struct bits primaries;                 /* the hosts that said so when the rows were read */
  struct bits role_hosts;                /* whose roles were told */
  uint32_t promoted_at[HOSTS_MAX];       /* index + 1 of the host's last promotion before that */
  uint64_t writes_of[SERVICES_MAX]
                    [SHARDS_MAX + 1]; /* as `writes.scheduled`; [0]: shard not known */
  uint64_t operation_disorder_ns, sample_disorder_ns;
  struct operation_counts writes, reads;
};

/* Fills what run.json says. The arena of `record` is ready. */
int record_read_run(struct record *record, struct error *err);
/* Decodes events.jsonl into record->files. */
int record_read_events(struct record *record, struct error *err);
/* What follows from the events: faults' times, phases, roles at the end. */
void record_derive(struct record *record);
/* Who belongs together: the sets of hosts, and the primary of each at the end. Last, when all
 * shards have been seen. */
int record_derive_sets(struct record *record, struct error *err);

/* Opens a file of elements and checks its head. `ret->path` lives in the arena. */
int record_elements_open(struct record *record, const char *name, const char magic[8], size_t size,
                         struct record_elements *ret, struct error *err);
/* Closes the file; each pass opens it anew. */
void record_elements_rest(struct record_elements *elements);

/* A buffered pass over a file of elements. */
struct record_pass {
  const struct record_elements *elements;
  unsigned char *buffer; /* owned */
  int fd;                /* owned when the elements are at rest and there is a buffer */
  uint64_t next;         /* index of the first element that is not in the buffer */
  uint32_t held, taken;  /* elements in the buffer, and how many of them were given out */
};
int record_pass_begin(struct record_pass *pass, const struct record_elements *elements,
                      struct error *err);
void record_pass_end(struct record_pass *pass);
/* The next element, valid until the next call; NULL at the end. */
int record_pass_next(struct record_pass *pass, const void **ret_element, struct error *err);

/* "operations.bin is damaged at element N: ..." */
int record_damaged(const struct record_elements *elements, uint64_t index, struct error *err,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
