/* Files that are made aside and moved to where they belong. */
#include "replacing.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "report/staging.h"
#include "stopping.h"

/* `stopping` has begun. */
static int replace(const char *directory, const struct replacing *files, struct stopping *stopping,
                   struct error *err) {
  CLEANUP(staging_remove) struct staging staging = {.directory = ""};
  (void)stopping_enter(stopping, STOPPING_BY_FD);
  int status = staging_make(directory, &staging, err);
  if (status == 0) status = files->make(files->data, staging.directory, stopping->fd, err);
  if (status < 0 || stopping_enter(stopping, STOPPING_LATER)) return status;
  if (files->clear) status = files->clear(directory, err);
  return status < 0 ? status : directory_move_files(staging.directory, directory, err);
}

int replacing_files(struct log *log, const char *directory, const struct replacing *files,
                    int *ret_signal, struct error *err) {
  static const char kept[] = "the files are as they were";
  struct stopping stopping;
  int status = directory_make(directory, 0755, err);
  if (status == 0) status = stopping_begin(&stopping, log, kept, err);
  if (status < 0) return status;
  status = replace(directory, files, &stopping, err);
  bool complete = stopping.phase == STOPPING_LATER;
  int number = stopping_end(&stopping);
  if (status == 0 && complete) log_print(log, LOG_INFO, "written to %s", directory);
  if (number == 0 || (complete && status < 0)) return status;
  *ret_signal = number;
  return error_set(err, STATUS_INTERRUPTED, "interrupted: %s",
                   complete ? "the files are complete" : kept);
}
