/* Operations of several steps. Nothing here calls next() from within a call of it: what a driver
 * says at once is told from a timer. */
#include "engine/load_steps.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of two flights one each, of the idle origin, and of the origin's driver. */
#define STEPS_TIMERS (LOAD_STEPS_FLIGHTS + 2u)

enum steps_phase {
  STEPS_IDLE,
  STEPS_SENT,       /* on the client's session */
  STEPS_REFUSED,    /* not connected: `deferred` is told by the timer */
  STEPS_WAITING,    /* NEXT_WAIT */
  ORIGIN_QUEUED,    /* the client's one connection to the origin is in use */
  ORIGIN_OPENING,   /* it is being opened */
  ORIGIN_SENT,      /* a request is there */
  ORIGIN_NOT_OPENED /* it could not be opened: `deferred` is told by the timer */
};

struct load_steps {
  struct steps steps; /* what the workload sees; first */
  struct load_flight *flight;
  enum steps_phase phase;
  struct timer timer;
  struct reply deferred;
  struct operation origin; /* the request to the origin, while one is under way */
};

/* A client's connection to the second service. */
struct load_origin {
  struct client_options options; /* its session's */
  uint64_t idle_ns;
  struct session *session;
  struct load_steps *user, *queued; /* NULL: nobody */
  struct timer idle_timer;
};

static struct load_client *client_of(const struct load_steps *it) {
  return it->flight->client;
}

static const struct workload *workload_of(const struct load_steps *it) {
  return client_of(it)->client.env->workload;
}

static uint64_t now_of(const struct load_client *client) {
  return loop_now_ns(client->context->loop);
}

static void advance(struct load_steps *it, const struct reply *reply);

static struct reply failure(const struct load_client *client, uint32_t code) {
  return (struct reply){.outcome = OUTCOME_FAIL,
                        .code = code ? code : code_pack(CODE_NO_CONNECTION),
                        .done_ns = now_of(client),
                        .host = HOST_NONE};
}

/* --- the end of an operation ----------------------------------------------------------------- */

/* The operation itself is done: written down, and the client is free for the next one. */
static void record_operation(struct load_steps *it) {
  struct load_client *client = client_of(it);
  assert(client->foreground == it->flight);
  client->foreground = NULL;
  it->steps.operation = NULL;
  load_client_finish(client, &it->flight->operation);
}

static void finish(struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct load_flight *flight = it->flight;
  loop_timer_cancel(client->context->loop, &it->timer);
  it->phase = STEPS_IDLE;
  if (it->steps.operation) record_operation(it);
  flight->used = false;
  flight->next_free = client->free;
  client->free = flight;
  load_client_pump(client);
}

/* Nothing more is done for it, whatever the workload would like. */
static void give_up(struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct operation *operation = it->steps.operation;
  it->steps.over = true;
  (void)workload_of(it)->next(&it->steps, NULL);
  if (operation) {
    bool sent = operation->sent_ns > 0;
    operation->done_ns = now_of(client) - client->context->start_ns;
    operation->outcome = sent ? OUTCOME_UNKNOWN : OUTCOME_FAIL;
    operation->code = code_pack(!sent            ? CODE_NO_CONNECTION
                                : client->closed ? CODE_CONNECTION_LOST
                                                 : CODE_TIMEOUT);
  }
  finish(it);
}

/* --- the client's own session ---------------------------------------------------------------- */

/* What the last answer says stands for the operation until the workload says otherwise. */
static void take_reply(struct load_steps *it, const struct reply *reply) {
  struct operation *operation = it->steps.operation;
  if (!operation) return;
  uint64_t start_ns = client_of(it)->context->start_ns;
  uint64_t sent_ns = it->flight->request.sent_ns;
  if (operation->sent_ns == 0 && sent_ns > 0) operation->sent_ns = sent_ns - start_ns;
  operation->done_ns = reply->done_ns - start_ns;
  operation->outcome = reply->outcome;
  operation->code = reply->code;
}

static void take_server(struct load_steps *it, const struct reply *reply) {
  struct operation *operation = it->steps.operation;
  if (!operation || reply->host == HOST_NONE) return;
  operation->host = reply->host;
  operation->timeline = reply->timeline;
  operation->shard = reply->shard & SHARD_MASK;
}

static void session_complete(struct request *request, const struct reply *reply) {
  struct load_steps *it = request->owner;
  if (it->phase != STEPS_SENT) return;
  take_reply(it, reply);
  take_server(it, reply);
  advance(it, reply);
}

