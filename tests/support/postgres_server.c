/* Making, starting and removing a test's PostgreSQL server. */
#include "support/postgres_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#define START_TIMEOUT_NS (60 * NS_PER_S)
#define EXECUTE_TIMEOUT_NS (10 * NS_PER_S)
#define ARGUMENTS_MAX 64

extern const struct driver driver_pg;

/* The server refuses to run as root: as root its programs are run by the user postgres. */
#define AS_POSTGRES "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"
static uint32_t as_postgres(const char **argv) {
  if (geteuid() != 0) return 0;
  static const char *const prefix[] = {AS_POSTGRES, "--pdeathsig=KILL"};
  uint32_t count = sizeof prefix / sizeof *prefix;
  for (uint32_t i = 0; i < count; i++) argv[i] = prefix[i];
  return count;
}

/* The newest version: the directories are named by their major numbers. */
static int find_programs(struct postgres_server *server, struct error *err) {
  glob_t found;
  int newest = -1;
  if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) {
      int version = 0;
      if (sscanf(found.gl_pathv[i], "/usr/lib/postgresql/%d/", &version) == 1 && version > newest) {
        newest = version;
      }
    }
    globfree(&found);
  }
  if (newest < 0) return error_set(err, STATUS_ENVIRONMENT, "no PostgreSQL server is installed");
  return path_format(server->programs, sizeof server->programs, err, "/usr/lib/postgresql/%d/bin",
                     newest);
}

/* A port that is free now; somebody may take it before the server does, who then fails to start. */
static int free_port(uint16_t *ret_port, struct error *err) {
  CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
    return error_set_errno(err, errno, "cannot find a free port");
  }
  *ret_port = ntohs(address.sin_port);
  return 0;
}

static int make_directory(struct postgres_server *server, struct error *err) {
  const char *parent = getenv("TMPDIR");
  int status = path_format(server->directory, sizeof server->directory, err, "%s/gd-pg-XXXXXX",
                           parent ? parent : "/tmp");
  if (status < 0) return status;
  if (!mkdtemp(server->directory)) {
    server->directory[0] = '\0';
    return error_set_errno(err, errno, "cannot make a temporary directory");
  }
  if (geteuid() != 0) return 0;
  const struct passwd *user = getpwnam("postgres");
  if (!user) return error_set(err, STATUS_ENVIRONMENT, "there is no user postgres");
  if (chown(server->directory, user->pw_uid, user->pw_gid) == 0) return 0;
  return error_set_errno(err, errno, "cannot give %s to postgres", server->directory);
}

static int run_initdb(struct postgres_server *server, struct error *err) {
  char program[128], data[160], password_file[160];
  int status = path_format(program, sizeof program, err, "%s/initdb", server->programs);
  if (status == 0) status = path_format(data, sizeof data, err, "%s/data", server->directory);
  if (status == 0) {
    status = path_format(password_file, sizeof password_file, err, "--pwfile=%s/pwfile",
                         server->directory);
  }
  if (status == 0) {
    status = file_puts(strchr(password_file, '/'), server->password, 0644, err);
  }
  if (status < 0) return status;
  const char *argv[ARGUMENTS_MAX];
  uint32_t count = as_postgres(argv);
  const char *const rest[] = {
      program,     "-D", data,   "-U",         "gameday",     "-A", "scram-sha-256",
      "--no-sync", "-E", "UTF8", "--locale=C", password_file, NULL};
  for (uint32_t i = 0; i < sizeof rest / sizeof *rest; i++) argv[count + i] = rest[i];
  struct process_spec spec = {.argv = argv, .timeout_ns = START_TIMEOUT_NS, .directory = "/"};
  return process_check(&spec, err);
}

