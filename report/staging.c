/* Directories for what is being made. */
#include "report/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define PREFIX ".reports-"

static void close_directory(DIR **directory) {
  if (*directory) closedir(*directory);
}

/* What a process that was killed has left: nobody holds its lock. */
static void remove_stale(const char *parent) {
  CLEANUP(close_directory) DIR *directory = opendir(parent);
  const struct dirent *entry;
  while (directory && (entry = readdir(directory)) != NULL) {
    char path[PATH_MAX];
    if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) != 0) continue;
    if (path_format(path, sizeof path, NULL, "%s/%s", parent, entry->d_name) < 0) continue;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) directory_remove(path, NULL);
  }
}

int staging_make(const char *parent, struct staging *ret, struct error *err) {
  struct staging staging;
  remove_stale(parent);
  int status =
      path_format(staging.directory, sizeof staging.directory, err, "%s/" PREFIX "XXXXXX", parent);
  if (status != 0) return status;
  if (!mkdtemp(staging.directory))
    return error_set_errno(err, errno, "cannot make a directory in %s", parent);
  staging.lock = open(staging.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (staging.lock >= 0) (void)flock(staging.lock, LOCK_EX); /* no lock: no harm but a race */
  *ret = staging;
  return 0;
}

void staging_remove(struct staging *staging) {
  if (!staging || !staging->directory[0]) return;
  directory_remove(staging->directory, NULL); /* leftovers are hidden, and harm nobody */
  if (staging->lock >= 0) close(staging->lock);
  staging->directory[0] = '\0';
}
