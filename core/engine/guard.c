/* The guard process, and the clean-up that it shares with `gameday heal`. */
#include "engine/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "engine/journal.h"

#define OPEN_FAULTS_MAX 256
#define DISMISSED 'q'

static const struct injector *find_injector(const struct scenario_tables *tables,
                                            const char *name) {
  for (const struct injector *const *row = tables->injectors; *row; row++)
    if (strcmp((*row)->plugin.name, name) == 0) return *row;
  return NULL;
}

static const struct host *find_host(const struct cluster *cluster, const char *name) {
  for (uint32_t i = 0; i < cluster->host_count; i++)
    if (strcmp(cluster->hosts[i].name, name) == 0) return &cluster->hosts[i];
  return NULL;
}

static const char *or_null(const char *text) {
  return *text ? text : NULL;
}

/* Heals one fault from the journal alone. Its configuration is not needed: what heal() needs is the
 * host, the process and the injector's note. */
static int heal_fault(const struct scenario_tables *tables, struct cluster *cluster,
                      const struct journal_fault *fault, struct error *err) {
  const struct injector *injector = find_injector(tables, fault->injector);
  if (!injector)
    return error_set(err, STATUS_USAGE, "the journal names the injector '%s', which is unknown",
                     fault->injector);
  const struct service_process process = {.name = fault->process,
                                          .match = {.program = or_null(fault->program),
                                                    .argument = or_null(fault->argument),
                                                    .unit = or_null(fault->match_unit),
                                                    .tree = fault->tree},
                                          .unit = or_null(fault->unit)};
  struct injection in = {.injector = injector,
                         .fault = fault->fault,
                         .cluster = cluster,
                         .host = find_host(cluster, fault->host),
                         .process = fault->process[0] ? &process : NULL};
  if (fault->host[0] != '\0' && !in.host)
    return error_set(err, STATUS_USAGE, "the journal names the host '%s', which is unknown",
                     fault->host);
  memcpy(in.note, fault->note, sizeof in.note);
  struct journal journal;
  int status = injector->heal(&in, err);
  if (status < 0) return error_wrap(err, "healing %s on %s", fault->injector, fault->host);
  status = journal_open(&journal, cluster->run_directory, err);
  if (status < 0) return status;
  status = journal_write(&journal, &in, JOURNAL_HEALED, err);
  journal_close(&journal);
  return status;
}

static int heal_all(const struct guard_spec *spec, uint32_t *ret_healed, struct error *err) {
  struct journal_fault faults[OPEN_FAULTS_MAX];
  uint32_t count = 0;
  int status = journal_read_open(spec->run_directory, faults, OPEN_FAULTS_MAX, &count, err);
  if (status < 0 || count == 0) return status;
  struct cluster *cluster = NULL;
  status = spec->provider->attach(spec->run_directory, &cluster, err);
  if (status < 0) return status;
  int first = 0;
  for (uint32_t i = count; i-- > 0;) { /* the last one first */
    struct error one = ERROR_INIT;
    status = heal_fault(spec->tables, cluster, &faults[i], &one);
    if (status == 0) {
      (*ret_healed)++;
    } else if (first == 0) {
      first = status;
      if (err) *err = one;
    }
  }
  spec->provider->detach(cluster);
  return first;
}

int guard_remove_cluster(const struct provider *provider, const char *run_directory,
                         const char *cluster_id, struct error *err) {
  char path[PATH_MAX];
  int status = provider->destroy(run_directory, cluster_id, err);
  if (status == 0) status = path_format(path, sizeof path, err, "%s/secrets", run_directory);
  if (status == 0) status = directory_remove(path, err);
  return status;
}

int guard_clean_up(const struct guard_spec *spec, bool keep, uint32_t *ret_healed,
                   struct error *err) {
  uint32_t healed = 0;
  int status =
      keep ? heal_all(spec, &healed, err)
           : guard_remove_cluster(spec->provider, spec->run_directory, spec->cluster_id, err);
  if (ret_healed) *ret_healed = healed;
  return status;
}

