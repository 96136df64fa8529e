/* A real service on real local hosts, watched by a thread of its own; for tests that need servers.
 * What the watcher tells is kept and can be waited for. */
#ifndef GAMEDAY_TESTS_SUPPORT_SERVICE_FIXTURE_H
#define GAMEDAY_TESTS_SUPPORT_SERVICE_FIXTURE_H

#include <pthread.h>

#include "base/arena.h"
#include "gameday/service.h"

#define SERVICE_FIXTURE_EVENTS_MAX 4096

struct service_fixture {
  struct sink sink; /* first: the watcher hands this back */
  struct arena arena;
  char directory[64];
  char id[33];
  void *provider_config;
  const struct service *tested;
  void *config; /* of the service, in the arena */
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
  struct event events[SERVICE_FIXTURE_EVENTS_MAX];
  uint32_t event_count;
  uint64_t samples[METRIC_COUNT]; /* how many came */
  double last[METRIC_COUNT][HOSTS_MAX];
};

/* Defaults of all parameters of `tested`; change `config` before service_fixture_up(). */
int service_fixture_init(struct service_fixture *fixture, const struct service *tested,
                         struct error *err);
/* Why this machine cannot have local hosts; 0 when it can. */
int service_fixture_probe(struct service_fixture *fixture, struct error *err);
int service_fixture_up(struct service_fixture *fixture, struct error *err);
int service_fixture_start(struct service_fixture *fixture, struct error *err);
int service_fixture_watch(struct service_fixture *fixture, struct error *err);
void service_fixture_unwatch(struct service_fixture *fixture);
/* Ends and removes everything; never begun is fine. The directory goes too. */
void service_fixture_down(struct service_fixture *fixture);

/* Waits for an event of the kind, from index `from` on; the index, or UINT32_MAX after the timeout.
 * `host` HOST_NONE: of any. */
uint32_t service_fixture_wait_event(struct service_fixture *fixture, uint32_t from,
                                    enum event_kind kind, uint8_t host, uint64_t timeout_ns);
/* Waits until the view is redundant, or converged() says so. */
bool service_fixture_wait_redundant(struct service_fixture *fixture, uint64_t timeout_ns);
bool service_fixture_wait_converged(struct service_fixture *fixture, uint64_t timeout_ns);
uint32_t service_fixture_event_count(struct service_fixture *fixture);
const struct host *service_fixture_host(struct service_fixture *fixture, uint8_t index);

#endif
