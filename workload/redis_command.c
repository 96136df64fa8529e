/* Templates of Redis commands: parsing a statement's text once, writing it out often. */
#include "workload/redis_command.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 20u                 /* of a 64-bit number, with its sign */
#define FRAME_MAX (DIGITS_MAX + 1 + 2) /* "$LENGTH\r\n" */

enum part_kind {
  PART_BYTES,  /* copied as they stand */
  PART_LENGTH, /* the length of the next `pieces` parts, as "$LENGTH\r\n" */
  PART_NUMBER, /* a number of the request */
  PART_TEXT,   /* its text */
  PART_TAG,
  PART_KEY_BEGIN, /* nothing: here is the frame of the key, */
  PART_KEY_END,   /* its end, */
  PART_SECOND,    /* and the beginning of the second command */
};
struct redis_part {
  uint8_t kind;      /* enum part_kind */
  uint8_t pieces;    /* PART_LENGTH: of how many parts */
  uint8_t parameter; /* PART_NUMBER: index; PART_TEXT: how many numbers there must be before it */
  uint32_t offset, length; /* PART_BYTES: in the template's bytes */
};

/* --- numbers --------------------------------------------------------------------------------- */

static uint32_t digits_of(uint64_t number) {
  uint32_t count = 1;
  for (; number >= 10000; number /= 10000) count += 4;
  if (number >= 1000) return count + 3;
  if (number >= 100) return count + 2;
  return number >= 10 ? count + 1 : count;
}

/* Writes the decimal digits and returns their end. */
static char *put_number(char *out, int64_t number) {
  uint64_t rest = (uint64_t)number;
  if (number < 0) {
    *out++ = '-';
    rest = UINT64_C(0) - rest;
  }
  char *end = out + digits_of(rest);
  char *next = end;
  for (; rest >= 10; rest /= 10) *--next = (char)('0' + rest % 10);
  *--next = (char)('0' + rest);
  return end;
}

static size_t number_length(int64_t number) {
  if (number < 0) return 1 + digits_of(UINT64_C(0) - (uint64_t)number);
  return digits_of((uint64_t)number);
}

/* --- parsing --------------------------------------------------------------------------------- */

/* A template under construction. Bytes that follow bytes are one part. */
struct maker {
  struct redis_command *command;
  const struct statement *statement;
  uint32_t room; /* parts that fit */
};

static struct redis_part *add_part(struct maker *maker, enum part_kind kind) {
  assert(maker->command->part_count < maker->room);
  struct redis_part *part = &maker->command->parts[maker->command->part_count++];
  *part = (struct redis_part){.kind = (uint8_t)kind};
  return part;
}

static void add_bytes(struct maker *maker, const char *bytes, size_t length, bool joined) {
  struct redis_command *command = maker->command;
  struct redis_part *last =
      command->part_count > 0 ? &command->parts[command->part_count - 1] : NULL;
  if (!joined || !last || last->kind != PART_BYTES) {
    last = add_part(maker, PART_BYTES);
    last->offset = command->bytes_length;
  }
  memcpy(command->bytes + command->bytes_length, bytes, length);
  command->bytes_length += (uint32_t)length;
  last->length += (uint32_t)length;
}

static void add_frame(struct maker *maker, char kind, size_t number) {
  char frame[FRAME_MAX + 2];
  int length = snprintf(frame, sizeof frame, "%c%zu\r\n", kind, number);
  add_bytes(maker, frame, (size_t)length, true);
}

/* The parameter that begins at `text` ("$1", "$s"); 0: none does. `ret_tag`: it is $s. */
static uint32_t parameter_at(const char *text, const char *end, bool *ret_tag) {
  if (end - text < 2 || *text != '$') return 0;
  *ret_tag = text[1] == 's';
  if (*ret_tag) return 1;
  return text[1] >= '1' && text[1] <= '9' ? (uint32_t)(text[1] - '0') : 0;
}

static bool has_parameter(const char *word, const char *end) {
  bool tag;
  for (; word < end; word++) {
    if (parameter_at(word, end, &tag) > 0) return true;
  }
  return false;
}

/* Which parameter is the text cannot be told here: it is the one after the request's numbers, the
 * last one that the statement has. Until a request comes it may also be a number. */
