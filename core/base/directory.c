/* Making and removing directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define PATH_BYTES 4096
/* One descriptor a level is open while removing. */
#define DEPTH_MAX 200

static int make_one(const char *path, mode_t mode, struct error *err) {
  if (mkdir(path, mode) == 0) return 0;
  int errnum = errno;
  struct stat info;
  if (errnum == EEXIST && stat(path, &info) == 0) {
    if (S_ISDIR(info.st_mode)) return 0;
    errnum = ENOTDIR;
  }
  return error_set_errno(err, errnum, "cannot make the directory %s", path);
}

int directory_make(const char *path, mode_t mode, struct error *err) {
  char part[PATH_BYTES];
  int status = path_format(part, sizeof part, err, "%s", path);
  if (status) return status;
  for (char *slash = strchr(part + (part[0] != '\0'), '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    status = make_one(part, mode, err);
    if (status) return status;
    *slash = '/';
  }
  return make_one(part, mode, err);
}

/* A removal in progress. The walk goes on after a failure: it removes what it can and reports the
 * first thing that stayed. */
struct removal {
  const char *root; /* for messages */
  dev_t device;
  struct error *err;
  int status;
};

static void note_failure(struct removal *removal, int errnum, const char *name) {
  if (removal->status) return;
  removal->status =
      error_set_errno(removal->err, errnum, "cannot remove %s (in %s)", name, removal->root);
}

static void remove_entry(struct removal *removal, int parent, const char *name, int depth);

/* `fd` is consumed. */
static void remove_content(struct removal *removal, int fd, const char *name, int depth) {
  DIR *directory = fdopendir(fd);
  if (!directory) {
    note_failure(removal, errno, name);
    close(fd);
    return;
  }
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (!entry) {
      if (errno) note_failure(removal, errno, name);
      break;
    }
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      remove_entry(removal, fd, entry->d_name, depth + 1);
  }
  closedir(directory);
}

/* Every step is relative to an open directory and follows no link, so that nothing inside the tree
 * (servers run there) can lead the walk out of it. */
static void remove_entry(struct removal *removal, int parent, const char *name, int depth) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM && errno != EBUSY) {
    note_failure(removal, errno, name);
    return;
  }
  int unlink_errno = errno;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    note_failure(removal, errno == ENOTDIR ? unlink_errno : errno, name);
    return;
  }
  struct stat info;
  int errnum = fstat(fd, &info) ? errno : 0;
  if (depth == 0) removal->device = info.st_dev;
  if (!errnum && info.st_dev != removal->device) errnum = EXDEV; /* something is mounted here */
  if (!errnum && depth >= DEPTH_MAX) errnum = ELOOP;
  if (errnum) {
    note_failure(removal, errnum, name);
    close(fd);
    return;
  }
  remove_content(removal, fd, name, depth);
  if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT) note_failure(removal, errno, name);
}

int directory_remove(const char *path, struct error *err) {
  struct removal removal = {.root = path, .err = err};
  remove_entry(&removal, AT_FDCWD, path, 0);
  return removal.status;
}

int directory_sync(const char *path, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  /* EINVAL: this file system has nothing to sync (a FUSE or overlay directory). */
  if (fsync(fd) && errno != EINVAL) return error_set_errno(err, errno, "cannot sync %s", path);
  return 0;
}

static void close_directory(DIR **directory) {
  if (*directory) closedir(*directory);
}

int directory_move_files(const char *from, const char *to, struct error *err) {
  CLEANUP(close_directory) DIR *directory = opendir(from);
  if (!directory) return error_set_errno(err, errno, "cannot open %s", from);
  for (;;) {
    char old[PATH_BYTES], new[PATH_BYTES];
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (!entry && errno) return error_set_errno(err, errno, "cannot read %s", from);
    if (!entry) return directory_sync(to, err);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int status = path_format(old, sizeof old, err, "%s/%s", from, entry->d_name);
    if (status == 0) status = path_format(new, sizeof new, err, "%s/%s", to, entry->d_name);
    if (status) return status;
    if (rename(old, new)) return error_set_errno(err, errno, "cannot write %s", new);
  }
}
