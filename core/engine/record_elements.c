/* Files of fixed-size elements: their heads, and a buffered pass over them. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record_internal.h"
#include "engine/recorder.h"

#define PASS_BYTES ((size_t)256 * 1024)

/* Reads until `length` bytes are there or the file ends; -1 with errno on failure. */
static ssize_t read_fully(int fd, void *bytes, size_t length, uint64_t offset) {
  size_t have = 0;
  while (have < length) {
    ssize_t got = pread(fd, (unsigned char *)bytes + have, length - have, (off_t)(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += (size_t)got;
  }
  return (ssize_t)have;
}

/* Such a file, but of another version. */
static bool is_of_other_version(const char found[8], const char magic[8]) {
  return memcmp(found, magic, 7) == 0 && found[7] != magic[7];
}

static int check_head(const char *path, int fd, const char magic[8], size_t size,
                      struct error *err) {
  struct record_head head;
  ssize_t got = read_fully(fd, &head, sizeof head, 0);
  if (got < 0) return error_set_errno(err, errno, "cannot read %s", path);
  if (got < (ssize_t)sizeof head)
    return error_set(err, STATUS_USAGE, "%s is damaged: it ends within its head", path);
  if (is_of_other_version(head.magic, magic))
    return error_set(err, STATUS_USAGE,
                     "%s is of version %d of this file, and this gameday reads version %d; judge "
                     "it with the gameday that wrote it (gameday_version in run.json)",
                     path, head.magic[7], magic[7]);
  if (memcmp(head.magic, magic, sizeof head.magic) != 0)
    return error_set(err, STATUS_USAGE, "%s is damaged: it does not begin as such a file must",
                     path);
  if (head.head_size != sizeof head || head.element_size != size)
    return error_set(err, STATUS_USAGE,
                     "%s is damaged: head of %" PRIu32 " and elements of %" PRIu32
                     " bytes, expected %zu and %zu",
                     path, head.head_size, head.element_size, sizeof head, size);
  return 0;
}

int record_elements_open(struct record *record, const char *name, const char magic[8], size_t size,
                         struct record_elements *ret, struct error *err) {
  const char *path = arena_printf(&record->arena, "%s/%s", record->directory, name);
  if (!path) return error_set(err, STATUS_MEMORY, "out of memory for %s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
  if (fd < 0 && errno == ENOENT) return error_set(err, STATUS_USAGE, "%s is not there", path);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  struct stat stat;
  int status = fstat(fd, &stat) < 0 ? error_set_errno(err, errno, "cannot stat %s", path) : 0;
  if (status == 0 && !S_ISREG(stat.st_mode))
    status = error_set(err, STATUS_USAGE, "%s is not a regular file", path);
  if (status == 0) status = check_head(path, fd, magic, size, err);
  if (status < 0) {
    close(fd);
    return status;
  }
  *ret = (struct record_elements){
      .fd = fd,
      .size = size,
      .count = ((uint64_t)stat.st_size - sizeof(struct record_head)) / size,
      .path = path};
  return 0;
}

bool record_is_of_other_version(const char *run_directory) {
  static const struct {
    const char *name, *magic;
  } files[] = {{"operations.bin", RECORD_OPERATIONS}, {"samples.bin", RECORD_SAMPLES}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[PATH_MAX], magic[8];
    if (path_format(path, sizeof path, NULL, "%s/%s", run_directory, files[i].name) < 0) continue;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && read_fully(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
        is_of_other_version(magic, files[i].magic))
      return true;
  }
  return false;
}

void record_elements_rest(struct record_elements *elements) {
  if (elements->fd < 0) return;
  close(elements->fd);
  elements->fd = -1;
  elements->at_rest = true;
}

int record_pass_begin(struct record_pass *pass, const struct record_elements *elements,
                      struct error *err) {
  *pass = (struct record_pass){.elements = elements, .fd = elements->fd};
  if (elements->fd < 0 && !elements->at_rest) return 0;
  if (elements->at_rest) pass->fd = open(elements->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (pass->fd < 0) return error_set_errno(err, errno, "cannot open %s", elements->path);
  pass->buffer = malloc(PASS_BYTES);
  if (pass->buffer) return 0;
  if (elements->at_rest) close(pass->fd);
  return error_set(err, STATUS_MEMORY, "out of memory for reading %s", elements->path);
}

void record_pass_end(struct record_pass *pass) {
  if (pass->buffer && pass->elements->at_rest) close(pass->fd);
  free(pass->buffer);
  pass->buffer = NULL;
}

static int fill(struct record_pass *pass, struct error *err) {
  const struct record_elements *elements = pass->elements;
  uint64_t left = elements->count - pass->next;
  uint64_t most = PASS_BYTES / elements->size;
  size_t count = (size_t)(left < most ? left : most);
  uint64_t offset = sizeof(struct record_head) + pass->next * elements->size;
  ssize_t got = read_fully(pass->fd, pass->buffer, count * elements->size, offset);
  if (got < 0) return error_set_errno(err, errno, "cannot read %s", elements->path);
  if ((size_t)got < count * elements->size)
    return error_set(err, STATUS_USAGE, "%s was cut while it was read", elements->path);
  pass->next += count;
  pass->held = (uint32_t)count;
  pass->taken = 0;
  return 0;
}

int record_pass_next(struct record_pass *pass, const void **ret_element, struct error *err) {
  const struct record_elements *elements = pass->elements;
  if (pass->taken == pass->held) {
    if (!pass->buffer || pass->next == elements->count) {
      *ret_element = NULL;
      return 0;
    }
    int status = fill(pass, err);
    if (status < 0) return status;
  }
  *ret_element = pass->buffer + (size_t)pass->taken++ * elements->size;
  return 0;
}

int record_damaged(const struct record_elements *elements, uint64_t index, struct error *err,
                   const char *format, ...) {
  char what[256];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  return error_set(err, STATUS_USAGE, "%s is damaged at element %" PRIu64 ": %s", elements->path,
                   index, what);
}
