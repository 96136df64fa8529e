/* The blocking helpers of driver_pg, for preparing tables and for the final read: a connection of
 * their own. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "plugin/patience.h"
#include "workload/pg_client.h"

#define COLUMNS_MAX 64u

static void cleanup_finish(PGconn **conn) {
  PQfinish(*conn);
}
static void cleanup_clear(PGresult **result) {
  PQclear(*result);
}
static void cleanup_freemem(char **memory) {
  if (*memory) PQfreemem(*memory);
}

static int server_error(const PGconn *conn, struct error *err) {
  char why[512];
  pg_message(conn, why, sizeof why);
  return error_set(err, STATUS_SERVER, "%s", why);
}

/* "already exists, skipping" and the like are of no interest here, and stderr is not ours. */
static void ignore_notice(void *data, const PGresult *result) {
  (void)data;
  (void)result;
}

static int connect_one(const struct endpoint *endpoint, const struct patience *patience,
                       PGconn **ret_conn, struct error *err) {
  CLEANUP(cleanup_finish)
  PGconn *conn = pg_connection_start(patience->access, endpoint, &endpoint->address, 1, 0);
  if (!conn) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  if (PQstatus(conn) == CONNECTION_BAD) return server_error(conn, err);
  PQsetNoticeReceiver(conn, ignore_notice, NULL);
  PostgresPollingStatusType polled = PGRES_POLLING_WRITING;
  while (polled != PGRES_POLLING_OK) {
    short events = polled == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    int status = patience_wait_socket(patience, PQsocket(conn), events, err);
    if (status < 0) return status;
    polled = PQconnectPoll(conn);
    if (polled == PGRES_POLLING_FAILED) return server_error(conn, err);
  }
  if (PQsetnonblocking(conn, 1) != 0) return server_error(conn, err);
  *ret_conn = conn;
  conn = NULL;
  return 0;
}

/* Sends everything and waits for the next result; NULL when the statement has no more. */
static int next_result(PGconn *conn, const struct patience *patience, PGresult **ret_result,
                       struct error *err) {
  for (;;) {
    int left = PQflush(conn);
    if (left < 0) return server_error(conn, err);
    if (left == 0 && !PQisBusy(conn)) break;
    short events = left > 0 ? POLLIN | POLLOUT : POLLIN;
    int status = patience_wait_socket(patience, PQsocket(conn), events, err);
    if (status < 0) return status;
    if (!PQconsumeInput(conn)) return server_error(conn, err);
  }
  *ret_result = PQgetResult(conn);
  return 0;
}

/* Runs `text` to its end, or to the beginning of a COPY. `ret_result` is the last result. */
static int run_text(PGconn *conn, const char *text, const struct patience *patience,
                    PGresult **ret_result, struct error *err) {
  if (!PQsendQuery(conn, text)) return server_error(conn, err);
  CLEANUP(cleanup_clear) PGresult *last = NULL;
  for (;;) {
    PGresult *result = NULL;
    int status = next_result(conn, patience, &result, err);
    if (status < 0) return status;
    if (!result) break;
    PQclear(last);
    last = result;
    ExecStatusType kind = PQresultStatus(result);
    if (kind == PGRES_COPY_OUT) break;
    if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK && kind != PGRES_EMPTY_QUERY) {
      const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
      if (!message) return server_error(conn, err);
      return error_set(err, STATUS_SERVER, "%s (SQLSTATE %s)", message, state ? state : "none");
    }
  }
  *ret_result = last;
  last = NULL;
  return 0;
}

static int ask_writable(PGconn *conn, const struct patience *patience, struct error *err) {
  CLEANUP(cleanup_clear) PGresult *result = NULL;
  struct pg_identity identity = {.recovery = true};
  int status = run_text(conn, pg_identity_text, patience, &result, err);
  if (status < 0) return status;
  status = pg_identity_read(result, &identity, err);
  if (status < 0) return status;
  if (identity.recovery) return error_set(err, STATUS_SERVER, "is in recovery");
  if (identity.read_only) return error_set(err, STATUS_SERVER, "is read-only");
  return 0;
}

/* One round over all endpoints for the one that accepts writes. */
static int connect_writable_once(const struct patience *patience, PGconn **ret_conn,
                                 struct error *err) {
  const struct access *access = patience->access;
  int status = error_set(err, STATUS_USAGE, "the service has no endpoint to connect to");
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    const struct patience attempt = patience_for_attempt(patience);
    CLEANUP(cleanup_finish) PGconn *conn = NULL;
    status = connect_one(&access->endpoints[i], &attempt, &conn, err);
    if (status == 0) status = ask_writable(conn, &attempt, err);
    if (status == 0) {
      *ret_conn = conn;
      conn = NULL;
      return 0;
    }
    if (status == STATUS_INTERRUPTED) return status;
    error_wrap(err, "%s", access->endpoints[i].name);
  }
  return status;
}

