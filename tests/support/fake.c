/* The cluster in memory, and temporary directories. */
#include "support/fake.h"

#include <limits.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "support/test.h"

static const struct service_process processes[] = {
    {.name = "server", .match = {.program = "server", .tree = true}, .unit = "db"},
    {.name = "managed", .match = {.program = "server", .tree = true}}, /* a manager starts it */
    {.name = "agent", .match = {.program = "agent"}},
    {0},
};

static void set_call(struct fake *fake, const char *text) {
  size_t used = strlen(fake->calls);
  snprintf(fake->calls + used, sizeof fake->calls - used, "%s\n", text);
}

/* Notes the call; fails when told to. */
static int enter(struct cluster *cluster, const struct host *host, const char *primitive,
                 enum capability capability, struct error *err) {
  struct fake *fake = cluster->state;
  char text[160];
  snprintf(text, sizeof text, "%s %s", primitive, host ? host->name : "-");
  set_call(fake, text);
  fake->used |= (uint32_t)capability;
  if (fake->called) fake->called(fake, primitive);
  if (++fake->called_count == fake->fail_at)
    return error_set(err, STATUS_SERVER, "call %u (%s) was told to fail", fake->fail_at, primitive);
  if (fake->failing && (strcmp(fake->failing, "*") == 0 || strcmp(fake->failing, primitive) == 0))
    return error_set(err, STATUS_SERVER, "%s was told to fail", primitive);
  return 0;
}

/* --- the provider ---------------------------------------------------------------------------- */

static int fake_probe(const void *config, struct error *err) {
  (void)config;
  (void)err;
  return 0;
}

static int fake_up(const void *config, const struct cluster_spec *spec,
                   struct cluster **ret_cluster, struct error *err) {
  (void)config;
  struct fake *fake = calloc(1, sizeof *fake);
  if (!fake) return error_set(err, STATUS_MEMORY, "out of memory");
  fake_init(fake, spec->run_directory);
  *ret_cluster = &fake->cluster;
  return 0;
}

static int fake_attach(const char *run_directory, struct cluster **ret_cluster, struct error *err) {
  struct cluster_spec spec = {.run_directory = run_directory};
  return fake_up(NULL, &spec, ret_cluster, err);
}

static void fake_detach(struct cluster *cluster) {
  free(cluster->state);
}

static int fake_destroy(const char *run_directory, const char *id, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/" FAKE_DESTROYED, run_directory);
  if (status < 0) return status;
  CLEANUP_FCLOSE FILE *file = fopen(path, "a");
  if (!file) return error_set(err, STATUS_SYSTEM, "cannot open %s", path);
  fprintf(file, "%s\n", id);
  return 0;
}

static int fake_host_stop(struct cluster *cluster, const struct host *host, struct error *err) {
  struct fake *fake = cluster->state;
  int status = enter(cluster, host, "host_stop", CAN_HOST_POWER, err);
  if (status < 0 || fake->stubborn) return status;
  fake->off[host->index] = true;
  fake->frozen[host->index] = false;
  fake->processes[host->index] = 0;
  return 0;
}

static int fake_host_start(struct cluster *cluster, const struct host *host, struct error *err) {
  struct fake *fake = cluster->state;
  int status = enter(cluster, host, "host_start", CAN_HOST_POWER, err);
  if (status < 0 || fake->stubborn) return status;
  if (fake->off[host->index]) fake->processes[host->index] = 2;
  fake->off[host->index] = false;
  return 0;
}

static int fake_host_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                             struct error *err) {
  struct fake *fake = cluster->state;
  int status = enter(cluster, host, "host_running", 0, err);
  if (status < 0) return status;
  *ret_running = !fake->off[host->index];
  return 0;
}

