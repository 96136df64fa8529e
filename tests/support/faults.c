/* The timeline on a cluster in memory, and its injectors. */
#include "support/faults.h"

#include "support/test.h"

/* --- injectors ------------------------------------------------------------------------------- */

static int power_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->host_stop(in->cluster, in->host, err);
}

static int power_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  bool running = false;
  int status = in->cluster->provider->host_running(in->cluster, in->host, &running, err);
  if (status == 0) *ret_active = !running;
  return status;
}

static int power_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->host_start(in->cluster, in->host, err);
}

const struct injector faults_power = {
    .plugin = {.name = "power", .config_size = sizeof(struct fault_config)},
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = SIZE_MAX,
    .inject = power_inject,
    .confirm = power_confirm,
    .heal = power_heal,
};

static int pause_inject(struct injection *in, struct error *err) {
  snprintf(in->note, sizeof in->note, "of %s", in->process ? in->process->name : "the host");
  return in->cluster->provider->freeze(in->cluster, in->host, NULL, true, err);
}

static int pause_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  return in->cluster->provider->frozen(in->cluster, in->host, NULL, ret_active, err);
}

static int pause_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->freeze(in->cluster, in->host, NULL, false, err);
}

const struct injector faults_pause = {
    .plugin = {.name = "pause", .config_size = sizeof(struct fault_config)},
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = offsetof(struct fault_config, process),
    .inject = pause_inject,
    .confirm = pause_confirm,
    .heal = pause_heal,
};

static int kill_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 9, NULL,
                                               err);
}

static int kill_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  uint32_t count = 0;
  int status = in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 0,
                                                     &count, err);
  if (status == 0) *ret_active = count == 0;
  return status;
}

static int kill_heal(struct injection *in, struct error *err) {
  (void)in;
  (void)err;
  return 0;
}

const struct injector faults_kill = {
    .plugin = {.name = "kill", .config_size = sizeof(struct fault_config)},
    .flags = INJECTOR_PASSES,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = offsetof(struct fault_config, process),
    .inject = kill_inject,
    .confirm = kill_confirm,
    .heal = kill_heal,
};

static int step_inject(struct injection *in, struct error *err) {
  return in->service->service->step(in->service, in->injector->step, in->host, err);
}

static int step_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  (void)in;
  (void)err;
  *ret_active = false;
  return 0;
}

static int step_heal(struct injection *in, struct error *err) {
  (void)in;
  (void)err;
  return 0;
}

const struct injector faults_step = {
    .plugin = {.name = "step", .config_size = sizeof(struct fault_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_SWITCHOVER,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = SIZE_MAX,
    .inject = step_inject,
    .confirm = step_confirm,
    .heal = step_heal,
};

/* --- the timeline ---------------------------------------------------------------------------- */

const struct target faults_primary = {.kind = TARGET_PRIMARY, .service = "fakedb"};
const struct target faults_replica = {.kind = TARGET_REPLICA, .service = "fakedb"};
const struct target faults_db3 = {.kind = TARGET_HOST, .host = "db3"};

int faults_setup(void **state) {
  struct faults *f = calloc(1, sizeof *f);
  struct error err = ERROR_INIT;
  assert_non_null(f);
  temporary_make(f->directory);
  virtual_time_begin(&f->time);
  fake_init(&f->fake, f->directory);
  f->start_ns = f->time.now_ns - 10 * NS_PER_S;
  assert_ok(journal_open(&f->journal, f->directory, &err), &err);
  f->scenario = (struct scenario){.timeline = f->entries, .recovery_timeout_ns = 60 * NS_PER_S};
  f->seed = 7;
  *state = f;
  return 0;
}

int faults_teardown(void **state) {
  struct faults *f = *state;
  timeline_free(f->timeline);
  journal_close(&f->journal);
  virtual_time_release(&f->time);
  temporary_remove(f->directory);
  free(f);
  return 0;
}

struct timeline_entry *faults_add(struct faults *f, const struct injector *injector,
                                  struct target target, uint64_t at_s, uint64_t for_s) {
  static const char *const names[FAULTS_MAX] = {"first", "second", "third", "fourth"};
  uint32_t i = f->scenario.timeline_count++;
  assert_true(i < FAULTS_MAX);
  f->configs[i].target = target;
  f->entries[i] = (struct timeline_entry){.name = names[i],
                                          .injector = injector,
                                          .config = &f->configs[i],
                                          .target = &f->configs[i].target,
                                          .at_ns = at_s * NS_PER_S,
                                          .for_ns = for_s * NS_PER_S};
  return &f->entries[i];
}

static bool load_recovered(void *data, uint64_t since_ns) {
  struct faults *f = data;
  assert_true(since_ns <= f->time.now_ns);
  return !f->load_fails;
}

static void over(void *data, int status, const struct error *err) {
  struct faults *f = data;
  assert_false(f->done);
  f->done = true;
  f->status = status;
  if (status < 0) f->error = *err;
}

void faults_begin(struct faults *f) {
  struct error err = ERROR_INIT;
  struct timeline_spec spec = {.loop = f->time.loop,
                               .scenario = &f->scenario,
                               .cluster = &f->fake.cluster,
                               .services = &f->fake.service,
                               .service_count = 1,
                               .sink = &f->fake.sink,
                               .journal = &f->journal,
                               .start_ns = f->start_ns,
                               .seed = f->seed,
                               .load_recovered = load_recovered,
                               .done = over,
                               .data = f};
  assert_ok(timeline_new(&spec, &f->timeline, &err), &err);
  assert_ok(timeline_begin(f->timeline, f->time.now_ns, &err), &err);
}

void faults_go_on(struct faults *f, uint64_t seconds) {
  virtual_time_run(&f->time, f->time.now_ns + seconds * NS_PER_S, &f->done);
}

double faults_when(const struct faults *f, enum event_kind kind, uint32_t n) {
  const struct event *event = fake_event(&f->fake, kind, n);
  if (!event) fail_msg("there is no event %s number %u", event_kind_name(kind), n);
  return (double)event->time_ns / (double)NS_PER_S - 10;
}

void faults_assert_at(const struct faults *f, enum event_kind kind, uint32_t n, double seconds) {
  double at = faults_when(f, kind, n);
  if (at < seconds - 1e-6 || at > seconds + 0.1)
    fail_msg("%s number %u is at %.3f s, not at %.3f s", event_kind_name(kind), n, at, seconds);
}

uint32_t faults_open(const struct faults *f) {
  struct journal_fault faults[FAULTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(journal_read_open(f->directory, faults, FAULTS_MAX, &count, &err), &err);
  return count;
}

void faults_assert_calls(const struct faults *f, const char *text) {
  if (!strstr(f->fake.calls, text)) fail_msg("no call '%s' in:\n%s", text, f->fake.calls);
}
