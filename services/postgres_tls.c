/* Certificates of one run: a CA nobody else trusts, and a server certificate a host, made by the
 * `openssl` program. Keys are files in a private directory, never arguments. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "services/postgres.h"

/* Clusters that are kept live for days; a year is long enough for any. */
#define CERTIFICATE_DAYS "365"
#define CONFIG_NAME "openssl.cnf"

static int run_openssl(const char *directory, const char *const argv[], struct error *err) {
  const struct process_spec spec = {.argv = argv, .directory = directory};
  if (!process_exists(argv[0]))
    return error_set(err, STATUS_ENVIRONMENT,
                     "cannot make certificates: openssl is missing (Debian: apt-get install "
                     "openssl)");
  int status = process_check(&spec, err);
  return status < 0 ? error_wrap(err, "cannot make certificates") : 0;
}

/* The machine's own openssl.cnf is not read: it may ask for anything. */
static int write_config(const char *directory, const struct host *const *members, uint32_t count,
                        struct error *err) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  buf_puts(&text,
           "[req]\ndistinguished_name = name\nprompt = no\n[name]\n"
           "[ca]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n"
           "subjectKeyIdentifier = hash\n");
  for (uint32_t i = 0; i < count; i++)
    buf_printf(&text,
               "[%s]\nbasicConstraints = critical,CA:FALSE\n"
               "keyUsage = critical,digitalSignature\nextendedKeyUsage = serverAuth,clientAuth\n"
               "subjectAltName = DNS:%s,IP:%s,DNS:localhost,IP:127.0.0.1\n",
               members[i]->name, members[i]->name, members[i]->address);
  int status = buf_ok(&text, err);
  if (status == 0) status = path_format(path, sizeof path, err, "%s/" CONFIG_NAME, directory);
  if (status == 0) status = file_write(path, text.data, text.length, 0600, err);
  return status;
}

static int make_certificate(const char *directory, const char *name, uint32_t serial,
                            struct error *err) {
  char key[HOST_NAME_SIZE + 8], certificate[HOST_NAME_SIZE + 8], subject[HOST_NAME_SIZE + 8];
  char number[16];
  snprintf(key, sizeof key, "%s.key", name);
  snprintf(certificate, sizeof certificate, "%s.crt", name);
  snprintf(subject, sizeof subject, "/CN=%s", name);
  snprintf(number, sizeof number, "%u", serial);
  const char *const argv[] = {
      "openssl",     "req",       "-x509", "-config",        CONFIG_NAME,
      "-extensions", name,        "-CA",   "ca.crt",         "-CAkey",
      "ca.key",      "-newkey",   "ec",    "-pkeyopt",       "ec_paramgen_curve:prime256v1",
      "-nodes",      "-sha256",   "-days", CERTIFICATE_DAYS, "-set_serial",
      number,        "-subj",     subject, "-keyout",        key,
      "-out",        certificate, NULL};
  return run_openssl(directory, argv, err);
}

int postgres_tls_make(const char *directory, const struct host *const *members, uint32_t count,
                      struct error *err) {
  static const char *const ca_argv[] = {"openssl",
                                        "req",
                                        "-x509",
                                        "-config",
                                        CONFIG_NAME,
                                        "-extensions",
                                        "ca",
                                        "-newkey",
                                        "ec",
                                        "-pkeyopt",
                                        "ec_paramgen_curve:prime256v1",
                                        "-nodes",
                                        "-sha256",
                                        "-days",
                                        CERTIFICATE_DAYS,
                                        "-subj",
                                        "/CN=gameday run",
                                        "-keyout",
                                        "ca.key",
                                        "-out",
                                        "ca.crt",
                                        NULL};
  char path[PATH_MAX];
  int status = directory_make(directory, 0700, err);
  if (status == 0 && chmod(directory, 0700) < 0)
    status = error_set_errno(err, errno, "cannot make %s private", directory);
  if (status == 0) status = write_config(directory, members, count, err);
  if (status == 0) status = run_openssl(directory, ca_argv, err);
  for (uint32_t i = 0; status == 0 && i < count; i++)
    status = make_certificate(directory, members[i]->name, i + 2, err);
  static const char *const done_with[] = {"ca.key", CONFIG_NAME};
  for (size_t i = 0; i < sizeof done_with / sizeof done_with[0]; i++)
    if (path_format(path, sizeof path, NULL, "%s/%s", directory, done_with[i]) == 0) unlink(path);
  return status;
}
