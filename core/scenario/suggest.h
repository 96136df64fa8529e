/* "did you mean": the candidate nearest to a mistyped word by edit distance. */
#ifndef GAMEDAY_SCENARIO_SUGGEST_H
#define GAMEDAY_SCENARIO_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "scenario/mistakes.h"

struct suggestion {
  const char *word;
  const char *best; /* NULL: nothing is near enough; borrowed from the candidates */
  unsigned distance;
  /* All candidates, for words that are near none: "a, b, c". */
  char list[320];
  size_t list_length;
  unsigned count;
  bool full; /* the list ends in "..." */
};

void suggestion_init(struct suggestion *suggestion, const char *word);
void suggestion_offer(struct suggestion *suggestion, const char *candidate);

/* The end of a message: "; did you mean 'x'?", "; expected one of a, b, c", or "" without any
 * candidate. Returns `text`. */
#define SUGGESTION_SIZE 400
const char *suggestion_text(const struct suggestion *suggestion, char text[SUGGESTION_SIZE]);

/* Optimal string alignment distance (insertion, deletion, substitution, transposition), letters
 * without case, '-' equal to '_'. At most 64 characters of each are looked at. */
unsigned suggest_distance(const char *a, const char *b);

#endif
