/* A client of the load: schedule, queue, sends and completions, identities. */
#include "engine/load_client.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load_probe.h"
#include "engine/load_steps.h"

/* Memory bounds the queue of one client, not the load: 4 MiB. */
#define PENDING_MAX 65536u
/* Room beyond what the rate fills in a timeout: random gaps come in bunches. */
#define PENDING_EXTRA 16u
/* A waiting operation is given up when less than this part of its timeout is left. */
#define GIVE_UP_PART 10u
/* Attempts to connect must not keep a server from starting. */
#define KNOCK_NS (10 * NS_PER_MS)

static void add(_Atomic uint64_t *counter, uint64_t number) {
  /* One writer: no need for a locked instruction. Subtracting is adding 2^64 - n. */
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + number, memory_order_relaxed);
}

void load_client_arm(struct load_client *client, struct timer *timer, uint64_t deadline_ns) {
  int status = loop_timer_arm(client->context->loop, timer, deadline_ns, NULL);
  assert(status == 0); /* room was reserved before the first operation */
}

uint64_t load_client_give_up_ns(const struct load_client *client,
                                const struct operation *operation) {
  uint64_t timeout_ns = client->options->operation_timeout_ns;
  return client->context->start_ns + operation->scheduled_ns + timeout_ns -
         timeout_ns / GIVE_UP_PART;
}

static bool appends_row(const struct operation *operation) {
  return operation->kind == OPERATION_WRITE || operation->kind == OPERATION_PROBE ||
         operation->kind == OPERATION_REGISTER_CAS;
}

void load_client_count(struct load_client *client) {
  struct load_context *context = client->context;
  add(&context->counters->scheduled, 1);
  add(&context->counters->outstanding, 1);
  if (!client->client.class->always_on) context->bounded_outstanding++;
}

/* --- done ------------------------------------------------------------------------------------ */

void load_client_finish(struct load_client *client, struct operation *operation) {
  struct load_context *context = client->context;
  struct load_counters *counters = context->counters;
  switch (operation->outcome) {
    case OUTCOME_OK: add(&counters->ok, 1); break;
    case OUTCOME_FAIL: add(&counters->fail, 1); break;
    case OUTCOME_UNKNOWN: add(&counters->unknown, 1); break;
    case OUTCOME_SKIPPED: add(&counters->skipped, 1); break;
    case OUTCOME_COUNT:
    default: assert(false); /* drivers give no other */
  }
  context->record(context->record_data, operation);
  add(&counters->outstanding, UINT64_MAX);
  if (client->client.class->always_on) return;
  assert(context->bounded_outstanding > 0);
  context->bounded_outstanding--;
  if (context->bounded_ended && context->bounded_outstanding == 0) context->progressed(context);
}

void load_client_finish_flight(struct load_client *client, struct load_flight *flight) {
  assert(flight->used);
  flight->used = false;
  flight->next_free = client->free;
  client->free = flight;
  load_client_finish(client, &flight->operation);
}

static void finish_unsent(struct load_client *client, struct operation *operation,
                          enum outcome outcome, const char *code, uint64_t now_ns) {
  operation->outcome = outcome;
  operation->code = code_pack(code);
  operation->done_ns = now_ns - client->context->start_ns;
  operation->identity = client->client.identity;
  load_client_finish(client, operation);
}

/* From here on nothing is written under the old identity. What is in flight under it goes on. */
static void renew_identity(struct load_client *client) {
  struct client *inner = &client->client;
  inner->identity = atomic_fetch_add(client->context->identities, 1) + 1;
  inner->sequence = inner->acknowledged = 0;
  struct event event = {.kind = EVENT_IDENTITY,
                        .fault = FAULT_NONE,
                        .host = HOST_NONE,
                        .number = inner->identity,
                        .number2 = inner->index};
  snprintf(event.text, sizeof event.text, "%s", inner->env->workload->plugin.name);
  client->context->sink->event(client->context->sink, &event);
}

