/* The journal: every fault is written here and flushed to disk before it is injected, so that
 * whoever survives (the guard, `gameday heal`) knows what to undo. journal.jsonl in the run
 * directory, one JSON object a line. */
#ifndef GAMEDAY_ENGINE_JOURNAL_H
#define GAMEDAY_ENGINE_JOURNAL_H

#include "base/error.h"
#include "gameday/injector.h"

enum journal_state { JOURNAL_INJECTING, JOURNAL_INJECTED, JOURNAL_HEALING, JOURNAL_HEALED };

struct journal {
  int fd; /* -1: not open */
};

int journal_open(struct journal *journal, const char *run_directory, struct error *err);
void journal_close(struct journal *journal); /* not open is fine */
/* Appends and fsyncs; returns when it is on disk. Any thread; one at a time. */
int journal_write(struct journal *journal, const struct injection *in, enum journal_state state,
                  struct error *err);

/* A fault that was injected, or may have been, and not healed. */
struct journal_fault {
  int32_t fault; /* index in the scenario's timeline */
  char injector[64], host[64], note[256];
  /* The process as it was when the fault was injected, for those who cannot ask the service: its
   * name ("": none), how it is matched, the unit that brings it back; each "" when absent. */
  char process[64], program[64], argument[256], match_unit[64], unit[64];
  bool tree;
};
/* Reads the faults that are still open, at most `max`; a torn last line is ignored. No journal: 0.
 */
int journal_read_open(const char *run_directory, struct journal_fault *ret_faults, uint32_t max,
                      uint32_t *ret_count, struct error *err);

#endif
