/* Asks Patroni on every member once a second what it thinks of its server. What it says is recorded
 * beside what SQL says, because the two differ exactly when it matters. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "services/postgres_watch.h"

#define POLL_NS NS_PER_S
#define GIVE_UP_NS (30 * NS_PER_S)
#define WORD_SIZE 160

struct patroni_member {
  struct manager_watch *watch;
  const struct host *host;
  struct web_request request;
  struct timer tick;
  char word[WORD_SIZE]; /* the last one recorded; "" when it did not answer */
};

struct manager_watch {
  struct service_instance *service;
  struct loop *loop;
  struct patroni_member members[POSTGRES_INSTANCES_MAX];
  uint32_t member_count;
};

/* Patroni 3 says "master", 4 says "primary". */
static const char *role_word(const char *role) {
  return strcmp(role, "master") == 0 ? "primary" : role;
}

bool patroni_describe(const char *text, size_t length, char *word, size_t size) {
  json_t *root = json_loadb(text, length, 0, NULL);
  const char *state = json_string_value(json_object_get(root, "state"));
  const char *role = json_string_value(json_object_get(root, "role"));
  json_int_t timeline = json_integer_value(json_object_get(root, "timeline"));
  bool pending = json_is_true(json_object_get(root, "pending_restart"));
  bool paused = json_is_true(json_object_get(root, "pause"));
  bool ok = state && role;
  if (ok) {
    int written = snprintf(word, size, "%s as %s", state, role_word(role));
    size_t at = written > 0 && (size_t)written < size ? (size_t)written : size - 1;
    if (timeline > 0) snprintf(word + at, size - at, ", timeline %lld", (long long)timeline);
    at += strlen(word + at);
    snprintf(word + at, size - at, "%s%s", pending ? ", restart pending" : "",
             paused ? ", paused" : "");
  }
  json_decref(root);
  return ok;
}

static void say(struct patroni_member *m, const char *word) {
  if (strcmp(word, m->word) == 0) return;
  snprintf(m->word, sizeof m->word, "%s", word);
  service_event(m->watch->service, loop_now_ns(m->watch->loop), EVENT_MANAGER, m->host->index,
                ROLE_NONE, 0, word);
}

static void request_done(struct web_request *request, bool ok, long code) {
  struct patroni_member *m = request->owner;
  char word[WORD_SIZE];
  (void)code; /* Patroni answers 503 with the same body while its server is down */
  if (ok && patroni_describe(request->answer.data, request->answer.length, word, sizeof word))
    say(m, word);
  else
    say(m, "");
}

static void tick_fired(struct timer *timer, uint64_t now_ns) {
  struct patroni_member *m = timer->owner;
  loop_timer_arm(m->watch->loop, &m->tick, now_ns + POLL_NS, NULL);
  /* A frozen Patroni is not asked again and again: the questions would pile up before its door. */
  if (m->request.active)
    say(m, "");
  else
    web_request_start(&m->request, NULL, GIVE_UP_NS, NULL);
}

static int member_init(struct patroni_member *m, struct web *web, struct error *err) {
  const struct service_instance *service = m->watch->service;
  char url[128];
  snprintf(url, sizeof url, "https://%s:%d/patroni", m->host->address, PATRONI_PORT);
  m->request.done = request_done;
  m->request.owner = m;
  m->tick = (struct timer){.fire = tick_fired, .owner = m};
  int status = web_request_init(&m->request, web, url, err);
  if (status < 0) return status;
  curl_easy_setopt(m->request.curl, CURLOPT_CAINFO, postgres_state(service)->ca_file);
  return loop_timer_arm(m->watch->loop, &m->tick, loop_now_ns(m->watch->loop), err);
}

int manager_watch_new(struct service_instance *service, struct web *web, struct loop *loop,
                      struct manager_watch **ret, struct error *err) {
  struct manager_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  watch->service = service;
  watch->loop = loop;
  uint32_t count = postgres_instances(postgres_config(service));
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < count; i++) {
    struct patroni_member *m = &watch->members[watch->member_count++];
    m->watch = watch;
    m->host = service->members[i];
    status = member_init(m, web, err);
  }
  if (status < 0) {
    manager_watch_free(watch);
    return status;
  }
  *ret = watch;
  return 0;
}

void manager_watch_free(struct manager_watch *watch) {
  if (!watch) return;
  for (uint32_t i = 0; i < watch->member_count; i++) {
    loop_timer_cancel(watch->loop, &watch->members[i].tick);
    web_request_release(&watch->members[i].request);
  }
  free(watch);
}
