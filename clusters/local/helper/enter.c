/* enter: runs a program on a host as if a login had started it there: in the host's namespaces and
 * control groups, as a user of the host, with a clean environment and few capabilities.
 *
 *   --pid N        the host's process 1, as the world numbers it
 *   --cgroup DIR   join this control group (repeatable)
 *   --user NAME    of the host's /etc/passwd; default root
 *   --env K=V      added to the clean environment (repeatable)
 *   --log FILE     standard output and error are appended to it
 *   --detach       do not wait: print the process's number inside the host
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gameday-host.h"

#define CGROUPS_MAX 32
#define ENV_MAX 128
#define GROUPS_MAX 64

struct entry {
  pid_t init;
  int cgroups[CGROUPS_MAX]; /* open cgroup.procs files */
  int cgroup_count;
  const char *user;
  const char *log;
  char *env[ENV_MAX + 1];
  int env_count;
  bool detach;
  char **program;
  uid_t uid;
  gid_t gid;
  gid_t groups[GROUPS_MAX];
  int group_count;
};

static int add_env(struct entry *entry, const char *key, const char *value) {
  if (entry->env_count >= ENV_MAX) return host_fail("more than %d variables", ENV_MAX);
  size_t size = strlen(key) + strlen(value) + 2;
  char *text = malloc(size);
  if (!text) return host_fail("memory");
  snprintf(text, size, "%s%s%s", key, *key ? "=" : "", value);
  entry->env[entry->env_count++] = text;
  return 0;
}

static int add_cgroup(struct entry *entry, const char *directory) {
  if (entry->cgroup_count >= CGROUPS_MAX) return host_fail("more than %d cgroups", CGROUPS_MAX);
  char path[1024];
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return host_fail("%s", path);
  entry->cgroups[entry->cgroup_count++] = fd;
  return 0;
}

static int parse(struct entry *entry, int argc, char **argv) {
  int i = 0;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--detach") == 0) {
      entry->detach = true;
      continue;
    }
    errno = 0;
    if (i + 1 >= argc) return host_fail("%s needs a value", argv[i]);
    const char *option = argv[i++], *value = argv[i];
    int result = 0;
    if (strcmp(option, "--pid") == 0) {
      entry->init = (pid_t)strtol(value, NULL, 10);
    } else if (strcmp(option, "--user") == 0) {
      entry->user = value;
    } else if (strcmp(option, "--log") == 0) {
      entry->log = value;
    } else if (strcmp(option, "--env") == 0) {
      result = add_env(entry, "", value);
    } else if (strcmp(option, "--cgroup") == 0) {
      result = add_cgroup(entry, value);
    } else {
      return host_fail("unknown option %s", option);
    }
    if (result != 0) return result;
  }
  errno = 0;
  if (i + 1 >= argc || entry->init <= 0) return host_fail("enter: no program or no process");
  entry->program = argv + i + 1;
  return 0;
}

/* Supplementary groups: every line of /etc/group that lists the user. */
static void read_groups(struct entry *entry) {
  entry->groups[entry->group_count++] = entry->gid;
  FILE *file = fopen("/etc/group", "re");
  if (!file) return;
  char line[4096];
  while (fgets(line, sizeof line, file) && entry->group_count < GROUPS_MAX) {
    line[strcspn(line, "\n")] = 0;
    char *rest = line;
    strsep(&rest, ":");
    strsep(&rest, ":");
    const char *number = strsep(&rest, ":");
    if (!rest || !number) continue;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
      if (strcmp(name, entry->user) != 0) continue;
      entry->groups[entry->group_count++] = (gid_t)strtoul(number, NULL, 10);
      break;
    }
  }
  fclose(file);
}

/* By the host's own /etc/passwd; our libc's lookups would need its plug-ins there. */
static int read_user(struct entry *entry) {
  char line[4096], home[1024] = "/";
  bool found = strcmp(entry->user, "root") == 0; /* even in an image without the file */
  FILE *file = fopen("/etc/passwd", "re");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *rest = line;
    const char *name = strsep(&rest, ":");
    if (!name || strcmp(name, entry->user) != 0) continue;
    strsep(&rest, ":");
    const char *uid = strsep(&rest, ":"), *gid = strsep(&rest, ":");
    strsep(&rest, ":");
    const char *directory = strsep(&rest, ":");
    if (!uid || !gid || !directory) continue;
    entry->uid = (uid_t)strtoul(uid, NULL, 10);
    entry->gid = (gid_t)strtoul(gid, NULL, 10);
    snprintf(home, sizeof home, "%s", directory);
    found = true;
    break;
  }
  if (file) fclose(file);
  errno = 0;
  if (!found) return host_fail("this host has no user '%s'", entry->user);
  read_groups(entry);
  if (add_env(entry, "HOME", home) != 0) return 1;
  return add_env(entry, "USER", entry->user);
}

