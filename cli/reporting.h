/* From run directories to verdict, report files and the summary on the screen. */
#ifndef GAMEDAY_CLI_REPORTING_H
#define GAMEDAY_CLI_REPORTING_H

#include "cli.h"

/* Judges the records of all `count` run directories (the repeats of one scenario; `missing`: which
 * are not there, in words, and a pass is UNKNOWN; NULL: all are), writes every report to
 * `directory`, prints the summary on `summary_fd`. Returns the exit code that the verdict means. A
 * report that could not be written is logged and makes a pass UNKNOWN, in the summary and in the
 * other reports too, with the exit code for the failure. When the judging is refused, earlier
 * reports are removed. */
int reporting_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                    const char *missing, const char *directory, int summary_fd);

/* Removes the reports of an earlier judging from a directory that holds a record, or what is left
 * of one: where a record is refused, no old verdict is to stay. */
void reporting_remove(const char *directory);

#endif
