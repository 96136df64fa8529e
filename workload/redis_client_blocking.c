/* The blocking helpers of driver_redis, for preparing and for the final read. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "plugin/patience.h"
#include "plugin/redis_talk.h"
#include "workload/redis_client.h"

#define WORDS_MAX 64u
#define TEXT_MAX 4096u
#define SCAN_COUNT "1000" /* keys a call: some 100 us of the server's time */

static void cleanup_talk(struct redis_talk **talk) {
  redis_talk_close(*talk);
}
static void cleanup_reply(redisReply **reply) {
  if (*reply) freeReplyObject(*reply);
}

/* --- commands -------------------------------------------------------------------------------- */

/* Runs one command; an error reply is a failure. */
static int run_words(struct redis_talk *talk, const struct patience *patience,
                     const char *const words[], uint32_t count, redisReply **ret_reply,
                     struct error *err) {
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  int status = redis_talk_put(talk, words, count, err);
  if (status == 0) status = redis_talk_take(talk, patience, &reply, err);
  if (status == 0) status = redis_reply_check(reply, words[0], err);
  if (status < 0) return status;
  if (ret_reply) {
    *ret_reply = reply;
    reply = NULL;
  }
  return 0;
}

/* --- connecting ------------------------------------------------------------------------------ */

static const struct redis_transport *transport_of(const struct access *access) {
  const struct redis_access *redis = access->context;
  return redis ? redis->transport : NULL;
}

static bool is_cluster(const struct access *access) {
  const struct redis_access *redis = access->context;
  return redis && redis->topology == REDIS_CLUSTER;
}

static int introduce(struct redis_talk *talk, const struct patience *patience, struct error *err) {
  const struct access *access = patience->access;
  int status = 0;
  if (access->password && access->user) {
    const char *const words[] = {"AUTH", access->user, access->password};
    status = run_words(talk, patience, words, 3, NULL, err);
  } else if (access->password) {
    const char *const words[] = {"AUTH", access->password};
    status = run_words(talk, patience, words, 2, NULL, err);
  }
  if (status == 0 && is_cluster(access)) {
    status = run_words(talk, patience, (const char *[]){"READONLY"}, 1, NULL, err);
  }
  return status;
}

static int connect_one(const struct endpoint *endpoint, const struct patience *patience,
                       struct redis_talk **ret_talk, struct error *err) {
  const struct tls_trust *trust = NULL;
  CLEANUP(cleanup_talk) struct redis_talk *talk = NULL;
  int status = redis_trust(patience->access, &trust, err);
  if (status == 0) status = redis_talk_open(endpoint, trust, patience, &talk, err);
  if (status == 0) status = introduce(talk, patience, err);
  if (status < 0) return status;
  *ret_talk = talk;
  talk = NULL;
  return 0;
}

static int ask_primary(struct redis_talk *talk, const struct patience *patience, bool *ret_primary,
                       struct error *err) {
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  struct redis_identity identity = {.replica = true};
  int status = run_words(talk, patience, (const char *[]){"INFO", "replication"}, 2, &reply, err);
  if (status == 0) status = redis_identity_read(NULL, reply, &identity, err);
  if (status == 0) *ret_primary = !identity.replica;
  return status;
}

/* --- one text -------------------------------------------------------------------------------- */

static int split_words(char *text, const char *ret_words[], uint32_t *ret_count,
                       struct error *err) {
  uint32_t count = 0;
  for (char *word = text; word;) {
    char *space = strchr(word, ' ');
    if (space) *space++ = '\0';
    if (count == WORDS_MAX || *word == '\0') {
      return error_set(err, STATUS_INTERNAL, "not words with single spaces between them");
    }
    ret_words[count++] = word;
    word = space;
  }
  *ret_count = count;
  return 0;
}

/* Calls `found` with the keys of each step of a SCAN. */
typedef int scan_step(struct redis_talk *talk, const struct patience *patience,
                      const redisReply *keys, void *data, struct error *err);
