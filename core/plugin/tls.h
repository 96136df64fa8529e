/* TLS of a client, by OpenSSL, over a connected socket that does not block. Verified are the chain,
 * against one CA, and the name: a server that cannot show both is not talked to. Nothing waits in
 * here: what cannot be done at once says what the socket has to be waited for. */
#ifndef GAMEDAY_PLUGIN_TLS_H
#define GAMEDAY_PLUGIN_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/loop.h"

/* Whom to trust: read from a file once, then only looked at, by any thread. */
struct tls_trust;
/* The CA's certificate, PEM. STATUS_ENVIRONMENT: it cannot be read; STATUS_MEMORY. */
int tls_trust_new(const char *ca_file, struct tls_trust **ret_trust, struct error *err);
void tls_trust_free(struct tls_trust *trust); /* NULL is fine; after all that use it */

/* One connection's; of one thread. */
struct tls;
/* The server must have a certificate for `name` (a host's name or a numeric address). `trust` and
 * the socket outlive what is made. TLS 1.2 and newer, no renegotiation, no resumed sessions: every
 * connection costs the server a whole handshake. */
int tls_new(const struct tls_trust *trust, int fd, const char *name, struct tls **ret_tls,
            struct error *err);
/* Says farewell (close_notify) if that can be done at once; the socket stays open. NULL is fine. */
void tls_free(struct tls *tls);

/* All below: `ret_wants` is the enum loop_interest to wait for before the same call is made again;
 * 0: something was done. STATUS_SERVER, with the reason: the connection is of no more use. */

int tls_handshake(struct tls *tls, unsigned *ret_wants, struct error *err);
/* Sends at most one record. What is not in `ret_sent` was not sent so that the server could read
 * it, and has to be given again from its first byte, as long as it was or longer. */
int tls_send(struct tls *tls, const char *bytes, size_t size, size_t *ret_sent, unsigned *ret_wants,
             struct error *err);
/* Receives all that is there and fits. */
int tls_receive(struct tls *tls, char *bytes, size_t size, size_t *ret_received,
                unsigned *ret_wants, struct error *err);
/* Whether the last receive left something behind that the socket will not tell: receive again. */
bool tls_pending(const struct tls *tls);
/* Whether the other end has closed, which is why the last call failed. */
bool tls_ended(const struct tls *tls);

#endif