static void defer(struct load_steps *it, enum steps_phase phase, uint32_t code) {
  struct load_client *client = client_of(it);
  it->deferred = failure(client, code);
  it->phase = phase;
  load_client_arm(client, &it->timer, it->deferred.done_ns);
}

static void send_on_session(struct load_steps *it) {
  struct session *session = client_of(it)->client.session;
  if (session->state != SESSION_READY) {
    defer(it, STEPS_REFUSED, 0);
    return;
  }
  it->phase = STEPS_SENT;
  it->flight->request.complete = session_complete;
  session->driver->session_send(session, &it->flight->request);
}

/* --- the origin ------------------------------------------------------------------------------ */

static void origin_complete(struct request *request, const struct reply *reply);

static void origin_send(struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct session *session = client->origin->session;
  loop_timer_cancel(client->context->loop, &it->timer);
  it->phase = ORIGIN_SENT;
  it->flight->request.complete = origin_complete;
  session->driver->session_send(session, &it->flight->request);
}

static void origin_take(struct load_origin *origin, struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct session *session = origin->session;
  origin->user = it;
  loop_timer_cancel(client->context->loop, &origin->idle_timer);
  if (session->state == SESSION_READY) {
    origin_send(it);
    return;
  }
  it->phase = ORIGIN_OPENING;
  load_client_arm(client, &it->timer, it->steps.deadline_ns);
  if (session->state != SESSION_CONNECTING) session->driver->session_connect(session);
}

static void origin_begin(struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct load_origin *origin = client->origin;
  it->origin = (struct operation){
      .kind = OPERATION_ORIGIN,
      .scheduled_ns = now_of(client) - client->context->start_ns,
      .client = client->client.index & (CLIENTS_MAX - 1),
      .workload = client->client.env->index & (WORKLOADS_MAX - 1),
      .identity = client->client.identity,
      .read_identity = it->flight->operation.read_identity,
      .route = ROUTE_PRIMARY,
      .host = HOST_NONE,
  };
  load_client_count(client);
  if (!origin->user) {
    origin_take(origin, it);
    return;
  }
  assert(!origin->queued); /* there are two flights */
  origin->queued = it;
  it->phase = ORIGIN_QUEUED;
  load_client_arm(client, &it->timer, it->steps.deadline_ns);
}

/* The next one takes the connection, or it is left to be closed. */
static void origin_leave(struct load_steps *it) {
  struct load_client *client = client_of(it);
  struct load_origin *origin = client->origin;
  if (origin->queued == it) {
    origin->queued = NULL;
    return;
  }
  struct load_steps *queued = origin->queued;
  origin->user = origin->queued = NULL;
  if (client->closed) return;
  if (queued)
    origin_take(origin, queued);
  else
    load_client_arm(client, &origin->idle_timer, now_of(client) + origin->idle_ns);
}

static void origin_finish(struct load_steps *it, const struct reply *given) {
  struct load_client *client = client_of(it);
  uint64_t start_ns = client->context->start_ns, sent_ns = it->flight->request.sent_ns;
  struct operation *operation = &it->origin;
  struct reply reply = *given; /* which may be the deferred one */
  operation->sent_ns = sent_ns ? sent_ns - start_ns : 0;
  operation->done_ns = reply.done_ns - start_ns;
  operation->outcome = reply.outcome;
  operation->code = reply.code;
  operation->host = reply.host;
  operation->timeline = reply.timeline;
  client->client.env->workload->answer(&client->client, operation, &reply);
  load_client_finish(client, operation);
  take_reply(it, &reply);
  it->phase = STEPS_IDLE;
  loop_timer_cancel(client->context->loop, &it->timer);
  origin_leave(it);
  advance(it, &reply);
}

static void origin_complete(struct request *request, const struct reply *reply) {
  struct load_steps *it = request->owner;
  if (it->phase == ORIGIN_SENT) origin_finish(it, reply);
}

static void origin_changed(struct session *session, enum session_state state,
                           const struct error *why) {
  struct load_client *client = session->spec.owner;
  struct load_origin *origin = client->origin;
  struct load_steps *user = origin->user;
  (void)why;
  if (client->closed) return;
  bool waited = user && user->phase == ORIGIN_OPENING;
  if (state == SESSION_READY && waited) {
    origin_send(user);
  } else if (state == SESSION_READY && !user) { /* too late for who wanted it */
    load_client_arm(client, &origin->idle_timer, now_of(client) + origin->idle_ns);
  } else if (state == SESSION_LOST && waited) {
    defer(user, ORIGIN_NOT_OPENED, session->lost_code);
  }
}