/* What a service may do on its host; as a container runtime would grant it. */
static const int kept_capabilities[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,           CAP_KILL,
    CAP_SETGID, CAP_SETUID,       CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT};

static int drop_capabilities(void) {
  uint64_t kept = 0;
  for (size_t i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++)
    kept |= UINT64_C(1) << kept_capabilities[i];
  for (int number = 0; number < 64; number++)
    if (!(kept >> number & 1) && prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1 &&
        prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
      return host_fail("drop capability %d", number);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) < 0) return host_fail("capget");
  for (int word = 0; word < 2; word++) {
    uint32_t mask = (uint32_t)(kept >> (32 * word));
    data[word].effective &= mask;
    data[word].permitted &= mask;
    data[word].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) < 0) return host_fail("capset");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return host_fail("no_new_privs");
  return 0;
}

static int redirect(int log) {
  if (log < 0) return 0;
  if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) return host_fail("log");
  return 0;
}

/* Inside the host: becomes the user and the program. Returns only on failure. */
static int become(const struct entry *entry, int log) {
  /* Only now: until here a frozen host must not be able to hold us. */
  for (int i = 0; i < entry->cgroup_count; i++)
    if (write(entry->cgroups[i], "0", 1) != 1) return host_fail("join a cgroup");
  if (entry->detach) setsid();
  if (chdir("/") < 0) return host_fail("/");
  umask(022);
  if (setgroups((size_t)entry->group_count, entry->groups) < 0 ||
      setresgid(entry->gid, entry->gid, entry->gid) < 0)
    return host_fail("groups of %s", entry->user);
  if (drop_capabilities() != 0) return 1;
  if (entry->uid != 0 && setresuid(entry->uid, entry->uid, entry->uid) < 0)
    return host_fail("user %s", entry->user);
  /* After the change of user, which clears it. */
  if (!entry->detach && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
    return host_fail("parent-death signal");
  environ = (char **)entry->env;
  if (!entry->detach) {
    execvp(entry->program[0], entry->program);
    host_fail("%s", entry->program[0]);
    return errno == ENOENT ? 127 : 126;
  }
  /* Messages of a failed start belong to whoever asked; so the log comes last. */
  int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (redirect(log) != 0) return 1;
  execvp(entry->program[0], entry->program);
  int saved = errno;
  if (terminal >= 0) dup2(terminal, STDERR_FILENO);
  errno = saved;
  return host_fail("%s", entry->program[0]);
}

static int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The process in between ends at once, so that the host's own process 1 becomes the parent. */
static int run_detached(const struct entry *entry, int log) {
  int alive[2]; /* closed by a successful exec */
  if (pipe2(alive, O_CLOEXEC) < 0) return host_fail("pipe");
  pid_t between = fork();
  if (between < 0) return host_fail("fork");
  if (between == 0) {
    close(alive[0]);
    pid_t program = fork();
    if (program < 0) _exit(host_fail("fork"));
    if (program == 0) {
      int code = become(entry, log);
      ssize_t written = write(alive[1], "x", 1);
      (void)written; /* the reader is gone only when nobody asks any more */
      _exit(code);
    }
    printf("%d\n", (int)program);
    fflush(stdout);
    _exit(0);
  }
  close(alive[1]);
  int status = 0;
  while (waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  char byte;
  ssize_t got;
  while ((got = read(alive[0], &byte, 1)) < 0 && errno == EINTR) {
  }
  return got == 0 ? exit_code(status) : 1;
}

static int run_attached(const struct entry *entry) {
  pid_t program = fork();
  if (program < 0) return host_fail("fork");
  if (program == 0) _exit(become(entry, -1));
  int status = 0;
  while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code(status);
}

int host_enter(int argc, char **argv) {
  static struct entry entry = {.user = "root"};
  if (add_env(&entry, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") !=
          0 ||
      add_env(&entry, "LANG", "C.UTF-8") != 0)
    return 1;
  if (parse(&entry, argc, argv) != 0 || !entry.program) return 1;
  int log = -1;
  if (entry.log) {
    log = open(entry.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (log < 0) return host_fail("%s", entry.log);
  }
  int host = (int)syscall(SYS_pidfd_open, entry.init, 0);
  if (host < 0) return host_fail("the host's process 1");
  if (setns(host, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID |
                      CLONE_NEWCGROUP) < 0)
    return host_fail("the host's namespaces");
  close(host);
  if (read_user(&entry) != 0) return 1;
  /* Looked up in the host's PATH, not in ours. */
  setenv("PATH", entry.env[0] + strlen("PATH="), 1);
  return entry.detach ? run_detached(&entry, log) : run_attached(&entry);
}
