/* The numbers of Redis histories. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gameday/redis_access.h"

int redis_histories_init(struct redis_histories *histories, struct error *err) {
  int errnum = pthread_mutex_init(&histories->mutex, NULL);
  if (errnum) return error_set_errno(err, errnum, "cannot make a mutex");
  histories->count = 0;
  memset(histories->places, 0, sizeof histories->places);
  return 0;
}

void redis_histories_release(struct redis_histories *histories) {
  if (!histories) return;
  pthread_mutex_destroy(&histories->mutex);
  histories->count = 0;
}

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash_of(const char *id) {
  uint32_t hash = UINT32_C(2166136261);
  for (; *id; id++) hash = (hash ^ (unsigned char)*id) * UINT32_C(16777619);
  return hash;
}

/* Where the id's number is, or would be. There are always places that are free. */
static uint16_t *place_of(struct redis_histories *histories, const char *id) {
  for (uint32_t i = hash_of(id);; i++) {
    uint16_t *place = &histories->places[i % REDIS_HISTORY_PLACES];
    if (*place == 0 || memcmp(histories->ids[*place - 1], id, REDIS_ID_SIZE) == 0) return place;
  }
}

uint32_t redis_histories_number(struct redis_histories *histories, const char *id) {
  size_t length = id ? strlen(id) : 0;
  if (length != REDIS_ID_SIZE - 1 || strspn(id, "0123456789abcdef") != length) return 0;
  /* A replica that never met a primary has an id of zeros (CONFIG_RUN_ID_SIZE of them). */
  if (strspn(id, "0") == length) return 0;
  pthread_mutex_lock(&histories->mutex);
  uint16_t *place = place_of(histories, id);
  if (*place == 0 && histories->count < REDIS_HISTORIES_MAX) {
    memcpy(histories->ids[histories->count++], id, REDIS_ID_SIZE);
    *place = (uint16_t)histories->count;
  }
  uint32_t number = *place;
  pthread_mutex_unlock(&histories->mutex);
  return number;
}
