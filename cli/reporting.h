/* From run directories to verdict, report files and the summary on the screen. */
#ifndef GAMEDAY_CLI_REPORTING_H
#define GAMEDAY_CLI_REPORTING_H

#include "cli.h"

/* Judges the records of all `count` run directories (the repeats of one scenario), writes every
 * report to `directory`, prints the summary on `summary_fd`. Returns the exit code that the verdict
 * means. A report that could not be written is logged and makes a pass UNKNOWN, in the summary and
 * in the other reports too, with the exit code for the failure. */
int reporting_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                    const char *directory, int summary_fd);

#endif
