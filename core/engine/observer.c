/* The observer's thread: enters the monitor's network, watches until told to stop. */
#include "engine/observer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/loop.h"

struct observer {
  struct cluster *cluster;
  const struct host *monitor;
  struct service_instance *services;
  uint32_t service_count;
  struct loop *loop;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t begun;
  bool ready; /* watching, or failed to */
  int status;
  struct error error;
};

static void announce(struct observer *o) {
  pthread_mutex_lock(&o->mutex);
  o->ready = true;
  pthread_cond_signal(&o->begun);
  pthread_mutex_unlock(&o->mutex);
}

static void *observer_main(void *data) {
  struct observer *o = data;
  uint32_t watched = 0;
  if (o->monitor)
    o->status = o->cluster->provider->network_enter(o->cluster, o->monitor, &o->error);
  while (o->status == 0 && watched < o->service_count) {
    struct service_instance *service = &o->services[watched];
    o->status = service->service->watch(service, o->loop, &o->error);
    if (o->status == 0) watched++;
  }
  announce(o);
  if (o->status == 0) o->status = loop_run(o->loop, &o->error);
  while (watched > 0) {
    struct service_instance *service = &o->services[--watched];
    service->service->unwatch(service);
  }
  return NULL;
}

static void observer_release(struct observer *o) {
  loop_free(o->loop);
  pthread_cond_destroy(&o->begun);
  pthread_mutex_destroy(&o->mutex);
  free(o);
}

int observer_start(struct cluster *cluster, const struct host *monitor,
                   struct service_instance *instances, uint32_t count,
                   struct observer **ret_observer, struct error *err) {
  struct observer *o = calloc(1, sizeof *o);
  if (!o) return error_set(err, STATUS_MEMORY, "out of memory for the observer");
  *o = (struct observer){
      .cluster = cluster, .monitor = monitor, .services = instances, .service_count = count};
  pthread_mutex_init(&o->mutex, NULL);
  pthread_cond_init(&o->begun, NULL);
  int status = loop_new(&o->loop, err);
  if (status == 0) {
    int errnum = pthread_create(&o->thread, NULL, observer_main, o);
    if (errnum) status = error_set_errno(err, errnum, "cannot start the observer's thread");
  }
  if (status < 0) {
    observer_release(o);
    return status;
  }
  pthread_mutex_lock(&o->mutex);
  while (!o->ready) pthread_cond_wait(&o->begun, &o->mutex);
  pthread_mutex_unlock(&o->mutex);
  if (o->status < 0) {
    pthread_join(o->thread, NULL);
    status = o->status;
    if (err) *err = o->error;
    observer_release(o);
    return error_wrap(err, "cannot watch the cluster");
  }
  *ret_observer = o;
  return 0;
}

static void stop_loop(void *data) {
  struct observer *o = data;
  loop_stop(o->loop);
}

int observer_stop(struct observer *observer, struct error *err) {
  if (!observer) return 0;
  int status = loop_post(observer->loop, stop_loop, observer, err);
  /* A full queue of posts means that the loop is stuck; joining would hang for ever. */
  if (status < 0) return error_wrap(err, "cannot stop the observer");
  pthread_join(observer->thread, NULL);
  status = observer->status;
  if (status < 0 && err) *err = observer->error;
  observer_release(observer);
  return status;
}
