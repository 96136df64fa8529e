/* Outcome codes as numbers, and the names of what a record holds. */
#include "gameday/event.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* "Z" is 35; anything else is -1. */
static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return -1;
}

uint32_t code_pack(const char code[5]) {
  uint32_t packed = 0;
  for (int i = 0; i < 5; i++) {
    int digit = digit_of(code[i]); /* a NUL ends a short text here */
    if (digit < 0) return 0;
    packed = packed * 36 + (uint32_t)digit;
  }
  return packed + 1;
}

void code_unpack(uint32_t packed, char ret_code[6]) {
  const uint32_t highest = 60466176; /* 36^5 */
  if (packed == 0 || packed > highest) {
    ret_code[0] = '\0';
    return;
  }
  packed--;
  for (int i = 4; i >= 0; i--, packed /= 36)
    ret_code[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[packed % 36];
  ret_code[5] = '\0';
}

bool operation_is_write(const struct operation *operation) {
  return operation->kind == OPERATION_WRITE;
}

bool operation_is_read(const struct operation *operation) {
  return operation->kind == OPERATION_READ_OWN || operation->kind == OPERATION_READ_NEWEST ||
         operation->kind == OPERATION_READ_KEY || operation->kind == OPERATION_REGISTER_READ;
}

/* The numbers come from files too, so a name must exist for those that are out of range. */
static const char *name_at(const char *const *names, size_t count, unsigned index) {
  return index < count ? names[index] : "invalid";
}
#define NAME_AT(names, index) name_at(names, sizeof names / sizeof *names, (unsigned)(index))

const char *operation_kind_name(enum operation_kind kind) {
  static const char *const names[OPERATION_KIND_COUNT] = {
      [OPERATION_WRITE] = "write",
      [OPERATION_READ_OWN] = "read_own",
      [OPERATION_READ_NEWEST] = "read_newest",
      [OPERATION_HEARTBEAT_WRITE] = "heartbeat_write",
      [OPERATION_HEARTBEAT_READ] = "heartbeat_read",
      [OPERATION_PROBE] = "probe",
      [OPERATION_READ_KEY] = "read_key",
      [OPERATION_CACHE_WRITE] = "cache_write",
      [OPERATION_CACHE_READ] = "cache_read",
      [OPERATION_ORIGIN] = "origin",
      [OPERATION_REGISTER_READ] = "register_read",
      [OPERATION_REGISTER_CAS] = "register_cas",
  };
  return NAME_AT(names, kind);
}

const char *outcome_name(enum outcome outcome) {
  static const char *const names[OUTCOME_COUNT] = {
      [OUTCOME_OK] = "ok",
      [OUTCOME_FAIL] = "fail",
      [OUTCOME_UNKNOWN] = "unknown",
      [OUTCOME_SKIPPED] = "skipped",
  };
  return NAME_AT(names, outcome);
}

const char *route_name(enum route route) {
  static const char *const names[ROUTE_COUNT] = {
      [ROUTE_PRIMARY] = "primary",
      [ROUTE_PINNED] = "pinned",
      [ROUTE_REPLICA] = "replica",
      [ROUTE_PROXY] = "proxy",
  };
  return NAME_AT(names, route);
}

const char *role_name(enum role role) {
  static const char *const names[] = {
      [ROLE_NONE] = "none",
      [ROLE_PRIMARY] = "primary",
      [ROLE_REPLICA] = "replica",
  };
  return NAME_AT(names, role);
}

const char *event_kind_name(enum event_kind kind) {
  static const char *const names[EVENT_KIND_COUNT] = {
      [EVENT_RUN] = "run",
      [EVENT_FAULT_PLANNED] = "fault_planned",
      [EVENT_FAULT_JOURNALED] = "fault_journaled",
      [EVENT_FAULT_INJECTED] = "fault_injected",
      [EVENT_FAULT_CONFIRMED] = "fault_confirmed",
      [EVENT_FAULT_UNCONFIRMED] = "fault_unconfirmed",
      [EVENT_FAULT_HEALED] = "fault_healed",
      [EVENT_FAULT_HEAL_CONFIRMED] = "fault_heal_confirmed",
      [EVENT_FAULT_HEAL_FAILED] = "fault_heal_failed",
      [EVENT_ROLE] = "role",
      [EVENT_LEADER_LOST] = "leader_lost",
      [EVENT_LEADER] = "leader",
      [EVENT_PROMOTED] = "promoted",
      [EVENT_REDUNDANT] = "redundant",
      [EVENT_IDENTITY] = "identity",
      [EVENT_WARNING] = "warning",
      [EVENT_FINAL_READ] = "final_read",
      [EVENT_MANAGER] = "manager",
  };
  return NAME_AT(names, kind);
}

const struct metric_info *metric_info(enum metric metric) {
  static const struct metric_info infos[METRIC_COUNT] = {
      [METRIC_LAG_BYTES] = {.name = "replication_lag_bytes", .unit = "B"},
      [METRIC_LAG_SECONDS] = {.name = "replication_lag_seconds", .unit = "s"},
      [METRIC_WAL_POSITION] = {.name = "wal_position", .unit = "B"},
      [METRIC_TIMELINE] = {.name = "timeline", .unit = "1"},
      [METRIC_SYNC_STATE] = {.name = "sync_state", .unit = "1"},
      [METRIC_STREAMING] = {.name = "streaming", .unit = "1"},
      [METRIC_CONNECTIONS] = {.name = "connections", .unit = "1"},
      [METRIC_PROBE_RESOLVE] = {.name = "probe_resolve", .unit = "s"},
      [METRIC_PROBE_CONNECT] = {.name = "probe_connect", .unit = "s"},
      [METRIC_PROBE_AUTHENTICATE] = {.name = "probe_authenticate", .unit = "s"},
      [METRIC_PROBE_READ] = {.name = "probe_read", .unit = "s"},
      [METRIC_PROBE_WRITE] = {.name = "probe_write", .unit = "s"},
      [METRIC_HARNESS_DELAY] = {.name = "harness_delay", .unit = "s"},
      [METRIC_MEMORY_USED] = {.name = "memory_used", .unit = "B"},
      [METRIC_EVICTED_KEYS] = {.name = "evicted_keys", .unit = "1"},
      [METRIC_EXPIRED_KEYS] = {.name = "expired_keys", .unit = "1"},
      [METRIC_KEYSPACE_HITS] = {.name = "keyspace_hits", .unit = "1"},
      [METRIC_KEYSPACE_MISSES] = {.name = "keyspace_misses", .unit = "1"},
      [METRIC_SNAPSHOT_FAILED] = {.name = "snapshot_failed", .unit = "1"},
  };
  static const struct metric_info invalid = {.name = "invalid", .unit = "1"};
  return (unsigned)metric < METRIC_COUNT ? &infos[metric] : &invalid;
}
