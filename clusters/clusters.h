/* The providers of this build; clusters.c lists them. */
#ifndef GAMEDAY_CLUSTERS_CLUSTERS_H
#define GAMEDAY_CLUSTERS_CLUSTERS_H

#include "gameday/provider.h"

extern const struct provider provider_local;
extern const struct provider provider_sim; /* sim/sim.c */

#endif
