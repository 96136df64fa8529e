/* The table of services: one row each. */
#include <stddef.h>

#include "gameday/service.h"

extern const struct service service_postgres;
extern const struct service service_redis;

const struct service *const services[] = {&service_postgres, &service_redis, NULL};