static void add_parameter(struct maker *maker, uint32_t parameter, bool tag) {
  struct redis_command *command = maker->command;
  if (tag) {
    add_part(maker, PART_TAG);
    command->text_uses++;
    return;
  }
  bool last = parameter == maker->statement->parameter_count;
  add_part(maker, last ? PART_TEXT : PART_NUMBER)->parameter = (uint8_t)(parameter - 1);
  command->number_uses++;
  command->text_uses += last ? 1 : 0;
}

static void add_variable_word(struct maker *maker, const char *word, const char *end) {
  struct redis_command *command = maker->command;
  uint32_t length_index = command->part_count;
  add_part(maker, PART_LENGTH);
  uint32_t before = command->part_count;
  bool joined = false;
  while (word < end) {
    bool tag = false;
    uint32_t parameter = parameter_at(word, end, &tag);
    if (parameter == 0) {
      add_bytes(maker, word++, 1, joined);
      joined = true;
      continue;
    }
    add_parameter(maker, parameter, tag);
    joined = false;
    word += 2;
  }
  command->parts[length_index].pieces = (uint8_t)(command->part_count - before);
  add_bytes(maker, "\r\n", 2, false);
}

static void add_word(struct maker *maker, const char *word, const char *end) {
  if (has_parameter(word, end)) {
    add_variable_word(maker, word, end);
    return;
  }
  add_frame(maker, '$', (size_t)(end - word));
  add_bytes(maker, word, (size_t)(end - word), true);
  add_bytes(maker, "\r\n", 2, true);
}

static const char *word_end(const char *word, const char *end) {
  const char *space = memchr(word, ' ', (size_t)(end - word));
  return space ? space : end;
}

/* One command: the words from `text` to `end`. */
static int add_command(struct maker *maker, const char *text, const char *end, bool has_key,
                       struct error *err) {
  /* Which word is the key; of EVAL the script and how many keys there are stand before it. */
  uint32_t key = strncmp(text, "EVAL ", 5) == 0 ? 3 : 1;
  uint32_t count = 1;
  for (const char *c = text; c < end; c++) count += *c == ' ' ? 1 : 0;
  add_frame(maker, '*', count);
  for (uint32_t i = 0; i < count; i++) {
    const char *stop = word_end(text, end);
    if (stop == text) {
      return error_set(err, STATUS_INTERNAL, "an empty word in the statement '%s'",
                       maker->statement->text);
    }
    if (has_key && i == key) add_part(maker, PART_KEY_BEGIN);
    add_word(maker, text, stop);
    if (has_key && i == key) add_part(maker, PART_KEY_END);
    text = stop + 1;
  }
  return 0;
}

/* "WAIT n timeout" from `text` on. */
static int add_wait(struct maker *maker, const char *text, struct error *err) {
  struct redis_command *command = maker->command;
  const char *end = text + strlen(text);
  if (strncmp(text, "WAIT ", 5) != 0) {
    return error_set(err, STATUS_INTERNAL, "only WAIT may follow a command: '%s'",
                     maker->statement->text);
  }
  bool tag = false;
  uint32_t parameter = parameter_at(text + 5, end, &tag);
  command->waits = true;
  add_part(maker, PART_SECOND);
  command->wait_parameter = (uint8_t)parameter;
  if (parameter == 0) command->wait_for = strtoll(text + 5, NULL, 10);
  return add_command(maker, text, end, false, err);
}

static int parse(struct maker *maker, struct error *err) {
  static const char separator[] = " ; ";
  const char *text = maker->statement->text;
  const char *second = strstr(text, separator);
  int status = add_command(maker, text, second ? second : text + strlen(text), true, err);
  if (status == 0 && second) status = add_wait(maker, second + strlen(separator), err);
  return status;
}

/* There may be thousands of sessions: only what is used is kept. */
static int trim(struct redis_command *command, struct error *err) {
  void *parts = realloc(command->parts, command->part_count * sizeof *command->parts);
  if (parts) command->parts = parts;
  void *bytes = realloc(command->bytes, command->bytes_length + 1);
  if (bytes) command->bytes = bytes;
  return parts && bytes ? 0 : error_set(err, STATUS_MEMORY, "out of memory for a session");
}

