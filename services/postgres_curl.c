/* HTTP requests on a loop: libcurl's multi interface, told of readiness and time by the loop. */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "services/postgres_watch.h"

#define ANSWER_MAX (1u << 20)

struct web {
  struct loop *loop;
  CURLM *multi;
  struct timer timer;
  struct web_socket *sockets; /* all of libcurl's, so that they can be freed */
};

struct web_socket {
  struct watch watch;
  struct web_socket *next;
};

static void finish_requests(struct web *web) {
  int left = 0;
  CURLMsg *message;
  while ((message = curl_multi_info_read(web->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL *curl = message->easy_handle;
    CURLcode result = message->data.result;
    struct web_request *request = NULL;
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&request);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    web_request_stop(request);
    request->done(request, result == CURLE_OK, code);
  }
}

static void act(struct web *web, curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(web->multi, fd, events, &running);
  finish_requests(web);
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct web *web = watch->owner;
  int flags =
      (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
  act(web, watch->fd, flags);
}

static void timer_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  act(timer->owner, CURL_SOCKET_TIMEOUT, 0);
}

static void forget_socket(struct web *web, struct web_socket *s) {
  for (struct web_socket **at = &web->sockets; *at; at = &(*at)->next) {
    if (*at != s) continue;
    *at = s->next;
    break;
  }
  loop_watch_set(web->loop, &s->watch, 0, NULL);
  free(s);
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *data, void *socket_data) {
  (void)curl;
  struct web *web = data;
  struct web_socket *s = socket_data;
  if (what == CURL_POLL_REMOVE) {
    if (s) forget_socket(web, s);
    return curl_multi_assign(web->multi, fd, NULL) == CURLM_OK ? 0 : -1;
  }
  if (!s) {
    s = calloc(1, sizeof *s);
    if (!s) return -1;
    s->watch = (struct watch){.ready = socket_ready, .owner = web, .fd = fd};
    s->next = web->sockets;
    web->sockets = s;
    if (curl_multi_assign(web->multi, fd, s) != CURLM_OK) {
      forget_socket(web, s);
      return -1;
    }
  }
  unsigned interest =
      (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
  return loop_watch_set(web->loop, &s->watch, interest, NULL) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *data) {
  (void)multi;
  struct web *web = data;
  if (timeout_ms < 0) {
    loop_timer_cancel(web->loop, &web->timer);
    return 0;
  }
  uint64_t deadline_ns = loop_now_ns(web->loop) + (uint64_t)timeout_ms * NS_PER_MS;
  return loop_timer_arm(web->loop, &web->timer, deadline_ns, NULL) == 0 ? 0 : -1;
}

int web_new(struct loop *loop, struct web **ret, struct error *err) {
  struct web *web = calloc(1, sizeof *web);
  if (!web) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  web->loop = loop;
  web->timer = (struct timer){.fire = timer_fired, .owner = web};
  web->multi = curl_multi_init();
  if (!web->multi) {
    free(web);
    return error_set(err, STATUS_MEMORY, "out of memory for watching");
  }
  curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
  curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
  *ret = web;
  return 0;
}

void web_free(struct web *web) {
  if (!web) return;
  curl_multi_cleanup(web->multi); /* closes kept connections, which removes their sockets */
  while (web->sockets) forget_socket(web, web->sockets);
  loop_timer_cancel(web->loop, &web->timer);
  free(web);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *data) {
  struct web_request *request = data;
  size_t length = size * count;
  if (request->chunk) return request->chunk(request, bytes, length) ? length : 0;
  if (request->answer.length + length > ANSWER_MAX) return 0;
  buf_add(&request->answer, bytes, length);
  return request->answer.failed ? 0 : length;
}

/* A watch waits for hours, and a peer without power sends no FIN: the kernel has to ask. */
static int on_new_socket(void *data, curl_socket_t fd, curlsocktype purpose) {
  (void)data;
  (void)purpose;
  static const struct {
    int level, name, value;
  } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                 {IPPROTO_TCP, TCP_KEEPIDLE, 1},
                 {IPPROTO_TCP, TCP_KEEPINTVL, 1},
                 {IPPROTO_TCP, TCP_KEEPCNT, 3},
                 {IPPROTO_TCP, TCP_USER_TIMEOUT, 3000}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
  return CURL_SOCKOPT_OK;
}

int web_request_init(struct web_request *request, struct web *web, const char *url,
                     struct error *err) {
  request->web = web;
  request->curl = curl_easy_init();
  if (!request->curl) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  buf_init(&request->answer);
  CURL *curl = request->curl;
  curl_easy_setopt(curl, CURLOPT_PRIVATE, (char *)request);
  curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* never through a proxy of the environment */
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 1000L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
  if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK)
    return error_set(err, STATUS_MEMORY, "out of memory for watching");
  return 0;
}

int web_request_start(struct web_request *request, const char *body, uint64_t timeout_ns,
                      struct error *err) {
  assert(!request->active);
  CURL *curl = request->curl;
  buf_clear(&request->answer);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / NS_PER_MS));
  CURLcode copied = CURLE_OK;
  if (body)
    copied = curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
  else
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  if (copied != CURLE_OK || curl_multi_add_handle(request->web->multi, curl) != CURLM_OK)
    return error_set(err, STATUS_MEMORY, "out of memory for watching");
  request->active = true;
  return 0;
}

void web_request_stop(struct web_request *request) {
  if (!request->active) return;
  request->active = false;
  curl_multi_remove_handle(request->web->multi, request->curl);
}

void web_request_release(struct web_request *request) {
  if (!request->curl) return;
  web_request_stop(request);
  curl_easy_cleanup(request->curl);
  request->curl = NULL;
  buf_release(&request->answer);
}
