/* See service_fixture.h. */
#include "support/service_fixture.h"

#include <poll.h>
#include <time.h>

#include "base/file.h"
#include "base/prng.h"
#include "gameday/driver.h"
#include "services/remote.h"
#include "support/config.h"
#include "support/test.h"

static const struct provider *provider_named(const char *name) {
  for (const struct provider *const *row = providers; *row; row++)
    if (strcmp((*row)->plugin.name, name) == 0) return *row;
  return NULL;
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

static void begin(struct service_fixture *f, const struct provider *provider) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&f->mutex, NULL);
  pthread_cond_init(&f->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  arena_init(&f->arena, 0);
  f->provider_config = config_new(&provider->plugin, &f->arena);
  f->config = config_new(&f->tested->plugin, &f->arena);
  /* Another suite's root directory, so that its versions of the servers are tested. */
  const char *image = getenv("GAMEDAY_TEST_IMAGE");
  if (image) config_set(&provider->plugin, &f->arena, f->provider_config, "image", image);
}

void service_fixture_begin(struct service_fixture *f, const struct service *tested) {
  struct error err = ERROR_INIT;
  const struct provider *provider = provider_named("local");
  assert_non_null(provider);
  memset(f, 0, sizeof *f);
  f->sink = (struct sink){.event = take_event, .sample = take_sample};
  f->tested = tested;
  begin(f, provider);
  if (provider->probe(f->provider_config, &err) < 0) skip_because("%s", err.message);
}

static double seconds_since(uint64_t begin_ns) {
  return (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9;
}

static void bring_up(struct service_fixture *f) {
  struct host_spec specs[HOSTS_MAX] = {{.name = NULL}};
  uint32_t members = 0;
  unsigned char random[4];
  struct error err = ERROR_INIT;
  snprintf(f->directory, sizeof f->directory, "/tmp/gameday-test-XXXXXX");
  assert_non_null(mkdtemp(f->directory));
  assert_ok(random_bytes(random, sizeof random, &err), &err);
  snprintf(f->id, sizeof f->id, "test-%02x%02x%02x%02x", random[0], random[1], random[2],
           random[3]);
  assert_ok(f->tested->plan(f->config, specs, &members, &err), &err);
  specs[members] = (struct host_spec){.name = "client1", .kind = HOST_CLIENT};
  specs[members + 1] = (struct host_spec){.name = "monitor", .kind = HOST_MONITOR};
  const struct cluster_spec spec = {
      .id = f->id, .run_directory = f->directory, .hosts = specs, .host_count = members + 2};
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_named("local")->up(f->provider_config, &spec, &f->cluster, &err), &err);
  f->up_s = seconds_since(begin_ns);
  for (uint32_t i = 0; i < members; i++) f->members[i] = &f->cluster->hosts[i];
  f->monitor = &f->cluster->hosts[members + 1];
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
  assert_non_null(f->service.state);
}

static int start(struct service_fixture *f, struct error *err) {
  bring_up(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  int status = f->tested->start(&f->service, err);
  f->start_s = seconds_since(begin_ns);
  return status;
}

void service_fixture_start(struct service_fixture *f, const char *what) {
  struct error err = ERROR_INIT;
  if (f->tested->plugin.validate) assert_ok(f->tested->plugin.validate(f->config, &err), &err);
  assert_ok(start(f, &err), &err);
  print_message("%s: hosts up %.2f s, service ready %.2f s\n", what, f->up_s, f->start_s);
}

void service_fixture_refused(struct service_fixture *f, const struct setting *setting,
                             const char *words, double within_s) {
  struct error err = ERROR_INIT;
  int status = start(f, &err);
  print_message("%s = %s refused after %.2f s: %s\n", setting->name, setting->value, f->start_s,
                err.message);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, words));
  assert_true(f->start_s < within_s);
  service_fixture_down(f);
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

void service_fixture_watch(struct service_fixture *f) {
  struct error err = ERROR_INIT;
  assert_ok(loop_new(&f->loop, &err), &err);
  assert_int_equal(pthread_create(&f->thread, NULL, watch_main, f), 0);
  f->watching = true;
  assert_true(service_fixture_wait_redundant(f, 10 * NS_PER_S));
}

static void stop_loop(void *data) {
  loop_stop(data);
}

