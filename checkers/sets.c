/* Sets of hosts as checkers see them; with a single one everything is of it. */
#include "sets.h"

#include <stdio.h>

uint32_t service_count_of(const struct record_info *info) {
  return info->service_count > 1 ? info->service_count : 1;
}

uint32_t set_count_of(const struct record_info *info) {
  return info->set_count > 1 ? info->set_count : 1;
}

double set_write_rate(const struct record_info *info, uint16_t set) {
  return info->set_count > 1 ? info->sets[set].write_rate : info->write_rate;
}

uint16_t set_service(const struct record_info *info, uint16_t set) {
  return info->set_count > 1 ? info->sets[set].service : 0;
}

uint16_t set_shard(const struct record_info *info, uint16_t set) {
  return info->set_count > 1 ? info->sets[set].shard : 0;
}

uint16_t fault_set(const struct record_info *info, int32_t fault) {
  return info->set_count > 1 ? info->faults[fault].set : 0;
}

void set_label(const struct record_info *info, uint16_t set, char text[SET_LABEL_SIZE]) {
  const char *name = set < info->set_count ? info->sets[set].name : "";
  snprintf(text, SET_LABEL_SIZE, "%s%.60s", name[0] ? " of " : "", name);
}

void set_watch_init(struct set_watch *watch, const struct record_info *info) {
  watch->info = info;
  watch->unknown = info->set_count > 1 ? SET_NONE : 0;
  for (uint32_t h = 0; h < info->host_count; h++)
    watch->sets[h] = info->set_count > 1 ? info->host_sets[h] : watch->unknown;
}

void set_watch_event(struct set_watch *watch, const struct event *event) {
  const struct record_info *info = watch->info;
  if (info->set_count <= 1 || event->kind != EVENT_ROLE || event->host >= info->host_count) return;
  if (event->number2 <= 0 || event->number2 > SHARDS_MAX) return;
  uint8_t service = info->host_services[event->host];
  if (service != SERVICE_NONE)
    watch->sets[event->host] = host_set_find(info, service, (uint16_t)event->number2);
}

uint16_t set_watch_of(const struct set_watch *watch, const struct event *event) {
  const struct record_info *info = watch->info;
  bool names_shard = event->kind == EVENT_ROLE || event->kind == EVENT_PROMOTED ||
                     event->kind == EVENT_LEADER || event->kind == EVENT_LEADER_LOST;
  if (event->host >= info->host_count) return watch->unknown;
  uint16_t own = watch->sets[event->host];
  if (info->set_count <= 1 || !names_shard) return own;
  if (event->number2 <= 0 || event->number2 > SHARDS_MAX) return own;
  uint16_t named = host_set_find(info, info->host_services[event->host], (uint16_t)event->number2);
  return named != SET_NONE ? named : own;
}
