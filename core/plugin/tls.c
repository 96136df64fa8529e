/* TLS of a client: OpenSSL's state machine, with our own reads and writes below it. */
#include "plugin/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What goes into one record. More at a time could go out in parts that the server reads, of which
 * nothing would be told: whether a command was sent has to be known. */
#define RECORD_MAX SSL3_RT_MAX_PLAIN_LENGTH

struct tls_trust {
  SSL_CTX *context;
  BIO_METHOD *socket;
};

struct tls {
  SSL *ssl;
  int fd;
  int errnum;       /* of a read or write that failed; 0: none has */
  bool ended;       /* the other end has closed */
  bool established; /* the handshake is done */
  bool more;        /* the last receive left something behind, if only the end */
  bool failed;      /* of no more use: not even for a farewell */
};

/* --- the socket ------------------------------------------------------------------------------ */

/* OpenSSL's own would raise SIGPIPE, and would not keep why it failed. */

static int socket_result(BIO *bio, struct tls *tls, ssize_t size, int retry) {
  if (size >= 0) return (int)size;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  else
    tls->errnum = errno;
  return -1;
}

static int socket_write(BIO *bio, const char *bytes, int size) {
  struct tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  return socket_result(bio, tls, send(tls->fd, bytes, (size_t)size, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int socket_read(BIO *bio, char *bytes, int size) {
  struct tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t received = recv(tls->fd, bytes, (size_t)size, 0);
  if (received == 0) tls->ended = true;
  return socket_result(bio, tls, received, BIO_FLAGS_READ);
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH; /* there is nothing to flush; everything else is not had */
}

static BIO_METHOD *make_socket_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gameday socket");
  if (!method) return NULL;
  if (BIO_meth_set_write(method, socket_write) && BIO_meth_set_read(method, socket_read) &&
      BIO_meth_set_ctrl(method, socket_control))
    return method;
  BIO_meth_free(method);
  return NULL;
}

/* --- errors ---------------------------------------------------------------------------------- */

/* OpenSSL keeps what went wrong in a queue of the thread, and reads it to say what is wanted: so it
 * is emptied before each call. The first that is in it afterwards is the cause. */
static const char *library_reason(void) {
  unsigned long code = ERR_peek_error();
  const char *reason = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code))
                                              : ERR_reason_error_string(code);
  return reason ? reason : "an error without a reason";
}

static int library_failed(struct error *err, enum status status, const char *what) {
  error_set(err, status, "%s: %s", what, library_reason());
  ERR_clear_error();
  return status;
}

/* What SSL_get_error() says to wait for; 0: something else. */
static unsigned waits_for(int reason) {
  if (reason == SSL_ERROR_WANT_READ) return LOOP_READ;
  return reason == SSL_ERROR_WANT_WRITE ? LOOP_WRITE : 0;
}

/* After a call that came to nothing: what to wait for, or why there will be no more. */
static int judge(struct tls *tls, int result, unsigned *ret_wants, struct error *err) {
  int reason = SSL_get_error(tls->ssl, result);
  if (waits_for(reason)) {
    *ret_wants = waits_for(reason);
    return 0;
  }
  const char *where = tls->established ? "" : " in the TLS handshake";
  long verified = SSL_get_verify_result(tls->ssl);
  int status = STATUS_SERVER;
  tls->failed = reason != SSL_ERROR_ZERO_RETURN;
  tls->ended = tls->ended || reason == SSL_ERROR_ZERO_RETURN;
  if (verified != X509_V_OK) {
    error_set(err, status, "the server's certificate is refused: %s",
              X509_verify_cert_error_string(verified));
  } else if (tls->errnum != 0) {
    error_set_errno(err, tls->errnum, "the connection broke%s", where);
    if (err) err->status = status;
  } else if (tls->ended) {
    error_set(err, status, "the server closed the connection%s", where);
  } else {
    error_set(err, status, "TLS failed%s: %s", where, library_reason());
  }
  ERR_clear_error();
  return status;
}

/* --- trust ----------------------------------------------------------------------------------- */

static int set_up(SSL_CTX *context, const char *ca_file, struct error *err) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  /* Without the first a call could have sent something and say that it has sent nothing. */
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  /* One read from the socket for a record, and not one more for its first five bytes. */
  SSL_CTX_set_read_ahead(context, 1);
  if (!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
    return library_failed(err, STATUS_ENVIRONMENT, "cannot prepare TLS");
  if (SSL_CTX_load_verify_locations(context, ca_file, NULL)) return 0;
  library_failed(err, STATUS_ENVIRONMENT, "cannot read a certificate authority");
  error_wrap(err, "%s", ca_file);
  return STATUS_ENVIRONMENT;
}

