/* Reading, writing and copying files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/prng.h"

#define PATH_BYTES 4096
#define COPY_BYTES ((size_t)64 * 1024)

static ssize_t read_some(int fd, void *bytes, size_t size) {
  ssize_t got;
  do got = read(fd, bytes, size);
  while (got < 0 && errno == EINTR);
  return got;
}

static int read_whole(int fd, const char *path, size_t limit, struct buf *ret_content,
                      struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  char piece[16 * 1024];
  for (;;) {
    ssize_t got = read_some(fd, piece, sizeof piece);
    if (got < 0) return error_set_errno(err, errno, "cannot read %s", path);
    if (got == 0) break;
    if ((size_t)got > limit - content.length)
      return error_set(err, STATUS_USAGE, "%s is larger than %zu bytes", path, limit);
    buf_add(&content, piece, (size_t)got);
  }
  if (buf_ok(&content, err)) return error_wrap(err, "%s", path);
  struct buf old = *ret_content;
  *ret_content = content;
  content = old;
  return 0;
}

int file_read(const char *path, size_t limit, struct buf *ret_content, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  return read_whole(fd, path, limit, ret_content, err);
}

int file_read_regular(const char *path, size_t limit, struct buf *ret_content, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  struct stat stat;
  if (fstat(fd, &stat) < 0) return error_set_errno(err, errno, "cannot stat %s", path);
  if (!S_ISREG(stat.st_mode)) return error_set(err, STATUS_USAGE, "%s is not a regular file", path);
  return read_whole(fd, path, limit, ret_content, err);
}

int file_write_all(int fd, const void *bytes, size_t length, const char *name, struct error *err) {
  const char *next = bytes;
  while (length > 0) {
    ssize_t written = write(fd, next, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return error_set_errno(err, errno, "cannot write %s", name);
    next += written;
    length -= (size_t)written;
  }
  return 0;
}

/* A file beside `path` that did not exist before. */
static int open_temporary(const char *path, mode_t mode, char *ret_name, size_t size, int *ret_fd,
                          struct error *err) {
  for (int attempt = 0; attempt < 16; attempt++) {
    uint64_t number;
    int status = random_bytes(&number, sizeof number, err);
    if (status) return status;
    status = path_format(ret_name, size, err, "%s.%016llx.tmp", path, (unsigned long long)number);
    if (status) return status;
    int fd = open(ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0) {
      *ret_fd = fd;
      return 0;
    }
    if (errno != EEXIST) break;
  }
  return error_set_errno(err, errno, "cannot create %s", ret_name);
}

/* The new name must survive a power cut too: that is the directory's content. */
static int sync_directory_of(const char *path, struct error *err) {
  char directory[PATH_BYTES];
  const char *slash = strrchr(path, '/');
  int length = slash ? (int)(slash - path) : 1;
  int status = path_format(directory, sizeof directory, err, "%.*s%s", length, slash ? path : ".",
                           slash == path ? "/" : "");
  return status ? status : directory_sync(directory, err);
}

int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *err) {
  char temporary[PATH_BYTES];
  int fd = -1;
  int status = open_temporary(path, mode, temporary, sizeof temporary, &fd, err);
  if (status) return status;
  status = file_write_all(fd, bytes, length, path, err);
  if (!status && fsync(fd)) status = error_set_errno(err, errno, "cannot sync %s", path);
  if (close(fd) && !status) status = error_set_errno(err, errno, "cannot write %s", path);
  if (!status && rename(temporary, path))
    status = error_set_errno(err, errno, "cannot rename %s to %s", temporary, path);
  if (status) {
    unlink(temporary);
    return status;
  }
  return sync_directory_of(path, err);
}

int file_puts(const char *path, const char *text, mode_t mode, struct error *err) {
  return file_write(path, text, strlen(text), mode, err);
}

int file_set(const char *path, const char *text, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  size_t length = strlen(text);
  ssize_t written;
  do written = write(fd, text, length);
  while (written < 0 && errno == EINTR);
  if (written < 0) return error_set_errno(err, errno, "cannot write \"%s\" to %s", text, path);
  if ((size_t)written != length)
    return error_set_errno(err, EIO, "%s took only %zd of %zu bytes", path, written, length);
  return 0;
}

int file_copy(const char *from, const char *to, struct error *err) {
  CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
  if (in < 0) return error_set_errno(err, errno, "cannot open %s", from);
  struct stat info;
  if (fstat(in, &info)) return error_set_errno(err, errno, "cannot stat %s", from);
  mode_t mode = info.st_mode & 0777;
  CLEANUP_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (out < 0) return error_set_errno(err, errno, "cannot create %s", to);
  CLEANUP_FREE char *piece = malloc(COPY_BYTES);
  if (!piece) return error_set(err, STATUS_MEMORY, "out of memory to copy %s", from);
  for (;;) {
    ssize_t got = read_some(in, piece, COPY_BYTES);
    if (got < 0) return error_set_errno(err, errno, "cannot read %s", from);
    if (got == 0) break;
    int status = file_write_all(out, piece, (size_t)got, to, err);
    if (status) return status;
  }
  int closing = out;
  out = -1;
  if (close(closing)) return error_set_errno(err, errno, "cannot write %s", to);
  return 0;
}

bool file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

int path_format(char *path, size_t size, struct error *err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(path, size, format, args);
  va_end(args);
  if (length >= 0 && (size_t)length < size) return 0;
  return error_set(err, STATUS_USAGE, "the path \"%.80s...\" is longer than %zu bytes", path,
                   size - 1);
}
