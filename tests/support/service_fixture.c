/* See service_fixture.h. */
#include "support/service_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/prng.h"
#include "scenario/param.h"

static const struct provider *provider_named(const char *name) {
  for (const struct provider *const *row = providers; *row; row++)
    if (strcmp((*row)->plugin.name, name) == 0) return *row;
  return NULL;
}

static int defaults(const struct param *params, struct arena *arena, void *config,
                    struct error *err) {
  for (; params && params->key; params++) {
    int status = param_set_default(params, arena, config, err);
    if (status < 0) return status;
  }
  return 0;
}

static void take_event(struct sink *sink, const struct event *event) {
  struct service_fixture *f = (struct service_fixture *)sink;
  if (getenv("GAMEDAY_TEST_VERBOSE"))
    fprintf(stderr, "%8.3f %s host %d %s %lld %lld %s\n", (double)event->time_ns / 1e9,
            event_kind_name(event->kind), event->host, role_name(event->role),
            (long long)event->number, (long long)event->number2, event->text);
  pthread_mutex_lock(&f->mutex);
  if (f->event_count < SERVICE_FIXTURE_EVENTS_MAX) f->events[f->event_count++] = *event;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  struct service_fixture *f = (struct service_fixture *)sink;
  pthread_mutex_lock(&f->mutex);
  f->samples[sample->metric]++;
  if (sample->host < HOSTS_MAX) f->last[sample->metric][sample->host] = sample->value;
  pthread_mutex_unlock(&f->mutex);
}

int service_fixture_init(struct service_fixture *f, const struct service *tested,
                         struct error *err) {
  memset(f, 0, sizeof *f);
  f->tested = tested;
  f->sink = (struct sink){.event = take_event, .sample = take_sample};
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&f->mutex, NULL);
  pthread_cond_init(&f->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  arena_init(&f->arena, 0);
  const struct provider *provider = provider_named("local");
  if (!provider) return error_set(err, STATUS_ENVIRONMENT, "there is no provider local");
  f->provider_config = arena_alloc(&f->arena, provider->plugin.config_size);
  int status = defaults(provider->plugin.params, &f->arena, f->provider_config, err);
  /* Another suite's root directory, so that its versions of the servers are tested. */
  const char *image = getenv("GAMEDAY_TEST_IMAGE");
  for (const struct param *row = provider->plugin.params; status == 0 && image && row->key; row++)
    if (strcmp(row->key, "image") == 0)
      status = param_parse(row, image, &f->arena, f->provider_config, err);
  f->config = arena_alloc(&f->arena, tested->plugin.config_size);
  if (!f->provider_config || !f->config)
    return error_set(err, STATUS_MEMORY, "out of memory for a fixture");
  if (status == 0) status = defaults(tested->plugin.params, &f->arena, f->config, err);
  return status;
}

int service_fixture_probe(struct service_fixture *f, struct error *err) {
  return provider_named("local")->probe(f->provider_config, err);
}

static int plan_hosts(struct service_fixture *f, struct host_spec specs[HOSTS_MAX],
                      uint32_t *ret_members, uint32_t *ret_count, struct error *err) {
  int status = f->tested->plan(f->config, specs, ret_members, err);
  if (status < 0) return status;
  *ret_count = *ret_members;
  specs[(*ret_count)++] = (struct host_spec){.name = "client1", .kind = HOST_CLIENT};
  specs[(*ret_count)++] = (struct host_spec){.name = "monitor", .kind = HOST_MONITOR};
  return 0;
}

