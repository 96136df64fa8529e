/* Whether this machine can carry local hosts. What cannot be told by looking is tried in namespaces
 * that vanish with the process that tries. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "filter.h"
#include "local.h"
#include "netlink.h"

static bool has_capability(int number) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) < 0) return false;
  return data[number / 32].effective >> (number % 32) & 1;
}

const char *local_probe_runtime(const struct local_cgroups *cgroups) {
  if (process_exists("runc")) return "runc";
  /* crun wants control groups of version 2 alone, and raises a limit of its own memory. */
  bool fits_crun = cgroups->unified && has_capability(CAP_SYS_RESOURCE);
  return fits_crun && process_exists("crun") ? "crun" : NULL;
}

int local_probe_loop(struct error *err) {
  static const char hint[] =
      "loop devices are missing (modprobe loop; in a container: run it with "
      "--privileged and /dev), or set storage: tmpfs";
  CLEANUP_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
  char path[32];
  snprintf(path, sizeof path, "/dev/loop%d", number);
  if (number < 0 || access(path, R_OK | W_OK) < 0)
    return error_set(err, STATUS_ENVIRONMENT, "%s", hint);
  return 0;
}

enum trial { TRIAL_OK, TRIAL_NAMESPACES, TRIAL_MOUNT, TRIAL_OVERLAY, TRIAL_BRIDGE };

/* In a child: no memory is allocated here. */
static enum trial try_world(const char *image) {
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
    return TRIAL_NAMESPACES;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("gameday", "/tmp", "tmpfs", 0, "mode=0700,size=1m") < 0)
    return TRIAL_MOUNT;
  char options[PATH_MAX + 64];
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=/tmp/upper,workdir=/tmp/work", image);
  if (mkdir("/tmp/upper", 0755) < 0 || mkdir("/tmp/work", 0755) < 0 || mkdir("/tmp/root", 0755) < 0)
    return TRIAL_MOUNT;
  if (mount("overlay", "/tmp/root", "overlay", 0, options) < 0) return TRIAL_OVERLAY;
  int fd = -1;
  if (netlink_open(&fd, NULL) < 0 || netlink_bridge_add(fd, "gd0", NULL) < 0) return TRIAL_BRIDGE;
  return TRIAL_OK;
}

static int probe_world(const char *image, struct error *err) {
  pid_t pid = fork();
  if (pid < 0) return error_set_errno(err, errno, "cannot fork");
  if (pid == 0) _exit((int)try_world(image));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  switch (WIFEXITED(status) ? WEXITSTATUS(status) : -1) {
    case TRIAL_OK: return 0;
    case TRIAL_NAMESPACES:
      return error_set(
          err, STATUS_ENVIRONMENT,
          "namespaces are missing: this process may not make them (CAP_SYS_ADMIN); in a "
          "container, run it with --privileged");
    case TRIAL_MOUNT:
      return error_set(err, STATUS_ENVIRONMENT,
                       "mounting is not allowed here: in a container, run it with --privileged");
    case TRIAL_OVERLAY:
      return error_set(err, STATUS_ENVIRONMENT,
                       "an overlay over %s cannot be mounted: modprobe overlay, or set image to a "
                       "root directory on a disk",
                       image);
    case TRIAL_BRIDGE:
      return error_set(err, STATUS_ENVIRONMENT,
                       "network bridges are missing: modprobe bridge veth");
    default: return error_set(err, STATUS_INTERNAL, "the trial of namespaces died");
  }
}

static int probe_image(const char *image, struct error *err) {
  struct stat info;
  if (image[0] != '/' || strpbrk(image, ",:\\"))
    return error_set(err, STATUS_USAGE, "image '%s' is no absolute path without , : and \\", image);
  if (stat(image, &info) < 0 || !S_ISDIR(info.st_mode))
    return error_set(err, STATUS_ENVIRONMENT, "image %s is no directory", image);
  return 0;
}

int local_probe(const void *configuration, struct error *err) {
  const struct local_config *config = configuration;
  const char *image = config->image ? config->image : "/";
  if (geteuid() != 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "root is missing: local hosts need namespaces and mounts; run with sudo");
  struct local_cgroups cgroups;
  int status = local_cgroups_find(&cgroups, err);
  if (status < 0) return status;
  if (access(cgroups.main, W_OK) < 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s is read-only: in a container, run it with --privileged --cgroupns=host",
                     cgroups.main);
  if (!local_probe_runtime(&cgroups))
    return error_set(err, STATUS_ENVIRONMENT,
                     "a container runtime is missing: apt-get install runc");
  if (config->storage != LOCAL_STORAGE_TMPFS && !process_exists("mkfs.ext4"))
    return error_set(err, STATUS_ENVIRONMENT, "mkfs.ext4 is missing: apt-get install e2fsprogs");
  if (access("/etc/hosts", F_OK) < 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "/etc/hosts is missing, over which clients get the hosts' names: touch "
                     "/etc/hosts");
  if (config->storage == LOCAL_STORAGE_LOOP) status = local_probe_loop(err);
  if (status == 0) status = probe_image(image, err);
  return status < 0 ? status : probe_world(image, err);
}

struct trial_call {
  struct error *err;
  int status;
};

/* In a network namespace that ends with this thread. */
static void *try_filter(void *data) {
  struct trial_call *call = data;
  if (unshare(CLONE_NEWNET) < 0)
    call->status = error_set_errno(call->err, errno, "a network namespace");
  else
    call->status = filter_probe(call->err);
  return NULL;
}

int local_probe_can(const void *config, uint32_t capabilities, struct error *err) {
  struct trial_call call = {.err = err};
  pthread_t thread;
  (void)config;
  if (!(capabilities & CAN_LINKS)) return 0;
  int errnum = pthread_create(&thread, NULL, try_filter, &call);
  if (errnum) return error_set_errno(err, errnum, "cannot start a thread");
  pthread_join(thread, NULL);
  return call.status < 0 ? error_wrap(err, "%s", capability_name(CAN_LINKS)) : 0;
}
