/* The observer's thread: enters the monitor's network, watches until told to stop. */
#include "engine/observer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/loop.h"

struct observer {
  struct observer_spec spec;
  struct loop *loop; /* the thread's; NULL in virtual time */
  uint32_t watched;
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

static int watch_all(struct observer *o, struct loop *loop, struct error *err) {
  int status = 0;
  while (status == 0 && o->watched < o->spec.service_count) {
    struct service_instance *service = &o->spec.services[o->watched];
    status = service->service->watch(service, loop, err);
    if (status == 0) o->watched++;
  }
  return status;
}

static void unwatch_all(struct observer *o) {
  while (o->watched > 0) {
    struct service_instance *service = &o->spec.services[--o->watched];
    service->service->unwatch(service);
  }
}

static void *observer_main(void *data) {
  struct observer *o = data;
  struct cluster *cluster = o->spec.cluster;
  if (o->spec.monitor)
    o->status = cluster->provider->network_enter(cluster, o->spec.monitor, &o->error);
  if (o->status == 0) o->status = watch_all(o, o->loop, &o->error);
  announce(o);
  if (o->status == 0) o->status = loop_run(o->loop, &o->error);
  unwatch_all(o);
  return NULL;
}

static void observer_release(struct observer *o) {
  loop_free(o->loop);
  pthread_cond_destroy(&o->begun);
  pthread_mutex_destroy(&o->mutex);
  free(o);
}

static int start_thread(struct observer *o, struct error *err) {
  int status = loop_new(&o->loop, err);
  if (status < 0) return status;
  int errnum = pthread_create(&o->thread, NULL, observer_main, o);
  if (errnum) return error_set_errno(err, errnum, "cannot start the observer's thread");
  pthread_mutex_lock(&o->mutex);
  while (!o->ready) pthread_cond_wait(&o->begun, &o->mutex);
  pthread_mutex_unlock(&o->mutex);
  if (o->status == 0) return 0;
  pthread_join(o->thread, NULL);
  if (err) *err = o->error;
  return error_wrap(err, "cannot watch the cluster");
}

int observer_start(const struct observer_spec *spec, struct observer **ret_observer,
                   struct error *err) {
  struct observer *o = calloc(1, sizeof *o);
  if (!o) return error_set(err, STATUS_MEMORY, "out of memory for the observer");
  *o = (struct observer){.spec = *spec};
  pthread_mutex_init(&o->mutex, NULL);
  pthread_cond_init(&o->begun, NULL);
  int status = spec->loop ? watch_all(o, spec->loop, err) : start_thread(o, err);
  if (status < 0) {
    if (spec->loop) unwatch_all(o);
    observer_release(o);
    return status;
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
  if (!observer->loop) {
    unwatch_all(observer);
    observer_release(observer);
    return 0;
  }
  int status = loop_post(observer->loop, stop_loop, observer, err);
  /* A full queue of posts means that the loop is stuck; joining would hang for ever. */
  if (status < 0) return error_wrap(err, "cannot stop the observer");
  pthread_join(observer->thread, NULL);
  status = observer->status;
  if (status < 0 && err) *err = observer->error;
  observer_release(observer);
  return status;
}
