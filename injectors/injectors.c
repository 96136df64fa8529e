/* The table of fault kinds: to add one is to add a file and a row. */
#include "injectors.h"

#include <stddef.h>

const struct injector *const injectors[] = {
    &injector_cache_stampede, &injector_host_crash,
    &injector_memory_fill,    &injector_net_partition,
    &injector_process_kill,   &injector_process_pause,
    &injector_promote,        &injector_restart,
    &injector_switchover,     NULL,
};
