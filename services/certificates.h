/* The certificates of a service for one run: a CA that nobody else trusts, and one of each host. */
#ifndef GAMEDAY_SERVICES_CERTIFICATES_H
#define GAMEDAY_SERVICES_CERTIFICATES_H

#include "gameday/service.h"

/* Makes a CA and a key and certificate for each of the members in `directory` (0700, made here):
 * ca.crt, NAME.crt, NAME.key. The CA's key is removed again: nobody can sign later. A certificate
 * holds for the host's name, its address, localhost and 127.0.0.1, of a server and of a client.
 * STATUS_ENVIRONMENT: there is no openssl program. */
int certificates_make(const char *directory, const struct host *const *members, uint32_t count,
                      struct error *err);
/* Puts ca.crt, server.crt (0644) and server.key (0600) for the user `owner` into the directory `to`
 * of a member's host, from `directory`, where the host's own do not stay. */
int certificates_put(struct service_instance *service, uint32_t member, const char *directory,
                     const char *to, const char *owner, struct error *err);

#endif
