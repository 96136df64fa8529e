/* The resolver: questions and their owners belong to the loop's thread, look-ups pass between it
 * and the resolver's own. */
#include "base/resolver.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct resolver_lookup {
  /* The loop's alone: */
  struct resolver *resolver;
  struct resolver_request *waiting, *waiting_last; /* in the order in which they asked */
  struct resolver_lookup *next_open;
  /* Under the mutex: */
  struct resolver_lookup *next; /* in the queue, or among those that are done */
  bool queued;
  /* The thread's until it is done, then the loop's: */
  struct resolver_answer answer;
  char name[RESOLVER_NAME_SIZE]; /* constant */
};

/* What both threads hold. The last one to let go frees it. */
struct shared {
  resolver_function *look_up;
  void *data;
  int wake_fd; /* an eventfd: something is done */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  /* Under the mutex: */
  struct resolver_lookup *queue, *done; /* both oldest first */
  uint32_t holders;
  bool closed; /* nobody wants an answer any more */
};

struct resolver {
  struct loop *loop;
  struct shared *shared;
  struct watch watch;           /* of wake_fd */
  struct resolver_lookup *open; /* all that have not been answered */
  bool started;                 /* there is a thread */
  bool answering;
};

/* --- the system's look-up -------------------------------------------------------------------- */

static void add_address(struct resolver_answer *answer, const struct addrinfo *info) {
  if (answer->count == RESOLVER_ADDRESSES_MAX) return;
  char *text = answer->addresses[answer->count];
  if (getnameinfo(info->ai_addr, info->ai_addrlen, text, RESOLVER_ADDRESS_SIZE, NULL, 0,
                  NI_NUMERICHOST) == 0)
    answer->count++;
}

static void system_look_up(void *data, const char *name, struct resolver_answer *ret_answer) {
  (void)data;
  /* One socket type, or each address would come three times. */
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int code = getaddrinfo(name, NULL, &hints, &found);
  int errnum = errno;
  if (code == EAI_SYSTEM) {
    struct error err = ERROR_INIT;
    error_set_errno(&err, errnum, "the system's resolver");
    snprintf(ret_answer->why, sizeof ret_answer->why, "%.120s", err.message);
  } else if (code != 0) {
    snprintf(ret_answer->why, sizeof ret_answer->why, "%s", gai_strerror(code));
  } else {
    for (const struct addrinfo *info = found; info; info = info->ai_next)
      add_address(ret_answer, info);
    if (ret_answer->count == 0)
      snprintf(ret_answer->why, sizeof ret_answer->why, "it has no address");
    freeaddrinfo(found);
  }
}

