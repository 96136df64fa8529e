/* A cluster that exists in memory only: three servers, a client, a monitor, one service on the
 * servers. Its primitives remember that they were called, keep a little state (off, frozen, how
 * many processes run), and fail when they are told to. */
#ifndef GAMEDAY_TESTS_SUPPORT_FAKE_H
#define GAMEDAY_TESTS_SUPPORT_FAKE_H

#include "gameday/provider.h"
#include "gameday/service.h"
#include "gameday/workload.h"

#define FAKE_SERVERS 3
#define FAKE_HOSTS (FAKE_SERVERS + 2)
#define FAKE_EVENTS_MAX 256
/* In the run directory; destroy() appends the cluster's id and a newline. */
#define FAKE_DESTROYED "destroyed"

struct fake {
  struct cluster cluster;        /* cluster.state is this struct */
  struct host hosts[FAKE_HOSTS]; /* db1 db2 db3 client1 monitor */
  const struct host *members[FAKE_SERVERS];
  struct service_instance service;
  struct service_view view; /* what the service says; db1 is primary */
  struct sink sink;
  const struct clock *clock; /* stamps events that have no time; NULL: they keep 0 */
  struct event events[FAKE_EVENTS_MAX];
  uint32_t event_count;
  char directory[4096]; /* cluster.run_directory */

  bool off[FAKE_HOSTS], frozen[FAKE_HOSTS];
  uint32_t cut[FAKE_HOSTS];       /* by receiving host; bit h: what host h sends does not arrive */
  uint32_t processes[FAKE_HOSTS]; /* that match anything */
  uint64_t keys[FAKE_HOSTS];      /* that a server holds */
  char unit_script[512];          /* last argument of the unit defined last */
  bool filled[FAKE_HOSTS];        /* the memory of its server, to the limit */
  bool stubborn;                  /* primitives return 0 and change nothing */
  const char *failing;            /* name of the primitive that fails, "*": all; NULL: none */
  uint32_t fail_at;               /* this call fails, counted from 1 as `called_count`; 0: none */
  uint32_t called_count;          /* primitives called so far */
  uint32_t used;                  /* enum capability of the primitives called; host_running, which
                                     every provider has, is none */
  char calls[8192];               /* "host_stop db1\n", one a line */
  /* Runs before each primitive; NULL: none. */
  void (*called)(struct fake *fake, const char *primitive);
  void *data; /* the test's own */
};

extern const struct provider fake_provider;
extern const struct service fake_service; /* "fakedb": processes "server" (unit "db") and "agent" */

/* `run_directory` may be "". The struct must not be moved afterwards. */
void fake_init(struct fake *fake, const char *run_directory);
/* How many events of this kind there are; the n-th of them (from 0), or NULL. */
uint32_t fake_count(const struct fake *fake, enum event_kind kind);
const struct event *fake_event(const struct fake *fake, enum event_kind kind, uint32_t n);
/* Of a workload that reads everything back, when it is never called. */
int fake_final_read(struct workload_env *env, const struct endpoint *host,
                    struct final_reader *reader, struct error *err);
void fake_forget(struct fake *fake); /* calls and capabilities used so far, and their number */

/* A fresh directory below TMPDIR, removed with all in it by temporary_remove(). */
#define TEMPORARY_SIZE 256
void temporary_make(char path[TEMPORARY_SIZE]);
void temporary_remove(const char *path);

#endif
