/* Counts of operations on a grid of scheduled time, kept in pages so that memory follows what was
 * scheduled and not how long a run claims to be. */
#ifndef GAMEDAY_CHECKERS_GRID_H
#define GAMEDAY_CHECKERS_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GRID_PAGE_CELLS 1024

struct grid_cell {
  uint32_t scheduled, ok, slow;
};
struct grid {
  uint64_t step_ns;
  struct grid_cell **pages;
  uint64_t page_count;
};

void grid_init(struct grid *grid, uint64_t step_ns);
void grid_release(struct grid *grid);
/* The cell of a time, made when there is none; NULL: no memory. */
struct grid_cell *grid_cell(struct grid *grid, uint64_t time_ns, struct error *err);
/* The cell with this index (time / step), or NULL when nothing was scheduled near it. */
const struct grid_cell *grid_look(const struct grid *grid, uint64_t index);
/* Cells [from, from + count) added up. */
struct grid_cell grid_sum(const struct grid *grid, uint64_t from, uint64_t count);

#endif