int postgres_server_make(struct postgres_server *server, struct error *err) {
  *server = (struct postgres_server){.pid = 0};
  snprintf(server->password, sizeof server->password, "secret-%d", (int)getpid());
  int status = find_programs(server, err);
  if (status == 0) status = free_port(&server->endpoint.port, err);
  if (status == 0) status = make_directory(server, err);
  if (status == 0) status = run_initdb(server, err);
  if (status < 0) {
    postgres_server_remove(server);
    return status;
  }
  server->endpoint.name = "pg1";
  server->endpoint.address = "127.0.0.1";
  server->access = (struct access){.driver = &driver_pg,
                                   .endpoints = &server->endpoint,
                                   .endpoint_count = 1,
                                   .user = "gameday",
                                   .database = "postgres",
                                   .password = server->password};
  return 0;
}

int postgres_server_execute(const struct postgres_server *server, const char *text,
                            struct error *err) {
  return driver_pg.execute(&server->access, &server->endpoint, text, EXECUTE_TIMEOUT_NS, err);
}

/* Asks until it answers, or until it has ended. */
static int wait_started(struct postgres_server *server, bool standby, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS;
  for (;;) {
    const struct endpoint *endpoint = standby ? &server->endpoint : NULL;
    int status = driver_pg.execute(&server->access, endpoint, "SELECT 1", NS_PER_S, err);
    if (status == 0) return 0;
    if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
      server->pid = 0;
      return error_wrap(err, "PostgreSQL did not start, see %s/log", server->directory);
    }
    if (clock_now_ns(&clock_monotonic) > deadline_ns) {
      return error_wrap(err, "PostgreSQL does not answer");
    }
  }
}

int postgres_server_start(struct postgres_server *server, const char *const *options, bool standby,
                          struct error *err) {
  char program[128], data[160], port[24], log[160];
  snprintf(port, sizeof port, "port=%u", (unsigned)server->endpoint.port);
  int status = path_format(program, sizeof program, err, "%s/postgres", server->programs);
  if (status == 0) status = path_format(data, sizeof data, err, "%s/data", server->directory);
  if (status == 0) status = path_format(log, sizeof log, err, "%s/log", server->directory);
  if (status < 0) return status;
  const char *argv[ARGUMENTS_MAX];
  uint32_t count = as_postgres(argv);
  const char *const rest[] = {program,
                              "-D",
                              data,
                              "-c",
                              port,
                              "-c",
                              "listen_addresses=127.0.0.1",
                              "-c",
                              "unix_socket_directories=",
                              "-c",
                              "fsync=off",
                              "-c",
                              "max_connections=100",
                              "-c",
                              "shared_buffers=64MB"};
  for (uint32_t i = 0; i < sizeof rest / sizeof *rest; i++) argv[count++] = rest[i];
  for (uint32_t i = 0; options && options[i] && count + 1 < ARGUMENTS_MAX; i++) {
    argv[count++] = options[i];
  }
  argv[count] = NULL;
  CLEANUP_FCLOSE FILE *out = fopen(log, "ae");
  if (!out) return error_set_errno(err, errno, "cannot write %s", log);
  struct process_spec spec = {.argv = argv,
                              .stdout_fd = fileno(out),
                              .stderr_fd = fileno(out),
                              .directory = "/",
                              .dies_with_parent = true};
  status = process_start(&spec, &server->pid, err);
  if (status < 0) return status;
  return wait_started(server, standby, err);
}

void postgres_server_stop(struct postgres_server *server, int signal) {
  if (server->pid == 0) return;
  kill(server->pid, signal);
  while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) continue;
  server->pid = 0;
}

void postgres_server_remove(struct postgres_server *server) {
  postgres_server_stop(server, SIGQUIT);
  if (server->directory[0]) directory_remove(server->directory, NULL);
  server->directory[0] = '\0';
}

int postgres_server_touch(const struct postgres_server *server, const char *name,
                          struct error *err) {
  char path[256];
  int status = path_format(path, sizeof path, err, "%s/data/%s", server->directory, name);
  if (status == 0) status = file_puts(path, "", 0644, err);
  if (status < 0 || geteuid() != 0) return status;
  const struct passwd *user = getpwnam("postgres");
  if (user && chown(path, user->pw_uid, user->pw_gid) == 0) return 0;
  return error_set_errno(err, errno, "cannot give %s to postgres", path);
}
