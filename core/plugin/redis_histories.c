/* The numbers of Redis histories. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gameday/redis_access.h"

int redis_histories_init(struct redis_histories *histories, struct error *err) {
  int errnum = pthread_mutex_init(&histories->mutex, NULL);
  if (errnum) return error_set_errno(err, errnum, "cannot make a mutex");
  histories->count = 0;
  return 0;
}

void redis_histories_release(struct redis_histories *histories) {
  if (!histories) return;
  pthread_mutex_destroy(&histories->mutex);
  histories->count = 0;
}

uint32_t redis_histories_number(struct redis_histories *histories, const char *id) {
  size_t length = id ? strlen(id) : 0;
  if (length != REDIS_ID_SIZE - 1 || strspn(id, "0123456789abcdef") != length) return 0;
  /* A replica that never met a primary has an id of zeros (CONFIG_RUN_ID_SIZE of them). */
  if (strspn(id, "0") == length) return 0;
  uint32_t number = 0;
  pthread_mutex_lock(&histories->mutex);
  for (uint32_t i = 0; i < histories->count && number == 0; i++) {
    if (strcmp(histories->ids[i], id) == 0) number = i + 1;
  }
  if (number == 0 && histories->count < REDIS_HISTORIES_MAX) {
    memcpy(histories->ids[histories->count++], id, REDIS_ID_SIZE);
    number = histories->count;
  }
  pthread_mutex_unlock(&histories->mutex);
  return number;
}
