/* Threads in the monitor's network, and one for each member; what is done on every service's hosts.
 */
#include "services/remote.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define RESTART_TIMEOUT_NS (60 * NS_PER_S)
#define RESTART_POLL_MS 20

struct monitor_work {
  struct service_instance *service;
  const struct host *monitor;
  monitor_call *call;
  void *data;
  struct error error;
  int status;
};

void service_block_sigpipe(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *monitor_main(void *data) {
  struct monitor_work *work = data;
  service_block_sigpipe();
  struct cluster *cluster = work->service->cluster;
  if (work->monitor && (cluster->provider->can & CAN_NETWORK))
    work->status = cluster->provider->network_enter(cluster, work->monitor, &work->error);
  if (work->status == 0) work->status = work->call(work->service, work->data, &work->error);
  return NULL;
}

int service_on_monitor(struct service_instance *service, const struct host *monitor,
                       monitor_call *call, void *data, struct error *err) {
  struct monitor_work work = {.service = service, .monitor = monitor, .call = call, .data = data};
  pthread_t thread;
  int errnum = pthread_create(&thread, NULL, monitor_main, &work);
  if (errnum) return error_set_errno(err, errnum, "cannot start a thread");
  pthread_join(thread, NULL);
  if (work.status < 0 && err) *err = work.error;
  return work.status;
}

struct member_work {
  struct service_instance *service;
  member_call *call;
  void *data;
  pthread_t thread;
  uint32_t member;
  int status;
  struct error error;
};

static void *member_main(void *data) {
  struct member_work *work = data;
  work->status = work->call(work->service, work->member, work->data, &work->error);
  return NULL;
}

int service_each_member(struct service_instance *service, uint32_t count, member_call *call,
                        void *data, struct error *err) {
  CLEANUP_FREE struct member_work *works = calloc((size_t)count + 1, sizeof *works);
  if (!works) return error_set(err, STATUS_MEMORY, "out of memory for threads");
  uint32_t started = 0;
  int status = 0;
  for (; started < count; started++) {
    works[started] =
        (struct member_work){.service = service, .call = call, .data = data, .member = started};
    int errnum = pthread_create(&works[started].thread, NULL, member_main, &works[started]);
    if (errnum) {
      status = error_set_errno(err, errnum, "cannot start a thread");
      break;
    }
  }
  for (uint32_t i = 0; i < started; i++) {
    pthread_join(works[i].thread, NULL);
    if (works[i].status == 0 || status < 0) continue;
    status = works[i].status;
    if (err) *err = works[i].error;
  }
  return status;
}

int service_sync_disk(struct service_instance *service, uint32_t member, void *data,
                      struct error *err) {
  (void)data;
  static const char *const argv[] = {"sync", "-f", HOST_DATA_DIRECTORY, NULL};
  const struct process_spec spec = {.argv = argv};
  const struct host *host = service->members[member];
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = service->cluster->provider->exec(service->cluster, host, NULL, &spec, &result, err);
  if (status == 0 && result.exit_code != 0)
    status = error_set(err, STATUS_ENVIRONMENT, "%s: cannot flush its disk: %s", host->name,
                       result.err.data);
  return status;
}

int service_restart_unit(struct service_instance *service, const struct host *host,
                         const char *unit, const struct process_match *told, int signal,
                         struct error *err) {
  const struct process_match all = {.unit = unit};
  const struct provider *provider = service->cluster->provider;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + RESTART_TIMEOUT_NS;
  uint32_t count = 0;
  int status = provider->process_signal(service->cluster, host, told, signal, &count, err);
  if (status == 0 && count == 0)
    status = error_set(err, STATUS_SERVER, "restart: no server runs on %s", host->name);
  while (status == 0 && count > 0) {
    poll(NULL, 0, RESTART_POLL_MS);
    status = provider->process_signal(service->cluster, host, &all, 0, &count, err);
    if (status == 0 && count > 0 && clock_now_ns(&clock_monotonic) > deadline_ns)
      status = error_set(err, STATUS_TIMEOUT, "restart: the server on %s did not stop in time",
                         host->name);
  }
  if (status == 0) status = provider->unit_start(service->cluster, host, unit, err);
  return status;
}
