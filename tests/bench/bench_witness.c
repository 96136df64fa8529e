/* An independent witness of failovers, for `./dev bench`: one plain thread a host writes in a loop
 * and stamps. It shares nothing with gameday but libpq and the clock. It prints, for each time in
 * which no host acknowledged a write for more than 100 ms, when that began and ended: "BEGIN_NS
 * END_NS", CLOCK_MONOTONIC.
 *
 * usage: witness SECONDS USER DATABASE CA_FILE NAME=ADDRESS... (password from PGPASSFILE) */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GAP_NS (100 * 1000 * 1000ll)
#define DEADLINE_MS 200

struct witness {
  const char *user, *database, *ca;
  int64_t until_ns, last_ns;
  pthread_mutex_t mutex;
};
struct host {
  struct witness *witness;
  const char *name, *address;
};

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void pause_ms(long ms) {
  struct timespec pause = {.tv_nsec = ms * 1000000};
  nanosleep(&pause, NULL);
}

static void acknowledged(struct witness *w, int64_t at_ns) {
  pthread_mutex_lock(&w->mutex);
  if (w->last_ns != 0 && at_ns - w->last_ns > GAP_NS)
    printf("%lld %lld\n", (long long)w->last_ns, (long long)at_ns);
  if (at_ns > w->last_ns) w->last_ns = at_ns;
  fflush(stdout);
  pthread_mutex_unlock(&w->mutex);
}

/* Waits for the socket; 0 when the time is up. */
static int await(PGconn *conn, short events, int64_t deadline_ns) {
  int64_t left = (deadline_ns - now_ns()) / 1000000;
  struct pollfd fd = {.fd = PQsocket(conn), .events = events};
  return left > 0 ? poll(&fd, 1, (int)left) : 0;
}

static PGconn *connect_host(const struct host *host) {
  const struct witness *w = host->witness;
  const char *keys[] = {"host", "hostaddr", "user", "dbname", "sslmode", "sslrootcert", NULL};
  const char *values[] = {host->name,    host->address, w->user, w->database,
                          "verify-full", w->ca,         NULL};
  PGconn *conn = PQconnectStartParams(keys, values, 0);
  int64_t deadline = now_ns() + DEADLINE_MS * 1000000ll;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (conn && PQstatus(conn) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) break;
    if (await(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline) <= 0) break;
    state = PQconnectPoll(conn);
  }
  if (conn && state == PGRES_POLLING_OK) return conn;
  PQfinish(conn);
  return NULL;
}

/* One write: 1 acknowledged, 0 refused (still connected), -1 broken or too late. */
static int write_once(PGconn *conn) {
  int64_t deadline = now_ns() + DEADLINE_MS * 1000000ll;
  if (!PQsendQuery(conn, "insert into witness default values")) return -1;
  int answer = -1;
  for (;;) {
    while (PQisBusy(conn)) {
      if (await(conn, POLLIN, deadline) <= 0 || !PQconsumeInput(conn)) return -1;
    }
    PGresult *result = PQgetResult(conn);
    if (!result) return PQstatus(conn) == CONNECTION_OK ? answer : -1;
    answer = PQresultStatus(result) == PGRES_COMMAND_OK ? 1 : 0;
    PQclear(result);
  }
}

static void *watch_host(void *data) {
  const struct host *host = data;
  struct witness *w = host->witness;
  PGconn *conn = NULL;
  while (now_ns() < w->until_ns) {
    if (!conn) conn = connect_host(host);
    int answer = conn ? write_once(conn) : -1;
    if (answer > 0) acknowledged(w, now_ns());
    if (answer < 0) {
      PQfinish(conn);
      conn = NULL;
    }
    pause_ms(answer < 0 ? 4 : 2); /* attempts must not keep a server from starting */
  }
  PQfinish(conn);
  return NULL;
}

int main(int argc, char **argv) {
  struct host hosts[16];
  pthread_t threads[16];
  int count = argc - 5;
  if (count < 1 || count > 16) {
    fprintf(stderr, "usage: witness SECONDS USER DATABASE CA_FILE NAME=ADDRESS...\n");
    return 2;
  }
  struct witness w = {.user = argv[2],
                      .database = argv[3],
                      .ca = argv[4],
                      .until_ns = now_ns() + atoll(argv[1]) * 1000000000ll};
  pthread_mutex_init(&w.mutex, NULL);
  for (int i = 0; i < count; i++) {
    char *equals = strchr(argv[5 + i], '=');
    if (!equals) return 2;
    *equals = '\0';
    hosts[i] = (struct host){.witness = &w, .name = argv[5 + i], .address = equals + 1};
    if (pthread_create(&threads[i], NULL, watch_host, &hosts[i]) != 0) return 3;
  }
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  return 0;
}