void load_client_take_reply(struct load_client *client, struct load_flight *flight,
                            struct operation *operation, const struct reply *reply) {
  struct client *inner = &client->client;
  uint64_t start_ns = client->context->start_ns;
  assert(reply->outcome != OUTCOME_SKIPPED);
  operation->sent_ns = flight->request.sent_ns ? flight->request.sent_ns - start_ns : 0;
  operation->done_ns = reply->done_ns - start_ns;
  operation->outcome = reply->outcome;
  operation->code = reply->code;
  operation->host = reply->host;
  operation->timeline = reply->timeline;
  operation->shard = reply->shard & SHARD_MASK;
  inner->env->workload->answer(inner, operation, reply);
  if (!appends_row(operation) || operation->identity != inner->identity) return;
  if (reply->outcome == OUTCOME_UNKNOWN) {
    renew_identity(client);
  } else if (reply->outcome == OUTCOME_OK && operation->sequence > inner->acknowledged) {
    inner->acknowledged = operation->sequence;
  }
}

/* --- queue and send -------------------------------------------------------------------------- */

static void pump(struct load_client *client, uint64_t now_ns);

static struct operation *oldest_pending(struct load_client *client) {
  return &client->pending[client->head];
}

static void drop_oldest(struct load_client *client) {
  client->head = client->head + 1 == client->capacity ? 0 : client->head + 1;
  client->count--;
}

struct load_flight *load_client_take(struct load_client *client) {
  struct load_flight *flight = client->free;
  if (!flight || client->count == 0) return NULL;
  client->free = flight->next_free;
  flight->used = true;
  flight->operation = *oldest_pending(client);
  drop_oldest(client);
  return flight;
}

static void flight_complete(struct request *request, const struct reply *reply) {
  struct load_flight *flight = request->owner;
  struct load_client *client = flight->client;
  if (!flight->used) return; /* abandoned */
  if (client->client.class->fresh) {
    load_probe_answered(client, flight, reply);
    return;
  }
  load_client_take_reply(client, flight, &flight->operation, reply);
  load_client_finish_flight(client, flight);
  pump(client, reply->done_ns);
}

void load_client_send(struct load_client *client, struct load_flight *flight) {
  struct client *inner = &client->client;
  struct operation *operation = &flight->operation;
  operation->identity = inner->identity;
  if (appends_row(operation) || operation->kind == OPERATION_HEARTBEAT_WRITE) {
    operation->sequence = ++inner->sequence;
  }
  flight->request =
      (struct request){.deadline_ns = client->context->start_ns + operation->scheduled_ns +
                                      client->options->operation_timeout_ns,
                       .complete = flight_complete,
                       .owner = flight};
  inner->env->workload->submit(inner, operation, &flight->request, flight->payload);
  inner->session->driver->session_send(inner->session, &flight->request);
}

static void give_up_late(struct load_client *client, uint64_t now_ns) {
  while (client->count > 0 && load_client_give_up_ns(client, oldest_pending(client)) <= now_ns) {
    struct operation operation = *oldest_pending(client);
    drop_oldest(client);
    finish_unsent(client, &operation, OUTCOME_FAIL, CODE_NO_CONNECTION, now_ns);
  }
}

static void enqueue(struct load_client *client, uint64_t scheduled_ns, uint64_t now_ns) {
  struct load_context *context = client->context;
  const struct client *inner = &client->client;
  struct operation operation = {.scheduled_ns = scheduled_ns - context->start_ns,
                                .client = inner->index & (CLIENTS_MAX - 1),
                                .workload = inner->env->index & (WORKLOADS_MAX - 1),
                                .route = inner->class->route,
                                .host = HOST_NONE};
  inner->env->workload->plan(&client->client, &operation);
  load_client_count(client);
  if (client->count == client->capacity) {
    finish_unsent(client, &operation, OUTCOME_SKIPPED, CODE_QUEUE_FULL, now_ns);
    return;
  }
  uint32_t tail = client->head + client->count;
  if (tail >= client->capacity) tail -= client->capacity;
  client->pending[tail] = operation;
  client->count++;
}

static bool can_send(const struct load_client *client) {
  return client->client.session->state == SESSION_READY && client->free != NULL;
}