static int fake_process_signal(struct cluster *cluster, const struct host *host,
                               const struct process_match *match, int number, uint32_t *ret_count,
                               struct error *err) {
  struct fake *fake = cluster->state;
  assert_non_null(match);
  int status = enter(cluster, host, "process_signal", CAN_SIGNAL, err);
  if (status < 0) return status;
  if (ret_count) *ret_count = fake->processes[host->index];
  if (number != 0 && !fake->stubborn) fake->processes[host->index] = 0;
  return 0;
}

static int fake_freeze(struct cluster *cluster, const struct host *host,
                       const struct process_match *match, bool frozen, struct error *err) {
  struct fake *fake = cluster->state;
  (void)match;
  int status = enter(cluster, host, frozen ? "freeze" : "thaw", CAN_FREEZE, err);
  if (status < 0) return status;
  if (frozen && fake->off[host->index])
    return error_set(err, STATUS_SERVER, "%s is off", host->name);
  if (!fake->stubborn) fake->frozen[host->index] = frozen;
  return 0;
}

static int fake_frozen(struct cluster *cluster, const struct host *host,
                       const struct process_match *match, bool *ret_frozen, struct error *err) {
  struct fake *fake = cluster->state;
  (void)match;
  int status = enter(cluster, host, "frozen", CAN_FREEZE, err);
  if (status < 0) return status;
  *ret_frozen = fake->frozen[host->index];
  return 0;
}

static int fake_unit_define(struct cluster *cluster, const struct host *host,
                            const struct host_unit *unit, struct error *err) {
  struct fake *fake = cluster->state;
  assert_true(unit->name && unit->argv && unit->argv[0] && unit->argv[0][0] == '/');
  int status = enter(cluster, host, "unit_define", CAN_UNITS, err);
  if (status < 0) return status;
  size_t last = 0;
  while (unit->argv[last + 1]) last++;
  snprintf(fake->unit_script, sizeof fake->unit_script, "%s", unit->argv[last]);
  return 0;
}

static int fake_unit_start(struct cluster *cluster, const struct host *host, const char *name,
                           struct error *err) {
  struct fake *fake = cluster->state;
  assert_non_null(name);
  int status = enter(cluster, host, "unit_start", CAN_UNITS, err);
  if (status < 0) return status;
  if (fake->off[host->index]) return error_set(err, STATUS_SERVER, "%s is off", host->name);
  if (!fake->stubborn) fake->processes[host->index] = 2;
  return 0;
}

/* One rule and one tag are enough here. */
static int fake_link_cut(struct cluster *cluster, const struct host *const froms[],
                         uint32_t from_count, const struct host *to, const struct link_rule rules[],
                         uint32_t rule_count, const char *tag, struct error *err) {
  struct fake *fake = cluster->state;
  assert_true(rules && rule_count > 0 && from_count > 0 && strlen(tag) > 0 && strlen(tag) <= 32);
  int status = enter(cluster, to, "link_cut", CAN_LINKS, err);
  for (uint32_t i = 0; i < from_count && status == 0 && !fake->stubborn; i++) {
    assert_ptr_not_equal(froms[i], to);
    fake->cut[to->index] |= 1u << froms[i]->index;
  }
  return status;
}

static int fake_link_mend(struct cluster *cluster, const char *tag, struct error *err) {
  struct fake *fake = cluster->state;
  assert_non_null(tag);
  int status = enter(cluster, NULL, "link_mend", CAN_LINKS, err);
  if (status == 0 && !fake->stubborn) memset(fake->cut, 0, sizeof fake->cut);
  return status;
}

static int fake_link_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                            const struct link_rule *rule, const char *tag, bool *ret_passes,
                            struct error *err) {
  struct fake *fake = cluster->state;
  assert_true(rule && tag);
  int status = enter(cluster, to, "link_passes", CAN_LINKS, err);
  if (status < 0) return status;
  *ret_passes = !fake->off[from->index] && !fake->off[to->index] &&
                !(fake->cut[to->index] >> from->index & 1);
  return 0;
}

