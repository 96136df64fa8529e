/* Threads in the monitor's network, and one for each member. */
#include "services/remote.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

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
  struct member_work works[HOSTS_MAX];
  assert(count <= HOSTS_MAX);
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
