/* Shared by the two files of the helper program. */
#ifndef GAMEDAY_HOST_H
#define GAMEDAY_HOST_H

/* Prints the message and errno on standard error; returns 1, the exit code. */
int host_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `enter`: see enter.c. Returns the exit code. */
int host_enter(int argc, char **argv);

#endif
