/* Witnesses that a checker collects while it reads, before it has a finding to put them in. */
#ifndef GAMEDAY_CHECKERS_NOTES_H
#define GAMEDAY_CHECKERS_NOTES_H

#include "gameday/checker.h"

#define NOTE_KINDS_MAX 8

struct note {
  const char *what; /* static text */
  char *text;       /* owned */
  uint64_t time_ns;
};
struct notes {
  struct note *items;
  uint32_t count, capacity;
  struct {
    const char *what;
    uint32_t count;
  } kinds[NOTE_KINDS_MAX]; /* at most WITNESSES_MAX of each */
};

void notes_release(struct notes *notes);
/* Whether one more of `what` would be kept: asked before a text is made. */
bool notes_want(const struct notes *notes, const char *what);
int notes_add(struct notes *notes, const char *what, uint64_t time_ns, struct error *err,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* All but those of kind `except` (NULL: all). */
int notes_give(const struct notes *notes, const char *except, struct finding *finding,
               struct error *err);

#endif
