/* The watcher of one `postgres` service among its parts: members by SQL (postgres_watch.c), the
 * leader key by etcd's watch and Patroni by REST (postgres_leader.c, postgres_manager.c), both over
 * one libcurl multi handle on the loop (postgres_curl.c). Everything runs on the loop's thread. */
#ifndef GAMEDAY_SERVICES_POSTGRES_WATCH_H
#define GAMEDAY_SERVICES_POSTGRES_WATCH_H

#include <curl/curl.h>

#include "gameday/tell.h"
#include "services/postgres.h"

/* --- postgres_curl.c: requests on the loop --- */

struct web;
struct web_request;

/* A request in its owner's struct. `done` runs on the loop's thread and may start it again;
 * `chunk` (or NULL: the answer is collected in `answer`) takes the body as it
 * arrives, and ends the request by returning false. */
struct web_request {
  struct web *web;
  CURL *curl;
  struct buf answer;
  bool active;
  bool (*chunk)(struct web_request *request, const char *bytes, size_t length);
  void (*done)(struct web_request *request, bool ok, long code);
  void *owner;
};

int web_new(struct loop *loop, struct web **ret, struct error *err);
void web_free(struct web *web); /* NULL is fine; its requests were released before */
int web_request_init(struct web_request *request, struct web *web, const char *url,
                     struct error *err);
/* Ends a running request without a call of `done`. Zeroed is fine. */
void web_request_release(struct web_request *request);
/* `body` NULL: GET; else POST, copied. `timeout_ns` 0: none, a watch that lasts. */
int web_request_start(struct web_request *request, const char *body, uint64_t timeout_ns,
                      struct error *err);
void web_request_stop(struct web_request *request);

/* --- etcd_stream.c: the answers of etcd's JSON gateway; pure --- */

/* Splits a stream of JSON objects, cut anywhere, into objects. */
struct etcd_stream {
  struct buf object; /* what has arrived of the present one */
  int depth;
  bool in_string, escaped;
};
/* Calls `object` for each whole one. False: not JSON objects, or one longer than 1 MiB. */
bool etcd_stream_feed(struct etcd_stream *stream, const char *bytes, size_t length,
                      void (*object)(void *data, const char *text, size_t length), void *data);
void etcd_stream_reset(struct etcd_stream *stream);

/* What one answer says of the watched key. */
enum etcd_change { ETCD_NOTHING, ETCD_PUT, ETCD_DELETED, ETCD_ABSENT, ETCD_CANCELED };
struct etcd_news {
  enum etcd_change change;
  uint64_t revision; /* of the change; for ABSENT of the whole store */
  uint64_t store;    /* revision of the whole store when a range was answered */
  char value[HOST_NAME_SIZE];
};
/* An answer to POST /v3/kv/range: PUT (the key is there), or ABSENT. False: no such answer. */
bool etcd_parse_range(const char *text, size_t length, struct etcd_news *ret);
/* One object of POST /v3/watch; may hold several events. False: no such answer. */
bool etcd_parse_watch(const char *text, size_t length,
                      void (*news)(void *data, const struct etcd_news *news), void *data);
int base64_encode(const char *text, char *ret, size_t size, struct error *err);
/* Decodes to a NUL-terminated text of at most size - 1 bytes; false: not base64, or too long. */
bool base64_decode(const char *text, char *ret, size_t size);

/* --- the watcher --- */

struct postgres_watcher;

/* postgres_leader.c: the leader key, at every voter. */
struct leader_watch;
int leader_watch_new(struct service_instance *service, struct web *web, struct loop *loop,
                     struct leader_watch **ret, struct error *err);
void leader_watch_free(struct leader_watch *watch);

/* postgres_manager.c: Patroni's own view of each member. */
struct manager_watch;
int manager_watch_new(struct service_instance *service, struct web *web, struct loop *loop,
                      struct manager_watch **ret, struct error *err);
void manager_watch_free(struct manager_watch *watch);
/* "running as replica, timeline 2" out of the answer to GET /patroni; false: no such answer. */
bool patroni_describe(const char *text, size_t length, char *word, size_t size);

/* For all parts. */
void postgres_view_set_leader(struct service_instance *service, uint16_t host);

#endif
