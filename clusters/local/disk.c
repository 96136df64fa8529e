/* Data file systems with a size limit: an ext4 in an image file of the run directory, so that a
 * flush really reaches the machine's disk; or a tmpfs where loop devices do not work. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "local.h"

/* From the kernel's ext4; not in its user headers. Cut off at once, the journal not written out. */
#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_SHUTDOWN_NO_LOG_FLUSH 2

static int image_path(const struct local_cluster *lc, const struct local_host *lh, char *path,
                      struct error *err) {
  return path_format(path, PATH_MAX, err, "%s/disks/%s.img", lc->run_directory, lh->host->name);
}

static int data_path(const struct local_host *lh, char *path, struct error *err) {
  return path_format(path, PATH_MAX, err, "%s/data/%s", LOCAL_WORLD, lh->host->name);
}

int local_disk_make(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  if (lc->storage != LOCAL_STORAGE_LOOP) return 0;
  char path[PATH_MAX];
  int status = image_path(lc, lh, path, err);
  if (status < 0) return status;
  {
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return error_set_errno(err, errno, "%s", path);
    if (ftruncate(fd, (off_t)lh->disk_bytes) < 0) return error_set_errno(err, errno, "%s", path);
  }
  /* The file is new and so all zeros: nothing needs to be cleared now or later. */
  const char *argv[] = {
      "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
      path,        NULL};
  char mark[64];
  snprintf(mark, sizeof mark, "%s=%s", LOCAL_MARK, lc->id);
  const char *env[] = {mark, NULL};
  struct process_spec spec = {.argv = argv, .env_extra = env, .dies_with_parent = true};
  return process_check(&spec, err);
}

/* --- loop devices */

/* Whether loop device `number` holds the file of `image`. */
static bool loop_holds(int number, const struct stat *image) {
  char path[64];
  snprintf(path, sizeof path, "/sys/block/loop%d/loop/backing_file", number);
  if (!file_exists(path)) return false; /* free: do not even open it */
  snprintf(path, sizeof path, "/dev/loop%d", number);
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct loop_info64 info;
  if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0) return false;
  return info.lo_device == image->st_dev && info.lo_inode == image->st_ino;
}

static void cleanup_closedir(DIR **directory) {
  if (*directory) closedir(*directory);
}

static bool any_loop_holds(const struct stat *image) {
  CLEANUP(cleanup_closedir) DIR *directory = opendir("/sys/block");
  if (!directory) return false;
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    int number;
    if (sscanf(entry->d_name, "loop%d", &number) == 1 && loop_holds(number, image)) return true;
  }
  return false;
}

static int wait_released(const char *path, uint64_t timeout_ns, struct error *err) {
  struct stat image;
  if (stat(path, &image) < 0) return 0;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  while (any_loop_holds(&image)) {
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "a loop device still holds %s", path);
    poll(NULL, 0, 2); /* the kernel lets go by itself and does not say when */
  }
  return 0;
}

int local_disk_wait_released(const char *run_directory, uint64_t timeout_ns, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/disks", run_directory);
  if (status < 0) return status;
  CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
  if (!directory) return 0;
  for (const struct dirent *entry; status == 0 && (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    status = path_format(path, sizeof path, err, "%s/disks/%s", run_directory, entry->d_name);
    if (status == 0) status = wait_released(path, timeout_ns, err);
  }
  return status;
}

/* Finds a free device and gives it the image; it frees itself with its last user. */
static int loop_attach(const char *image, char *ret_device, size_t size, int *ret_fd,
                       struct error *err) {
  CLEANUP_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return error_set_errno(err, errno, "/dev/loop-control");
  CLEANUP_CLOSE int file = open(image, O_RDWR | O_CLOEXEC);
  if (file < 0) return error_set_errno(err, errno, "%s", image);
  for (int attempt = 0; attempt < 64; attempt++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) return error_set_errno(err, errno, "no free loop device");
    snprintf(ret_device, size, "/dev/loop%d", number);
    CLEANUP_CLOSE int device = open(ret_device, O_RDWR | O_CLOEXEC);
    if (device < 0) return error_set_errno(err, errno, "%s", ret_device);
    struct loop_config config = {.fd = (uint32_t)file, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      *ret_fd = device;
      device = -1;
      return 0;
    }
    if (errno != EBUSY) return error_set_errno(err, errno, "%s for %s", ret_device, image);
    /* Another process was faster. */
  }
  return error_set(err, STATUS_ENVIRONMENT, "no loop device is free long enough to be taken");
}

