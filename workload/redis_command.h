/* Statement texts of Redis as templates, made once for a session, so that sending one is little
 * more than copying: lengths and constant words are ready in the protocol's form (RESP2).
 *
 * hiredis formats commands too, but allocates each one anew and copies it again into its own
 * buffer; at a pipeline depth of 16 that alone would cost about as much as all else that a client
 * does for an operation. */
#ifndef GAMEDAY_WORKLOAD_REDIS_COMMAND_H
#define GAMEDAY_WORKLOAD_REDIS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "gameday/driver.h"

/* One statement, see struct statement for its text; NULL pointers: not prepared. */
struct redis_command {
  struct redis_part *parts; /* owned */
  char *bytes;              /* owned: what the parts copy */
  uint32_t part_count;
  uint32_t bytes_length;
  uint32_t number_uses, text_uses; /* how often parameters stand in it, for the bound */
  bool waits;                      /* a second command, WAIT, follows the first */
  uint8_t wait_parameter;          /* from 1: the number that WAIT waits for; 0: it is constant */
  int64_t wait_for;                /* the constant */
};

/* What a request puts into a template. */
struct redis_arguments {
  const int64_t *numbers;
  uint32_t number_count;
  const char *text; /* the parameter after the numbers, or NULL */
  size_t text_length;
  const char *tag; /* for $s */
  size_t tag_length;
};

/* What redis_command_format() wrote. */
struct redis_shape {
  size_t length;
  size_t first_length; /* without the WAIT behind it */
  const char *key;     /* in the bytes written; NULL: a command of one word */
  size_t key_length;
};

/* Reads the text of `statement`. STATUS_INTERNAL when it is none (a bug of a workload),
 * STATUS_MEMORY. */
int redis_command_init(struct redis_command *command, const struct statement *statement,
                       struct error *err);
void redis_command_release(struct redis_command *command);

/* How many bytes redis_command_format() writes at most. */
size_t redis_command_bound(const struct redis_command *command,
                           const struct redis_arguments *arguments);
/* Writes the command, with the WAIT behind it. Asserts that there is an argument for every
 * parameter. */
struct redis_shape redis_command_format(const struct redis_command *command,
                                        const struct redis_arguments *arguments, char *out);
/* The number of replicas that WAIT must have counted; 0: there is no WAIT. */
int64_t redis_command_wait(const struct redis_command *command,
                           const struct redis_arguments *arguments);

#endif
