/* The fake database's driver and workload. Workers of several threads may share the database. */
#include "support/fake_driver.h"

#include <assert.h>
#include <string.h>

#define QUEUE_MAX 64

struct fake_session {
  struct session base;
  struct fake_database *database;
  struct timer connect_timer, answer_timer, deadline_timer;
  struct request *queue[QUEUE_MAX]; /* oldest first */
  uint64_t due_ns;                  /* when the oldest will be answered */
};

static struct fake_session *fake_of(struct session *base) {
  return (struct fake_session *)(void *)base;
}

static void arm(struct fake_session *session, struct timer *timer, uint64_t deadline_ns) {
  int status = loop_timer_arm(session->base.loop, timer, deadline_ns, NULL);
  assert(status == 0);
}

static struct request *take_oldest(struct fake_session *session) {
  struct request *oldest = session->queue[0];
  session->base.in_flight--;
  memmove(&session->queue[0], &session->queue[1],
          session->base.in_flight * sizeof session->queue[0]);
  return oldest;
}

static void lost(struct fake_session *session, const char *code) {
  struct session *base = &session->base;
  loop_timer_cancel(base->loop, &session->answer_timer);
  loop_timer_cancel(base->loop, &session->deadline_timer);
  bool tell = base->state != SESSION_IDLE;
  if (tell) base->state = SESSION_LOST;
  uint64_t now_ns = loop_now_ns(base->loop);
  while (base->in_flight > 0) {
    struct request *request = take_oldest(session);
    struct reply reply = {
        .outcome = OUTCOME_UNKNOWN, .code = code_pack(code), .done_ns = now_ns, .host = HOST_NONE};
    request->complete(request, &reply);
  }
  struct error why = ERROR_INIT;
  error_set(&why, STATUS_SERVER, "fake1: the connection broke");
  if (tell && base->state == SESSION_LOST) base->spec.changed(base, SESSION_LOST, &why);
}

void fake_session_break(struct session *session) {
  lost(fake_of(session), CODE_CONNECTION_LOST);
}

void fake_session_go_on(struct session *base) {
  struct fake_session *session = fake_of(base);
  if (base->in_flight == 0) return;
  arm(session, &session->answer_timer, loop_now_ns(base->loop) + session->database->service_ns);
}

static void deadline_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  lost(timer->owner, CODE_TIMEOUT);
}

static void expect_next(struct fake_session *session, uint64_t now_ns) {
  loop_timer_cancel(session->base.loop, &session->deadline_timer);
  if (session->base.in_flight == 0) return;
  arm(session, &session->deadline_timer, session->queue[0]->deadline_ns);
  if (!session->database->stalled) {
    arm(session, &session->answer_timer, now_ns + session->database->service_ns);
  }
}

static void answer_fired(struct timer *timer, uint64_t now_ns) {
  struct fake_session *session = timer->owner;
  struct fake_database *database = session->database;
  if (database->stalled || session->base.in_flight == 0) return;
  struct request *request = take_oldest(session);
  struct reply reply = {
      .outcome = OUTCOME_OK, .done_ns = now_ns, .host = 0, .timeline = 1, .shard = database->shard};
  if (request->number_count == 2) {
    __atomic_add_fetch(&database->row_count, 1, __ATOMIC_RELAXED);
  } else {
    reply.has_row = true;
    reply.values[0] = request->numbers[0];
    reply.values[1] = (int64_t)__atomic_load_n(&database->row_count, __ATOMIC_RELAXED);
  }
  expect_next(session, now_ns);
  request->complete(request, &reply);
}