static int connect_writable(const struct patience *patience, PGconn **ret_conn, struct error *err) {
  for (;;) {
    int status = connect_writable_once(patience, ret_conn, err);
    if (status == 0 || status == STATUS_INTERRUPTED) return status;
    if (!patience_try_again(patience, status)) return error_wrap(err, "no server accepts writes");
  }
}

static int connect_to(const struct endpoint *endpoint, const struct patience *patience,
                      PGconn **ret_conn, struct error *err) {
  if (!endpoint) return connect_writable(patience, ret_conn, err);
  int status = connect_one(endpoint, patience, ret_conn, err);
  if (status < 0) return error_wrap(err, "cannot connect to %s", endpoint->name);
  return 0;
}

int pg_execute(const struct access *access, const struct endpoint *endpoint, const char *text,
               uint64_t timeout_ns, struct error *err) {
  const struct patience patience = patience_for(access, timeout_ns);
  CLEANUP(cleanup_finish) PGconn *conn = NULL;
  CLEANUP(cleanup_clear) PGresult *result = NULL;
  int status = connect_to(endpoint, &patience, &conn, err);
  if (status < 0) return status;
  return run_text(conn, text, &patience, &result, err);
}

/* The character that a backslash and `c` stand for in COPY's text format. */
static char copy_unescape(char c) {
  switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return c;
  }
}

int pg_copy_split(char *line, const char *ret_columns[], uint32_t max, uint32_t *ret_count,
                  struct error *err) {
  uint32_t count = 0;
  char *read = line;
  for (bool more = true; more;) {
    if (count == max) return error_set(err, STATUS_SERVER, "a row has more than %u columns", max);
    char *begin = read, *write = read;
    bool null = false;
    for (; *read && *read != '\t' && *read != '\n'; read++) {
      if (*read != '\\' || !read[1]) {
        *write++ = *read;
        continue;
      }
      read++;
      null = *read == 'N' && write == begin;
      *write++ = copy_unescape(*read);
    }
    more = *read == '\t';
    if (*read) read++;
    *write = '\0';
    ret_columns[count++] = null ? NULL : begin;
  }
  *ret_count = count;
  return 0;
}

/* One chunk of a COPY (always one whole row), waiting as needed. `ret_length` -1: the end. */
static int next_chunk(PGconn *conn, const struct patience *patience, char **ret_chunk,
                      int *ret_length, struct error *err) {
  for (;;) {
    int length = PQgetCopyData(conn, ret_chunk, 1);
    if (length == -2) return server_error(conn, err);
    if (length != 0) {
      *ret_length = length;
      return 0;
    }
    int status = patience_wait_socket(patience, PQsocket(conn), POLLIN, err);
    if (status < 0) return status;
    if (!PQconsumeInput(conn)) return server_error(conn, err);
  }
}

static int read_copy(PGconn *conn, const struct patience *patience, row_callback *row, void *data,
                     struct error *err) {
  for (;;) {
    CLEANUP(cleanup_freemem) char *line = NULL;
    int length = 0;
    int status = next_chunk(conn, patience, &line, &length, err);
    if (status < 0) return status;
    if (length < 0) break;
    const char *columns[COLUMNS_MAX];
    uint32_t count = 0;
    status = pg_copy_split(line, columns, COLUMNS_MAX, &count, err);
    if (status == 0) status = row(data, columns, count, err);
    if (status != 0) return status;
  }
  /* The command's own end: an error here means that rows are missing. */
  for (;;) {
    CLEANUP(cleanup_clear) PGresult *result = NULL;
    int status = next_result(conn, patience, &result, err);
    if (status < 0) return status;
    if (!result) return 0;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) return server_error(conn, err);
  }
}

static int read_tuples(const PGresult *result, row_callback *row, void *data, struct error *err) {
  int fields = PQnfields(result);
  if (fields > (int)COLUMNS_MAX) {
    return error_set(err, STATUS_SERVER, "a row has more than %u columns", COLUMNS_MAX);
  }
  for (int i = 0; i < PQntuples(result); i++) {
    const char *columns[COLUMNS_MAX];
    for (int j = 0; j < fields; j++) {
      columns[j] = PQgetisnull(result, i, j) ? NULL : PQgetvalue(result, i, j);
    }
    int status = row(data, columns, (uint32_t)fields, err);
    if (status != 0) return status;
  }
  return 0;
}

int pg_read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                 uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  const struct patience patience = patience_for(access, timeout_ns);
  CLEANUP(cleanup_finish) PGconn *conn = NULL;
  CLEANUP(cleanup_clear) PGresult *result = NULL;
  int status = connect_to(endpoint, &patience, &conn, err);
  if (status < 0) return status;
  status = run_text(conn, text, &patience, &result, err);
  if (status < 0) return status;
  if (PQresultStatus(result) == PGRES_COPY_OUT) {
    return read_copy(conn, &patience, row, data, err);
  }
  return read_tuples(result, row, data, err);
}
