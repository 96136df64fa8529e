/* Certificates for tests, made as those of a run are. */
#include "support/authority.h"

#include "base/file.h"
#include "base/process.h"
#include "services/certificates.h"
#include "support/test.h"

static const struct host hosts[AUTHORITY_HOSTS_MAX] = {
    {.name = "redis1", .address = "127.0.0.1"},
    {.name = "redis2", .address = "127.0.0.1"},
    {.name = "redis3", .address = "127.0.0.1"},
    {.name = "redis4", .address = "127.0.0.1"},
};
static const struct host *const members[AUTHORITY_HOSTS_MAX] = {&hosts[0], &hosts[1], &hosts[2],
                                                                &hosts[3]};

static SSL_CTX *make_server(const char *directory, const char *name) {
  char certificate[128], key[128];
  snprintf(certificate, sizeof certificate, "%s/%s.crt", directory, name);
  snprintf(key, sizeof key, "%s/%s.key", directory, name);
  SSL_CTX *server = SSL_CTX_new(TLS_server_method());
  assert_non_null(server);
  assert_int_equal(SSL_CTX_use_certificate_chain_file(server, certificate), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey_file(server, key, SSL_FILETYPE_PEM), 1);
  return server;
}

void authority_make(struct authority *authority) {
  struct error err = ERROR_INIT;
  char ca[128];
  if (!process_exists("openssl")) skip_because("the program openssl is not installed");
  *authority = (struct authority){.directory = "/tmp/gameday-unit-XXXXXX"};
  assert_non_null(mkdtemp(authority->directory));
  assert_ok(certificates_make(authority->directory, members, AUTHORITY_HOSTS_MAX, &err), &err);
  snprintf(ca, sizeof ca, "%s/ca.crt", authority->directory);
  assert_ok(tls_trust_new(ca, &authority->trust, &err), &err);
  for (uint32_t i = 0; i < AUTHORITY_HOSTS_MAX; i++) {
    authority->servers[i] = make_server(authority->directory, hosts[i].name);
  }
}

void authority_remove(struct authority *authority) {
  for (uint32_t i = 0; i < AUTHORITY_HOSTS_MAX; i++) SSL_CTX_free(authority->servers[i]);
  tls_trust_free(authority->trust);
  directory_remove(authority->directory, NULL);
}