const struct provider fake_provider = {
    .plugin = {.name = "fake", .summary = "Hosts in memory"},
    .can = CAN_HOST_POWER | CAN_SIGNAL | CAN_FREEZE | CAN_UNITS | CAN_LINKS,
    .probe = fake_probe,
    .up = fake_up,
    .attach = fake_attach,
    .detach = fake_detach,
    .destroy = fake_destroy,
    .host_stop = fake_host_stop,
    .host_start = fake_host_start,
    .host_running = fake_host_running,
    .process_signal = fake_process_signal,
    .freeze = fake_freeze,
    .frozen = fake_frozen,
    .unit_define = fake_unit_define,
    .unit_start = fake_unit_start,
    .link_cut = fake_link_cut,
    .link_mend = fake_link_mend,
    .link_passes = fake_link_passes,
};

/* --- the service ----------------------------------------------------------------------------- */

static int fake_plan(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                     struct error *err) {
  static const char *const names[FAKE_SERVERS] = {"db1", "db2", "db3"};
  (void)config;
  (void)err;
  for (uint32_t i = 0; i < FAKE_SERVERS; i++)
    ret_hosts[i] = (struct host_spec){.name = names[i], .kind = HOST_SERVER};
  *ret_count = FAKE_SERVERS;
  return 0;
}

static void fake_view(const struct service_instance *service, struct service_view *ret_view) {
  const struct fake *fake = service->state;
  *ret_view = fake->view;
}

static int fake_step(struct service_instance *service, enum service_step step,
                     const struct host *host, struct error *err) {
  static const char *const names[STEP_COUNT] = {"switchover", "promote", "restart"};
  return enter(service->cluster, host, names[step], 0, err);
}

static bool fake_can_step(const void *config, enum service_step step) {
  (void)config;
  (void)step;
  return true;
}

static int fake_keys(struct service_instance *service, enum keys_action action,
                     const struct host *host, const char *pattern, struct keys_count *ret,
                     struct error *err) {
  struct fake *fake = service->cluster->state;
  (void)pattern;
  int status = enter(service->cluster, host, action == KEYS_LOOK ? "look" : "remove", 0, err);
  if (status < 0) return status;
  ret->before = fake->keys[host->index];
  if (action != KEYS_LOOK && !fake->stubborn) fake->keys[host->index] = 0;
  ret->now = fake->keys[host->index];
  return 0;
}

static uint64_t fake_memory_limit(const void *config) {
  (void)config;
  return 1000;
}

static int fake_memory_look(struct service_instance *service, const struct host *host,
                            struct service_memory *ret_memory, struct error *err) {
  const struct fake *fake = service->state;
  int status = enter(service->cluster, host, "memory_look", 0, err);
  if (status < 0) return status;
  bool filled = fake->filled[host->index];
  *ret_memory = (struct service_memory){
      .used_bytes = filled ? 1000 : 10, .limit_bytes = 1000, .fillers = filled ? 9 : 0};
  return 0;
}

static int fake_memory_fill(struct service_instance *service, const struct host *host,
                            uint64_t more_bytes, struct error *err) {
  struct fake *fake = service->state;
  (void)more_bytes;
  int status = enter(service->cluster, host, "memory_fill", 0, err);
  if (status == 0 && !fake->stubborn) fake->filled[host->index] = true;
  return status;
}

static int fake_memory_clear(struct service_instance *service, const struct host *host,
                             struct error *err) {
  struct fake *fake = service->state;
  int status = enter(service->cluster, host, "memory_clear", 0, err);
  if (status == 0 && !fake->stubborn) fake->filled[host->index] = false;
  return status;
}

static const struct service_memory_hooks fake_memory = {.limit = fake_memory_limit,
                                                        .look = fake_memory_look,
                                                        .fill = fake_memory_fill,
                                                        .clear = fake_memory_clear};

