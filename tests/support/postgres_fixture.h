/* A real `postgres` service on real local hosts, watched by a thread of its own; for tests that
 * need servers. What the watcher tells is kept and can be waited for. */
#ifndef GAMEDAY_TESTS_SUPPORT_POSTGRES_FIXTURE_H
#define GAMEDAY_TESTS_SUPPORT_POSTGRES_FIXTURE_H

#include <pthread.h>

#include "base/arena.h"
#include "gameday/service.h"
#include "services/postgres.h"

#define FIXTURE_EVENTS_MAX 4096

struct postgres_fixture {
  struct sink sink; /* first: the watcher hands this back */
  struct arena arena;
  char directory[64];
  char id[33];
  void *provider_config;
  struct postgres_config config;
  struct cluster *cluster;
  struct service_instance service;
  const struct host *members[HOSTS_MAX];
  const struct host *monitor;
  double up_s, start_s; /* how long the provider and the service took */

  struct loop *loop;
  pthread_t thread;
  bool watching;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  struct event events[FIXTURE_EVENTS_MAX];
  uint32_t event_count;
  uint64_t samples[METRIC_COUNT]; /* how many came */
  double last[METRIC_COUNT][HOSTS_MAX];
};

/* Defaults of all parameters; change `config` before fixture_up(). */
int fixture_init(struct postgres_fixture *fixture, struct error *err);
/* Why this machine cannot have local hosts; 0 when it can. */
int fixture_probe(struct postgres_fixture *fixture, struct error *err);
int fixture_up(struct postgres_fixture *fixture, struct error *err);
int fixture_start(struct postgres_fixture *fixture, struct error *err);
int fixture_watch(struct postgres_fixture *fixture, struct error *err);
void fixture_unwatch(struct postgres_fixture *fixture);
/* Ends and removes everything; never begun is fine. The directory goes too. */
void fixture_down(struct postgres_fixture *fixture);

/* One statement, or several, through the clients' driver on the primary, from the monitor's network
 * as workloads do; 10 s at most. */
int fixture_sql(struct postgres_fixture *fixture, const char *text, struct error *err);

/* Waits for an event of the kind, from index `from` on; the index, or UINT32_MAX after the timeout.
 * `host` HOST_NONE: of any. */
uint32_t fixture_wait_event(struct postgres_fixture *fixture, uint32_t from, enum event_kind kind,
                            uint8_t host, uint64_t timeout_ns);
/* Waits until the view is redundant, or converged() says so. */
bool fixture_wait_redundant(struct postgres_fixture *fixture, uint64_t timeout_ns);
bool fixture_wait_converged(struct postgres_fixture *fixture, uint64_t timeout_ns);
uint32_t fixture_event_count(struct postgres_fixture *fixture);
const struct host *fixture_host(struct postgres_fixture *fixture, uint8_t index);

#endif
