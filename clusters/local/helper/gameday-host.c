/* gameday-host: the one program of gameday that runs inside a local world. It is static and embedded
 * in the library, so that it runs whatever the hosts' image is. Nothing here trusts that a libc or a
 * shell is there.
 *
 *   gameday-host anchor DIRECTORY HOST...   process 1 of a world: makes and holds it, reaps
 *   gameday-host netns FILE                 a fresh network namespace pinned at FILE
 *   gameday-host init                       process 1 of a host: reaps
 *   gameday-host enter OPTIONS -- PROGRAM ARGUMENT...   a program on a host
 */
#include "gameday-host.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int host_fail(const char *format, ...) {
  int saved = errno;
  va_list args;
  va_start(args, format);
  fputs("gameday-host: ", stderr);
  vfprintf(stderr, format, args);
  va_end(args);
  if (saved) fprintf(stderr, ": %s", strerror(saved));
  fputc('\n', stderr);
  return 1;
}

/* The harness may ignore or block signals; what runs on a host must not inherit that. */
static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Reaps at once whatever ends, for ever. A reaper that is late delays the end of every process
 * namespace below it. */
static _Noreturn void reap_forever(void) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  for (;;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    int number = 0;
    sigwait(&child, &number);
  }
}

static void write_if_there(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, text, strlen(text));
  (void)written; /* a switch that the kernel does not have is off */
  close(fd);
}

static int loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return host_fail("socket");
  struct ifreq request = {.ifr_flags = IFF_UP};
  memcpy(request.ifr_name, "lo", sizeof "lo");
  int result = ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
  return result < 0 ? host_fail("lo up") : 0;
}

/* Moves into a new network namespace and pins it at `path`, so that it lives without a process. */
static int netns_make(const char *path) {
  umount2(path, MNT_DETACH); /* of the host's life before */
  int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return host_fail("%s", path);
  close(fd);
  if (unshare(CLONE_NEWNET) < 0) return host_fail("a network namespace");
  /* Nothing here speaks IPv6; its address detection would only delay the link. */
  write_if_there("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  write_if_there("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  if (loopback_up() != 0) return 1;
  if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0) return host_fail("pin %s", path);
  return 0;
}

static int make_directories(const char *root) {
  static const char *const names[] = {"ns",     "upper", "work",  "root",
                                      "bundle", "state", "units", "data"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, names[i]);
    if (mkdir(path, 0755) < 0) return host_fail("%s", path);
  }
  return 0;
}

static int anchor_prepare(const char *root, char **hosts) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return host_fail("private mounts");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    return host_fail("/proc");
  if (mount("gameday", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
    return host_fail("tmpfs at %s", root);
  if (make_directories(root) != 0) return 1;
  /* Bridged packets must not pass the packet filter, whatever the machine has loaded. */
  write_if_there("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
  write_if_there("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0");
  write_if_there("/proc/sys/net/bridge/bridge-nf-call-arptables", "0");
  write_if_there("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  write_if_there("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (own < 0) return host_fail("/proc/self/ns/net");
  for (; *hosts; hosts++) {
    char path[512];
    snprintf(path, sizeof path, "%s/ns/%s", root, *hosts);
    if (netns_make(path) != 0) return 1;
  }
  if (setns(own, CLONE_NEWNET) < 0) return host_fail("back to the switch's namespace");
  close(own);
  return 0;
}

/* Standard output is a pipe to who made us: "ok" says that the world is there. If the maker is gone
 * already the write fails, and so do we: the parent-death signal was then set too late. */
static int anchor(int count, char **arguments) {
  if (count < 1) return host_fail("anchor: no directory");
  if (anchor_prepare(arguments[0], arguments + 1) != 0) return 1;
  if (write(STDOUT_FILENO, "ok\n", 3) != 3) return host_fail("report");
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return host_fail("/dev/null");
  dup2(null, STDOUT_FILENO);
  dup2(null, STDERR_FILENO);
  close(null);
  reap_forever();
}

int main(int argc, char **argv) {
  reset_signals();
  if (argc >= 2 && strcmp(argv[1], "anchor") == 0) return anchor(argc - 2, argv + 2);
  if (argc == 2 && strcmp(argv[1], "init") == 0) reap_forever();
  if (argc == 3 && strcmp(argv[1], "netns") == 0) return netns_make(argv[2]);
  if (argc >= 3 && strcmp(argv[1], "enter") == 0) return host_enter(argc - 2, argv + 2);
  errno = 0;
  return host_fail("wrong arguments");
}