int tls_trust_new(const char *ca_file, struct tls_trust **ret_trust, struct error *err) {
  struct tls_trust *trust = calloc(1, sizeof *trust);
  if (!trust) return error_set(err, STATUS_MEMORY, "out of memory for TLS");
  ERR_clear_error();
  trust->context = SSL_CTX_new(TLS_client_method());
  trust->socket = make_socket_method();
  int status = 0;
  if (!trust->context || !trust->socket)
    status = library_failed(err, STATUS_ENVIRONMENT, "cannot prepare TLS");
  if (status == 0) status = set_up(trust->context, ca_file, err);
  if (status < 0) {
    tls_trust_free(trust);
    return status;
  }
  *ret_trust = trust;
  return 0;
}

void tls_trust_free(struct tls_trust *trust) {
  if (!trust) return;
  SSL_CTX_free(trust->context);
  BIO_meth_free(trust->socket);
  free(trust);
}

/* --- a connection ---------------------------------------------------------------------------- */

static bool is_numeric(const char *name) {
  unsigned char address[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Whom the certificate must name. A name is told to the server too, as every client does. */
static bool expect_name(SSL *ssl, const char *name) {
  X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
  if (is_numeric(name)) return X509_VERIFY_PARAM_set1_ip_asc(expected, name);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(expected, name, 0) && SSL_set_tlsext_host_name(ssl, name);
}

static bool make_session(const struct tls_trust *trust, struct tls *tls, const char *name) {
  tls->ssl = SSL_new(trust->context);
  BIO *bio = tls->ssl ? BIO_new(trust->socket) : NULL;
  if (!bio) return false;
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio); /* owns it from now on */
  SSL_set_connect_state(tls->ssl);
  return expect_name(tls->ssl, name);
}

int tls_new(const struct tls_trust *trust, int fd, const char *name, struct tls **ret_tls,
            struct error *err) {
  struct tls *tls = calloc(1, sizeof *tls);
  if (!tls) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  tls->fd = fd;
  ERR_clear_error();
  if (!make_session(trust, tls, name)) {
    int status = library_failed(err, STATUS_MEMORY, "cannot begin TLS");
    tls->failed = true;
    tls_free(tls);
    return status;
  }
  *ret_tls = tls;
  return 0;
}

void tls_free(struct tls *tls) {
  if (!tls) return;
  if (tls->established && !tls->failed) {
    ERR_clear_error();
    SSL_shutdown(tls->ssl); /* what is not sent at once is not worth waiting for */
    ERR_clear_error();
  }
  SSL_free(tls->ssl);
  free(tls);
}

int tls_handshake(struct tls *tls, unsigned *ret_wants, struct error *err) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls->ssl);
  if (result != 1) return judge(tls, result, ret_wants, err);
  tls->established = true;
  *ret_wants = 0;
  return 0;
}

int tls_send(struct tls *tls, const char *bytes, size_t size, size_t *ret_sent, unsigned *ret_wants,
             struct error *err) {
  size_t sent = 0;
  unsigned wants = 0;
  ERR_clear_error();
  int result = SSL_write_ex(tls->ssl, bytes, size < RECORD_MAX ? size : RECORD_MAX, &sent);
  int status = result == 1 ? 0 : judge(tls, result, &wants, err);
  if (status < 0) return status;
  *ret_sent = result == 1 ? sent : 0;
  *ret_wants = wants;
  return 0;
}

/* Everything that is here, of however many records: what is answered to it then goes in one, and
 * the other end is given as much at once. With a record for each command both ends would go on like
 * that, at several times the cost. */
int tls_receive(struct tls *tls, char *bytes, size_t size, size_t *ret_received,
                unsigned *ret_wants, struct error *err) {
  size_t total = 0;
  unsigned wants = 0;
  int result;
  ERR_clear_error();
  do {
    size_t received = 0;
    result = SSL_read_ex(tls->ssl, bytes + total, size - total, &received);
    if (result == 1) total += received;
  } while (result == 1 && total < size && SSL_has_pending(tls->ssl));
  /* An end behind something is for the next time. */
  tls->more = total > 0 && (result == 1 ? SSL_has_pending(tls->ssl)
                                        : waits_for(SSL_get_error(tls->ssl, result)) == 0);
  int status = total > 0 ? 0 : judge(tls, result, &wants, err);
  if (status < 0) return status;
  *ret_received = total;
  *ret_wants = wants;
  return 0;
}

bool tls_pending(const struct tls *tls) {
  return tls->more;
}

bool tls_ended(const struct tls *tls) {
  return tls->ended;
}
