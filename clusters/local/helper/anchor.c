/* anchor: process 1 of a world. It makes the world's mounts and network namespaces, then only
 * reaps, and with its end everything in the world ends. Asked to end (SIGTERM, which it also gets
 * when the process that made it dies) it first removes what would outlive it.
 *
 *   --id ID --run-directory DIRECTORY --registry FILE
 *   --cgroup MOUNT   of every control group hierarchy (repeatable)
 *   --host NAME      gets a network namespace (repeatable)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gameday-host.h"

#define CGROUPS_MAX 32
#define HOSTS_MAX 64 /* LOCAL_HOSTS_MAX */
#define PATH_SIZE 4096

struct anchor {
  const char *directory, *id, *run_directory, *registry;
  const char *cgroups[CGROUPS_MAX];
  int cgroup_count;
  const char *hosts[HOSTS_MAX];
  int host_count;
};

static int parse(struct anchor *anchor, int argc, char **argv) {
  errno = 0;
  for (int i = 0; i + 1 < argc; i += 2) {
    const char *option = argv[i], *value = argv[i + 1];
    if (strcmp(option, "--directory") == 0) {
      anchor->directory = value;
    } else if (strcmp(option, "--id") == 0) {
      anchor->id = value;
    } else if (strcmp(option, "--run-directory") == 0) {
      anchor->run_directory = value;
    } else if (strcmp(option, "--registry") == 0) {
      anchor->registry = value;
    } else if (strcmp(option, "--cgroup") == 0 && anchor->cgroup_count < CGROUPS_MAX) {
      anchor->cgroups[anchor->cgroup_count++] = value;
    } else if (strcmp(option, "--host") == 0 && anchor->host_count < HOSTS_MAX) {
      anchor->hosts[anchor->host_count++] = value;
    } else {
      return host_fail("anchor: %s %s", option, value);
    }
  }
  if (!anchor->directory || !anchor->id || !anchor->run_directory || !anchor->registry)
    return host_fail("anchor: an option is missing");
  return 0;
}

/* --- making the world */

static int make_directories(const char *root) {
  static const char *const names[] = {"ns",     "upper", "work",  "root",
                                      "bundle", "state", "units", "data"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", root, names[i]);
    if (mkdir(path, 0755) < 0) return host_fail("%s", path);
  }
  return 0;
}

static int prepare(const struct anchor *anchor) {
  const char *root = anchor->directory;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return host_fail("private mounts");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    return host_fail("/proc");
  if (mount("gameday", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
    return host_fail("tmpfs at %s", root);
  if (make_directories(root) != 0) return 1;
  /* Bridged packets must not pass the packet filter, whatever the machine has loaded. */
  host_switch("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
  host_switch("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0");
  host_switch("/proc/sys/net/bridge/bridge-nf-call-arptables", "0");
  host_switch("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  host_switch("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (own < 0) return host_fail("/proc/self/ns/net");
  for (int i = 0; i < anchor->host_count; i++) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/ns/%s", root, anchor->hosts[i]);
    if (host_netns(path) != 0) return 1;
  }
  if (setns(own, CLONE_NEWNET) < 0) return host_fail("back to the switch's namespace");
  close(own);
  return 0;
}

/* --- removing it */

/* Calls `visit` for the control group and, first, for all below it. */
static void walk_groups(const char *path, void (*visit)(const char *path)) {
  DIR *directory = opendir(path);
  if (!directory) return;
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    char child[PATH_SIZE];
    int length = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
    if (length > 0 && (size_t)length < sizeof child) walk_groups(child, visit);
  }
  closedir(directory);
  visit(path);
}

static void thaw_group(const char *path) {
  char file[PATH_SIZE + 32];
  snprintf(file, sizeof file, "%s/freezer.state", path);
  host_switch(file, "THAWED");
  snprintf(file, sizeof file, "%s/cgroup.freeze", path);
  host_switch(file, "0");
}

static void remove_group(const char *path) {
  rmdir(path);
}

static void each_group(const struct anchor *anchor, void (*visit)(const char *path)) {
  for (int i = 0; i < anchor->cgroup_count; i++) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/gameday-%s", anchor->cgroups[i], anchor->id);
    walk_groups(path, visit);
  }
}

static bool any_group_left(const struct anchor *anchor) {
  for (int i = 0; i < anchor->cgroup_count; i++) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/gameday-%s", anchor->cgroups[i], anchor->id);
    if (access(path, F_OK) == 0) return true;
  }
  return false;
}

static void remove_files(const struct anchor *anchor) {
  char path[PATH_SIZE];
  for (int i = 0; i < anchor->host_count; i++) {
    snprintf(path, sizeof path, "%s/disks/%s.img", anchor->run_directory, anchor->hosts[i]);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/disks", anchor->run_directory);
  rmdir(path);
  snprintf(path, sizeof path, "%s/cluster.json", anchor->run_directory);
  unlink(path);
  unlink(anchor->registry);
}

/* Everything but ourselves; the kernel ends us with whatever should resist. */
static void remove_world(const struct anchor *anchor) {
  each_group(anchor, thaw_group); /* a frozen process does not die */
  do kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
  for (int attempt = 0; attempt < 1000 && any_group_left(anchor); attempt++) {
    each_group(anchor, remove_group);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  remove_files(anchor);
}

/* --- */

/* Standard output is a pipe to who made us: "ok" says that the world is there. If the maker is gone
 * already the write fails, and so do we: the parent-death signal was then set too late. */
int host_anchor(int argc, char **argv) {
  /* Blocked from the start: an unblocked signal without a handler is lost on a process 1. */
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGTERM);
  signal(SIGCHLD, SIG_DFL);
  static struct anchor anchor;
  if (parse(&anchor, argc, argv) != 0) return 1;
  prctl(PR_SET_NAME, "gameday-anchor");
  if (prepare(&anchor) != 0) return 1;
  if (write(STDOUT_FILENO, "ok\n", 3) != 3) return host_fail("report");
  host_silence();
  for (;;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    int number = 0;
    if (sigwait(&awaited, &number) == 0 && number == SIGTERM) break;
  }
  remove_world(&anchor);
  return 0;
}
