/* A ring with hash chains. A chain runs from new to old, so that it ends where the ring forgets and
 * nothing ever has to be taken out of it. */
#include "history.h"

#include <stdlib.h>

#define LENGTH_FIRST (1u << 10)

void history_release(struct history *history) {
  free(history->entries);
  free(history->chains);
  *history = (struct history){.count = 0};
}

static uint64_t *chain_of(const struct history *history, uint32_t identity, uint64_t sequence) {
  uint64_t key = (sequence ^ (uint64_t)identity << 40) * UINT64_C(0x9e3779b97f4a7c15);
  return &history->chains[(key >> 32) & (history->capacity - 1)];
}

static struct history_entry *entry_at(const struct history *history, uint64_t number) {
  return &history->entries[number & (history->capacity - 1)];
}

static void link_entry(struct history *history, uint64_t number) {
  struct history_entry *entry = entry_at(history, number);
  uint64_t *chain = chain_of(history, entry->identity, entry->sequence);
  entry->before = *chain;
  *chain = number + 1;
}

/* Only before it forgets anything: then entry n is at n. */
static int grow(struct history *history, struct error *err) {
  uint64_t capacity = history->capacity ? history->capacity * 2 : LENGTH_FIRST;
  struct history_entry *entries = realloc(history->entries, capacity * sizeof *entries);
  if (entries) history->entries = entries;
  uint64_t *chains = calloc(capacity, sizeof *chains);
  if (!entries || !chains) {
    free(chains);
    return error_set(err, STATUS_MEMORY, "out of memory for acknowledged writes");
  }
  free(history->chains);
  history->chains = chains;
  history->capacity = capacity;
  for (uint64_t i = 0; i < history->count; i++) link_entry(history, i);
  return 0;
}

uint64_t history_oldest(const struct history *history) {
  return history->count > HISTORY_LENGTH ? history->count - HISTORY_LENGTH : 0;
}

int history_add(struct history *history, uint32_t identity, uint64_t sequence, uint64_t sent_ns,
                uint64_t done_ns, struct error *err) {
  if (history->count == history->capacity && history->capacity < HISTORY_LENGTH) {
    int status = grow(history, err);
    if (status < 0) return status;
  }
  *entry_at(history, history->count) = (struct history_entry){
      .sent_ns = sent_ns, .done_ns = done_ns, .sequence = sequence, .identity = identity};
  link_entry(history, history->count++);
  return 0;
}

bool history_find(const struct history *history, uint32_t identity, uint64_t sequence,
                  uint64_t *ret_number) {
  uint64_t oldest = history_oldest(history);
  for (uint64_t next = *chain_of(history, identity, sequence); next > oldest;) {
    const struct history_entry *entry = entry_at(history, next - 1);
    if (entry->identity == identity && entry->sequence == sequence) {
      *ret_number = next - 1;
      return true;
    }
    next = entry->before;
  }
  return false;
}

bool history_newer(const struct history *history, uint64_t number, uint64_t *ret_done_ns) {
  uint64_t done_ns = entry_at(history, number)->done_ns;
  for (uint64_t next = number + 1; next < history->count; next++) {
    const struct history_entry *entry = entry_at(history, next);
    if (entry->sent_ns < done_ns) continue;
    *ret_done_ns = entry->done_ns;
    return true;
  }
  return false;
}
