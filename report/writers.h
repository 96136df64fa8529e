/* The descriptors of all writers, each at the end of its file; reports.c lists them. */
#ifndef GAMEDAY_REPORT_WRITERS_H
#define GAMEDAY_REPORT_WRITERS_H

#include "gameday/report.h"

extern const struct report report_html, report_json, report_junit, report_markdown, report_plots,
    report_text;

#endif
