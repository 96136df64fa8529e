/* What the parts of a comparison share. */
#ifndef GAMEDAY_REPORT_COMPARISON_INTERNAL_H
#define GAMEDAY_REPORT_COMPARISON_INTERNAL_H

#include "report/comparison.h"

/* One a run, with "-" in each; NULL without memory, which compared_add() tells. */
struct compared_cell *compared_cells(struct comparison *comparison);
/* Appends the row, and finds whether it is `apart`. STATUS_MEMORY: also when a part of it is NULL.
 */
int compared_add(struct comparison *comparison, struct compared_row row, struct error *err);
/* Appends a row of the worst values of this name; none where no run has any. Borrows both texts. */
int compared_measure(struct comparison *comparison, enum compared_group group, const char *name,
                     const char *label, struct error *err);
/* Appends the rows of COMPARED_SETTINGS. */
int compared_settings(struct comparison *comparison, struct error *err);

#endif