bool resolver_is_numeric(const char *name) {
  const struct addrinfo hints = {
      .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
  struct addrinfo *found = NULL;
  if (getaddrinfo(name, NULL, &hints, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

/* --- what is shared -------------------------------------------------------------------------- */

static void append(struct resolver_lookup **list, struct resolver_lookup *lookup) {
  while (*list) list = &(*list)->next;
  lookup->next = NULL;
  *list = lookup;
}

static void free_list(struct resolver_lookup *list) {
  while (list) {
    struct resolver_lookup *next = list->next;
    free(list);
    list = next;
  }
}

/* With the mutex, which it unlocks. */
static void let_go(struct shared *shared) {
  bool last = --shared->holders == 0;
  pthread_mutex_unlock(&shared->mutex);
  if (!last) return;
  if (shared->wake_fd >= 0) close(shared->wake_fd);
  pthread_cond_destroy(&shared->changed);
  pthread_mutex_destroy(&shared->mutex);
  free(shared);
}

/* --- the resolver's thread ------------------------------------------------------------------- */

static void *resolver_main(void *data) {
  struct shared *shared = data;
  pthread_setname_np(pthread_self(), "resolver");
  pthread_mutex_lock(&shared->mutex);
  while (!shared->closed) {
    struct resolver_lookup *lookup = shared->queue;
    if (!lookup) {
      pthread_cond_wait(&shared->changed, &shared->mutex);
      continue;
    }
    shared->queue = lookup->next;
    lookup->queued = false;
    pthread_mutex_unlock(&shared->mutex);
    shared->look_up(shared->data, lookup->name, &lookup->answer);
    pthread_mutex_lock(&shared->mutex);
    if (shared->closed) {
      free(lookup);
      break;
    }
    append(&shared->done, lookup);
    ssize_t written = write(shared->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* fails only when the counter is full, and then it wakes already */
  }
  let_go(shared);
  return NULL;
}

/* --- who waits for an answer ----------------------------------------------------------------- */

static void link_request(struct resolver_lookup *lookup, struct resolver_request *request) {
  request->lookup = lookup;
  request->previous = lookup->waiting_last;
  request->next = NULL;
  if (lookup->waiting_last)
    lookup->waiting_last->next = request;
  else
    lookup->waiting = request;
  lookup->waiting_last = request;
}

static void unlink_request(struct resolver_request *request) {
  struct resolver_lookup *lookup = request->lookup;
  if (request->previous)
    request->previous->next = request->next;
  else
    lookup->waiting = request->next;
  if (request->next)
    request->next->previous = request->previous;
  else
    lookup->waiting_last = request->previous;
  request->lookup = NULL;
  request->previous = request->next = NULL;
}

static void forget_open(struct resolver *resolver, const struct resolver_lookup *lookup) {
  struct resolver_lookup **at = &resolver->open;
  while (*at != lookup) at = &(*at)->next_open;
  *at = lookup->next_open;
}

/* --- answers, in the loop's thread ----------------------------------------------------------- */

static void answers_ready(struct watch *watch, unsigned events) {
  (void)events;
  struct resolver *resolver = watch->owner;
  struct shared *shared = resolver->shared;
  uint64_t count;
  ssize_t got = read(watch->fd, &count, sizeof count); /* what is done says how many */
  (void)got;
  pthread_mutex_lock(&shared->mutex);
  struct resolver_lookup *done = shared->done;
  shared->done = NULL;
  pthread_mutex_unlock(&shared->mutex);
  resolver->answering = true;
  while (done) {
    struct resolver_lookup *lookup = done;
    done = lookup->next;
    forget_open(resolver, lookup);
    while (lookup->waiting) { /* callbacks take others off the list */
      struct resolver_request *request = lookup->waiting;
      unlink_request(request);
      request->answered(request, &lookup->answer);
    }
    free(lookup);
  }
  resolver->answering = false;
}

/* --- life ------------------------------------------------------------------------------------ */

int resolver_new_with(struct loop *loop, resolver_function *look_up, void *data,
                      struct resolver **ret_resolver, struct error *err) {
  struct resolver *resolver = calloc(1, sizeof *resolver);
  struct shared *shared = calloc(1, sizeof *shared);
  if (!resolver || !shared) {
    free(resolver);
    free(shared);
    return error_set(err, STATUS_MEMORY, "out of memory for a resolver");
  }
  *shared = (struct shared){.look_up = look_up, .data = data, .wake_fd = -1, .holders = 1};
  pthread_mutex_init(&shared->mutex, NULL); /* neither fails with default attributes */
  pthread_cond_init(&shared->changed, NULL);
  *resolver = (struct resolver){.loop = loop, .shared = shared};
  *ret_resolver = resolver;
  return 0;
}

int resolver_new(struct loop *loop, struct resolver **ret_resolver, struct error *err) {
  return resolver_new_with(loop, system_look_up, NULL, ret_resolver, err);
}

void resolver_free(struct resolver *resolver) {
  if (!resolver) return;
  assert(!resolver->answering);
  for (struct resolver_lookup *lookup = resolver->open; lookup; lookup = lookup->next_open)
    while (lookup->waiting) unlink_request(lookup->waiting);
  if (resolver->watch.active) loop_watch_set(resolver->loop, &resolver->watch, 0, NULL);
  struct shared *shared = resolver->shared;
  pthread_mutex_lock(&shared->mutex);
  shared->closed = true;
  /* The one that is being looked up is the thread's to free. */
  free_list(shared->queue);
  free_list(shared->done);
  shared->queue = shared->done = NULL;
  pthread_cond_signal(&shared->changed);
  let_go(shared);
  free(resolver);
}

/* A detached thread with all signals blocked: they are for others. */
static int start_thread(struct shared *shared, struct error *err) {
  pthread_attr_t detached;
  pthread_t thread;
  sigset_t all, before;
  int errnum = pthread_attr_init(&detached);
  if (errnum) return error_set_errno(err, errnum, "cannot start a resolver's thread");
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&shared->mutex);
  errnum = pthread_create(&thread, &detached, resolver_main, shared);
  if (errnum == 0) shared->holders++;
  pthread_mutex_unlock(&shared->mutex);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&detached);
  if (errnum) return error_set_errno(err, errnum, "cannot start a resolver's thread");
  return 0;
}

static int start(struct resolver *resolver, struct error *err) {
  struct shared *shared = resolver->shared;
  if (shared->wake_fd < 0) shared->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (shared->wake_fd < 0) return error_set_errno(err, errno, "cannot make an eventfd");
  resolver->watch.ready = answers_ready;
  resolver->watch.owner = resolver;
  resolver->watch.fd = shared->wake_fd;
  int status = loop_watch_set(resolver->loop, &resolver->watch, LOOP_READ, err);
  if (status == 0) status = start_thread(shared, err);
  resolver->started = status == 0;
  return status;
}

/* --- questions ------------------------------------------------------------------------------- */

/* Takes a place in the queue for `name`, or joins who has one already: those share an answer. What
 * has left the queue is not joined, and needs no bound: each had somebody waiting. */
static int take_place(struct resolver *resolver, const char *name, size_t length,
                      struct resolver_lookup **ret_lookup, struct error *err) {
  struct resolver_lookup **at = &resolver->shared->queue;
  uint32_t count = 0;
  for (; *at && strcmp((*at)->name, name) != 0; at = &(*at)->next) count++;
  struct resolver_lookup *lookup = *at;
  if (!lookup) {
    if (count >= RESOLVER_QUEUE_MAX)
      return error_set_errno(err, EAGAIN, "%u names wait to be resolved", (unsigned)count);
    lookup = calloc(1, sizeof *lookup);
    if (!lookup) return error_set(err, STATUS_MEMORY, "out of memory for resolving a name");
    lookup->resolver = resolver;
    memcpy(lookup->name, name, length + 1);
    lookup->next_open = resolver->open;
    resolver->open = lookup;
    lookup->queued = true;
    *at = lookup;
    pthread_cond_signal(&resolver->shared->changed);
  }
  *ret_lookup = lookup;
  return 0;
}

int resolver_ask(struct resolver *resolver, struct resolver_request *request, const char *name,
                 struct error *err) {
  assert(!request->lookup && request->answered);
  size_t length = strlen(name);
  if (length == 0 || length >= RESOLVER_NAME_SIZE)
    return error_set(err, STATUS_USAGE, "'%.32s' is no host name", name);
  int status = resolver->started ? 0 : start(resolver, err);
  if (status < 0) return status;
  struct resolver_lookup *lookup = NULL;
  pthread_mutex_lock(&resolver->shared->mutex);
  status = take_place(resolver, name, length, &lookup, err);
  pthread_mutex_unlock(&resolver->shared->mutex);
  if (status < 0) return status;
  link_request(lookup, request);
  return 0;
}

/* Takes it out of the queue, when it is still there; then nobody but us knows it. */
static bool unqueue(struct shared *shared, struct resolver_lookup *lookup) {
  pthread_mutex_lock(&shared->mutex);
  bool queued = lookup->queued;
  if (queued) {
    struct resolver_lookup **at = &shared->queue;
    while (*at != lookup) at = &(*at)->next;
    *at = lookup->next;
  }
  pthread_mutex_unlock(&shared->mutex);
  return queued;
}

void resolver_cancel(struct resolver_request *request) {
  struct resolver_lookup *lookup = request->lookup;
  if (!lookup) return;
  unlink_request(request);
  if (lookup->waiting || !unqueue(lookup->resolver->shared, lookup)) return;
  forget_open(lookup->resolver, lookup);
  free(lookup);
}
