/* What the workloads' clients have in common in their options. */
#ifndef GAMEDAY_WORKLOAD_OPTIONS_H
#define GAMEDAY_WORKLOAD_OPTIONS_H

#include "gameday/driver.h"

/* Part of a workload's validate(): STATUS_USAGE when an attempt to connect may last as long as an
 * operation. */
int client_options_validate(const struct client_options *options, struct error *err);

/* Choices of a parameter `arrival`, and what they are. */
extern const char *const arrival_choices[];
enum arrival { ARRIVAL_CONSTANT, ARRIVAL_POISSON };

/* Rows that the clients of Redis share, for configurations that begin with struct client_options.
 */
extern const struct param redis_connect_timeout, redis_operation_timeout, redis_reconnect_delay,
    redis_tcp_user_timeout, redis_pipeline_depth;

#endif
