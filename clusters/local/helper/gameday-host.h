/* Shared by the files of the helper program. Functions that return int return an exit code. */
#ifndef GAMEDAY_HOST_H
#define GAMEDAY_HOST_H

/* Prints the message and errno on standard error; returns 1. */
int host_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes into a kernel file; a switch that the kernel does not have is off. */
void host_switch(const char *path, const char *value);
/* Standard input, output and error become /dev/null. */
void host_silence(void);
/* Moves into a new network namespace and pins it at `path`, so that it lives without a process. */
int host_netns(const char *path);

int host_anchor(int argc, char **argv); /* expects all signals blocked */
int host_enter(int argc, char **argv);

#endif
