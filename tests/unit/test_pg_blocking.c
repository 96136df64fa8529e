/* The blocking helpers of driver_pg against a server that takes connections and never answers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "gameday/drivers.h"
#include "support/test.h"

struct silent {
  int fd; /* listens; the kernel takes connections, nobody reads */
  struct endpoint endpoint;
  struct access access;
  _Atomic uint32_t asked; /* whether it is over */
};

static bool over_at_the_third_question(void *data) {
  struct silent *silent = data;
  return atomic_fetch_add(&silent->asked, 1) >= 2;
}

static void silent_init(struct silent *silent) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  *silent = (struct silent){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_true(silent->fd >= 0);
  assert_int_equal(bind(silent->fd, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(silent->fd, 8), 0);
  assert_int_equal(getsockname(silent->fd, (struct sockaddr *)&address, &size), 0);
  silent->endpoint =
      (struct endpoint){.name = "silent", .address = "127.0.0.1", .port = ntohs(address.sin_port)};
  silent->access = (struct access){.driver = &driver_pg,
                                   .endpoints = &silent->endpoint,
                                   .endpoint_count = 1,
                                   .user = "nobody",
                                   .database = "nothing",
                                   .cancelled = over_at_the_third_question,
                                   .cancelled_data = silent};
}

static int take_no_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  (void)data;
  (void)columns;
  (void)count;
  (void)err;
  return 0;
}

/* Ctrl-C while a workload made its tables was obeyed when the timeout of a minute was over; while
 * the final state was read, after ten. */
static void test_a_wait_for_a_silent_server_can_be_interrupted(void **state) {
  struct silent silent;
  struct error err = ERROR_INIT;
  (void)state;
  silent_init(&silent);
  const struct access *access = &silent.access;
  const struct endpoint *places[] = {NULL, &silent.endpoint};
  for (size_t i = 0; i < 2; i++) {
    atomic_store(&silent.asked, 0);
    assert_int_equal(driver_pg.execute(access, places[i], "SELECT 1", 600 * NS_PER_S, &err),
                     STATUS_INTERRUPTED);
    assert_int_equal(atomic_load(&silent.asked), 3);
  }
  atomic_store(&silent.asked, 0);
  assert_int_equal(driver_pg.read_rows(access, &silent.endpoint, "SELECT 1", 600 * NS_PER_S,
                                       take_no_row, NULL, &err),
                   STATUS_INTERRUPTED);
  close(silent.fd);
}

/* Without anybody who could interrupt there is the timeout alone. */
static void test_a_silent_server_has_so_much_time_and_no_more(void **state) {
  struct silent silent;
  struct error err = ERROR_INIT;
  (void)state;
  silent_init(&silent);
  silent.access.cancelled = NULL;
  assert_int_equal(
      driver_pg.execute(&silent.access, &silent.endpoint, "SELECT 1", 50 * NS_PER_MS, &err),
      STATUS_TIMEOUT);
  close(silent.fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_wait_for_a_silent_server_can_be_interrupted),
      cmocka_unit_test(test_a_silent_server_has_so_much_time_and_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
