/* Certificates of one run, made by the `openssl` program. Keys are files in private directories,
 * never arguments. */
#include "services/certificates.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

/* Clusters that are kept live for days; a year is long enough for any. */
#define CERTIFICATE_DAYS "365"
#define CONFIG_NAME "openssl.cnf"
#define FILE_MAX (1u << 20)

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

int certificates_make(const char *directory, const struct host *const *members, uint32_t count,
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

/* Moves one file to a host; what is the host's own does not stay behind. */
static int put_file(struct service_instance *service, uint32_t member, const char *from,
                    const char *to, mode_t mode, const char *owner, struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = file_read(from, FILE_MAX, &content, err);
  if (status == 0)
    status = service->cluster->provider->file_put(service->cluster, service->members[member], to,
                                                  content.data, content.length, mode, owner, err);
  if (content.length > 0) explicit_bzero(content.data, content.length);
  return status;
}

int certificates_put(struct service_instance *service, uint32_t member, const char *directory,
                     const char *to, const char *owner, struct error *err) {
  const char *name = service->members[member]->name;
  const struct {
    const char *from, *suffix, *to;
    mode_t mode;
  } files[] = {{"ca", "crt", "ca.crt", 0644},
               {name, "crt", "server.crt", 0644},
               {name, "key", "server.key", 0600}};
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof files / sizeof files[0]; i++) {
    char here[PATH_MAX], there[PATH_MAX];
    status =
        path_format(here, sizeof here, err, "%s/%s.%s", directory, files[i].from, files[i].suffix);
    if (status == 0) status = path_format(there, sizeof there, err, "%s/%s", to, files[i].to);
    if (status == 0) status = put_file(service, member, here, there, files[i].mode, owner, err);
    if (status == 0 && i > 0) unlink(here);
  }
  return status;
}
