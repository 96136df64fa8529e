/* What a run in virtual time stands for: the programs that its provider models, in which version.
 */
#ifndef GAMEDAY_ENGINE_MODELLED_H
#define GAMEDAY_ENGINE_MODELLED_H

#include "gameday/checker.h"
#include "scenario/scenario.h"

/* The programs of the scenario's services whose models have versions, each once, at most one a
 * service. None where the provider's are real. Texts are borrowed from the provider. */
#define MODELLED_MAX SERVICES_MAX
uint32_t modelled_programs(const struct scenario *scenario,
                           struct modelled_program ret[MODELLED_MAX]);

#endif
