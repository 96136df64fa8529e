/* What a run in virtual time stands for. */
#include "engine/modelled.h"

#include <string.h>

uint32_t modelled_programs(const struct scenario *scenario,
                           struct modelled_program ret[MODELLED_MAX]) {
  const struct provider *provider = scenario->provider;
  uint32_t count = 0;
  for (uint32_t i = 0; provider->modelled && i < scenario->service_count; i++) {
    const struct scenario_service *row = &scenario->services[i];
    struct modelled_program program;
    if (!provider->modelled(scenario->provider_config, row->service, row->config, &program))
      continue;
    uint32_t k = 0;
    while (k < count && strcmp(ret[k].name, program.name) != 0) k++;
    if (k == count && count < MODELLED_MAX) ret[count++] = program;
  }
  return count;
}