/* Sends what can be sent. Completions may come from within, and find it at work already. */
static void pump(struct load_client *client, uint64_t now_ns) {
  if (client->pumping || client->closed) return;
  client->pumping = true;
  give_up_late(client, now_ns);
  if (client->client.class->fresh) {
    load_probe_start(client);
  } else if (client->steps) {
    load_steps_start(client);
  } else {
    bool saturate = client->client.class->saturate && client->running && now_ns < client->end_ns;
    while (can_send(client)) {
      if (saturate && client->count == 0) enqueue(client, now_ns, now_ns);
      struct load_flight *flight = load_client_take(client);
      if (!flight) break;
      load_client_send(client, flight);
    }
  }
  client->pumping = false;
  if (client->count > 0 && client->give_up_timer.position == 0) {
    load_client_arm(client, &client->give_up_timer,
                    load_client_give_up_ns(client, oldest_pending(client)));
  }
}

void load_client_pump(struct load_client *client) {
  pump(client, loop_now_ns(client->context->loop));
}

/* Lazy: armed for an operation that may be long done, it looks at the oldest one that waits. */
static void give_up_fired(struct timer *timer, uint64_t now_ns) {
  struct load_client *client = timer->owner;
  if (client->client.class->fresh) load_probe_give_up(client, now_ns);
  pump(client, now_ns);
}

/* --- schedule -------------------------------------------------------------------------------- */

static void schedule_next(struct load_client *client) {
  double offset_ns;
  if (client->client.class->poisson) {
    client->offset_ns += prng_exponential(&client->schedule, client->gap_ns);
    offset_ns = client->offset_ns;
  } else {
    /* Multiplied, not added up: no rounding gathers over a long run. */
    offset_ns = client->offset_ns + (double)client->tick++ * client->gap_ns;
  }
  bool never = !(offset_ns < (double)(TIME_NEVER / 4));
  client->next_ns = never ? TIME_NEVER : client->begin_ns + (uint64_t)offset_ns;
}

static void arm_schedule(struct load_client *client) {
  if (client->running && client->next_ns < client->end_ns) {
    load_client_arm(client, &client->schedule_timer, client->next_ns);
  }
}

void load_client_catch_up(struct load_client *client, uint64_t now_ns) {
  if (!client->running || client->client.class->saturate) return;
  while (client->next_ns <= now_ns && client->next_ns < client->end_ns) {
    enqueue(client, client->next_ns, now_ns);
    schedule_next(client);
  }
  pump(client, now_ns);
}

static void schedule_fired(struct timer *timer, uint64_t now_ns) {
  struct load_client *client = timer->owner;
  uint64_t late_ns = now_ns - timer->deadline_ns;
  if (late_ns > client->context->late_ns_max) client->context->late_ns_max = late_ns;
  load_client_catch_up(client, now_ns);
  arm_schedule(client);
}

void load_client_begin(struct load_client *client, uint64_t begin_ns) {
  assert(!client->running);
  client->running = true;
  client->begin_ns = begin_ns;
  if (client->client.class->saturate) {
    load_client_pump(client);
    return;
  }
  /* Even gaps begin at a random phase, so that the clients of a class do not move in step. */
  if (!client->client.class->poisson && isfinite(client->gap_ns)) {
    client->offset_ns = prng_unit(&client->schedule) * client->gap_ns;
  }
  schedule_next(client);
  arm_schedule(client);
}

void load_client_end(struct load_client *client, uint64_t end_ns) {
  if (end_ns >= client->end_ns) return;
  client->end_ns = end_ns;
  if (client->next_ns >= end_ns) {
    loop_timer_cancel(client->context->loop, &client->schedule_timer);
  }
}

/* --- session --------------------------------------------------------------------------------- */

/* A fresh client counts as ready all the time: it has no connection to keep. */
static void count_ready(struct load_client *client, bool ready) {
  struct load_context *context = client->context;
  bool fresh = client->client.class->fresh;
  if (ready != client->is_ready && !(fresh && client->was_ready)) {
    add(&context->counters->ready, ready ? 1 : UINT64_MAX);
  }
  client->is_ready = ready;
  if (!ready || client->was_ready) return;
  client->was_ready = true;
  add(&context->counters->ready_once, 1);
  context->progressed(context);
}

