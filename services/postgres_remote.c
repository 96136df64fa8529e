/* Blocking talk to the servers from the monitor host's network: SQL as the superuser, Patroni's
 * REST interface, etcd. Callers may stand in any network: a helper thread enters the right one. */
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "services/postgres.h"

#define ANSWER_MAX (4u << 20)

int postgres_on_monitor(struct service_instance *service, monitor_call *call, void *data,
                        struct error *err) {
  return service_on_monitor(service, postgres_state(service)->monitor, call, data, err);
}

void postgres_conninfo(const struct service_instance *service, uint32_t member,
                       struct postgres_conninfo *ret) {
  const struct postgres_state *state = postgres_state(service);
  const struct host *host = service->members[member];
  *ret = (struct postgres_conninfo){.keywords = {NULL}};
  snprintf(ret->port, sizeof ret->port, "%d", POSTGRES_PORT);
  const char *const pairs[][2] = {
      {"host", host->name},
      {"hostaddr", host->address},
      {"port", ret->port},
      {"user", "postgres"},
      {"password", state->secrets.superuser},
      {"dbname", "postgres"},
      {"sslmode", "verify-full"},
      {"sslrootcert", state->ca_file},
      /* What lies in the home directory is of other servers; one that asks for a certificate turns
       * away who shows a strange one. */
      {"sslcert", "/nonexistent"},
      {"sslkey", "/nonexistent"},
      {"sslcrl", "/nonexistent"},
      {"gssencmode", "disable"},
      {"target_session_attrs", "any"},
      {"application_name", "gameday"},
      {"tcp_user_timeout", "3000"}, /* a host without power sends no FIN */
      {"keepalives_idle", "1"},
      {"keepalives_interval", "1"},
      {"keepalives_count", "3"},
      {"client_encoding", "UTF8"},
      /* Replaces PGOPTIONS of the environment; sets nothing that a scenario could ask for, because
       * settings are read back through these connections. */
      {"options", "-c gameday.session=on"},
  };
  size_t count = sizeof pairs / sizeof pairs[0];
  for (size_t i = 0; i < count; i++) {
    ret->keywords[i] = pairs[i][0];
    ret->values[i] = pairs[i][1];
  }
}

/* A server that goes down at once warns its clients; libpq would print that. */
static void ignore_notice(void *data, const PGresult *result) {
  (void)data;
  (void)result;
}

PGconn *postgres_connection_start(const struct service_instance *service, uint32_t member) {
  struct postgres_conninfo info;
  postgres_conninfo(service, member, &info);
  PGconn *conn = PQconnectStartParams(info.keywords, info.values, 0);
  if (conn) PQsetNoticeReceiver(conn, ignore_notice, NULL);
  return conn;
}

void cleanup_conn(PGconn **conn) {
  if (*conn) PQfinish(*conn);
}
void cleanup_result(PGresult **result) {
  if (*result) PQclear(*result);
}

/* Waits for the socket; false when the deadline has passed. */
static bool wait_socket(int fd, short events, uint64_t deadline_ns) {
  for (;;) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    if (now_ns >= deadline_ns) return false;
    uint64_t wait_ms = (deadline_ns - now_ns) / NS_PER_MS + 1;
    struct pollfd pollfd = {.fd = fd, .events = events};
    int ready = poll(&pollfd, 1, wait_ms > 60000 ? 60000 : (int)wait_ms);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
}

static int server_error(struct error *err, const char *name, const char *message) {
  size_t length = strlen(message);
  while (length > 0 && message[length - 1] == '\n') length--;
  return error_set(err, STATUS_SERVER, "%s: %.*s", name, (int)length, message);
}

int postgres_sql_connect(const struct service_instance *service, uint32_t member,
                         uint64_t deadline_ns, PGconn **ret, struct error *err) {
  const char *name = service->members[member]->name;
  CLEANUP(cleanup_conn) PGconn *conn = postgres_connection_start(service, member);
  if (!conn) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(conn) != CONNECTION_BAD && next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) break;
    if (!wait_socket(PQsocket(conn), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns))
      return error_set(err, STATUS_TIMEOUT, "%s: no connection in time", name);
    next = PQconnectPoll(conn);
  }
  if (next != PGRES_POLLING_OK) return server_error(err, name, PQerrorMessage(conn));
  *ret = conn;
  conn = NULL;
  return 0;
}

