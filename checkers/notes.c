/* A bounded list of witnesses to come. */
#include "notes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void notes_release(struct notes *notes) {
  for (uint32_t i = 0; i < notes->count; i++) free(notes->items[i].text);
  free(notes->items);
  *notes = (struct notes){.items = NULL};
}

/* The slot of a kind, or the first free one. */
static uint32_t kind_of(const struct notes *notes, const char *what) {
  uint32_t kind = 0;
  while (kind < NOTE_KINDS_MAX && notes->kinds[kind].what &&
         strcmp(notes->kinds[kind].what, what) != 0)
    kind++;
  assert(kind < NOTE_KINDS_MAX); /* a checker has few kinds of witnesses */
  return kind;
}

bool notes_want(const struct notes *notes, const char *what) {
  return notes->kinds[kind_of(notes, what)].count < WITNESSES_MAX;
}

int notes_add(struct notes *notes, const char *what, uint64_t time_ns, struct error *err,
              const char *format, ...) {
  uint32_t kind = kind_of(notes, what);
  if (notes->kinds[kind].count == WITNESSES_MAX) return 0;
  if (notes->count == notes->capacity) {
    uint32_t capacity = notes->capacity ? notes->capacity * 2 : 64;
    struct note *larger = realloc(notes->items, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for witnesses");
    notes->items = larger;
    notes->capacity = capacity;
  }
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  char *copy = strdup(text);
  if (!copy) return error_set(err, STATUS_MEMORY, "out of memory for witnesses");
  notes->kinds[kind].what = what;
  notes->kinds[kind].count++;
  notes->items[notes->count++] = (struct note){.what = what, .text = copy, .time_ns = time_ns};
  return 0;
}

int notes_give(const struct notes *notes, const char *except, struct finding *finding,
               struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < notes->count && status == 0; i++) {
    if (except && strcmp(notes->items[i].what, except) == 0) continue;
    const struct witness witness = {.what = notes->items[i].what,
                                    .text = notes->items[i].text,
                                    .time_ns = notes->items[i].time_ns};
    status = finding_witness(finding, &witness, err);
  }
  return status;
}