const struct service fake_service = {
    .plugin = {.name = "fakedb", .summary = "A database in memory"},
    .processes = processes,
    .plan = fake_plan,
    .can_step = fake_can_step,
    .view = fake_view,
    .step = fake_step,
    .keys = fake_keys,
    .memory = &fake_memory,
};

/* --- the whole ------------------------------------------------------------------------------- */

static struct fake *fake_of(struct sink *sink) {
  return (struct fake *)((char *)sink - offsetof(struct fake, sink));
}

static void sink_event(struct sink *sink, const struct event *event) {
  struct fake *fake = fake_of(sink);
  assert_true(fake->event_count < FAKE_EVENTS_MAX);
  struct event *copy = &fake->events[fake->event_count++];
  *copy = *event;
  if (copy->time_ns == 0 && fake->clock) copy->time_ns = clock_now_ns(fake->clock);
}

static void sink_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}

void fake_init(struct fake *fake, const char *run_directory) {
  static const char *const names[FAKE_HOSTS] = {"db1", "db2", "db3", "client1", "monitor"};
  *fake = (struct fake){.sink = {.event = sink_event, .sample = sink_sample}};
  snprintf(fake->directory, sizeof fake->directory, "%s", run_directory);
  for (uint16_t i = 0; i < FAKE_HOSTS; i++) {
    struct host *host = &fake->hosts[i];
    *host = (struct host){.index = i, .kind = HOST_SERVER};
    if (i >= FAKE_SERVERS) host->kind = i == FAKE_SERVERS ? HOST_CLIENT : HOST_MONITOR;
    snprintf(host->name, sizeof host->name, "%s", names[i]);
    snprintf(host->address, sizeof host->address, "10.9.8.%u", i + 1u);
    fake->processes[i] = i < FAKE_SERVERS ? 2 : 0;
    fake->keys[i] = i < FAKE_SERVERS ? 100 : 0;
    if (i < FAKE_SERVERS) fake->members[i] = host;
    fake->view.hosts[i].role = i == 0 ? ROLE_PRIMARY : i < FAKE_SERVERS ? ROLE_REPLICA : ROLE_NONE;
  }
  fake->view.primary = 0;
  fake->view.leader = 0;
  fake->view.redundant = true;
  fake->cluster = (struct cluster){.provider = &fake_provider,
                                   .id = "fake",
                                   .run_directory = fake->directory,
                                   .hosts = fake->hosts,
                                   .host_count = FAKE_HOSTS,
                                   .state = fake};
  fake->service = (struct service_instance){.service = &fake_service,
                                            .cluster = &fake->cluster,
                                            .members = fake->members,
                                            .member_count = FAKE_SERVERS,
                                            .sink = &fake->sink,
                                            .state = fake};
}

uint32_t fake_count(const struct fake *fake, enum event_kind kind) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < fake->event_count; i++) count += fake->events[i].kind == kind;
  return count;
}

const struct event *fake_event(const struct fake *fake, enum event_kind kind, uint32_t n) {
  for (uint32_t i = 0; i < fake->event_count; i++)
    if (fake->events[i].kind == kind && n-- == 0) return &fake->events[i];
  return NULL;
}

int fake_final_read(struct workload_env *env, const struct endpoint *host,
                    struct final_reader *reader, struct error *err) {
  (void)env;
  (void)host;
  (void)reader;
  (void)err;
  return 0;
}

void fake_forget(struct fake *fake) {
  fake->calls[0] = '\0';
  fake->used = 0;
  fake->called_count = 0;
}

void temporary_make(char path[TEMPORARY_SIZE]) {
  const char *below = getenv("TMPDIR");
  snprintf(path, TEMPORARY_SIZE, "%s/gameday-test-XXXXXX", below && *below ? below : "/tmp");
  if (!mkdtemp(path)) fail_msg("cannot make %s", path);
}

void temporary_remove(const char *path) {
  struct error err = ERROR_INIT;
  assert_ok(directory_remove(path, &err), &err);
}
