/* Words in the protocol's form. */
#include "plugin/redis_words.h"

#include <stdio.h>
#include <string.h>

size_t redis_words(const char *const words[], uint32_t count, char *out) {
  char frame[32]; /* a sign, a number and the end of the line */
  size_t length = (size_t)snprintf(frame, sizeof frame, "*%u\r\n", (unsigned)count);
  if (out) memcpy(out, frame, length);
  for (uint32_t i = 0; i < count; i++) {
    size_t word = strlen(words[i]);
    size_t added = (size_t)snprintf(frame, sizeof frame, "$%zu\r\n", word);
    if (out) {
      memcpy(out + length, frame, added);
      memcpy(out + length + added, words[i], word);
      memcpy(out + length + added + word, "\r\n", 2);
    }
    length += added + word + 2;
  }
  return length;
}
