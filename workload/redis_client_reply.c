/* What comes back from a Redis server: answers, errors and the end of the connection, turned into
 * replies. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/redis_client.h"

#define MESSAGE_SIZE 128u

static enum statement_meaning meaning_of(const struct redis_session *session,
                                         const struct request *request) {
  return session->base.spec.statements[request->statement].meaning;
}

static void refuse(struct redis_flight *flight, enum outcome outcome, uint32_t code) {
  flight->refused = true;
  flight->reply.outcome = outcome;
  flight->reply.code = code;
}

/* --- one answer ------------------------------------------------------------------------------ */

static void take_error(struct redis_session *session, struct redis_link *link,
                       struct redis_flight *flight, const struct redis_answer *answer) {
  char message[MESSAGE_SIZE];
  snprintf(message, sizeof message, "%.*s", (int)answer->length, answer->text);
  /* A read that was answered with an error has changed nothing, whatever the error. */
  bool writes = statement_writes(meaning_of(session, flight->request));
  enum outcome outcome = writes ? redis_error_outcome(message) : OUTCOME_FAIL;
  refuse(flight, outcome, redis_error_code(message));
  bool moved = strncmp(message, "MOVED ", 6) == 0;
  bool read_only = flight->reply.code == code_pack(CODE_READ_ONLY);
  if (read_only || moved) {
    /* It is no primary any more; should it become one again, then with another history. */
    link->timeline = 0;
    link->asked = false;
  }
  if (session->mode == REDIS_MODE_CLUSTER) {
    redis_cluster_error(session, link, flight, message);
  } else if (read_only && session->base.spec.route == ROUTE_PRIMARY) {
    session->leaving = true;
    session->base.state = SESSION_CONNECTING; /* takes no more requests */
  }
}

static int64_t number_at(const char *text, size_t length) {
  char digits[24];
  snprintf(digits, sizeof digits, "%.*s", (int)(length < 23 ? length : 23), text);
  return strtoll(digits, NULL, 10);
}

/* "STAMP:COST:PAYLOAD", "IDENTITY:SEQUENCE" */
static void take_second(struct reply *reply, const struct redis_answer *answer) {
  const char *end = answer->text + answer->length;
  const char *colon = memchr(answer->text, ':', answer->length);
  if (colon) reply->values[1] = number_at(colon + 1, (size_t)(end - colon - 1));
}

static void take_array(struct reply *reply, const redisReply *array) {
  for (size_t i = 0; i < 2 && i < (size_t)array->elements; i++) {
    const redisReply *element = array->element[i];
    bool number = element->type == REDIS_REPLY_INTEGER;
    if (!number && !element->str) continue;
    reply->values[i] = number ? element->integer : number_at(element->str, (size_t)element->len);
    reply->has_row = true;
  }
}

static void take_value(struct redis_session *session, struct redis_flight *flight,
                       const struct redis_answer *answer) {
  struct reply *reply = &flight->reply;
  const struct request *request = flight->request;
  reply->outcome = OUTCOME_OK;
  bool append = meaning_of(session, request) == STATEMENT_APPEND;
  bool conditional = append || meaning_of(session, request) == STATEMENT_CACHE_LOCK;
  switch (answer->type) {
    case REDIS_REPLY_STATUS: break;
    case REDIS_REPLY_NIL:
      /* A write that was conditional, and whose condition did not hold. */
      if (conditional) refuse(flight, OUTCOME_FAIL, code_pack(CODE_CONDITION));
      break;
    case REDIS_REPLY_INTEGER:
      reply->has_row = true;
      reply->values[0] = answer->integer;
      if (append && answer->integer == 0) {
        refuse(flight, OUTCOME_FAIL, code_pack(CODE_READ_ONLY));
      }
      break;
    case REDIS_REPLY_STRING:
      reply->has_row = true;
      if (meaning_of(session, request) == STATEMENT_READ_OWN) {
        /* The key is identity and sequence: that it is there is the answer. */
        reply->values[0] = request->numbers[0];
        reply->values[1] = request->numbers[1];
      } else {
        reply->values[0] = number_at(answer->text, answer->length);
        take_second(reply, answer);
      }
      break;
    default:
      if (answer->reply && answer->reply->elements > 0) take_array(reply, answer->reply);
      break;
  }
}

static void take_wait(struct redis_flight *flight, const struct redis_answer *answer) {
  if (flight->refused) return;
  if (answer->type == REDIS_REPLY_ERROR) {
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "%.*s", (int)answer->length, answer->text);
    refuse(flight, OUTCOME_UNKNOWN, redis_error_code(message));
  } else if (answer->type != REDIS_REPLY_INTEGER || answer->integer < flight->wait_for) {
    refuse(flight, OUTCOME_UNKNOWN, code_pack(CODE_NOT_REPLICATED));
  }
}

/* --- delivery -------------------------------------------------------------------------------- */

/* Takes the oldest flight off the queue and gives it back to its owner. */
static void deliver_oldest(struct redis_session *session, struct redis_link *link) {
  struct redis_flight oldest = redis_link_take(link);
  session->base.in_flight--;
  oldest.request->complete(oldest.request, &oldest.reply);
}

