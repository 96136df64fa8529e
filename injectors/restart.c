/* restart: one server is restarted on purpose, as after a change of its configuration. */
#include "injectors.h"
#include "step.h"

static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = offsetof(struct step_config, target),
     .required = true,
     .help =
         "Whose server restarts: SERVICE.primary, SERVICE.replica[N], SERVICE.any or host/NAME."},
    {0},
};

const struct injector injector_restart = {
    .plugin = {.name = "restart",
               .summary = "A planned restart of one server, as after a change of its configuration",
               .params = params,
               .config_size = sizeof(struct step_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_RESTART,
    .target_offset = offsetof(struct step_config, target),
    .process_offset = SIZE_MAX,
    .inject = step_inject,
    .confirm = step_confirm,
    .heal = step_heal,
};
