/* A certificate authority of a test's own, with certificates for hosts and servers that show them.
 * Failures abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_AUTHORITY_H
#define GAMEDAY_TESTS_SUPPORT_AUTHORITY_H

#include <openssl/ssl.h>

#include "plugin/tls.h"

#define AUTHORITY_HOSTS_MAX 4u

struct authority {
  char directory[64];
  struct tls_trust *trust;               /* in it */
  SSL_CTX *servers[AUTHORITY_HOSTS_MAX]; /* by host */
};

/* For the hosts "redis1" to "redis4", each at 127.0.0.1. Skips the test where there is no openssl
 * program. */
void authority_make(struct authority *authority);
void authority_remove(struct authority *authority);

#endif
