/* The real-time backend of the loop; for loop.c only. */
#ifndef GAMEDAY_BASE_LOOP_EPOLL_H
#define GAMEDAY_BASE_LOOP_EPOLL_H

#include "base/loop.h"

extern const struct loop_backend loop_backend_epoll;

int loop_epoll_new(void **ret_state, struct error *err);
void loop_epoll_free(void *state);

#endif
