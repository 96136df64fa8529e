/* Commands of Redis, made of words. */
#ifndef GAMEDAY_PLUGIN_REDIS_WORDS_H
#define GAMEDAY_PLUGIN_REDIS_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* "*2\r\n$3\r\nGET\r\n..." (RESP2) of `count` words into `out`, or only its length when `out` is
 * NULL. */
size_t redis_words(const char *const words[], uint32_t count, char *out);

#endif
