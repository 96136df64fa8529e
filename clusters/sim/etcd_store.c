/* The keys of one Patroni cluster, changed by one entry of the log after the other. */
#include <string.h>

#include "sim/etcd.h"

void sim_keys_init(struct sim_keys *keys) {
  *keys = (struct sim_keys){.leader = NOBODY,
                            .sync_leader = NOBODY,
                            .failover_leader = NOBODY,
                            .failover_candidate = NOBODY};
}

static struct sim_lease *lease_of(struct sim_keys *keys, uint64_t id) {
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++)
    if (id != 0 && keys->leases[i].id == id) return &keys->leases[i];
  return NULL;
}

bool sim_keys_has_lease(const struct sim_keys *keys, uint64_t lease) {
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++)
    if (lease != 0 && keys->leases[i].id == lease) return true;
  return false;
}

static const struct sim_result ok = {.kind = SIM_RESULT_OK};
static const struct sim_result refused = {.kind = SIM_RESULT_REFUSED};

/* Clients hold one lease each and lose it before they get the next: there is always room, but for
 * one whose answers are lost again and again. */
static struct sim_result grant(struct sim_keys *keys, const struct sim_log_entry *entry) {
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++) {
    if (keys->leases[i].id != 0) continue;
    keys->leases[i] = (struct sim_lease){.id = entry->index, .ttl_ns = entry->command.number};
    return (struct sim_result){.kind = SIM_RESULT_OK, .number = entry->index};
  }
  return refused;
}

static struct sim_result revoke(struct sim_keys *keys, const struct sim_log_entry *entry) {
  struct sim_lease *lease = lease_of(keys, entry->command.lease);
  if (!lease) return (struct sim_result){.kind = SIM_RESULT_NO_LEASE};
  if (keys->leader_lease == lease->id) {
    keys->leader = NOBODY;
    keys->leader_lease = 0;
    keys->leader_modified = entry->index;
  }
  for (uint32_t i = 0; i < POSTGRES_INSTANCES_MAX; i++)
    if (keys->members[i].lease == lease->id) keys->members[i].lease = 0;
  lease->id = 0;
  return ok;
}

static struct sim_result put_leader(struct sim_keys *keys, const struct sim_log_entry *entry) {
  const struct sim_command *command = &entry->command;
  bool allowed = command->kind == SIM_STORE_PUT_LEADER || keys->leader == NOBODY ||
                 (command->kind == SIM_STORE_UPDATE_LEADER && keys->leader == command->member);
  if (!sim_keys_has_lease(keys, command->lease))
    return (struct sim_result){.kind = SIM_RESULT_NO_LEASE};
  if (!allowed) return refused;
  keys->leader = command->member;
  keys->leader_lease = command->lease;
  keys->leader_modified = entry->index;
  return ok;
}

static struct sim_result delete_leader(struct sim_keys *keys, const struct sim_log_entry *entry) {
  if (keys->leader == NOBODY || keys->leader_modified != entry->command.compare) return refused;
  keys->leader = NOBODY;
  keys->leader_lease = 0;
  keys->leader_modified = entry->index;
  return ok;
}

static struct sim_result put_sync(struct sim_keys *keys, const struct sim_log_entry *entry) {
  if (keys->sync_modified != entry->command.compare) return refused;
  keys->sync_leader = entry->command.member;
  keys->sync_mask = (uint32_t)entry->command.number;
  keys->sync_modified = entry->index;
  return (struct sim_result){.kind = SIM_RESULT_OK, .number = entry->index};
}

static struct sim_result put_member(struct sim_keys *keys, const struct sim_command *command) {
  if (!sim_keys_has_lease(keys, command->lease))
    return (struct sim_result){.kind = SIM_RESULT_NO_LEASE};
  keys->members[command->member].lease = command->lease;
  keys->members[command->member].data = command->data;
  return ok;
}

struct sim_result sim_keys_apply(struct sim_keys *keys, const struct sim_log_entry *entry) {
  const struct sim_command *command = &entry->command;
  keys->index = entry->index;
  switch (command->kind) {
    case SIM_STORE_GRANT: return grant(keys, entry);
    case SIM_STORE_REVOKE: return revoke(keys, entry);
    case SIM_STORE_CREATE_LEADER:
    case SIM_STORE_PUT_LEADER:
    case SIM_STORE_UPDATE_LEADER: return put_leader(keys, entry);
    case SIM_STORE_DELETE_LEADER: return delete_leader(keys, entry);
    case SIM_STORE_STATUS: keys->status_position = command->number; return ok;
    case SIM_STORE_SYNC: return put_sync(keys, entry);
    case SIM_STORE_FAILOVER:
      keys->failover = true;
      keys->failover_leader = command->member;
      keys->failover_candidate = (uint32_t)command->number;
      return ok;
    case SIM_STORE_FAILOVER_DONE: keys->failover = false; return ok;
    case SIM_STORE_MEMBER: return put_member(keys, command);
    case SIM_STORE_NOTHING:
    case SIM_STORE_KEEPALIVE:
    case SIM_STORE_READ:
    case SIM_STORE_VOTERS: break;
  }
  return ok;
}

static const struct sim_log_entry *entry_at(const struct sim_log_entry *last, uint64_t index) {
  while (last->index > index) last = last->before;
  return last;
}

#define BATCH 64

void sim_keys_catch_up(struct sim_keys *keys, const struct sim_log_entry *entry,
                       void (*applied)(void *data, const struct sim_log_entry *entry,
                                       const struct sim_result *result),
                       void *data) {
  while (keys->index < entry->index) {
    const struct sim_log_entry *batch[BATCH];
    uint64_t count = entry->index - keys->index < BATCH ? entry->index - keys->index : BATCH;
    const struct sim_log_entry *next = entry_at(entry, keys->index + count);
    for (uint64_t i = count; i-- > 0; next = next->before) batch[i] = next;
    for (uint64_t i = 0; i < count; i++) {
      const struct sim_result result = sim_keys_apply(keys, batch[i]);
      if (applied) applied(data, batch[i], &result);
    }
  }
}
