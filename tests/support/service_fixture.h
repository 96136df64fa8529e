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

/* Unless said otherwise, what goes wrong below fails the running CMocka test. */

/* Defaults of all parameters of `tested`: change `config` before what follows. Skips the test where
 * this machine cannot have local hosts. */
void service_fixture_begin(struct service_fixture *fixture, const struct service *tested);
/* Brings hosts and service up and prints how long that took. */
void service_fixture_start(struct service_fixture *fixture, const char *what);
/* Brings up a service with a setting that does not let it start, which ends with the server's own
 * `words` before `within_s`, long before its deadline. Ends the fixture too. */
void service_fixture_refused(struct service_fixture *fixture, const struct setting *setting,
                             const char *words, double within_s);
/* Watches from now on, and waits until all is redundant. */
void service_fixture_watch(struct service_fixture *fixture);
/* Ends and removes everything; never begun is fine. The directory goes too. Fails nothing. */
void service_fixture_down(struct service_fixture *fixture);

/* The index of an event of the kind, from index `from` on, or UINT32_MAX after the timeout.
 * `host` HOST_NONE: of any. */
uint32_t service_fixture_find_event(struct service_fixture *fixture, uint32_t from,
                                    enum event_kind kind, uint16_t host, uint64_t timeout_ns);
/* The same, but it must come. */
uint32_t service_fixture_wait_event(struct service_fixture *fixture, uint32_t from,
                                    enum event_kind kind, uint16_t host, uint64_t timeout_ns);
uint32_t service_fixture_event_count(struct service_fixture *fixture);
/* Waits until the view is redundant, or converged() says so; false after the timeout. */
bool service_fixture_wait_redundant(struct service_fixture *fixture, uint64_t timeout_ns);
bool service_fixture_wait_converged(struct service_fixture *fixture, uint64_t timeout_ns);
const struct host *service_fixture_host(struct service_fixture *fixture, uint16_t index);
/* The host that answers as the primary now; HOST_NONE. */
uint16_t service_fixture_primary(struct service_fixture *fixture);
/* One statement, or several, through the clients' driver on the primary, from the monitor's network
 * as workloads do; 10 s at most. */
void service_fixture_execute(struct service_fixture *fixture, const char *text);

/* A server frozen on the host falls silent and is heard again at once after the thaw. */
void service_fixture_freeze(struct service_fixture *fixture, uint16_t host,
                            const struct process_match *match);
/* Power off at a primary's host: its manager misses it, another host is promoted; the host comes
 * back and all is redundant. The index of the promotion's event. */
uint32_t service_fixture_crash(struct service_fixture *fixture, uint16_t primary);
/* A second handle, made from the run directory alone, knows the secrets and finds all converged. */
void service_fixture_attach(struct service_fixture *fixture);

#endif
