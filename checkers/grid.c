/* The grid: a directory of pages of cells. */
#include "grid.h"

#include <stdlib.h>
#include <string.h>

void grid_init(struct grid *grid, uint64_t step_ns) {
  *grid = (struct grid){.step_ns = step_ns};
}

void grid_release(struct grid *grid) {
  for (uint64_t i = 0; i < grid->page_count; i++) free(grid->pages[i]);
  free(grid->pages);
  *grid = (struct grid){.step_ns = 0};
}

static int reserve(struct grid *grid, uint64_t page, struct error *err) {
  if (page < grid->page_count) return 0;
  uint64_t count = page + page / 2 + 16;
  struct grid_cell **pages = realloc(grid->pages, count * sizeof(struct grid_cell *));
  if (!pages) return error_set(err, STATUS_MEMORY, "out of memory for counts over time");
  memset(pages + grid->page_count, 0, (count - grid->page_count) * sizeof(struct grid_cell *));
  grid->pages = pages;
  grid->page_count = count;
  return 0;
}

struct grid_cell *grid_cell(struct grid *grid, uint64_t time_ns, struct error *err) {
  uint64_t index = time_ns / grid->step_ns, page = index / GRID_PAGE_CELLS;
  if (reserve(grid, page, err) < 0) return NULL;
  if (!grid->pages[page]) {
    grid->pages[page] = calloc(GRID_PAGE_CELLS, sizeof *grid->pages[page]);
    if (!grid->pages[page]) {
      (void)error_set(err, STATUS_MEMORY, "out of memory for counts over time");
      return NULL;
    }
  }
  return &grid->pages[page][index % GRID_PAGE_CELLS];
}

const struct grid_cell *grid_look(const struct grid *grid, uint64_t index) {
  uint64_t page = index / GRID_PAGE_CELLS;
  if (page >= grid->page_count || !grid->pages[page]) return NULL;
  return &grid->pages[page][index % GRID_PAGE_CELLS];
}

struct grid_cell grid_sum(const struct grid *grid, uint64_t from, uint64_t count) {
  struct grid_cell sum = {.scheduled = 0};
  for (uint64_t i = 0; i < count; i++) {
    const struct grid_cell *cell = grid_look(grid, from + i);
    if (!cell) continue;
    sum.scheduled += cell->scheduled;
    sum.ok += cell->ok;
    sum.slow += cell->slow;
  }
  return sum;
}