static void idle_fired(struct timer *timer, uint64_t now_ns) {
  struct load_origin *origin = timer->owner;
  (void)now_ns;
  if (origin->user || origin->session->state != SESSION_READY) return;
  origin->session->driver->session_close(origin->session);
}

/* --- from step to step ----------------------------------------------------------------------- */

static void prepare_request(struct load_steps *it) {
  it->flight->request = (struct request){.deadline_ns = it->steps.deadline_ns, .owner = it};
}

/* Asks the workload until something is to be waited for. */
static void advance(struct load_steps *it, const struct reply *reply) {
  struct load_client *client = client_of(it);
  for (;;) {
    it->phase = STEPS_IDLE;
    if (client->closed) {
      give_up(it);
      return;
    }
    prepare_request(it);
    enum next next = workload_of(it)->next(&it->steps, reply);
    if (next == NEXT_DONE) {
      finish(it);
      return;
    }
    uint64_t now_ns = now_of(client);
    if (next == NEXT_ANSWERED) {
      if (it->steps.operation) record_operation(it);
      it->steps.deadline_ns = now_ns + client->options->operation_timeout_ns;
      reply = NULL;
      continue;
    }
    if (it->steps.deadline_ns <= now_ns) {
      give_up(it);
      return;
    }
    struct request *request = &it->flight->request;
    if (request->deadline_ns > it->steps.deadline_ns) request->deadline_ns = it->steps.deadline_ns;
    if (next == NEXT_SEND) {
      send_on_session(it);
    } else if (next == NEXT_ORIGIN) {
      origin_begin(it);
    } else {
      bool soon = it->steps.until_ns < it->steps.deadline_ns;
      it->phase = STEPS_WAITING;
      load_client_arm(client, &it->timer, soon ? it->steps.until_ns : it->steps.deadline_ns);
    }
    return;
  }
}

static void timer_fired(struct timer *timer, uint64_t now_ns) {
  struct load_steps *it = timer->owner;
  struct reply late = failure(client_of(it), 0);
  switch (it->phase) {
    case STEPS_IDLE:
    case STEPS_SENT:
    case ORIGIN_SENT: break; /* the driver keeps the deadline */
    case STEPS_REFUSED:
      take_reply(it, &it->deferred);
      advance(it, &it->deferred);
      break;
    case STEPS_WAITING:
      if (it->steps.operation)
        it->steps.operation->done_ns = now_ns - client_of(it)->context->start_ns;
      if (it->steps.deadline_ns <= now_ns)
        give_up(it);
      else
        advance(it, NULL);
      break;
    case ORIGIN_NOT_OPENED: origin_finish(it, &it->deferred); break;
    case ORIGIN_QUEUED:
    case ORIGIN_OPENING: origin_finish(it, &late); break;
  }
}

static void wake(struct steps *steps) {
  struct load_steps *it = (struct load_steps *)(void *)steps;
  struct load_client *client = client_of(it);
  assert(it->phase == STEPS_WAITING);
  load_client_arm(client, &it->timer, now_of(client));
}

static void start(struct load_client *client, struct load_flight *flight) {
  struct load_steps *it = flight->steps;
  struct operation *operation = &flight->operation;
  void *state = it->steps.state;
  memset(state, 0, client->client.env->workload->step_size);
  client->foreground = flight;
  operation->identity = client->client.identity;
  it->steps = (struct steps){.client = &client->client,
                             .operation = operation,
                             .request = &flight->request,
                             .payload = flight->payload,
                             .state = state,
                             .deadline_ns = client->context->start_ns + operation->scheduled_ns +
                                            client->options->operation_timeout_ns,
                             .wake = wake};
  advance(it, NULL);
}

void load_steps_start(struct load_client *client) {
  while (!client->foreground && client->free && client->count > 0) {
    start(client, load_client_take(client));
  }
}

/* --- life ------------------------------------------------------------------------------------ */