/* Everything held was acknowledged by the server whose history is known now. */
static void history_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  struct redis_identity identity;
  if (redis_identity_read(session->redis, reply, &identity, NULL) == 0) {
    link->timeline = identity.timeline;
    if (session->mode != REDIS_MODE_CLUSTER) session->base.timeline = identity.timeline;
  }
  uint64_t epoch = link->epoch;
  while (link->held > 0 && link->epoch == epoch) {
    redis_link_at(link, 0)->reply.timeline = link->timeline;
    deliver_oldest(session, link);
  }
}

static bool ask_history(struct redis_link *link) {
  link->asked = true;
  return redis_link_ask(link, history_answered, (const char *[]){"INFO", "replication"}, 2);
}

/* The oldest unanswered flight has all of its answers. */
static void finish(struct redis_session *session, struct redis_link *link,
                   struct redis_flight *flight) {
  if (flight->redirect != 0) {
    struct redis_flight taken = redis_link_take_current(link);
    redis_cluster_follow(session, &taken);
    return;
  }
  struct reply *reply = &flight->reply;
  reply->done_ns = session->cork.received_ns;
  reply->host = link->endpoint->host;
  reply->timeline = link->timeline;
  bool unknown_history = link->timeline == 0 && !link->asked && reply->outcome == OUTCOME_OK &&
                         session->redis && session->redis->histories &&
                         statement_writes(meaning_of(session, flight->request));
  if (link->held > 0 || unknown_history) {
    bool waits = link->held > 0 || ask_history(link);
    if (waits) {
      link->held++;
      return;
    }
  }
  deliver_oldest(session, link);
}

static void request_answered(struct redis_session *session, struct redis_link *link,
                             struct redis_flight *flight, const struct redis_answer *answer) {
  const struct redis_command *command = &session->commands[flight->request->statement];
  bool first = !command->waits || flight->answers == 2;
  flight->answers--;
  if (!first) {
    take_wait(flight, answer);
  } else if (answer->type == REDIS_REPLY_ERROR) {
    take_error(session, link, flight, answer);
  } else {
    take_value(session, flight, answer);
  }
  if (flight->answers > 0) return;
  uint64_t epoch = link->epoch;
  finish(session, link, flight);
  if (link->epoch == epoch && session->leaving && link->count == 0) {
    redis_link_lose(link, "the server has become a replica");
  }
}

/* Its answer is most likely in the same receive, and with many connections the request is no longer
 * in the processor's cache: it gets there while the current one is dealt with. */
static void fetch_next(struct redis_link *link) {
  if (link->held + 1 >= link->count) return;
  const struct request *request = redis_link_at(link, link->held + 1)->request;
  if (!request) return;
  __builtin_prefetch(request);
  __builtin_prefetch(&request->complete);
}

void redis_answered(struct redis_link *link, const struct redis_answer *answer) {
  struct redis_session *session = link->owner;
  struct redis_flight *flight = redis_link_current(link);
  if (!flight) {
    char why[MESSAGE_SIZE];
    bool error = answer->type == REDIS_REPLY_ERROR;
    snprintf(why, sizeof why, "%.*s", error ? (int)answer->length : 0, error ? answer->text : "");
    redis_link_lose(link, error ? why : "an answer to nothing that was asked");
  } else if (flight->request) {
    fetch_next(link);
    request_answered(session, link, flight, answer);
  } else {
    struct redis_flight taken = redis_link_take_current(link);
    if (taken.answered) taken.answered(link, answer->reply);
  }
}

/* --- the end --------------------------------------------------------------------------------- */

/* What is known of a flight whose answer will not come. */
static void give_up(struct redis_flight *flight, uint64_t sent, uint64_t now_ns) {
  struct request *request = flight->request;
  uint16_t shard = flight->reply.shard;
  if (flight->end > sent) {
    /* The end of it has not left: the server cannot have run it. */
    request->sent_ns = 0;
    flight->reply = (struct reply){.outcome = OUTCOME_FAIL, .code = code_pack(CODE_NO_CONNECTION)};
  } else if (!flight->refused) {
    bool late = request->deadline_ns <= now_ns;
    flight->reply = (struct reply){.outcome = OUTCOME_UNKNOWN,
                                   .code = code_pack(late ? CODE_TIMEOUT : CODE_CONNECTION_LOST)};
  }
  flight->reply.done_ns = now_ns;
  flight->reply.host = HOST_NONE;
  flight->reply.shard = shard;
}

void redis_abandon_flights(struct redis_session *session, struct redis_link *link) {
  uint64_t now_ns = loop_now_ns(link->loop);
  while (link->count > 0) {
    bool held = link->held > 0;
    struct redis_flight oldest = redis_link_take(link);
    if (!oldest.request) continue;
    if (!held) give_up(&oldest, link->sent, now_ns);
    session->base.in_flight--;
    oldest.request->complete(oldest.request, &oldest.reply);
  }
  link->head = 0;
}

void redis_lost(struct redis_session *session, const char *who, const char *why) {
  struct session *base = &session->base;
  struct error err = ERROR_INIT;
  error_set(&err, STATUS_SERVER, "%s: %s", who, why);
  base->state = SESSION_LOST;
  redis_disconnect(session);
  for (uint32_t i = 0; i < session->link_count; i++) {
    redis_abandon_flights(session, &session->links[i]);
  }
  redis_cluster_abandon(session);
  /* A callback may have closed the session, or begun anew. */
  if (base->state == SESSION_LOST) base->spec.changed(base, SESSION_LOST, &err);
}
