/* Finds the candidate that a mistyped word most likely meant. */
#include "scenario/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

static size_t fold(const char *word, char folded[WORD_MAX]) {
  size_t length = 0;
  for (; length < WORD_MAX && word[length]; length++) {
    char c = (char)tolower((unsigned char)word[length]);
    folded[length] = c == '-' ? '_' : c;
  }
  return length;
}

static unsigned minimum(unsigned a, unsigned b) {
  return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b) {
  char x[WORD_MAX], y[WORD_MAX];
  size_t x_length = fold(a, x), y_length = fold(b, y);
  /* Three rows of the dynamic programming table: transposition looks two rows back. */
  unsigned rows[3][WORD_MAX + 1];
  for (size_t j = 0; j <= y_length; j++) rows[0][j] = (unsigned)j;
  for (size_t i = 1; i <= x_length; i++) {
    unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= y_length; j++) {
      unsigned cost = x[i - 1] == y[j - 1] ? 0 : 1;
      row[j] = minimum(minimum(row[j - 1] + 1, above[j] + 1), above[j - 1] + cost);
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
        row[j] = minimum(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[x_length % 3][y_length];
}

void suggestion_init(struct suggestion *suggestion, const char *word) {
  *suggestion = (struct suggestion){.word = word};
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate) {
  unsigned distance = suggest_distance(suggestion->word, candidate);
  size_t length = strnlen(candidate, WORD_MAX);
  /* A third of the word may be wrong; in a word of three letters, one. */
  unsigned allowed = length < 6 ? 1 : (unsigned)(length / 3);
  if (distance <= allowed && (!suggestion->best || distance < suggestion->distance)) {
    suggestion->best = candidate;
    suggestion->distance = distance;
  }
  suggestion->count++;
  if (suggestion->full) return;
  char *end = suggestion->list + suggestion->list_length;
  size_t room = sizeof suggestion->list - suggestion->list_length - sizeof ", ...";
  int written = snprintf(end, room, "%s%s", suggestion->list_length ? ", " : "", candidate);
  if (written > 0 && (size_t)written < room) {
    suggestion->list_length += (size_t)written;
    return;
  }
  suggestion->full = true;
  snprintf(end, sizeof ", ...", ", ...");
}

const char *suggestion_text(const struct suggestion *suggestion, char text[SUGGESTION_SIZE]) {
  text[0] = '\0';
  if (suggestion->best)
    snprintf(text, SUGGESTION_SIZE, "; did you mean '%s'?", suggestion->best);
  else if (suggestion->count == 1)
    snprintf(text, SUGGESTION_SIZE, "; expected %s", suggestion->list);
  else if (suggestion->count > 1)
    snprintf(text, SUGGESTION_SIZE, "; expected one of %s", suggestion->list);
  return text;
}