int redis_command_init(struct redis_command *command, const struct statement *statement,
                       struct error *err) {
  *command = (struct redis_command){.part_count = 0};
  size_t length = strlen(statement->text);
  if (length == 0 || length > UINT8_MAX) {
    return error_set(err, STATUS_INTERNAL, "a statement of %zu characters", length);
  }
  struct maker maker = {.command = command, .statement = statement};
  /* Each character begins at most two parts (a length and a piece), and each word four more. */
  maker.room = (uint32_t)length * 3 + 8;
  command->parts = calloc(maker.room, sizeof *command->parts);
  /* A word of one character has the longest frame for its size. */
  command->bytes = calloc(length + 1, FRAME_MAX);
  int status = 0;
  if (!command->parts || !command->bytes) {
    status = error_set(err, STATUS_MEMORY, "out of memory for a session");
  } else {
    status = parse(&maker, err);
  }
  if (status == 0) status = trim(command, err);
  if (status < 0) redis_command_release(command);
  return status;
}

void redis_command_release(struct redis_command *command) {
  free(command->parts);
  free(command->bytes);
  *command = (struct redis_command){.part_count = 0};
}

/* --- formatting ------------------------------------------------------------------------------ */

size_t redis_command_bound(const struct redis_command *command,
                           const struct redis_arguments *arguments) {
  return command->bytes_length + (size_t)command->part_count * FRAME_MAX +
         (size_t)command->number_uses * DIGITS_MAX +
         (size_t)command->text_uses * (arguments->text_length + arguments->tag_length);
}

static bool is_text(const struct redis_part *part, const struct redis_arguments *arguments) {
  return part->kind == PART_TEXT && arguments->text && part->parameter == arguments->number_count;
}

static size_t piece_length(const struct redis_part *part, const struct redis_arguments *arguments) {
  if (part->kind == PART_BYTES) return part->length;
  if (part->kind == PART_TAG) return arguments->tag_length;
  if (is_text(part, arguments)) return arguments->text_length;
  assert(part->parameter < arguments->number_count);
  return number_length(arguments->numbers[part->parameter]);
}

static char *put_length(char *out, const struct redis_part *part,
                        const struct redis_arguments *arguments) {
  size_t length = 0;
  for (uint32_t i = 1; i <= part->pieces; i++) length += piece_length(part + i, arguments);
  *out++ = '$';
  out = put_number(out, (int64_t)length);
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

static char *put_bytes(char *out, const char *bytes, size_t length) {
  if (length > 0) memcpy(out, bytes, length);
  return out + length;
}

static char *put_parameter(char *out, const struct redis_part *part,
                           const struct redis_arguments *arguments) {
  if (is_text(part, arguments)) return put_bytes(out, arguments->text, arguments->text_length);
  assert(part->parameter < arguments->number_count);
  return put_number(out, arguments->numbers[part->parameter]);
}

/* Between the marks the key stands in its frame, "$LENGTH\r\n" and "\r\n". */
static void find_key(struct redis_shape *shape, const char *end) {
  const char *frame_end = memchr(shape->key, '\n', (size_t)(end - shape->key));
  assert(frame_end && end - frame_end > 2);
  shape->key = frame_end + 1;
  shape->key_length = (size_t)(end - shape->key) - 2;
}

struct redis_shape redis_command_format(const struct redis_command *command,
                                        const struct redis_arguments *arguments, char *out) {
  struct redis_shape shape = {.key = NULL};
  char *next = out;
  const struct redis_part *end = command->parts + command->part_count;
  for (const struct redis_part *part = command->parts; part < end; part++) {
    switch ((enum part_kind)part->kind) {
      case PART_BYTES: next = put_bytes(next, command->bytes + part->offset, part->length); break;
      case PART_LENGTH: next = put_length(next, part, arguments); break;
      case PART_TEXT:
      case PART_NUMBER: next = put_parameter(next, part, arguments); break;
      case PART_TAG: next = put_bytes(next, arguments->tag, arguments->tag_length); break;
      case PART_KEY_BEGIN: shape.key = next; break;
      case PART_KEY_END: find_key(&shape, next); break;
      case PART_SECOND: shape.first_length = (size_t)(next - out); break;
    }
  }
  shape.length = (size_t)(next - out);
  if (!command->waits) shape.first_length = shape.length;
  return shape;
}

int64_t redis_command_wait(const struct redis_command *command,
                           const struct redis_arguments *arguments) {
  if (!command->waits) return 0;
  if (command->wait_parameter == 0) return command->wait_for;
  assert(command->wait_parameter <= arguments->number_count);
  return arguments->numbers[command->wait_parameter - 1];
}