static int scan(struct redis_talk *talk, const struct patience *patience, const char *pattern,
                scan_step *found, void *data, struct error *err) {
  char cursor[24] = "0";
  do {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    const char *const words[] = {"SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT};
    int status = run_words(talk, patience, words, 6, &reply, err);
    if (status < 0) return status;
    bool sound = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                 reply->element[0]->str && reply->element[1]->type == REDIS_REPLY_ARRAY;
    if (!sound) return error_set(err, STATUS_SERVER, "SCAN: an answer that is not understood");
    snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
    if (reply->element[1]->elements == 0) continue;
    status = found(talk, patience, reply->element[1], data, err);
    if (status != 0) return status;
  } while (strcmp(cursor, "0") != 0);
  return 0;
}

/* One command for each key, all in one go: in a cluster one command may not have keys of several
 * slots. */
static int put_each(struct redis_talk *talk, const char *command, const redisReply *keys,
                    struct error *err) {
  for (size_t i = 0; i < (size_t)keys->elements; i++) {
    const char *const words[] = {command, keys->element[i]->str};
    if (!words[1]) return error_set(err, STATUS_SERVER, "SCAN: a key that is no text");
    int status = redis_talk_put(talk, words, 2, err);
    if (status < 0) return status;
  }
  return 0;
}

static int unlink_found(struct redis_talk *talk, const struct patience *patience,
                        const redisReply *keys, void *data, struct error *err) {
  (void)data;
  int status = put_each(talk, "UNLINK", keys, err);
  for (size_t i = 0; status == 0 && i < (size_t)keys->elements; i++) {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    status = redis_talk_take(talk, patience, &reply, err);
    if (status == 0) status = redis_reply_check(reply, "UNLINK", err);
  }
  return status;
}

static int run_text(struct redis_talk *talk, const struct patience *patience, const char *text,
                    struct error *err) {
  char copy[TEXT_MAX];
  const char *words[WORDS_MAX];
  uint32_t count = 0;
  if (strlen(text) >= sizeof copy) return error_set(err, STATUS_INTERNAL, "a text too long");
  snprintf(copy, sizeof copy, "%s", text);
  int status = split_words(copy, words, &count, err);
  if (status < 0) return status;
  bool is_unlink = count == 2 && strcasecmp(words[0], "UNLINK") == 0;
  if (is_unlink && words[1][strlen(words[1]) - 1] == '*') {
    return scan(talk, patience, words[1], unlink_found, NULL, err);
  }
  return run_words(talk, patience, words, count, NULL, err);
}

/* --- execute --------------------------------------------------------------------------------- */

/* One round over all endpoints: runs the text on each primary, or on the first that is found where
 * there is only one. `ret_done`: on how many. */
static int execute_on_primaries(const struct patience *patience, const char *text, bool *done,
                                uint32_t *ret_count, struct error *err) {
  const struct access *access = patience->access;
  int status = error_set(err, STATUS_USAGE, "the service has no endpoint to connect to");
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    if (done[i]) continue;
    const struct patience attempt = patience_for_attempt(patience);
    CLEANUP(cleanup_talk) struct redis_talk *talk = NULL;
    bool primary = false;
    status = connect_one(&access->endpoints[i], &attempt, &talk, err);
    if (status == 0) status = ask_primary(talk, &attempt, &primary, err);
    if (status == 0 && !primary) status = error_set(err, STATUS_SERVER, "is a replica");
    if (status == 0) status = run_text(talk, patience, text, err);
    if (status < 0) {
      error_wrap(err, "%s", access->endpoints[i].name);
      if (status == STATUS_INTERRUPTED || status == STATUS_MEMORY) return status;
      continue;
    }
    done[i] = true;
    if (++*ret_count >= access->shards) return 0;
  }
  return status;
}

static int execute_everywhere(const struct patience *patience, const char *text,
                              struct error *err) {
  CLEANUP_FREE bool *done = calloc(patience->access->endpoint_count + 1, sizeof *done);
  if (!done) return error_set(err, STATUS_MEMORY, "out of memory");
  uint32_t wanted = patience->access->shards > 0 ? patience->access->shards : 1;
  for (uint32_t count = 0;;) {
    int status = execute_on_primaries(patience, text, done, &count, err);
    if (count >= wanted) return 0;
    if (!patience_try_again(patience, status))
      return error_wrap(err, "%u of %u primaries took it", (unsigned)count, (unsigned)wanted);
  }
}

int redis_execute(const struct access *access, const struct endpoint *endpoint, const char *text,
                  uint64_t timeout_ns, struct error *err) {
  const struct redis_transport *transport = transport_of(access);
  if (transport) return transport->execute(access, endpoint, text, timeout_ns, err);
  struct patience patience = patience_for(access, timeout_ns);
  if (!endpoint) return execute_everywhere(&patience, text, err);
  CLEANUP(cleanup_talk) struct redis_talk *talk = NULL;
  int status = connect_one(endpoint, &patience, &talk, err);
  if (status < 0) return error_wrap(err, "cannot connect to %s", endpoint->name);
  return run_text(talk, &patience, text, err);
}

/* --- read_rows ------------------------------------------------------------------------------- */

struct row_reader {
  row_callback *row;
  void *data;
};

static int read_found(struct redis_talk *talk, const struct patience *patience,
                      const redisReply *keys, void *data, struct error *err) {
  const struct row_reader *reader = data;
  int status = put_each(talk, "GET", keys, err);
  for (size_t i = 0; status == 0 && i < (size_t)keys->elements; i++) {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    status = redis_talk_take(talk, patience, &reply, err);
    if (status == 0) status = redis_reply_check(reply, "GET", err);
    if (status < 0) return status;
    if (reply->type == REDIS_REPLY_NIL) continue; /* gone since */
    if (!reply->str) return error_set(err, STATUS_SERVER, "GET: an answer that is no text");
    const char *const columns[] = {keys->element[i]->str, reply->str};
    status = reader->row(reader->data, columns, 2, err);
  }
  return status;
}

int redis_read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                    uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  const struct redis_transport *transport = transport_of(access);
  if (transport) return transport->read_rows(access, endpoint, text, timeout_ns, row, data, err);
  struct patience patience = patience_for(access, timeout_ns);
  struct row_reader reader = {.row = row, .data = data};
  if (!endpoint) {
    return error_set(err, STATUS_INTERNAL, "keys of Redis are read from one host at a time");
  }
  CLEANUP(cleanup_talk) struct redis_talk *talk = NULL;
  int status = connect_one(endpoint, &patience, &talk, err);
  if (status < 0) return error_wrap(err, "cannot connect to %s", endpoint->name);
  return scan(talk, &patience, text, read_found, &reader, err);
}
