/* promote: a replica is made primary by hand, where no manager does it. */
#include "injectors.h"
#include "step.h"

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct step_config, target),
     .required = true,
     .help = "Which replica becomes a primary: SERVICE.replica[N] or host/NAME."},
    {0},
};

const struct injector injector_promote = {
    .plugin = {.name = "promote",
               .summary = "A replica is told to become a primary, where no manager does it",
               .params = params,
               .config_size = sizeof(struct step_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_PROMOTE,
    .target_offset = offsetof(struct step_config, target),
    .process_offset = SIZE_MAX,
    .fits = step_fits_successor,
    .inject = step_inject,
    .confirm = step_confirm,
    .heal = step_heal,
};
