/* The configuration of session-store, for its tests. */
#ifndef GAMEDAY_WORKLOAD_SESSION_STORE_H
#define GAMEDAY_WORKLOAD_SESSION_STORE_H

#include "gameday/workload.h"

struct session_store_config {
  struct client_options options; /* first: of it are rows that others share */
  double rate;
  double cache_ratio, write_ratio;
  int arrival;
  uint32_t clients, cache_clients, cache_keys;
  uint64_t session_ttl_ns, cache_ttl_ns;
  uint64_t session_size, cache_size;
};

/* Indices of its statements, and the numbers of their requests. */
enum session_store_statement {
  SESSION_STORE_SET,       /* identity, sequence, time to live in ms; text: value */
  SESSION_STORE_GET,       /* identity, sequence */
  SESSION_STORE_CACHE_SET, /* 0, key, time to live in ms; text: value */
  SESSION_STORE_CACHE_PUT, /* 0, key; text: value: it stays */
  SESSION_STORE_CACHE_GET, /* 0, key */
};

extern const struct workload workload_session_store;

#endif
