/* Names of verdicts and capabilities, as messages and reports print them; processes by name. */
#include <string.h>

#include "gameday/checker.h"
#include "gameday/provider.h"
#include "gameday/service.h"

const char *verdict_name(enum verdict verdict) {
  switch (verdict) {
    case VERDICT_PASS: return "pass";
    case VERDICT_UNKNOWN: return "unknown";
    case VERDICT_FAIL: return "fail";
  }
  return "invalid";
}

const char *capability_name(enum capability capability) {
  switch (capability) {
    case CAN_HOST_POWER: return "host power";
    case CAN_SIGNAL: return "signals";
    case CAN_FREEZE: return "freezing";
    case CAN_UNITS: return "daemons on hosts";
    case CAN_EXEC: return "running programs on hosts";
    case CAN_FILES: return "writing files on hosts";
    case CAN_NETWORK: return "clients in the hosts' network";
    case CAN_LINKS: return "cutting links between hosts";
  }
  return "invalid";
}

const struct service_process *service_process_find(const struct service *service,
                                                   const void *config, const char *name) {
  const struct service_process *process =
      service->processes_for ? service->processes_for(config) : service->processes;
  for (; process && process->name; process++)
    if (strcmp(process->name, name) == 0) return process;
  return NULL;
}
