/* What the workloads' clients have in common in their options. */
#ifndef GAMEDAY_WORKLOAD_OPTIONS_H
#define GAMEDAY_WORKLOAD_OPTIONS_H

#include "gameday/driver.h"

/* Part of a workload's validate(): STATUS_USAGE when an attempt to connect may last as long as an
 * operation. */
int client_options_validate(const struct client_options *options, struct error *err);

#endif
