/* What the ledgers have in common, in whatever server they keep their rows: the configuration, the
 * classes of clients and what these do. */
#ifndef GAMEDAY_WORKLOAD_LEDGER_H
#define GAMEDAY_WORKLOAD_LEDGER_H

#include "gameday/workload.h"

/* The beginning of every ledger's configuration. */
struct ledger_config {
  struct client_options options; /* first: of it are rows that others share */
  double rate;
  uint32_t clients;
  double read_ratio;
  int arrival;
  uint64_t payload;
  double pinned_rate;
  uint64_t heartbeat_ns, probe_interval_ns;
};
/* Rows of it. */
extern const struct param ledger_rate, ledger_arrival, ledger_pinned_rate;

/* The classes, by what their clients do: write, and read back what they wrote; probe with fresh
 * connections; write beats; read the beats of one host; write to one host (pinned_rate is not 0).
 * `uses` as in struct client_class. */
struct client_class ledger_writers(const struct ledger_config *config, uint32_t uses);
struct client_class ledger_probe(const struct ledger_config *config, uint32_t uses);
struct client_class ledger_heartbeat_writer(const struct ledger_config *config, uint32_t uses);
struct client_class ledger_heartbeat_reader(const struct ledger_config *config, uint16_t host,
                                            uint32_t uses);
struct client_class ledger_pinned(const struct ledger_config *config, uint16_t host, uint32_t uses);

/* struct workload's options, plan and answer. Reads of rows answer identity and sequence, of the
 * heartbeat the beat. */
const struct client_options *ledger_options(const void *config);
void ledger_plan(struct client *client, struct operation *operation);
void ledger_answer(struct client *client, struct operation *operation, const struct reply *reply);
/* The parameters of a write: identity, sequence and checksum, and the payload as its text. */
void ledger_append(struct client *client, struct operation *operation, struct request *request,
                   char *payload);

#endif
