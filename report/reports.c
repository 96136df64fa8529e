/* The table of report writers: to add one is to add a file and a row. */
#include "gameday/report.h"

#include <stddef.h>

#include "report/writers.h"

const struct report *const reports[] = {
    &report_text, &report_json, &report_markdown, &report_junit, &report_html, &report_plots, NULL,
};
