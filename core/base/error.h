/* Errors: a negative status as the return value, the details in the caller's `struct error`.
 *
 * Every fallible function returns 0 or a negative `enum status`; its last parameter is a
 * `struct error *` owned by the caller (NULL is allowed: details are dropped). The struct is
 * written on failure only, and nothing in it needs to be freed. Library code never prints. */
#ifndef GAMEDAY_BASE_ERROR_H
#define GAMEDAY_BASE_ERROR_H

#include <stdbool.h>

/* What went wrong, by what the caller can do about it. The command line maps it to an exit code. */
enum status {
  STATUS_OK = 0,
  STATUS_USAGE = -1,       /* the user's input: arguments, scenario text (exit 2) */
  STATUS_ENVIRONMENT = -2, /* this machine or cluster cannot do it (exit 3) */
  STATUS_SYSTEM = -3,      /* a system call failed; errnum tells (exit 3) */
  STATUS_SERVER = -4,      /* a server refuses, or did not start (exit 3; under load 4) */
  STATUS_TIMEOUT = -5,     /* a deadline of our own passed (exit 4) */
  STATUS_UNTRUSTED = -6,   /* measurements cannot be trusted (exit 4) */
  STATUS_INTERRUPTED = -7, /* the user asked to stop (exit 128 + the signal) */
  STATUS_MEMORY = -8,      /* out of memory (exit 5) */
  STATUS_INTERNAL = -9,    /* a bug, or a record that contradicts itself (exit 5) */
};

#define ERROR_MESSAGE_SIZE 1024
#define ERROR_FILE_SIZE 256

struct error {
  enum status status;
  int errnum;                 /* errno of the failed call, or 0 */
  int line, column;           /* from 1; 0 when the error has no place in a file */
  char file[ERROR_FILE_SIZE]; /* "" when the error has no place in a file */
  char message[ERROR_MESSAGE_SIZE];
};

#define ERROR_INIT ((struct error){.status = STATUS_OK})

/* Fills `err` and returns `status`. The message is truncated to fit, never split in a character. */
int error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set() with STATUS_SYSTEM; appends ": " and the text of `errnum`. */
int error_set_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set() with STATUS_USAGE and a place in a file. */
int error_set_at(struct error *err, const char *file, int line, int column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Puts "context: " before the message that `err` already has; returns err->status unchanged
 * (STATUS_INTERNAL when `err` is NULL or holds no error). */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "file:line:column: message" or "message". Writes at most `size` bytes with the final NUL. */
void error_format(const struct error *err, char *text, unsigned long size);

/* A short stable name of a status, for the record ("usage", "environment", ...). */
const char *status_name(enum status status);

#endif
