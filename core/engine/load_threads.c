/* The load on real threads: one group of clients and one loop a worker, each in the network of a
 * client host. The only file of the load that knows of threads. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/load_group.h"
#include "engine/load_internal.h"

/* Descriptors beside the clients' sockets: of a worker's loop, and of the rest of the harness. */
#define FILES_PER_WORKER 8u
#define FILES_OTHER 256u
/* How often it is asked whether clients are still to be waited for. */
#define CANCEL_POLL_NS (100 * NS_PER_MS)

enum worker_step { WORKER_STARTING, WORKER_CONNECTING, WORKER_RUNNING, WORKER_EXITED };

struct load_worker {
  struct load_threads *load;
  uint32_t index;
  pthread_t thread;
  bool created;
  struct loop *loop;
  struct load_group group;
  /* Under the load's mutex: */
  enum worker_step step;
  bool drained;
  int status; /* what the thread failed with */
  struct error err;
};

struct load_threads {
  struct load base; /* first */
  struct load_spec spec;
  struct load_roster roster;
  struct load_worker *workers;
  _Atomic uint32_t identities;
  _Atomic uint64_t begin_ns, end_ns;
  pthread_mutex_t mutex;
  pthread_cond_t changed; /* a worker's step or drain */
  bool joined;
};

static struct load_threads *threads_of(struct load *base) {
  return (struct load_threads *)(void *)base;
}

/* --- the worker's thread --------------------------------------------------------------------- */

static void set_step(struct load_worker *worker, enum worker_step step) {
  pthread_mutex_lock(&worker->load->mutex);
  worker->step = step;
  pthread_cond_broadcast(&worker->load->changed);
  pthread_mutex_unlock(&worker->load->mutex);
}

static void group_ready(void *data) {
  set_step(data, WORKER_RUNNING);
}

static void group_drained(void *data) {
  struct load_worker *worker = data;
  pthread_mutex_lock(&worker->load->mutex);
  worker->drained = true;
  pthread_cond_broadcast(&worker->load->changed);
  pthread_mutex_unlock(&worker->load->mutex);
}

static void group_stopped(void *data) {
  struct load_worker *worker = data;
  loop_stop(worker->loop);
}

static void record(void *data, const struct operation *operation) {
  const struct load_worker *worker = data;
  /* A full ring is counted by the recorder, and the run is untrustworthy then. */
  (void)recorder_operation(worker->load->spec.recorder, worker->index, operation);
}

static int enter_network(const struct load_worker *worker, struct error *err) {
  const struct load_spec *spec = &worker->load->spec;
  if (spec->client_host_count == 0) return 0;
  const struct provider *provider = spec->cluster->provider;
  if (!(provider->can & CAN_NETWORK)) return 0;
  const struct host *host = spec->client_hosts[worker->index % spec->client_host_count];
  int status = provider->network_enter(spec->cluster, host, err);
  if (status < 0) return error_wrap(err, "cannot enter the network of %s", host->name);
  return 0;
}

static int run_worker(struct load_worker *worker, struct error *err) {
  struct load_threads *load = worker->load;
  uint32_t hosts = load->spec.client_host_count;
  struct load_group_spec spec = {
      .roster = &load->roster,
      .first = worker->index,
      .step = load->spec.workers,
      .loop = worker->loop,
      .client_hosts = hosts > 0 ? &load->spec.client_hosts[worker->index % hosts] : NULL,
      .client_host_count = hosts > 0,
      .start_ns = load->spec.start_ns,
      .seed = load->spec.seed,
      .sink = load->spec.sink,
      .record = record,
      .record_data = worker,
      .identities = &load->identities,
      .ready = group_ready,
      .drained = group_drained,
      .stopped = group_stopped,
      .data = worker};
  int status = enter_network(worker, err);
  if (status == 0) status = load_group_init(&worker->group, &spec, err);
  if (status < 0) return status;
  set_step(worker, WORKER_CONNECTING);
  load_group_connect(&worker->group);
  status = loop_run(worker->loop, err);
  load_group_release(&worker->group);
  return status;
}

static void *worker_main(void *data) {
  struct load_worker *worker = data;
  struct error err = ERROR_INIT;
  char name[16];
  snprintf(name, sizeof name, "load-%u", (unsigned)(worker->index % 1000));
  pthread_setname_np(pthread_self(), name);
  int status = run_worker(worker, &err);
  pthread_mutex_lock(&worker->load->mutex);
  worker->status = status;
  if (status < 0) worker->err = err;
  pthread_mutex_unlock(&worker->load->mutex);
  set_step(worker, WORKER_EXITED);
  return NULL;
}

/* --- calls into the worker's thread ---------------------------------------------------------- */

