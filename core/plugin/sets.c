/* Which set of hosts, with one primary, something belongs to. */
#include "gameday/checker.h"

uint16_t host_set_find(const struct record_info *info, uint8_t service, uint16_t shard) {
  if (info->set_count <= 1) return 0;
  uint32_t low = 0, high = info->set_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct host_set *set = &info->sets[middle];
    if (set->service < service || (set->service == service && set->shard < shard))
      low = middle + 1;
    else
      high = middle;
  }
  if (low == info->set_count) return SET_NONE;
  const struct host_set *set = &info->sets[low];
  return set->service == service && set->shard == shard ? (uint16_t)low : SET_NONE;
}

uint8_t operation_service(const struct record_info *info, const struct operation *operation) {
  if (operation->kind == OPERATION_ORIGIN && operation->host < info->host_count &&
      info->host_services[operation->host] < info->service_count)
    return info->host_services[operation->host];
  if (operation->workload >= info->workload_count) return 0;
  return info->workloads[operation->workload].service;
}

uint16_t operation_set(const struct record_info *info, const struct operation *operation) {
  if (info->set_count <= 1) return 0;
  uint8_t service = operation_service(info, operation);
  uint16_t set = host_set_find(info, service, operation->shard);
  if (set != SET_NONE || operation->host >= info->host_count) return set;
  return info->host_services[operation->host] == service ? info->host_sets[operation->host] : set;
}

bool service_has_shards(const struct record_info *info, uint8_t service) {
  for (uint32_t i = 0; i < info->set_count; i++)
    if (info->sets[i].service == service && info->sets[i].shard > 0) return true;
  return false;
}
