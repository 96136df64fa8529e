/* What the workloads' clients have in common in their options. */
#include "workload/options.h"

int client_options_validate(const struct client_options *options, struct error *err) {
  if (options->connect_timeout_ns < options->operation_timeout_ns) return 0;
  return error_set(
      err, STATUS_USAGE,
      "connect_timeout must be shorter than operation_timeout: one dead server would otherwise "
      "keep an operation from ever trying the next one");
}
