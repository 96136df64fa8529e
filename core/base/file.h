/* Files and directories, with errors that name the path. All may block; any thread. */
#ifndef GAMEDAY_BASE_FILE_H
#define GAMEDAY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Reads a whole file into `ret_content`; more than `limit` bytes is STATUS_USAGE. */
int file_read(const char *path, size_t limit, struct buf *ret_content, struct error *err);
/* The same, of a regular file only (STATUS_USAGE else): a FIFO would hang, a device never end. */
int file_read_regular(const char *path, size_t limit, struct buf *ret_content, struct error *err);
/* Writes all bytes to a temporary file beside it, fsyncs, renames: the old or the new content. */
int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *err);
int file_puts(const char *path, const char *text, mode_t mode, struct error *err);
/* Writes into an existing kernel file (cgroup, /proc): one write, no temporary file. */
int file_set(const char *path, const char *text, struct error *err);
int file_write_all(int fd, const void *bytes, size_t length, const char *name, struct error *err);
int file_copy(const char *from, const char *to, struct error *err);
bool file_exists(const char *path);
int directory_make(const char *path, mode_t mode, struct error *err); /* with its parents */
/* So that the names in it survive a power cut. */
int directory_sync(const char *path, struct error *err);
/* Renames all files of one directory into another on the same file system, where they replace those
 * of the same names, and syncs that. Ends at the first that cannot be. */
int directory_move_files(const char *from, const char *to, struct error *err);
/* Removes a tree; does not follow links or cross into other file systems; absent is fine. */
int directory_remove(const char *path, struct error *err);
/* printf into a fixed path buffer; STATUS_USAGE when it does not fit. */
int path_format(char *path, size_t size, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