void service_fixture_down(struct service_fixture *f) {
  struct error err = ERROR_INIT;
  if (f->watching) {
    loop_post(f->loop, stop_loop, f->loop, NULL);
    pthread_join(f->thread, NULL);
    f->watching = false;
  }
  loop_free(f->loop);
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

uint32_t service_fixture_find_event(struct service_fixture *f, uint32_t from, enum event_kind kind,
                                    uint16_t host, uint64_t timeout_ns) {
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

uint32_t service_fixture_wait_event(struct service_fixture *f, uint32_t from, enum event_kind kind,
                                    uint16_t host, uint64_t timeout_ns) {
  uint32_t found = service_fixture_find_event(f, from, kind, host, timeout_ns);
  if (found == UINT32_MAX) fail_msg("no %s of host %u in time", event_kind_name(kind), host);
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

const struct host *service_fixture_host(struct service_fixture *f, uint16_t index) {
  return index < f->cluster->host_count ? &f->cluster->hosts[index] : NULL;
}

uint16_t service_fixture_primary(struct service_fixture *f) {
  struct service_view view;
  f->tested->view(&f->service, &view);
  return view.primary;
}

static int execute(struct service_instance *service, void *data, struct error *err) {
  const char *const *text = data;
  return service->access.driver->execute(&service->access, NULL, *text, 10 * NS_PER_S, err);
}

void service_fixture_execute(struct service_fixture *f, const char *text) {
  struct error err = ERROR_INIT;
  assert_ok(service_on_monitor(&f->service, f->monitor, execute, &text, &err), &err);
}

static double since(const struct service_fixture *f, uint32_t event, uint64_t begin_ns) {
  return ((double)f->events[event].time_ns - (double)(begin_ns - f->service.start_ns)) / 1e9;
}

void service_fixture_freeze(struct service_fixture *f, uint16_t index,
                            const struct process_match *match) {
  struct error err = ERROR_INIT;
  const struct provider *provider = f->cluster->provider;
  const struct host *host = service_fixture_host(f, index);
  uint32_t from = service_fixture_event_count(f);
  assert_ok(provider->freeze(f->cluster, host, match, true, &err), &err);
  uint32_t none = service_fixture_wait_event(f, from, EVENT_ROLE, index, 5 * NS_PER_S);
  assert_int_equal(f->events[none].role, ROLE_NONE);
  uint64_t thaw_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider->freeze(f->cluster, host, match, false, &err), &err);
  uint32_t again = service_fixture_wait_event(f, none, EVENT_PROMOTED, index, 5 * NS_PER_S);
  print_message("thawed server heard after %.0f ms\n", since(f, again, thaw_ns) * 1e3);
}

uint32_t service_fixture_crash(struct service_fixture *f, uint16_t primary) {
  struct error err = ERROR_INIT;
  const struct provider *provider = f->cluster->provider;
  const struct host *host = service_fixture_host(f, primary);
  uint32_t from = service_fixture_event_count(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider->host_stop(f->cluster, host, &err), &err);
  uint32_t lost = service_fixture_wait_event(f, from, EVENT_LEADER_LOST, primary, 60 * NS_PER_S);
  uint32_t promoted = service_fixture_wait_event(f, from, EVENT_PROMOTED, HOST_NONE, 20 * NS_PER_S);
  assert_int_not_equal(f->events[promoted].host, primary);
  print_message("host crash: leader lost after %.2f s, promoted after %.2f s\n",
                since(f, lost, begin_ns), since(f, promoted, begin_ns));
  service_fixture_wait_event(f, lost, EVENT_LEADER, f->events[promoted].host, 20 * NS_PER_S);
  begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider->host_start(f->cluster, host, &err), &err);
  assert_true(service_fixture_wait_redundant(f, 90 * NS_PER_S));
  print_message("host returned: redundant after %.2f s\n", seconds_since(begin_ns));
  assert_true(service_fixture_wait_converged(f, 30 * NS_PER_S));
  return promoted;
}

void service_fixture_attach(struct service_fixture *f) {
  struct error err = ERROR_INIT;
  struct service_instance again = f->service;
  again.state = calloc(1, f->tested->plugin.state_size);
  again.access = (struct access){.driver = NULL};
  assert_ok(f->tested->attach(&again, &err), &err);
  assert_string_equal(again.access.password, f->service.access.password);
  bool converged = false;
  char why[128] = "";
  assert_ok(f->tested->converged(&again, &converged, why, sizeof why, &err), &err);
  assert_true(converged);
  f->tested->release(&again);
  free(again.state);
}