int service_fixture_up(struct service_fixture *f, struct error *err) {
  struct host_spec specs[HOSTS_MAX] = {{.name = NULL}};
  uint32_t members = 0, count = 0;
  unsigned char random[4];
  snprintf(f->directory, sizeof f->directory, "/tmp/gameday-test-XXXXXX");
  if (!mkdtemp(f->directory)) return error_set_errno(err, errno, "cannot make a directory");
  int status = random_bytes(random, sizeof random, err);
  snprintf(f->id, sizeof f->id, "test-%02x%02x%02x%02x", random[0], random[1], random[2],
           random[3]);
  if (status == 0) status = plan_hosts(f, specs, &members, &count, err);
  if (status < 0) return status;
  const struct cluster_spec spec = {
      .id = f->id, .run_directory = f->directory, .hosts = specs, .host_count = count};
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  status = provider_named("local")->up(f->provider_config, &spec, &f->cluster, err);
  f->up_s = (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9;
  if (status < 0) return status;
  for (uint32_t i = 0; i < f->cluster->host_count; i++) {
    if (i < members) f->members[i] = &f->cluster->hosts[i];
    if (f->cluster->hosts[i].kind == HOST_MONITOR) f->monitor = &f->cluster->hosts[i];
  }
  f->service = (struct service_instance){.service = f->tested,
                                         .config = f->config,
                                         .cluster = f->cluster,
                                         .members = f->members,
                                         .member_count = members,
                                         .sink = &f->sink,
                                         .clock = &clock_monotonic,
                                         .start_ns = clock_now_ns(&clock_monotonic),
                                         .deadline_ns_start = 120 * NS_PER_S,
                                         .lag_bound_bytes = 1 << 20,
                                         .state = calloc(1, f->tested->plugin.state_size)};
  return f->service.state ? 0 : error_set(err, STATUS_MEMORY, "out of memory");
}

int service_fixture_start(struct service_fixture *f, struct error *err) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  int status = f->tested->start(&f->service, err);
  f->start_s = (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9;
  return status;
}

static void *watch_main(void *data) {
  struct service_fixture *f = data;
  struct error err = ERROR_INIT;
  int status = f->cluster->provider->network_enter(f->cluster, f->monitor, &err);
  if (status == 0) status = f->tested->watch(&f->service, f->loop, &err);
  if (status == 0) status = loop_run(f->loop, &err);
  if (status < 0) fprintf(stderr, "watching: %s\n", err.message);
  f->tested->unwatch(&f->service);
  return NULL;
}

int service_fixture_watch(struct service_fixture *f, struct error *err) {
  int status = loop_new(&f->loop, err);
  if (status < 0) return status;
  int errnum = pthread_create(&f->thread, NULL, watch_main, f);
  if (errnum) return error_set_errno(err, errnum, "cannot start a thread");
  f->watching = true;
  return 0;
}

static void stop_loop(void *data) {
  loop_stop(data);
}

void service_fixture_unwatch(struct service_fixture *f) {
  if (f->watching) {
    loop_post(f->loop, stop_loop, f->loop, NULL);
    pthread_join(f->thread, NULL);
    f->watching = false;
  }
  loop_free(f->loop);
  f->loop = NULL;
}

void service_fixture_down(struct service_fixture *f) {
  struct error err = ERROR_INIT;
  service_fixture_unwatch(f);
  if (f->service.state) f->tested->release(&f->service);
  free(f->service.state);
  const struct provider *provider = provider_named("local");
  if (f->cluster) provider->detach(f->cluster);
  if (f->id[0] && provider->destroy(f->directory, f->id, &err) < 0)
    fprintf(stderr, "cannot remove the cluster: %s\n", err.message);
  if (f->directory[0] && !getenv("GAMEDAY_TEST_KEEP")) directory_remove(f->directory, NULL);
  arena_release(&f->arena);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->mutex);
}

uint32_t service_fixture_wait_event(struct service_fixture *f, uint32_t from, enum event_kind kind,
                                    uint8_t host, uint64_t timeout_ns) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                    .tv_nsec = (long)(deadline_ns % NS_PER_S)};
  uint32_t found = UINT32_MAX;
  pthread_mutex_lock(&f->mutex);
  for (;;) {
    for (; from < f->event_count && found == UINT32_MAX; from++)
      if (f->events[from].kind == kind && (host == HOST_NONE || f->events[from].host == host))
        found = from;
    if (found != UINT32_MAX || pthread_cond_timedwait(&f->changed, &f->mutex, &deadline)) break;
  }
  pthread_mutex_unlock(&f->mutex);
  return found;
}

uint32_t service_fixture_event_count(struct service_fixture *f) {
  pthread_mutex_lock(&f->mutex);
  uint32_t count = f->event_count;
  pthread_mutex_unlock(&f->mutex);
  return count;
}

bool service_fixture_wait_redundant(struct service_fixture *f, uint64_t timeout_ns) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  struct service_view view;
  for (;;) {
    f->tested->view(&f->service, &view);
    if (view.redundant) return true;
    if (clock_now_ns(&clock_monotonic) > deadline_ns) return false;
    poll(NULL, 0, 20); /* a server's state can only be asked for */
  }
}

bool service_fixture_wait_converged(struct service_fixture *f, uint64_t timeout_ns) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  char why[256] = "";
  struct error err = ERROR_INIT;
  for (;;) {
    bool converged = false;
    if (f->tested->converged(&f->service, &converged, why, sizeof why, &err) < 0) {
      fprintf(stderr, "converged: %s\n", err.message);
      return false;
    }
    if (converged) return true;
    if (clock_now_ns(&clock_monotonic) > deadline_ns) {
      fprintf(stderr, "not converged: %s\n", why);
      return false;
    }
    poll(NULL, 0, 50);
  }
}

const struct host *service_fixture_host(struct service_fixture *f, uint8_t index) {
  return index < f->cluster->host_count ? &f->cluster->hosts[index] : NULL;
}
