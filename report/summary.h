/* The final summary for a terminal, at most 100 columns wide: what the command line prints when a
 * run is over, and what the writer `text` leaves in summary.txt. */
#ifndef GAMEDAY_REPORT_SUMMARY_H
#define GAMEDAY_REPORT_SUMMARY_H

#include "base/buf.h"
#include "gameday/report.h"
#include "report/columns.h"

#define SUMMARY_COLUMNS COLUMNS_MAX

/* Appends the summary. Without colour: verdicts are the words PASS, FAIL and UNKNOWN, upper case
 * and at the begin of a line (after spaces), so that a caller may colour them. Visits the record's
 * events for the warnings. Errors: of the visit, and STATUS_MEMORY. */
int summary_text(const struct report_input *input, struct buf *ret_text, struct error *err);

/* "PASS", "UNKNOWN", "FAIL". */
const char *summary_mark(enum verdict verdict);

#endif