static int find_process(struct load_client *client, struct error *err) {
  struct load_context *context = client->context;
  const struct workload_env *env = client->client.env;
  uint16_t host = load_client_host(client);
  if (!env->workload->process_new) return 0;
  struct load_process *process = context->processes;
  while (process && (process->env != env || process->host != host)) process = process->next;
  if (!process) {
    process = calloc(1, sizeof *process);
    if (!process) return error_set(err, STATUS_MEMORY, "out of memory for a client");
    *process = (struct load_process){.env = env, .host = host};
    int status = env->workload->process_new(env, &process->process, err);
    if (status < 0) {
      free(process);
      return status;
    }
    process->next = context->processes;
    context->processes = process;
  }
  client->client.process = process->process;
  return 0;
}

void load_processes_free(struct load_context *context) {
  while (context->processes) {
    struct load_process *process = context->processes;
    context->processes = process->next;
    process->env->workload->process_free(process->process);
    free(process);
  }
}

static int make_origin(struct load_client *client, uint64_t seed, struct error *err) {
  const struct workload_env *env = client->client.env;
  const struct workload *workload = env->workload;
  if (!workload->origin) return 0;
  struct load_origin *origin = client->origin = calloc(1, sizeof *origin);
  if (!origin) return error_set(err, STATUS_MEMORY, "out of memory for a client");
  const struct origin_options *options = workload->origin_options(env->config);
  origin->options = options->client;
  origin->options.operation_timeout_ns = client->options->operation_timeout_ns;
  origin->options.reconnect_delay_ns = client->options->reconnect_delay_ns;
  origin->options.pipeline_depth = 1; /* as a connection from a pool is used by one at a time */
  origin->idle_ns = options->idle_ns;
  origin->idle_timer = (struct timer){.fire = idle_fired, .owner = origin};
  const struct driver *driver = env->origin->driver;
  struct session_spec spec = {.access = env->origin,
                              .options = &origin->options,
                              .route = ROUTE_PRIMARY,
                              .from_host = load_client_host(client),
                              .pinned_host = HOST_NONE,
                              .statements = workload->origin_statements,
                              .statement_count = workload->origin_statement_count,
                              .seed = seed + client->client.index,
                              .resolver = client->context->resolver,
                              .changed = origin_changed,
                              .owner = client};
  struct session *session = calloc(1, driver->session_size);
  if (!session) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  int status = driver->session_init(session, &spec, client->context->loop, err);
  if (status < 0)
    free(session);
  else
    origin->session = session;
  return status;
}

int load_steps_init(struct load_client *client, uint64_t seed, struct error *err) {
  size_t size = client->client.env->workload->step_size;
  struct load_steps *all = calloc(client->flight_count, sizeof *all);
  char *states = calloc(client->flight_count, size + 1);
  if (!all || !states) {
    free(all);
    free(states);
    return error_set(err, STATUS_MEMORY, "out of memory for a client");
  }
  client->steps = all;
  for (uint32_t i = 0; i < client->flight_count; i++) {
    struct load_steps *it = &all[i];
    *it = (struct load_steps){.flight = &client->flights[i], .steps.state = states + i * size};
    it->timer = (struct timer){.fire = timer_fired, .owner = it};
    client->flights[i].steps = it;
  }
  int status = loop_reserve_timers(client->context->loop, STEPS_TIMERS, err);
  if (status == 0) status = find_process(client, err);
  if (status == 0) status = make_origin(client, seed, err);
  return status;
}

void load_steps_abandon(struct load_client *client) {
  struct load_origin *origin = client->origin;
  /* Drivers complete what is in flight, which ends it because the client is closed. */
  if (origin && origin->session) {
    loop_timer_cancel(client->context->loop, &origin->idle_timer);
    origin->session->driver->session_close(origin->session);
  }
  for (uint32_t i = 0; i < client->flight_count; i++) {
    struct load_steps *it = &client->steps[i];
    if (!it->flight->used) continue;
    struct reply reply = failure(client, 0);
    if (it->phase == ORIGIN_SENT) {
      reply.outcome = OUTCOME_UNKNOWN;
      reply.code = code_pack(CODE_CONNECTION_LOST);
    }
    if (it->phase >= ORIGIN_QUEUED)
      origin_finish(it, &reply);
    else
      give_up(it);
  }
}

void load_steps_release(struct load_client *client) {
  struct load_origin *origin = client->origin;
  if (origin && origin->session) {
    origin->session->driver->session_release(origin->session);
    free(origin->session);
  }
  free(origin);
  client->origin = NULL;
  if (client->steps) free(client->steps[0].steps.state);
  free(client->steps);
  client->steps = NULL;
}