static void connect_fired(struct timer *timer, uint64_t now_ns) {
  struct fake_session *session = timer->owner;
  struct session *base = &session->base;
  (void)now_ns;
  if (session->database->down) {
    struct error why = ERROR_INIT;
    error_set(&why, STATUS_SERVER, "fake1: connection refused");
    base->state = SESSION_LOST;
    base->spec.changed(base, SESSION_LOST, &why);
    return;
  }
  base->host = 0;
  base->timeline = 1;
  base->timing = (struct connect_timing){.connect_ns = session->database->connect_ns / 2,
                                         .authenticate_ns = session->database->connect_ns / 2};
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

static int session_init(struct session *base, const struct session_spec *spec, struct loop *loop,
                        struct error *err) {
  struct fake_session *session = fake_of(base);
  (void)err;
  assert(spec->options->pipeline_depth <= QUEUE_MAX);
  base->driver = &fake_driver;
  base->spec = *spec;
  base->loop = loop;
  base->host = HOST_NONE;
  /* The address of the database stands in the access, as a server's address would. */
  memcpy(&session->database, spec->access->password, sizeof session->database);
  session->connect_timer = (struct timer){.fire = connect_fired, .owner = session};
  session->answer_timer = (struct timer){.fire = answer_fired, .owner = session};
  session->deadline_timer = (struct timer){.fire = deadline_fired, .owner = session};
  return 0;
}

static void session_close(struct session *base) {
  struct fake_session *session = fake_of(base);
  base->state = SESSION_IDLE;
  loop_timer_cancel(base->loop, &session->connect_timer);
  lost(session, CODE_CONNECTION_LOST);
}

static void session_release(struct session *base) {
  if (base && base->driver) session_close(base);
}

static void session_connect(struct session *base) {
  struct fake_session *session = fake_of(base);
  assert(base->state == SESSION_IDLE || base->state == SESSION_LOST);
  base->state = SESSION_CONNECTING;
  __atomic_add_fetch(&session->database->connects, 1, __ATOMIC_RELAXED);
  arm(session, &session->connect_timer, loop_now_ns(base->loop) + session->database->connect_ns);
}

static void session_send(struct session *base, struct request *request) {
  struct fake_session *session = fake_of(base);
  assert(base->state == SESSION_READY);
  assert(base->in_flight < base->spec.options->pipeline_depth);
  request->sent_ns = loop_now_ns(base->loop);
  session->queue[base->in_flight++] = request;
  uint32_t *most = &session->database->in_flight_most;
  if (base->in_flight > __atomic_load_n(most, __ATOMIC_RELAXED)) {
    __atomic_store_n(most, base->in_flight, __ATOMIC_RELAXED);
  }
  if (base->in_flight == 1) expect_next(session, request->sent_ns);
}

const struct driver fake_driver = {
    .name = "fake",
    .session_size = sizeof(struct fake_session),
    .session_init = session_init,
    .session_release = session_release,
    .session_connect = session_connect,
    .session_send = session_send,
    .session_close = session_close,
};

void fake_access_init(struct access *access, struct fake_database *database) {
  static const struct endpoint endpoint = {.host = 0, .name = "fake1", .address = "0.0.0.0"};
  static char secret[FAKE_CLASSES_MAX][sizeof database];
  static unsigned next;
  char *mine = secret[next++ % FAKE_CLASSES_MAX];
  memcpy(mine, &database, sizeof database);
  *access = (struct access){
      .driver = &fake_driver, .endpoints = &endpoint, .endpoint_count = 1, .password = mine};
}

/* --- workload -------------------------------------------------------------------------------- */

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct fake_config *config = env->config;
  (void)max;
  (void)err;
  uint32_t count = 0;
  for (; count < FAKE_CLASSES_MAX && config->classes[count].count > 0; count++) {
    ret_classes[count] = config->classes[count];
  }
  *ret_count = count;
  return 0;
}

static const struct client_options *options(const void *config) {
  return &((const struct fake_config *)config)->options;
}

static void plan(struct client *client, struct operation *operation) {
  const struct fake_config *config = client->env->config;
  operation->kind = OPERATION_WRITE;
  if (strcmp(client->class->name, "heartbeat") == 0) {
    operation->kind = OPERATION_HEARTBEAT_WRITE;
  } else if (strcmp(client->class->name, "probe") == 0) {
    operation->kind = OPERATION_PROBE;
  } else if (prng_unit(&client->prng) < config->read_ratio) {
    operation->kind = OPERATION_READ_OWN;
  }
}

static void submit(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  const struct fake_config *config = client->env->config;
  request->numbers[0] = operation->identity;
  request->number_count = 1;
  if (operation->kind == OPERATION_READ_OWN || operation->kind == OPERATION_READ_NEWEST) return;
  memset(payload, 'x', config->payload + 1); /* as much as was promised */
  operation->value = operation->sequence;
  request->numbers[1] = (int64_t)operation->sequence;
  request->number_count = 2;
}

static void answer(struct client *client, struct operation *operation, const struct reply *reply) {
  (void)client;
  if (reply->has_row) operation->value = (uint64_t)reply->values[1];
}

const struct workload fake_workload = {
    .plugin = {.name = "fake-ledger", .summary = "for tests"},
    .service = "fake",
    .payload_offset = offsetof(struct fake_config, payload),
    .classes = classes,
    .options = options,
    .plan = plan,
    .submit = submit,
    .answer = answer,
};
