/* The fresh-connection probe, step by step. */
#include "engine/load_probe.h"

#include <assert.h>

static void emit(struct load_client *client, enum metric metric, uint16_t host, uint64_t value_ns,
                 uint64_t time_ns) {
  struct load_context *context = client->context;
  struct sample sample = {.time_ns = time_ns - context->start_ns,
                          .value = (double)value_ns * 1e-9,
                          .metric = (uint16_t)metric,
                          .host = host};
  context->sink->sample(context->sink, &sample);
}

/* The probe's only flight; it holds the operation from its start to its end. */
static struct load_flight *probe_flight(struct load_client *client) {
  assert(client->flight_count == 1);
  return &client->flights[0];
}

static void close_soon(struct load_client *client) {
  /* Not here: this may be within a callback of the session that is to be closed. */
  client->probe = PROBE_CLOSE;
  load_client_arm(client, &client->connect_timer, loop_now_ns(client->context->loop));
}

static void probe_done(struct load_client *client, struct load_flight *flight) {
  close_soon(client);
  load_client_finish_flight(client, flight);
}

void load_probe_start(struct load_client *client) {
  if (client->probe != PROBE_IDLE) return;
  struct load_flight *flight = load_client_take(client);
  if (!flight) return;
  client->probe = PROBE_CONNECT;
  load_client_arm(client, &client->give_up_timer,
                  load_client_give_up_ns(client, &flight->operation));
  /* After one that was given up the attempts to connect go on for the next: begun anew each time
   * they would never come to the server behind a dead one. */
  bool connecting = client->client.session->state == SESSION_CONNECTING;
  if (connecting || client->connect_timer.position != 0) return;
  load_client_arm(client, &client->connect_timer, loop_now_ns(client->context->loop));
}

void load_probe_connect_due(struct load_client *client) {
  struct session *session = client->client.session;
  if (client->probe == PROBE_CONNECT) {
    if (session->state == SESSION_IDLE || session->state == SESSION_LOST) {
      session->driver->session_connect(session);
    }
    return;
  }
  if (client->probe != PROBE_CLOSE) return;
  client->probe = PROBE_IDLE;
  load_client_close(client);
  load_client_pump(client);
}

void load_probe_connected(struct load_client *client) {
  if (client->probe == PROBE_IDLE) close_soon(client); /* too late for the last one */
  if (client->probe != PROBE_CONNECT) return;
  struct load_flight *flight = probe_flight(client);
  struct session *session = client->client.session;
  const struct connect_timing *timing = &session->timing;
  uint64_t now_ns = loop_now_ns(client->context->loop);
  if (timing->resolve_ns > 0) {
    emit(client, METRIC_PROBE_RESOLVE, timing->host, timing->resolve_ns, now_ns);
  }
  emit(client, METRIC_PROBE_CONNECT, timing->host, timing->connect_ns, now_ns);
  emit(client, METRIC_PROBE_AUTHENTICATE, timing->host, timing->authenticate_ns, now_ns);
  /* The read is a step of the probe, not an operation of its own. */
  client->probe = PROBE_READ;
  client->probe_write = flight->operation;
  flight->operation.kind = OPERATION_READ_NEWEST;
  load_client_send(client, flight);
}

static void read_answered(struct load_client *client, struct load_flight *flight,
                          const struct reply *reply) {
  struct operation *operation = &flight->operation;
  *operation = client->probe_write;
  if (reply->outcome == OUTCOME_OK) {
    emit(client, METRIC_PROBE_READ, reply->host, reply->done_ns - flight->request.sent_ns,
         reply->done_ns);
    if (client->client.session->state == SESSION_READY) {
      client->probe = PROBE_WRITE;
      load_client_send(client, flight);
      return;
    }
  }
  operation->identity = client->client.identity;
  operation->outcome = OUTCOME_FAIL;
  operation->code = reply->code ? reply->code : code_pack(CODE_NO_CONNECTION);
  operation->host = reply->host;
  operation->timeline = reply->timeline;
  operation->done_ns = reply->done_ns - client->context->start_ns;
  probe_done(client, flight);
}

void load_probe_answered(struct load_client *client, struct load_flight *flight,
                         const struct reply *reply) {
  if (client->probe == PROBE_READ) {
    read_answered(client, flight, reply);
    return;
  }
  assert(client->probe == PROBE_WRITE);
  load_client_take_reply(client, flight, &flight->operation, reply);
  if (reply->outcome == OUTCOME_OK) {
    emit(client, METRIC_PROBE_WRITE, reply->host, reply->done_ns - flight->request.sent_ns,
         reply->done_ns);
  }
  probe_done(client, flight);
}

bool load_probe_wrote(struct load_client *client, struct load_flight *flight) {
  if (client->probe == PROBE_READ) {
    flight->operation = client->probe_write;
    flight->request.sent_ns = 0;
  }
  return client->probe == PROBE_WRITE;
}

void load_probe_give_up(struct load_client *client, uint64_t now_ns) {
  if (client->probe != PROBE_CONNECT) return;
  struct load_flight *flight = probe_flight(client);
  struct operation *operation = &flight->operation;
  uint64_t give_up_ns = load_client_give_up_ns(client, operation);
  if (give_up_ns > now_ns) {
    load_client_arm(client, &client->give_up_timer, give_up_ns);
    return;
  }
  operation->identity = client->client.identity;
  operation->outcome = OUTCOME_FAIL;
  operation->code = code_pack(CODE_NO_CONNECTION);
  operation->done_ns = now_ns - client->context->start_ns;
  client->probe = PROBE_IDLE;
  load_client_finish_flight(client, flight);
}
