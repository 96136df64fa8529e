/* switchover: the planned change of the primary, as before maintenance. */
#include "injectors.h"
#include "step.h"

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct step_config, target),
     .required = true,
     .help = "Who becomes primary: SERVICE.replica[N] or host/NAME."},
    {0},
};

const struct injector injector_switchover = {
    .plugin = {.name = "switchover",
               .summary = "A planned change of the primary, asked of the cluster's manager",
               .params = params,
               .config_size = sizeof(struct step_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_SWITCHOVER,
    .target_offset = offsetof(struct step_config, target),
    .process_offset = SIZE_MAX,
    .fits = step_fits_successor,
    .inject = step_inject,
    .confirm = step_confirm,
    .heal = step_heal,
};
