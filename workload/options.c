/* What the workloads' clients have in common in their options. */
#include "workload/options.h"

#define FIELD(name) .offset = offsetof(struct client_options, name)

const char *const arrival_choices[] = {"constant", "poisson", NULL};

int client_options_validate(const struct client_options *options, struct error *err) {
  if (options->connect_timeout_ns < options->operation_timeout_ns) return 0;
  return error_set(
      err, STATUS_USAGE,
      "connect_timeout must be shorter than operation_timeout: one dead server would otherwise "
      "keep an operation from ever trying the next one");
}

const struct param redis_connect_timeout = {
    .key = "connect_timeout",
    .type = PARAM_DURATION,
    FIELD(connect_timeout_ns),
    .default_text = "1s",
    .minimum = "10ms",
    .maximum = "10min",
    .help = "One attempt on one server or sentinel: name, TCP, authentication, role."};

const struct param redis_operation_timeout = {
    .key = "operation_timeout",
    .type = PARAM_DURATION,
    FIELD(operation_timeout_ns),
    .default_text = "2s",
    .minimum = "10ms",
    .maximum = "1h",
    .help =
        "From the scheduled time until the client gives up; when sent, its connection is "
        "closed and the outcome is unknown. 2 s is what Jedis waits for an answer."};

const struct param redis_reconnect_delay = {
    .key = "reconnect_delay",
    .type = PARAM_DURATION,
    FIELD(reconnect_delay_ns),
    .default_text = "100ms",
    .minimum = "1ms",
    .maximum = "10min",
    .help =
        "Pause after a round over all servers that found none to connect to, between attempts "
        "on one primary of a cluster, and between questions for its map."};

const struct param redis_tcp_user_timeout = {
    .key = "tcp_user_timeout",
    .type = PARAM_DURATION,
    FIELD(tcp_user_timeout_ns),
    .default_text = "0s",
    .minimum = "0s",
    .maximum = "1h",
    .help =
        "How long sent data may stay unacknowledged before the kernel closes the connection "
        "(TCP_USER_TIMEOUT); 0s is the system's default, as most clients' is."};

const struct param redis_pipeline_depth = {.key = "pipeline_depth",
                                           .type = PARAM_COUNT,
                                           FIELD(pipeline_depth),
                                           .default_text = "1",
                                           .minimum = "1",
                                           .maximum = "1024",
                                           .help = "Operations in flight of one client."};
