/* The table of Redis' error replies: the code of each in the record, and whether a write that got
 * it was certainly not applied. */
#include <string.h>

#include "gameday/redis_access.h"

struct error_rule {
  const char *prefix; /* of the message, whole words; the longest that fits counts */
  const char *code;
  enum outcome outcome;
  const char *because;
};

/* The ground of most FAILs: processCommand() in server.c of Redis looks at them, in this order,
 * before it calls the command; a single command that was not called has changed nothing. Names of
 * errors: createSharedObjects() there, clusterRedirectClient() in cluster.c. */
static const struct error_rule rules[] = {
    {"READONLY", CODE_READ_ONLY, OUTCOME_FAIL, "a replica refuses writes before they run"},
    {"MOVED", "RDMOV", OUTCOME_FAIL, "the slot is another node's: not run"},
    {"ASK", "RDASK", OUTCOME_FAIL, "the slot is moving and the key is not here: not run"},
    {"CLUSTERDOWN", "RDDWN", OUTCOME_FAIL, "the node is no part of a working cluster: not run"},
    {"TRYAGAIN", "RDTRY", OUTCOME_FAIL, "keys of one command on both sides of a moving slot"},
    {"CROSSSLOT", "RDCRO", OUTCOME_FAIL, "keys of several slots in one command: not run"},
    {"REDIRECT", "RDRED", OUTCOME_FAIL, "Valkey names another primary: not run"},
    {"LOADING", "RDLOA", OUTCOME_FAIL, "the data set is being loaded: not run"},
    {"MASTERDOWN", "RDMDN", OUTCOME_FAIL, "a replica without its primary serves nothing stale"},
    {"NOREPLICAS", "RDNRP", OUTCOME_FAIL, "fewer replicas than min-replicas-to-write: not run"},
    {"OOM", CODE_OUT_OF_MEMORY, OUTCOME_FAIL, "over maxmemory, and nothing to evict: not run"},
    {"MISCONF", "RDMIS", OUTCOME_FAIL, "snapshots or the AOF fail, writes are stopped: not run"},
    {"NOAUTH", "RDNAU", OUTCOME_FAIL, "no password was given: not run"},
    {"NOPERM", "RDNPE", OUTCOME_FAIL, "the user may not: not run"},
    {"WRONGPASS", "RDWPS", OUTCOME_FAIL, "the password is wrong: not run"},
    {"DENIED", "RDDEN", OUTCOME_FAIL, "protected mode: nothing was read"},
    {"NOPROTO", "RDPRO", OUTCOME_FAIL, "not this protocol version"},
    {"BUSY", "RDBUS", OUTCOME_FAIL, "a script or function runs for too long: not run"},
    {"BUSYKEY", "RDBUS", OUTCOME_FAIL, "the target key exists: nothing was changed"},
    {"BUSYGROUP", "RDBUS", OUTCOME_FAIL, "the group exists: nothing was changed"},
    {"WRONGTYPE", "RDTYP", OUTCOME_FAIL, "the key holds another kind of value: found before"},
    {"NOSCRIPT", "RDNOS", OUTCOME_FAIL, "no such script: not run"},
    {"EXECABORT", "RDEXE", OUTCOME_FAIL, "the transaction was discarded"},
    {"UNBLOCKED", "RDUBL", OUTCOME_UNKNOWN, "woken from waiting because the role changed"},
    {"ERR max number of clients", "RDMAX", OUTCOME_FAIL, "said at accept: nothing was read"},
    {"ERR unknown", "RDERR", OUTCOME_FAIL, "unknown command or subcommand: not run"},
    {"ERR wrong number", "RDERR", OUTCOME_FAIL, "wrong number of arguments: not run"},
    {"ERR syntax error", "RDERR", OUTCOME_FAIL, "found before anything is changed"},
    {"ERR invalid password", "RDWPS", OUTCOME_FAIL, "authentication: nothing else was asked"},
    /* Others may come from the middle of a script or module. */
    {"ERR", "RDERR", OUTCOME_UNKNOWN, "any other: scripts use it for what went wrong half way"},
    {NULL, "RDOTH", OUTCOME_UNKNOWN, "not in this table"},
};

static bool matches(const char *message, const char *prefix) {
  if (message[0] != prefix[0]) return false; /* as most: errors come by the thousand */
  size_t length = strlen(prefix);
  return strncmp(message, prefix, length) == 0 &&
         (message[length] == '\0' || message[length] == ' ');
}

static const struct error_rule *rule_of(const char *message) {
  const struct error_rule *best = NULL, *rule = rules;
  for (; rule->prefix; rule++) {
    if (!matches(message, rule->prefix)) continue;
    if (!best || strlen(rule->prefix) > strlen(best->prefix)) best = rule;
  }
  return best ? best : rule;
}

uint32_t redis_error_code(const char *message) {
  return code_pack(rule_of(message)->code);
}

enum outcome redis_error_outcome(const char *message) {
  return rule_of(message)->outcome;
}