/* A pinned client knocks at one host only, and watches for the moment at which it is served again:
 * no longer a pause than between two of its operations. */
static uint64_t reconnect_delay_ns(const struct load_client *client) {
  uint64_t delay_ns = client->options->reconnect_delay_ns;
  if (client->client.class->route != ROUTE_PINNED || !(client->gap_ns < (double)delay_ns))
    return delay_ns;
  return client->gap_ns > KNOCK_NS ? (uint64_t)client->gap_ns : KNOCK_NS;
}

static void session_changed(struct session *session, enum session_state state,
                            const struct error *why) {
  struct load_client *client = session->spec.owner;
  struct load_context *context = client->context;
  uint64_t now_ns = loop_now_ns(context->loop);
  if (client->closed) return;
  if (state == SESSION_READY) {
    client->ready_ns = now_ns;
    count_ready(client, true);
    if (client->client.class->fresh) {
      load_probe_connected(client);
    } else {
      pump(client, now_ns);
    }
    return;
  }
  if (!client->was_ready && why) context->why = *why;
  uint64_t delay_ns = reconnect_delay_ns(client);
  if (client->is_ready && now_ns - client->ready_ns > delay_ns) delay_ns = 0;
  count_ready(client, false);
  if (client->connect_timer.position == 0) {
    load_client_arm(client, &client->connect_timer, now_ns + delay_ns);
  }
}

void load_client_close(struct load_client *client) {
  struct session *session = client->client.session;
  session->driver->session_close(session);
  count_ready(client, false);
}

static void connect_fired(struct timer *timer, uint64_t now_ns) {
  struct load_client *client = timer->owner;
  (void)now_ns;
  if (client->client.class->fresh) {
    load_probe_connect_due(client);
    return;
  }
  struct session *session = client->client.session;
  if (session->state == SESSION_IDLE || session->state == SESSION_LOST) {
    session->driver->session_connect(session);
  }
}

void load_client_connect(struct load_client *client) {
  if (client->client.class->fresh) {
    count_ready(client, true);
    return;
  }
  load_client_arm(client, &client->connect_timer, loop_now_ns(client->context->loop));
}

void load_client_abandon(struct load_client *client) {
  if (client->closed || !client->client.session) return;
  client->closed = true;
  client->running = false;
  struct loop *loop = client->context->loop;
  uint64_t now_ns = loop_now_ns(loop);
  while (client->count > 0) {
    struct operation operation = *oldest_pending(client);
    drop_oldest(client);
    finish_unsent(client, &operation, OUTCOME_SKIPPED, CODE_LOAD_ENDED, now_ns);
  }
  load_client_close(client); /* most drivers complete what is in flight here */
  if (client->steps) load_steps_abandon(client);
  if (client->client.class->fresh && client->was_ready) {
    add(&client->context->counters->ready, UINT64_MAX);
  }
  for (uint32_t i = 0; i < client->flight_count; i++) {
    struct load_flight *flight = &client->flights[i];
    if (!flight->used) continue;
    bool sent = !client->client.class->fresh || load_probe_wrote(client, flight);
    struct reply reply = {.outcome = sent ? OUTCOME_UNKNOWN : OUTCOME_FAIL,
                          .code = code_pack(sent ? CODE_CONNECTION_LOST : CODE_NO_CONNECTION),
                          .done_ns = now_ns,
                          .host = HOST_NONE};
    load_client_take_reply(client, flight, &flight->operation, &reply);
    load_client_finish_flight(client, flight);
  }
  loop_timer_cancel(loop, &client->schedule_timer);
  loop_timer_cancel(loop, &client->give_up_timer);
  loop_timer_cancel(loop, &client->connect_timer);
}

/* --- life ------------------------------------------------------------------------------------ */

static uint64_t payload_size(const struct workload_env *env) {
  uint64_t size = 0;
  if (env->workload->payload_offset == SIZE_MAX) return 0;
  memcpy(&size, (const char *)env->config + env->workload->payload_offset, sizeof size);
  return size;
}

