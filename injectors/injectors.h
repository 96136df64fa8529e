/* The descriptors of this folder, one a file, for the table in injectors.c. */
#ifndef GAMEDAY_INJECTORS_INJECTORS_H
#define GAMEDAY_INJECTORS_INJECTORS_H

#include "gameday/injector.h"

extern const struct injector injector_cache_stampede;
extern const struct injector injector_host_crash;
extern const struct injector injector_memory_fill;
extern const struct injector injector_net_partition;
extern const struct injector injector_process_kill;
extern const struct injector injector_process_pause;
extern const struct injector injector_promote;
extern const struct injector injector_restart;
extern const struct injector injector_switchover;

#endif
