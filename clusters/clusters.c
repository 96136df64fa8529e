/* The table of providers: to add one is to add its files and a row. */
#include "clusters.h"

#include <stddef.h>

const struct provider *const providers[] = {
    &provider_local,
    &provider_sim,
    NULL,
};
