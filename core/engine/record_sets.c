/* Who belongs together: sets of hosts that have one primary among them. A service is one, or as
 * many as it has shards. */
#include <stdio.h>

#include "engine/record_internal.h"

static bool has_shards(const struct record_files *files, uint32_t service) {
  return bits_any(&files->shards_seen[service]);
}

/* Without a record of roles the one that was promoted last is all there is to go by. Of several
 * that say so none can be called the primary. */
static uint16_t final_primary_of(const struct record_files *files, const struct bits *hosts) {
  struct bits told = bits_both(&files->role_hosts, hosts);
  if (bits_any(&told)) {
    struct bits primaries = bits_both(&files->primaries, hosts);
    return bits_count(&primaries) == 1 ? (uint16_t)bits_next(&primaries, 0) : HOST_NONE;
  }
  uint16_t primary = HOST_NONE;
  uint32_t latest = 0;
  for (uint32_t h = bits_next(hosts, 0); h < BITS_MAX; h = bits_next(hosts, h + 1)) {
    if (files->promoted_at[h] <= latest) continue;
    latest = files->promoted_at[h];
    primary = (uint16_t)h;
  }
  return primary;
}

static double rate_of(const struct record *record, uint64_t writes) {
  const struct record_info *info = &record->info;
  if (info->load_begin_ns == TIME_NEVER || info->load_end_ns <= info->load_begin_ns) return 0;
  return (double)writes * (double)NS_PER_S / (double)(info->load_end_ns - info->load_begin_ns);
}

static const char *name_of(struct record *record, uint8_t service, uint16_t shard) {
  const struct record_info *info = &record->info;
  const char *of = info->service_count > 1 ? info->services[service] : "";
  if (shard == 0) return of;
  return arena_printf(&record->arena, "%s%sshard %u", of, of[0] ? " " : "", (unsigned)shard);
}

static int add_set(struct record *record, struct host_set *sets, uint8_t service, uint16_t shard,
                   struct error *err) {
  struct record_info *info = &record->info;
  const struct record_files *files = record->files;
  struct host_set set = {
      .service = service, .shard = shard, .name = name_of(record, service, shard)};
  if (!set.name) return error_set(err, STATUS_MEMORY, "out of memory for a record");
  for (uint32_t h = 0; h < info->host_count; h++)
    if (info->host_services[h] == service && (shard == 0 || files->shards[h] == shard))
      bits_add(&set.hosts, h);
  set.final_primary = final_primary_of(files, &set.hosts);
  set.write_rate = rate_of(record, files->writes_of[service][shard]);
  sets[info->set_count++] = set;
  return 0;
}

static uint32_t count_sets(const struct record *record) {
  uint32_t count = 0;
  for (uint32_t s = 0; s < record->info.service_count; s++) {
    const struct bits *shards = &record->files->shards_seen[s];
    count += bits_any(shards) ? bits_count(shards) : 1;
  }
  return count;
}

static int add_service(struct record *record, struct host_set *sets, uint8_t service,
                       struct error *err) {
  const struct record_files *files = record->files;
  if (!has_shards(files, service)) return add_set(record, sets, service, 0, err);
  int status = 0;
  for (uint16_t shard = 1; shard <= SHARDS_MAX && status == 0; shard++)
    if (bits_has(&files->shards_seen[service], shard - 1u))
      status = add_set(record, sets, service, shard, err);
  return status;
}

/* Everything is of a single set, whoever it was that a fault hit. */
static void settle_single(struct record *record, struct host_set *set, uint16_t *host_sets) {
  struct record_info *info = &record->info;
  struct bits all = bits_below(info->host_count);
  set->name = "";
  set->final_primary = info->final_primary = final_primary_of(record->files, &all);
  set->write_rate = info->write_rate;
  for (uint32_t h = 0; h < info->host_count; h++) host_sets[h] = 0;
  for (uint32_t f = 0; f < info->fault_count; f++) record->files->faults[f].set = 0;
}

static void settle_several(struct record *record, uint16_t *host_sets) {
  struct record_info *info = &record->info;
  const struct record_files *files = record->files;
  info->final_primary = HOST_NONE;
  for (uint32_t h = 0; h < info->host_count; h++)
    host_sets[h] = host_set_find(info, info->host_services[h],
                                 info->host_services[h] == SERVICE_NONE ? 0 : files->shards[h]);
  for (uint32_t f = 0; f < info->fault_count; f++) {
    struct fault_info *fault = &files->faults[f];
    uint16_t shard = fault->set;
    fault->set = SET_NONE;
    if (fault->host >= info->host_count) continue;
    fault->set = host_set_find(info, info->host_services[fault->host], shard);
    if (fault->set == SET_NONE) fault->set = host_sets[fault->host];
  }
}

int record_derive_sets(struct record *record, struct error *err) {
  struct record_info *info = &record->info;
  uint32_t count = count_sets(record);
  struct host_set *sets = arena_calloc(&record->arena, count, sizeof *sets);
  uint16_t *host_sets = arena_calloc(&record->arena, info->host_count + 1u, sizeof *host_sets);
  if (!sets || !host_sets) return error_set(err, STATUS_MEMORY, "out of memory for a record");
  info->sets = sets;
  info->host_sets = host_sets;
  int status = 0;
  for (uint32_t s = 0; s < info->service_count && status == 0; s++)
    status = add_service(record, sets, (uint8_t)s, err);
  if (status < 0) return status;
  if (count == 1)
    settle_single(record, sets, host_sets);
  else
    settle_several(record, host_sets);
  return 0;
}
