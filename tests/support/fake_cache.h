/* A cache and the database behind it, in memory, on any loop: a driver for both, which does what
 * the statements of cache-aside mean. A test says when one of them is down or stalls. */
#ifndef GAMEDAY_TESTS_SUPPORT_FAKE_CACHE_H
#define GAMEDAY_TESTS_SUPPORT_FAKE_CACHE_H

#include "gameday/workload.h"

#define FAKE_CACHE_KEYS 64

struct fake_entry {
  uint64_t until_ns; /* clock time; 0: not there */
  int64_t stamp, cost;
};

/* One of the two servers. */
struct fake_server {
  const struct clock *clock;
  bool down;    /* connects are refused, what is connected is lost with its next request */
  bool stalled; /* requests are taken and never answered */
  uint64_t connect_ns, service_ns;
  uint32_t connections, connections_max; /* 0: as many as come */
  uint32_t connects, refused;
  struct fake_entry entries[FAKE_CACHE_KEYS], locks[FAKE_CACHE_KEYS];
  uint32_t calls[FAKE_CACHE_KEYS]; /* STATEMENT_ORIGIN_READ, by key */
  uint32_t running, running_most;  /* such calls at a time */
};

extern const struct driver fake_cache_driver;
/* `server` outlives it. */
void fake_cache_access(struct access *access, struct fake_server *server);
void fake_cache_flush(struct fake_server *server);

#endif
