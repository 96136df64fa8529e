/* A client's TCP connection, plain or with TLS. Nothing in here blocks: the owner waits, in a loop
 * or with poll(), for what the connection wants, and does the same again. */
#ifndef GAMEDAY_PLUGIN_TCP_H
#define GAMEDAY_PLUGIN_TCP_H

#include "plugin/tls.h"

struct tcp_connection {
  int fd; /* -1: closed. The owner may watch it, and set options */
  /* enum loop_interest: what the last send waits for (0: nothing is kept back), and what the next
   * receive does. */
  unsigned send_wants, receive_wants;
  bool ended;      /* why the last receive failed: the other end has closed; false: it broke */
  struct tls *tls; /* NULL: plain */
};
#define TCP_NO_CONNECTION ((struct tcp_connection){.fd = -1})

/* Begins to connect to a numeric address; it has succeeded or failed once the descriptor is
 * writable. `tcp_user_timeout_ns` is TCP_USER_TIMEOUT, 0: the system's. STATUS_SERVER: there is no
 * way; STATUS_SYSTEM. */
int tcp_dial(struct tcp_connection *connection, const char *address, uint16_t port,
             uint64_t tcp_user_timeout_ns, struct error *err);
/* Then: 0 when it is connected, else STATUS_SERVER; with what was given to dial. */
int tcp_check(const struct tcp_connection *connection, const char *address, uint16_t port,
              struct error *err);
/* Begins the handshake with who has a certificate for `name`, and goes on with it: as
 * tls_handshake(). STATUS_MEMORY. */
int tcp_secure(struct tcp_connection *connection, const struct tls_trust *trust, const char *name,
               unsigned *ret_wants, struct error *err);

/* Sends some of it; 0: none can be sent now. What was not taken is to be given again from its first
 * byte, not shorter than it was, or not at all. STATUS_SERVER: broken. */
int tcp_send(struct tcp_connection *connection, const char *bytes, size_t size, size_t *ret_sent,
             struct error *err);
/* Receives what there is; 0: nothing now. STATUS_SERVER: broken, or closed by the other end. */
int tcp_receive(struct tcp_connection *connection, char *bytes, size_t size, size_t *ret_received,
                struct error *err);
/* Whether there may be more that the descriptor will not announce: receive again. */
bool tcp_pending(const struct tcp_connection *connection);
void tcp_close(struct tcp_connection *connection); /* closed is fine */

#endif