static void begin_posted(void *data) {
  struct load_worker *worker = data;
  load_group_begin(&worker->group, worker->load->begin_ns);
}

static void end_posted(void *data) {
  struct load_worker *worker = data;
  load_group_end(&worker->group, worker->load->end_ns);
}

static void stop_posted(void *data) {
  struct load_worker *worker = data;
  uint64_t timeout_ns = worker->load->roster.operation_timeout_ns;
  load_group_stop(&worker->group,
                  timeout_ns < LOAD_STOP_GRACE_NS ? timeout_ns : LOAD_STOP_GRACE_NS);
}

/* A loop's queue of calls is never full: nobody posts there but us, a handful of times a run. */
static void post_all(struct load_threads *load, void (*call)(void *data)) {
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    struct load_worker *worker = &load->workers[i];
    if (!worker->created) continue;
    int status = loop_post(worker->loop, call, worker, NULL);
    assert(status == 0);
  }
}

/* --- waiting for the workers ----------------------------------------------------------------- */

static bool all_at_least(const struct load_threads *load, enum worker_step step) {
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    if (load->workers[i].step < step) return false;
  }
  return true;
}

static bool all_drained(const struct load_threads *load) {
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    if (!load->workers[i].drained) return false;
  }
  return true;
}

/* The first failure of a worker; 0: none so far. With the mutex. */
static int failed_worker(const struct load_threads *load, struct error *err) {
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    const struct load_worker *worker = &load->workers[i];
    if (worker->status >= 0) continue;
    if (err) *err = worker->err;
    return worker->status;
  }
  return 0;
}

/* Waits for `changed` until the clock time; false when that has passed. With the mutex. */
static bool wait_changed(struct load_threads *load, uint64_t deadline_ns) {
  struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                           .tv_nsec = (long)(deadline_ns % NS_PER_S)};
  return pthread_cond_timedwait(&load->changed, &load->mutex, &until) != ETIMEDOUT;
}

static int wait_ready(struct load_threads *load, uint64_t deadline_ns, struct error *err) {
  const struct load_spec *spec = &load->spec;
  bool in_time = true;
  int status = 0;
  pthread_mutex_lock(&load->mutex);
  while (in_time && !all_at_least(load, WORKER_RUNNING)) {
    status = failed_worker(load, err);
    if (status < 0) break;
    if (spec->cancelled && spec->cancelled(spec->cancelled_data)) {
      status = error_set(err, STATUS_INTERRUPTED, "interrupted while clients connected");
      break;
    }
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    in_time = now_ns < deadline_ns;
    uint64_t look_ns = now_ns + CANCEL_POLL_NS;
    if (in_time) (void)wait_changed(load, look_ns < deadline_ns ? look_ns : deadline_ns);
  }
  if (status == 0) status = failed_worker(load, err);
  if (status == 0 && !all_at_least(load, WORKER_RUNNING)) {
    status = error_set(err, STATUS_TIMEOUT, "clients could not connect");
  }
  pthread_mutex_unlock(&load->mutex);
  return status;
}

static void join_workers(struct load_threads *load) {
  if (load->joined) return;
  load->joined = true;
  post_all(load, stop_posted);
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    struct load_worker *worker = &load->workers[i];
    if (worker->created) pthread_join(worker->thread, NULL);
  }
}

/* How many clients never were ready, and why the last of them was not. The threads are gone. */
static int explain_timeout(const struct load_threads *load, struct error *err) {
  uint64_t ready = 0;
  const char *why = "";
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    const struct load_group *group = &load->workers[i].group;
    ready += group->counters.ready_once;
    if (group->context.why.message[0]) why = group->context.why.message;
  }
  return error_set(err, STATUS_TIMEOUT, "%llu of %u clients could not connect in time%s%s",
                   (unsigned long long)(load->roster.client_count - ready),
                   (unsigned)load->roster.client_count, why[0] ? ": " : "", why);
}

/* --- load_internal.h ------------------------------------------------------------------------- */

/* A client is a socket, and a soft limit is made to be raised. */
static int raise_file_limit(const struct load_threads *load, struct error *err) {
  struct rlimit limit;
  rlim_t needed = load->roster.client_count + load->spec.workers * FILES_PER_WORKER + FILES_OTHER;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
    return error_set_errno(err, errno, "cannot read the limit on open files");
  }
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
      return error_set_errno(err, errno, "cannot raise the limit on open files");
    }
  }
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) return 0;
  limit.rlim_cur = limit.rlim_max = needed; /* with the right to */
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return 0;
  getrlimit(RLIMIT_NOFILE, &limit);
  return error_set(err, STATUS_ENVIRONMENT,
                   "%u clients need %llu open files, the hard limit is %llu: raise it (ulimit -Hn) "
                   "or take fewer clients",
                   (unsigned)load->roster.client_count, (unsigned long long)needed,
                   (unsigned long long)limit.rlim_max);
}