/* What the guard did goes to guard.log: nobody may be left to read its stderr. */
static void note(const char *run_directory, const char *text) {
  char path[PATH_MAX], line[ERROR_MESSAGE_SIZE + 64], when[32];
  if (path_format(path, sizeof path, NULL, "%s/guard.log", run_directory) < 0) return;
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  clock_format_wall(clock_wall_ns(), when);
  snprintf(line, sizeof line, "%s %s\n", when, text);
  if (fd >= 0) (void)file_write_all(fd, line, strlen(line), path, NULL);
}

static bool clean_up_after_death(const struct guard_spec *spec) {
  note(spec->run_directory, "the run did not end in order: removing what it made");
  for (int try = 0; try < 3; try++) {
    struct error err = ERROR_INIT;
    char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
    if (guard_clean_up(spec, false, NULL, &err) == 0) {
      note(spec->run_directory, "removed");
      return true;
    }
    error_format(&err, text, sizeof text);
    note(spec->run_directory, text);
  }
  note(spec->run_directory, "gave up; run `gameday heal` on this directory");
  return false;
}

/* The child: waits for a byte (dismissed) or the end of the pipe. Keeps nothing of its parent open,
 * and is in a session of its own, so that a terminal's Ctrl-C and hang-up pass it by. */
static _Noreturn void guard_main(int fd, const struct guard_spec *spec) {
  prctl(PR_SET_NAME, "gameday-guard");
  setsid();
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  if (chdir("/") < 0) note(spec->run_directory, "cannot change to /");
  /* The pipe first: where the harness was started without standard input or output, it is on one
   * of their numbers, and would be taken for broken. */
  if (fd != 3 && dup2(fd, 3) == 3) fd = 3;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i <= 2 && null >= 0; i++)
    if (i != fd) dup2(null, i);
  close_range(fd == 3 ? 4 : (unsigned)fd + 1, ~0U, 0);
  char byte = 0;
  ssize_t got;
  do got = read(fd, &byte, 1);
  while (got < 0 && errno == EINTR);
  bool dismissed = got == 1 && byte == DISMISSED;
  _exit(dismissed || clean_up_after_death(spec) ? 0 : 1);
}

int guard_start(const struct guard_spec *spec, struct guard *ret_guard, struct error *err) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return error_set_errno(err, errno, "cannot make the guard's pipe");
  pid_t pid = fork();
  if (pid < 0) {
    int errnum = errno;
    close(ends[0]);
    close(ends[1]);
    return error_set_errno(err, errnum, "cannot fork the guard");
  }
  if (pid == 0) {
    close(ends[1]);
    guard_main(ends[0], spec);
  }
  close(ends[0]);
  *ret_guard = (struct guard){.pid = pid, .fd = ends[1]};
  return 0;
}

/* Returns how the guard ended, as of waitpid(); 0 where there is none. */
static int guard_end(struct guard *guard, bool dismissed) {
  if (guard->pid == 0) return 0;
  char byte = DISMISSED;
  if (dismissed && write(guard->fd, &byte, 1) != 1) {
    /* The guard is gone already: there is nobody to dismiss. */
  }
  close(guard->fd);
  int how = 0;
  pid_t pid;
  do pid = waitpid(guard->pid, &how, 0);
  while (pid < 0 && errno == EINTR);
  *guard = (struct guard){.fd = -1};
  return pid < 0 ? -1 : how;
}

void guard_dismiss(struct guard *guard) {
  (void)guard_end(guard, true);
}

int guard_trip(struct guard *guard, const char *run_directory, struct error *err) {
  if (guard_end(guard, false) == 0) return 0;
  return error_set(err, STATUS_SERVER,
                   "the cluster could not be removed (%s/guard.log says why); once that is mended: "
                   "gameday heal %s",
                   run_directory, run_directory);
}
