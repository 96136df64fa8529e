/* Collects mistakes and hands them out in the order of their places. */
#include "scenario/mistakes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct mistake {
  struct place place;
  const char *message;
  uint32_t order; /* as found: keeps mistakes of one place in a stable order */
  struct mistake *next;
};

void mistakes_init(struct mistakes *mistakes, struct arena *arena) {
  *mistakes = (struct mistakes){.arena = arena};
}

/* Takes a copy of `message`. */
static void add_message(struct mistakes *mistakes, const struct place *place, const char *message) {
  struct mistake *mistake = arena_alloc(mistakes->arena, sizeof *mistake);
  const char *text = mistake ? arena_strdup(mistakes->arena, message) : NULL;
  if (!text) {
    mistakes->failed = true;
    return;
  }
  *mistake = (struct mistake){.place = *place, .message = text, .order = mistakes->count++};
  if (mistakes->last)
    mistakes->last->next = mistake;
  else
    mistakes->first = mistake;
  mistakes->last = mistake;
}

void mistakes_add(struct mistakes *mistakes, const struct place *place, const char *format, ...) {
  CLEANUP(buf_release) struct buf message;
  buf_init(&message);
  va_list args;
  va_start(args, format);
  buf_vprintf(&message, format, args);
  va_end(args);
  if (message.failed)
    mistakes->failed = true;
  else
    add_message(mistakes, place, message.data);
}

/* The file first, then the arguments in the order of their text. */
static int compare_places(const struct place *a, const struct place *b) {
  if (!a->argument != !b->argument) return a->argument ? 1 : -1;
  if (a->argument) return strcmp(a->argument, b->argument);
  if (a->line != b->line) return a->line < b->line ? -1 : 1;
  return (a->column > b->column) - (a->column < b->column);
}

static int compare_mistakes(const void *left, const void *right) {
  const struct mistake *a = *(const struct mistake *const *)left;
  const struct mistake *b = *(const struct mistake *const *)right;
  int order = compare_places(&a->place, &b->place);
  return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static void fill_error(struct error *err, const struct mistake *mistake, const char *file) {
  if (mistake->place.argument)
    error_set(err, STATUS_USAGE, "%s: %s", mistake->place.argument, mistake->message);
  else
    error_set_at(err, file, mistake->place.line, mistake->place.column, "%s", mistake->message);
}

int mistakes_deliver(struct mistakes *mistakes, const char *file,
                     struct scenario_errors *ret_errors, struct error *err) {
  if (mistakes->failed) return error_set(err, STATUS_MEMORY, "out of memory");
  if (mistakes->count == 0) return 0;
  struct mistake **sorted =
      arena_calloc(mistakes->arena, mistakes->count, sizeof(struct mistake *));
  if (!sorted) return error_set(err, STATUS_MEMORY, "out of memory");
  uint32_t count = 0;
  for (struct mistake *m = mistakes->first; m; m = m->next) sorted[count++] = m;
  assert(count == mistakes->count);
  qsort(sorted, count, sizeof(struct mistake *), compare_mistakes);
  ret_errors->count = ret_errors->total = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0 && compare_places(&sorted[i - 1]->place, &sorted[i]->place) == 0 &&
        strcmp(sorted[i - 1]->message, sorted[i]->message) == 0)
      continue;
    if (ret_errors->count < SCENARIO_ERRORS_MAX) {
      struct error *error = &ret_errors->errors[ret_errors->count++];
      *error = ERROR_INIT;
      fill_error(error, sorted[i], file);
    }
    ret_errors->total++;
  }
  fill_error(err, sorted[0], file);
  return STATUS_USAGE;
}

/* The bytes of a UTF-8 character by its first byte; what is no first byte counts as one. */
static size_t character_size(unsigned char byte) {
  if (byte >= 0xf0) return 4;
  if (byte >= 0xe0) return 3;
  return byte >= 0xc0 ? 2 : 1;
}

size_t show_text(const char *text, char *buffer, size_t size) {
  const char ellipsis[] = "...";
  size_t length = 0;
  const char *from = text;
  while (*from) {
    unsigned char byte = (unsigned char)*from;
    size_t bytes = character_size(byte);
    if (length + bytes + sizeof ellipsis > size) break;
    bool control = byte < 0x20 || byte == 0x7f ||
                   (byte == 0xc2 && (unsigned char)from[1] < 0xa0); /* C1 controls */
    if (control) buffer[length++] = '?';
    for (size_t i = 0; i < bytes && *from; i++, from++)
      if (!control) buffer[length++] = *from;
  }
  return length + (size_t)snprintf(buffer + length, size - length, "%s", *from ? ellipsis : "");
}

const char *shown(const char *text, char buffer[SHOWN_SIZE]) {
  buffer[0] = '"';
  size_t length = 1 + show_text(text, buffer + 1, SHOWN_SIZE - 2);
  buffer[length] = '"';
  buffer[length + 1] = '\0';
  return buffer;
}
