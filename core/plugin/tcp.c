/* Sockets of clients, and TLS on them. */
#include "plugin/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static int make_socket(const char *address, uint16_t port, struct sockaddr_storage *ret_to,
                       socklen_t *ret_size, struct error *err) {
  memset(ret_to, 0, sizeof *ret_to);
  struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret_to;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret_to;
  if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    *ret_size = sizeof *four;
  } else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    *ret_size = sizeof *six;
  } else {
    return error_set(err, STATUS_SERVER, "'%.60s' is no numeric address", address);
  }
  int fd = socket(ret_to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd >= 0 ? fd : error_set_errno(err, errno, "cannot make a socket");
}

static void set_options(int fd, uint64_t tcp_user_timeout_ns) {
  const int on = 1;
  /* These cannot fail on a TCP socket, and without them it works as well. */
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (tcp_user_timeout_ns == 0) return;
  uint64_t timeout_ms = (tcp_user_timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
  unsigned value = timeout_ms > INT32_MAX ? INT32_MAX : (unsigned)timeout_ms;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

static int refused(struct error *err, int errnum, const char *address, uint16_t port) {
  error_set_errno(err, errnum, "cannot connect to %s port %u", address, (unsigned)port);
  if (err) err->status = STATUS_SERVER;
  return STATUS_SERVER;
}

int tcp_dial(struct tcp_connection *connection, const char *address, uint16_t port,
             uint64_t tcp_user_timeout_ns, struct error *err) {
  struct sockaddr_storage to;
  socklen_t size = 0;
  int fd = make_socket(address, port, &to, &size, err);
  if (fd < 0) return fd;
  set_options(fd, tcp_user_timeout_ns);
  if (connect(fd, (const struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS) {
    int errnum = errno;
    close(fd);
    return refused(err, errnum, address, port);
  }
  *connection = (struct tcp_connection){.fd = fd, .receive_wants = LOOP_READ};
  return 0;
}

int tcp_check(const struct tcp_connection *connection, const char *address, uint16_t port,
              struct error *err) {
  int errnum = 0;
  socklen_t size = sizeof errnum;
  if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0) errnum = errno;
  return errnum == 0 ? 0 : refused(err, errnum, address, port);
}

int tcp_secure(struct tcp_connection *connection, const struct tls_trust *trust, const char *name,
               unsigned *ret_wants, struct error *err) {
  int status = 0;
  if (!connection->tls) status = tls_new(trust, connection->fd, name, &connection->tls, err);
  return status < 0 ? status : tls_handshake(connection->tls, ret_wants, err);
}

/* The errno of a send or a receive that came to nothing. */
static int failed(struct error *err) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  error_set_errno(err, errno, "the connection broke");
  if (err) err->status = STATUS_SERVER;
  return STATUS_SERVER;
}

static int send_plain(const struct tcp_connection *connection, const char *bytes, size_t size,
                      size_t *ret_sent, unsigned *ret_wants, struct error *err) {
  ssize_t sent;
  do {
    sent = send(connection->fd, bytes, size, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  int status = sent < 0 ? failed(err) : 0;
  if (status < 0) return status;
  *ret_sent = sent < 0 ? 0 : (size_t)sent;
  *ret_wants = sent < 0 ? LOOP_WRITE : 0;
  return 0;
}

int tcp_send(struct tcp_connection *connection, const char *bytes, size_t size, size_t *ret_sent,
             struct error *err) {
  connection->send_wants = 0;
  return connection->tls
             ? tls_send(connection->tls, bytes, size, ret_sent, &connection->send_wants, err)
             : send_plain(connection, bytes, size, ret_sent, &connection->send_wants, err);
}

static int receive_plain(struct tcp_connection *connection, char *bytes, size_t size,
                         size_t *ret_received, struct error *err) {
  ssize_t received;
  do {
    received = recv(connection->fd, bytes, size, 0);
  } while (received < 0 && errno == EINTR);
  connection->ended = received == 0;
  if (received == 0) return error_set(err, STATUS_SERVER, "the server closed the connection");
  int status = received < 0 ? failed(err) : 0;
  if (status == 0) *ret_received = received < 0 ? 0 : (size_t)received;
  return status;
}

int tcp_receive(struct tcp_connection *connection, char *bytes, size_t size, size_t *ret_received,
                struct error *err) {
  if (!connection->tls) return receive_plain(connection, bytes, size, ret_received, err);
  unsigned wants = 0;
  int status = tls_receive(connection->tls, bytes, size, ret_received, &wants, err);
  connection->receive_wants = wants ? wants : LOOP_READ;
  connection->ended = tls_ended(connection->tls);
  return status;
}

bool tcp_pending(const struct tcp_connection *connection) {
  return connection->tls && tls_pending(connection->tls);
}

void tcp_close(struct tcp_connection *connection) {
  if (connection->fd < 0) return;
  tls_free(connection->tls);
  close(connection->fd);
  *connection = TCP_NO_CONNECTION;
}
