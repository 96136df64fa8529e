/* From run directories to verdict, report files and the summary on the screen. */
#ifndef GAMEDAY_CLI_REPORTING_H
#define GAMEDAY_CLI_REPORTING_H

#include "cli.h"

/* Judges the records of all `count` run directories (the repeats of one scenario), writes every
 * report to `directory`, prints the summary on `summary_fd`. Returns the exit code that the verdict
 * means; a report that could not be written is logged and makes it at least EXIT_ENVIRONMENT. */
int reporting_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                    const char *directory, int summary_fd);

#endif