/* --- mounting, in the world */

struct mount_call {
  const struct local_cluster *lc;
  const struct local_host *lh;
};

/* Whether the data directory is the file system that it should be, not the directory below it: a
 * server started on that would find itself empty and begin anew. */
static bool is_mounted(const struct local_cluster *lc, const char *path) {
  struct stat inside, above;
  struct statfs kind;
  char parent[PATH_MAX];
  if (path_format(parent, sizeof parent, NULL, "%s/..", path) < 0) return false;
  if (stat(path, &inside) < 0 || stat(parent, &above) < 0 || statfs(path, &kind) < 0) return false;
  return inside.st_dev != above.st_dev &&
         kind.f_type == (lc->storage == LOCAL_STORAGE_LOOP ? EXT4_SUPER_MAGIC : TMPFS_MAGIC);
}

static int mount_loop(const struct mount_call *call, const char *path, struct error *err) {
  char image[PATH_MAX], device[64];
  int status = image_path(call->lc, call->lh, image, err);
  /* A device of the host's life before may still have something to write. */
  if (status == 0) status = wait_released(image, LOCAL_WAIT_NS, err);
  if (status < 0) return status;
  CLEANUP_CLOSE int fd = -1;
  status = loop_attach(image, device, sizeof device, &fd, err);
  if (status < 0) return status;
  if (mount(device, path, "ext4", MS_NOSUID | MS_NODEV, "discard,noinit_itable") < 0)
    return error_set_errno(err, errno, "cannot mount %s", image);
  /* A directory that servers ask to be empty is empty. */
  status = path_format(image, sizeof image, err, "%s/lost+found", path);
  if (status == 0) rmdir(image);
  return status;
}

static int mount_inside(void *argument, struct error *err) {
  const struct mount_call *call = argument;
  char path[PATH_MAX], options[64];
  int status = data_path(call->lh, path, err);
  if (status < 0) return status;
  if (mkdir(path, 0755) < 0 && errno != EEXIST) return error_set_errno(err, errno, "%s", path);
  if (is_mounted(call->lc, path)) return 0;
  if (call->lc->storage == LOCAL_STORAGE_LOOP) {
    status = mount_loop(call, path, err);
    if (status < 0) return status;
  } else {
    snprintf(options, sizeof options, "mode=0755,size=%llu",
             (unsigned long long)call->lh->disk_bytes);
    if (mount("gameday-data", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
      return error_set_errno(err, errno, "a tmpfs at %s", path);
  }
  if (!is_mounted(call->lc, path))
    return error_set(err, STATUS_SYSTEM, "the data file system is not at %s", path);
  return 0;
}

int local_disk_mount(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  struct mount_call call = {.lc = lc, .lh = lh};
  int status = local_call_inside(lc->anchor_fd, mount_inside, &call, err);
  return status < 0 ? error_wrap(err, "disk of host %s", lh->host->name) : 0;
}

static int crash_inside(void *argument, struct error *err) {
  const struct mount_call *call = argument;
  char path[PATH_MAX];
  int status = data_path(call->lh, path, err);
  if (status < 0) return status;
  if (!is_mounted(call->lc, path)) return 0; /* cut off before */
  {
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_set_errno(err, errno, "%s", path);
    uint32_t how = EXT4_SHUTDOWN_NO_LOG_FLUSH;
    if (ioctl(fd, EXT4_SHUTDOWN, &how) < 0) return error_set_errno(err, errno, "cut off %s", path);
  }
  if (umount2(path, MNT_DETACH) < 0) return error_set_errno(err, errno, "unmount %s", path);
  return 0;
}

int local_disk_crash(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  if (lc->storage != LOCAL_STORAGE_LOOP) return 0;
  struct mount_call call = {.lc = lc, .lh = lh};
  int status = local_call_inside(lc->anchor_fd, crash_inside, &call, err);
  return status < 0 ? error_wrap(err, "disk of host %s", lh->host->name) : 0;
}