int postgres_sql_query(PGconn *conn, const char *text, uint64_t deadline_ns, PGresult **ret,
                       struct error *err) {
  if (!PQsendQuery(conn, text)) return server_error(err, PQhost(conn), PQerrorMessage(conn));
  CLEANUP(cleanup_result) PGresult *last = NULL;
  for (;;) {
    while (PQisBusy(conn)) {
      if (!wait_socket(PQsocket(conn), POLLIN, deadline_ns))
        return error_set(err, STATUS_TIMEOUT, "%s: no answer in time", PQhost(conn));
      if (!PQconsumeInput(conn)) return server_error(err, PQhost(conn), PQerrorMessage(conn));
    }
    PGresult *result = PQgetResult(conn);
    if (!result) break;
    if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
      PQclear(result);
      continue;
    }
    if (last) PQclear(last);
    last = result;
  }
  ExecStatusType state = PQresultStatus(last);
  if (state != PGRES_TUPLES_OK && state != PGRES_COMMAND_OK)
    return server_error(err, PQhost(conn), last ? PQresultErrorMessage(last) : "no answer");
  if (ret) {
    *ret = last;
    last = NULL;
  }
  return 0;
}

int postgres_sql_once(const struct service_instance *service, uint32_t member, const char *text,
                      uint64_t timeout_ns, PGresult **ret, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  CLEANUP(cleanup_conn) PGconn *conn = NULL;
  int status = postgres_sql_connect(service, member, deadline_ns, &conn, err);
  if (status == 0) status = postgres_sql_query(conn, text, deadline_ns, ret, err);
  return status;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *data) {
  struct buf *answer = data;
  if (answer->length + size * count > ANSWER_MAX) return 0;
  buf_add(answer, bytes, size * count);
  return answer->failed ? 0 : size * count;
}

struct http {
  const char *method, *url, *body, *who;
  const char *user_password, *ca_file;
  uint64_t timeout_ns;
};

static int http_perform(const struct http *http, long *ret_code, struct buf *ret,
                        struct error *err) {
  char reason[CURL_ERROR_SIZE] = "";
  CURL *curl = curl_easy_init();
  if (!curl) return error_set(err, STATUS_MEMORY, "out of memory for a request");
  struct curl_slist *headers =
      http->body ? curl_slist_append(NULL, "Content-Type: application/json") : NULL;
  curl_easy_setopt(curl, CURLOPT_URL, http->url);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http->method);
  curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* never through a proxy of the environment */
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(http->timeout_ns / NS_PER_MS));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
  if (http->ca_file) curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
  if (http->user_password) curl_easy_setopt(curl, CURLOPT_USERPWD, http->user_password);
  if (http->body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, http->body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  }
  CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  if (code == CURLE_OK) return 0;
  return error_set(err, code == CURLE_OPERATION_TIMEDOUT ? STATUS_TIMEOUT : STATUS_SERVER, "%s: %s",
                   http->who, reason[0] ? reason : curl_easy_strerror(code));
}

int postgres_rest(const struct service_instance *service, uint32_t member, const char *method,
                  const char *path, const char *body, uint64_t timeout_ns, long *ret_code,
                  struct buf *ret, struct error *err) {
  const struct postgres_state *state = postgres_state(service);
  const struct host *host = service->members[member];
  char url[256], user_password[sizeof PATRONI_REST_USER + SECRET_SIZE], who[128];
  snprintf(url, sizeof url, "https://%s:%d%s", host->address, PATRONI_PORT, path);
  snprintf(who, sizeof who, "%s: Patroni %s", host->name, path);
  snprintf(user_password, sizeof user_password, "%s:%s", PATRONI_REST_USER, state->secrets.rest);
  const struct http http = {.method = method,
                            .url = url,
                            .body = body,
                            .who = who,
                            .user_password = user_password,
                            .ca_file = state->ca_file,
                            .timeout_ns = timeout_ns};
  return http_perform(&http, ret_code, ret, err);
}

int postgres_etcd_get(const struct service_instance *service, uint32_t member, const char *path,
                      uint64_t timeout_ns, struct buf *ret, struct error *err) {
  const struct host *host = service->members[member];
  char url[256], who[128];
  long code = 0;
  snprintf(url, sizeof url, "http://%s:%d%s", host->address, ETCD_CLIENT_PORT, path);
  snprintf(who, sizeof who, "%s: etcd %s", host->name, path);
  const struct http http = {.method = "GET", .url = url, .who = who, .timeout_ns = timeout_ns};
  int status = http_perform(&http, &code, ret, err);
  if (status == 0 && code != 200)
    status = error_set(err, STATUS_SERVER, "%s: HTTP status %ld", who, code);
  return status;
}
