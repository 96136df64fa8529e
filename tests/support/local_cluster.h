/* A cluster of local hosts for tests, and a look at what it left on the machine. */
#ifndef GAMEDAY_TESTS_SUPPORT_LOCAL_CLUSTER_H
#define GAMEDAY_TESTS_SUPPORT_LOCAL_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "clusters/clusters.h"
#include "clusters/local/local.h"

struct local_test {
  char directory[64]; /* the run directory; made by init, removed by down */
  char id[LOCAL_ID_MAX + 1];
  struct local_config config;
  struct cluster *cluster; /* NULL when it is not up */
  const struct host *one, *two, *client;
};

/* A new id and run directory; the defaults of all parameters. Fails the test when it cannot. */
void local_test_init(struct local_test *test);
/* 0, or the probe's verdict on this machine. */
int local_test_probe(struct error *err);
/* Says why when this machine cannot have local hosts: then the program ends with this code. */
#define LOCAL_TEST_SKIPPED 77
bool local_test_possible(void);
/* Two servers, one and two, with 256 MiB of memory and 64 MiB of disk each, a client and a monitor;
 * `test->cluster` is set on success. */
int local_test_up(struct local_test *test, bool keep, struct error *err);
/* Up, or fails the test. */
void local_test_begin(struct local_test *test);
/* Removes the cluster and fails the test when something is left of it. */
void local_test_end(struct local_test *test);

/* The two for CMocka, for a group that has one cluster: *state is it. */
int local_test_set_up(void **state);
int local_test_tear_down(void **state);

/* Waits until nothing is left of the cluster but logs; false after the timeout, *ret_what says what
 * is still there. */
bool local_test_gone(const struct local_test *test, uint64_t timeout_ns, char ret_what[256]);

/* Runs a shell line on a host; its exit code, and its output (NULL: not wanted) in `out`. */
int local_test_shell(const struct local_test *test, const struct host *host, const char *user,
                     const char *line, char *out, size_t size);
/* Defines and starts a unit that runs a shell line. */
void local_test_unit(const struct local_test *test, const struct host *host, const char *name,
                     const char *line);
/* Waits until the shell line succeeds on the host; fails the test after 10 s. */
void local_test_await(const struct local_test *test, const struct host *host, const char *line);

#endif
