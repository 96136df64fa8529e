/* gameday-host: the one program of gameday that runs inside a local world. It is static and
 * embedded in the library, so that it runs whatever the hosts' image is; no libc or shell need be
 * there.
 *
 *   gameday-host anchor OPTIONS                         process 1 of a world; anchor.c
 *   gameday-host netns FILE                             a new network namespace, pinned at FILE
 *   gameday-host init                                   process 1 of a host: reaps
 *   gameday-host enter OPTIONS -- PROGRAM ARGUMENT...   a program on a host; enter.c
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

void host_switch(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, value, strlen(value));
  (void)written;
  close(fd);
}

void host_silence(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  close(null);
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

int host_netns(const char *path) {
  umount2(path, MNT_DETACH); /* of the host's life before */
  int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return host_fail("%s", path);
  close(fd);
  if (unshare(CLONE_NEWNET) < 0) return host_fail("a network namespace");
  /* Nothing here speaks IPv6; its address detection would only delay the link. */
  host_switch("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  host_switch("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  if (loopback_up() != 0) return 1;
  if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0) return host_fail("pin %s", path);
  return 0;
}

/* Whoever started us may ignore or block signals; what runs on a host must not inherit that. */
static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Reaps at once whatever ends: a late reaper would delay the end of the host's other processes. */
static _Noreturn void init(void) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  host_silence();
  for (;;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    int number = 0;
    sigwait(&child, &number);
  }
}

int main(int argc, char **argv) {
  /* Its maker has blocked all signals, and that is what it wants. */
  if (argc >= 2 && strcmp(argv[1], "anchor") == 0) return host_anchor(argc - 2, argv + 2);
  reset_signals();
  if (argc == 2 && strcmp(argv[1], "init") == 0) init();
  if (argc == 3 && strcmp(argv[1], "netns") == 0) return host_netns(argv[2]);
  if (argc >= 3 && strcmp(argv[1], "enter") == 0) return host_enter(argc - 2, argv + 2);
  errno = 0;
  return host_fail("wrong arguments");
}
