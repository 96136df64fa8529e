/* Watches Patroni's leader key at every etcd voter at once: read it, then watch from the revision
 * read. Each change is told once, by the first voter that reports it; what a broken watch missed is
 * found by the read that follows. */
#include <stdlib.h>
#include <string.h>

#include "services/postgres_watch.h"

#define READ_TIMEOUT_NS NS_PER_S
#define RETRY_NS (200 * NS_PER_MS)
#define KEY_SIZE 256

struct voter {
  struct leader_watch *watch;
  struct web_request read, stream;
  struct timer retry;
  struct etcd_stream objects;
  bool broken; /* the stream is not to be believed any more */
};

struct leader_watch {
  struct service_instance *service;
  struct loop *loop;
  char key[KEY_SIZE]; /* base64 */
  uint64_t revision;  /* of the last change told */
  uint16_t leader;    /* host that holds the key, or HOST_NONE */
  struct voter voters[POSTGRES_INSTANCES_MAX];
  uint32_t voter_count;
};

static uint16_t host_named(const struct service_instance *service, const char *name) {
  for (uint32_t i = 0; i < service->member_count; i++)
    if (strcmp(service->members[i]->name, name) == 0) return service->members[i]->index;
  return HOST_NONE;
}

/* Takes what one voter says; older than what is known already says nothing new. */
static void take(struct leader_watch *watch, const struct etcd_news *news) {
  if (news->change == ETCD_NOTHING || news->revision <= watch->revision) return;
  uint64_t now_ns = loop_now_ns(watch->loop);
  uint16_t holder = news->change == ETCD_PUT ? host_named(watch->service, news->value) : HOST_NONE;
  /* An absence has the revision of the whole store, which other keys move on. */
  if (news->change != ETCD_ABSENT) watch->revision = news->revision;
  if (holder == watch->leader) return;
  if (watch->leader != HOST_NONE)
    service_event(watch->service, now_ns, EVENT_LEADER_LOST, watch->leader, ROLE_NONE,
                  (int64_t)news->revision, "");
  watch->leader = holder;
  if (holder != HOST_NONE)
    service_event(watch->service, now_ns, EVENT_LEADER, holder, ROLE_NONE, (int64_t)news->revision,
                  "");
  postgres_view_set_leader(watch->service, holder);
}

static void try_again(struct voter *voter) {
  struct loop *loop = voter->watch->loop;
  loop_timer_arm(loop, &voter->retry, loop_now_ns(loop) + RETRY_NS, NULL);
}

static void read_key(struct voter *voter) {
  char body[KEY_SIZE + 32];
  snprintf(body, sizeof body, "{\"key\":\"%s\"}", voter->watch->key);
  if (web_request_start(&voter->read, body, READ_TIMEOUT_NS, NULL) < 0) try_again(voter);
}

static void retry_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  read_key(timer->owner);
}

static void stream_key(struct voter *voter, uint64_t from_revision) {
  char body[KEY_SIZE + 96];
  snprintf(body, sizeof body, "{\"create_request\":{\"key\":\"%s\",\"start_revision\":\"%llu\"}}",
           voter->watch->key, (unsigned long long)from_revision);
  etcd_stream_reset(&voter->objects);
  voter->broken = false;
  if (web_request_start(&voter->stream, body, 0, NULL) < 0) try_again(voter);
}

static void read_done(struct web_request *request, bool ok, long code) {
  struct voter *voter = request->owner;
  struct etcd_news news;
  if (!ok || code != 200 ||
      !etcd_parse_range(request->answer.data, request->answer.length, &news)) {
    try_again(voter);
    return;
  }
  take(voter->watch, &news);
  stream_key(voter, news.store + 1);
}

static void stream_news(void *data, const struct etcd_news *news) {
  struct voter *voter = data;
  if (news->change == ETCD_CANCELED)
    voter->broken = true;
  else
    take(voter->watch, news);
}

static void stream_object(void *data, const char *text, size_t length) {
  struct voter *voter = data;
  if (!etcd_parse_watch(text, length, stream_news, voter)) voter->broken = true;
}

static bool stream_chunk(struct web_request *request, const char *bytes, size_t length) {
  struct voter *voter = request->owner;
  return etcd_stream_feed(&voter->objects, bytes, length, stream_object, voter) && !voter->broken;
}

static void stream_done(struct web_request *request, bool ok, long code) {
  (void)ok;
  (void)code;
  try_again(request->owner);
}

static int voter_init(struct leader_watch *watch, struct voter *voter, struct web *web,
                      const struct host *host, struct error *err) {
  char url[128];
  voter->watch = watch;
  voter->retry = (struct timer){.fire = retry_fired, .owner = voter};
  voter->read.owner = voter->stream.owner = voter;
  voter->read.done = read_done;
  voter->stream.done = stream_done;
  voter->stream.chunk = stream_chunk;
  buf_init(&voter->objects.object);
  snprintf(url, sizeof url, "http://%s:%d/v3/kv/range", host->address, ETCD_CLIENT_PORT);
  int status = web_request_init(&voter->read, web, url, err);
  snprintf(url, sizeof url, "http://%s:%d/v3/watch", host->address, ETCD_CLIENT_PORT);
  if (status == 0) status = web_request_init(&voter->stream, web, url, err);
  if (status == 0) read_key(voter);
  return status;
}

int leader_watch_new(struct service_instance *service, struct web *web, struct loop *loop,
                     struct leader_watch **ret, struct error *err) {
  char key[KEY_SIZE / 2];
  struct leader_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  watch->service = service;
  watch->loop = loop;
  watch->leader = HOST_NONE;
  snprintf(key, sizeof key, "%s%s/leader", PATRONI_NAMESPACE, service->cluster->id);
  int status = base64_encode(key, watch->key, sizeof watch->key, err);
  uint32_t count = postgres_etcd_count(postgres_config(service));
  for (uint32_t i = 0; status == 0 && i < count; i++) {
    watch->voter_count = i + 1;
    status = voter_init(watch, &watch->voters[i], web, service->members[i], err);
  }
  if (status < 0) {
    leader_watch_free(watch);
    return status;
  }
  *ret = watch;
  return 0;
}

void leader_watch_free(struct leader_watch *watch) {
  if (!watch) return;
  for (uint32_t i = 0; i < watch->voter_count; i++) {
    struct voter *voter = &watch->voters[i];
    loop_timer_cancel(watch->loop, &voter->retry);
    web_request_release(&voter->read);
    web_request_release(&voter->stream);
    buf_release(&voter->objects.object);
  }
  free(watch);
}