static int create_workers(struct load_threads *load, struct error *err) {
  sigset_t all, before;
  sigfillset(&all); /* signals are the main thread's */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = 0;
  for (uint32_t i = 0; i < load->spec.workers && status == 0; i++) {
    struct load_worker *worker = &load->workers[i];
    worker->load = load;
    worker->index = i;
    status = loop_new(&worker->loop, err);
    if (status < 0) break;
    int errnum = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (errnum != 0) status = error_set_errno(err, errnum, "cannot start a worker thread");
    worker->created = errnum == 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

static struct load_threads *new_load(const struct load_spec *spec) {
  struct load_threads *load = calloc(1, sizeof *load);
  if (!load) return NULL;
  load->base.kind = &load_on_threads;
  load->spec = *spec;
  load->workers = calloc(spec->workers, sizeof *load->workers);
  if (!load->workers) {
    free(load);
    return NULL;
  }
  pthread_condattr_t monotonic; /* none of these fails with these attributes */
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&load->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&load->mutex, NULL);
  return load;
}

static void threads_free(struct load *base) {
  struct load_threads *load = threads_of(base);
  join_workers(load);
  for (uint32_t i = 0; i < load->spec.workers; i++) loop_free(load->workers[i].loop);
  load_roster_release(&load->roster);
  pthread_cond_destroy(&load->changed);
  pthread_mutex_destroy(&load->mutex);
  free(load->workers);
  free(load);
}

static int threads_start(const struct load_spec *spec, uint64_t deadline_ns, struct load **ret_load,
                         struct error *err) {
  assert(spec->workers > 0);
  struct load_threads *load = new_load(spec);
  if (!load) return error_set(err, STATUS_MEMORY, "out of memory for the load");
  int status = load_roster_init(&load->roster, spec->envs, spec->env_count, err);
  load->identities = load->roster.client_count;
  if (status == 0) status = raise_file_limit(load, err);
  if (status == 0) status = create_workers(load, err);
  if (status == 0) status = wait_ready(load, deadline_ns, err);
  if (status < 0) {
    join_workers(load);
    if (status == STATUS_TIMEOUT) status = explain_timeout(load, err);
    threads_free(&load->base);
    return status;
  }
  *ret_load = &load->base;
  return 0;
}

static void threads_begin(struct load *base, uint64_t begin_ns) {
  struct load_threads *load = threads_of(base);
  load->begin_ns = begin_ns;
  post_all(load, begin_posted);
}

static int threads_end(struct load *base, uint64_t end_ns, struct error *err) {
  struct load_threads *load = threads_of(base);
  load->end_ns = end_ns;
  post_all(load, end_posted);
  uint64_t now_ns = clock_now_ns(load->spec.clock);
  uint64_t deadline_ns = (end_ns > now_ns ? end_ns : now_ns) + LOAD_DRAIN_MARGIN_NS;
  deadline_ns += load->roster.operation_timeout_ns;
  bool in_time = true;
  int status = 0;
  pthread_mutex_lock(&load->mutex);
  while (in_time && status == 0 && !all_drained(load)) {
    status = failed_worker(load, err);
    if (status == 0) in_time = wait_changed(load, deadline_ns);
  }
  if (status == 0 && !all_drained(load)) {
    status = error_set(err, STATUS_TIMEOUT, "operations were still under way %.0f s after the end",
                       (double)(deadline_ns - end_ns) * 1e-9);
  }
  pthread_mutex_unlock(&load->mutex);
  return status;
}

static int threads_stop(struct load *base, struct error *err) {
  struct load_threads *load = threads_of(base);
  join_workers(load);
  struct error failed = ERROR_INIT;
  int status = failed_worker(load, &failed);
  if (status < 0) {
    if (err) *err = failed;
    return status;
  }
  return 0;
}

static void threads_totals(struct load *base, struct load_totals *ret) {
  struct load_threads *load = threads_of(base);
  struct load_totals totals = {.identities = load->identities,
                               .clients = load->roster.client_count};
  for (uint32_t i = 0; i < load->spec.workers; i++) {
    const struct load_counters *counters = &load->workers[i].group.counters;
    totals.scheduled += counters->scheduled;
    totals.ok += counters->ok;
    totals.fail += counters->fail;
    totals.unknown += counters->unknown;
    totals.skipped += counters->skipped;
    totals.ready += counters->ready;
  }
  *ret = totals;
}

const struct load_kind load_on_threads = {
    .start = threads_start,
    .begin = threads_begin,
    .end = threads_end,
    .stop = threads_stop,
    .totals = threads_totals,
    .free = threads_free,
};