static int make_buffers(struct load_client *client, struct error *err) {
  const struct client_class *class = client->client.class;
  double waiting =
      class->rate / class->count * 1e-9 * (double)client->options->operation_timeout_ns;
  waiting = ceil(waiting * 1.25) + PENDING_EXTRA;
  client->capacity = waiting < PENDING_MAX ? (uint32_t)waiting : PENDING_MAX;
  client->flight_count = class->fresh ? 1 : client->own_options.pipeline_depth;
  size_t payload = payload_size(client->client.env) + 1;
  client->pending = calloc(client->capacity, sizeof *client->pending);
  client->flights = calloc(client->flight_count, sizeof *client->flights);
  client->payloads = calloc(client->flight_count, payload);
  if (!client->pending || !client->flights || !client->payloads) {
    return error_set(err, STATUS_MEMORY, "out of memory for a client");
  }
  for (uint32_t i = client->flight_count; i-- > 0;) {
    struct load_flight *flight = &client->flights[i];
    *flight = (struct load_flight){
        .client = client, .payload = client->payloads + i * payload, .next_free = client->free};
    client->free = flight;
  }
  return 0;
}

uint16_t load_client_host(const struct load_client *client) {
  const struct load_context *context = client->context;
  if (context->client_host_count == 0) return HOST_NONE;
  return context->client_hosts[client->client.index % context->client_host_count]->index;
}

static int make_session(struct load_client *client, uint64_t seed, struct error *err) {
  const struct client *inner = &client->client;
  const struct workload *workload = inner->env->workload;
  const struct driver *driver = inner->env->access->driver;
  const struct load_context *context = client->context;
  struct session_spec spec = {.access = inner->env->access,
                              .options = client->options,
                              .route = inner->class->route,
                              .from_host = load_client_host(client),
                              .pinned_host = inner->class->host,
                              .statements = workload->statements,
                              .statement_count = workload->statement_count,
                              .uses = inner->class->uses,
                              .seed = seed + inner->index,
                              .resolver = client->context->resolver,
                              .changed = session_changed,
                              .owner = client};
  struct session *session = calloc(1, driver->session_size);
  if (!session) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  int status = driver->session_init(session, &spec, context->loop, err);
  if (status < 0) {
    free(session);
    return status;
  }
  client->client.session = session;
  return 0;
}

int load_client_init(struct load_client *client, struct load_context *context,
                     const struct workload_env *env, const struct client_class *class,
                     uint32_t index, uint32_t identity, uint64_t seed, struct error *err) {
  client->context = context;
  client->own_options = *env->workload->options(env->config);
  if (env->workload->next) client->own_options.pipeline_depth = LOAD_STEPS_FLIGHTS;
  client->options = &client->own_options;
  client->client =
      (struct client){.env = env, .class = class, .index = index, .identity = identity};
  char stream[48];
  snprintf(stream, sizeof stream, "client/%u", (unsigned)index);
  prng_init(&client->client.prng, seed, stream);
  snprintf(stream, sizeof stream, "schedule/%u", (unsigned)index);
  prng_init(&client->schedule, seed, stream);
  client->gap_ns = class->rate > 0 ? 1e9 * class->count / class->rate : INFINITY;
  client->next_ns = client->end_ns = TIME_NEVER;
  client->schedule_timer = (struct timer){.fire = schedule_fired, .owner = client};
  client->give_up_timer = (struct timer){.fire = give_up_fired, .owner = client};
  client->connect_timer = (struct timer){.fire = connect_fired, .owner = client};
  int status = make_buffers(client, err);
  if (status == 0) status = make_session(client, seed, err);
  if (status == 0 && env->workload->next) status = load_steps_init(client, seed, err);
  return status;
}

void load_client_release(struct load_client *client) {
  load_steps_release(client);
  struct session *session = client->client.session;
  if (session) {
    session->driver->session_release(session);
    free(session);
    client->client.session = NULL;
  }
  free(client->pending);
  free(client->flights);
  free(client->payloads);
  client->pending = NULL;
  client->flights = client->free = NULL;
  client->payloads = NULL;
}
