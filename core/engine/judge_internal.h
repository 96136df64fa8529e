/* What the parts of the judge share. */
#ifndef GAMEDAY_ENGINE_JUDGE_INTERNAL_H
#define GAMEDAY_ENGINE_JUDGE_INTERNAL_H

#include "engine/judge.h"

/* Judges one objective over the measures of one run or of several. Texts live in `arena`. */
int judge_objective(const struct scenario_objective *objective, const struct run_result *runs,
                    uint32_t run_count, struct arena *arena, struct objective_result *ret,
                    struct error *err);

#endif
