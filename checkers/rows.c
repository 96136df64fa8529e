/* The table of final rows: open addressing over pages. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024

void rows_init(struct rows *rows, bool with_sets) {
  *rows = (struct rows){.with_sets = with_sets};
}

void rows_release(struct rows *rows) {
  for (uint32_t i = 0; i < rows->page_count; i++) free(rows->pages[i]);
  free(rows->pages);
  free(rows->slots);
  *rows = (struct rows){.pages = NULL};
}

/* The finalizer of MurmurHash3: every bit of the key moves every bit of the slot. */
static uint64_t hash_of(uint32_t identity, uint64_t page) {
  uint64_t key = page * UINT64_C(0x9e3779b97f4a7c15) ^ ((uint64_t)identity << 32 | identity);
  key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
  key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return key ^ key >> 33;
}

/* The slot that holds the page, or the empty one where it belongs. */
static uint32_t slot_of(const struct rows *rows, uint32_t identity, uint64_t first) {
  uint32_t slot = (uint32_t)hash_of(identity, first / ROWS_PER_PAGE) & rows->slot_mask;
  for (; rows->slots[slot] != 0; slot = (slot + 1) & rows->slot_mask) {
    const struct row_page *page = rows->pages[rows->slots[slot] - 1];
    if (page->identity == identity && page->first == first) break;
  }
  return slot;
}

static int no_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory for the final rows");
}

static int grow_slots(struct rows *rows, struct error *err) {
  uint32_t count = rows->slots ? (rows->slot_mask + 1) * 2 : SLOTS_FIRST;
  uint32_t *slots = count > rows->slot_mask ? calloc(count, sizeof *slots) : NULL;
  if (!slots) return no_memory(err);
  free(rows->slots);
  rows->slots = slots;
  rows->slot_mask = count - 1;
  for (uint32_t i = 0; i < rows->page_count; i++)
    rows->slots[slot_of(rows, rows->pages[i]->identity, rows->pages[i]->first)] = i + 1;
  return 0;
}

static int grow_pages(struct rows *rows, struct error *err) {
  uint32_t capacity = rows->page_capacity ? rows->page_capacity * 2 : 256;
  struct row_page **pages = realloc(rows->pages, capacity * sizeof(struct row_page *));
  if (!pages) return no_memory(err);
  rows->pages = pages;
  rows->page_capacity = capacity;
  return 0;
}

int rows_insert(struct rows *rows, uint32_t identity, uint64_t sequence, struct row_place *ret,
                struct error *err) {
  uint32_t index = (uint32_t)(sequence % ROWS_PER_PAGE);
  uint64_t first = sequence - index;
  int status = 0;
  if (!rows->slots || rows->page_count > rows->slot_mask / 2) status = grow_slots(rows, err);
  if (status < 0) return status;
  uint32_t slot = slot_of(rows, identity, first);
  if (rows->slots[slot] == 0) {
    if (rows->page_count == rows->page_capacity) status = grow_pages(rows, err);
    if (status < 0) return status;
    size_t sets = rows->with_sets ? ROWS_PER_PAGE * sizeof(uint16_t) : 0;
    struct row_page *page = calloc(1, sizeof *page + sets);
    if (!page) return no_memory(err);
    page->identity = identity;
    page->first = first;
    rows->pages[rows->page_count++] = page;
    rows->slots[slot] = rows->page_count;
  }
  *ret = (struct row_place){.page = rows->pages[rows->slots[slot] - 1], .index = index};
  return 0;
}

struct row_place rows_find(const struct rows *rows, uint32_t identity, uint64_t sequence) {
  uint32_t index = (uint32_t)(sequence % ROWS_PER_PAGE);
  if (!rows->slots) return (struct row_place){.page = NULL};
  uint32_t slot = slot_of(rows, identity, sequence - index);
  if (rows->slots[slot] == 0) return (struct row_place){.page = NULL};
  struct row_page *page = rows->pages[rows->slots[slot] - 1];
  if (page->hosts[index] == 0) return (struct row_place){.page = NULL};
  return (struct row_place){.page = page, .index = index};
}

void rows_next_host(struct rows *rows) {
  for (uint32_t i = 0; i < rows->page_count; i++)
    memset(rows->pages[i]->here, 0, sizeof rows->pages[i]->here);
}

uint32_t rows_fold(uint64_t value) {
  return (uint32_t)value ^ (uint32_t)(value >> 32);
}
