/* Child processes: output, input, deadlines, errors, signals, namespaces. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/test.h"

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

static void run(const struct process_spec *spec, struct process_result *result) {
  struct error err = ERROR_INIT;
  assert_ok(process_run(spec, result, &err), &err);
}

static void test_output_and_exit_code(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  run(&(struct process_spec){.argv = SHELL("echo out; echo err >&2; exit 7")}, &result);
  assert_int_equal(result.exit_code, 7);
  assert_int_equal(result.signal, 0);
  assert_false(result.timed_out);
  assert_string_equal(result.out.data, "out\n");
  assert_string_equal(result.err.data, "err\n");
  /* The same result again: nothing of the first run is left. */
  run(&(struct process_spec){.argv = SHELL("kill -9 $$")}, &result);
  assert_int_equal(result.exit_code, 128 + SIGKILL);
  assert_int_equal(result.signal, SIGKILL);
  assert_string_equal(result.out.data, "");
}

static void test_arguments_are_not_a_shell_line(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *const argv[] = {"printf", "%s|%s", "$HOME; `id`", "a b", NULL};
  run(&(struct process_spec){.argv = argv}, &result);
  assert_string_equal(result.out.data, "$HOME; `id`|a b");
}

static void test_input_environment_directory(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *const extra[] = {"GAMEDAY_TEST=yes", "HOME=/nowhere", NULL};
  const char input[] = "line\0two";
  struct process_spec spec = {.argv = SHELL("echo $GAMEDAY_TEST $HOME; pwd; cat"),
                              .env_extra = extra,
                              .directory = "/",
                              .input = input,
                              .input_length = sizeof input};
  run(&spec, &result);
  const char expected[] = "yes /nowhere\n/\nline\0two";
  assert_int_equal(result.out.length, sizeof expected);
  assert_memory_equal(result.out.data, expected, sizeof expected);
  /* Without an input there is the end of file at once, and our variables are still ours. */
  run(&(struct process_spec){.argv = SHELL("cat; echo ${GAMEDAY_TEST:-none}")}, &result);
  assert_string_equal(result.out.data, "none\n");
}

static void test_much_output_is_read_to_the_end_and_capped(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  run(&(struct process_spec){.argv = SHELL("head -c 3000000 /dev/zero; echo done >&2")}, &result);
  assert_int_equal(result.exit_code, 0);
  assert_int_equal(result.out.length, 1 << 20);
  assert_string_equal(result.err.data, "done\n");
}

static void test_a_child_that_does_not_read_its_input(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  enum { LENGTH = 1 << 20 };
  CLEANUP_FREE char *input = calloc(1, LENGTH);
  assert_non_null(input);
  run(&(struct process_spec){.argv = SHELL("exit 3"), .input = input, .input_length = LENGTH},
      &result);
  assert_int_equal(result.exit_code, 3);
}

static void test_missing_programs_are_named(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  buf_puts(&result.out, "kept");
  struct error err = ERROR_INIT;
  const char *const absent[] = {"gameday-no-such-program", NULL};
  assert_int_equal(process_run(&(struct process_spec){.argv = absent}, &result, &err),
                   STATUS_ENVIRONMENT);
  assert_string_equal(err.message,
                      "the program gameday-no-such-program is not installed (not on the PATH)");
  const char *const absolute[] = {"/no/such/program", NULL};
  assert_int_equal(process_run(&(struct process_spec){.argv = absolute}, &result, &err),
                   STATUS_ENVIRONMENT);
  const char *const no_program[] = {"/etc/passwd", NULL};
  assert_int_equal(process_run(&(struct process_spec){.argv = no_program}, &result, &err),
                   STATUS_SYSTEM);
  assert_int_equal(err.errnum, EACCES);
  struct process_spec spec = {.argv = SHELL("true"), .directory = "/no/such/directory"};
  assert_int_equal(process_run(&spec, &result, &err), STATUS_SYSTEM);
  assert_non_null(strstr(err.message, "directory"));
  pid_t pid = 77;
  assert_int_equal(process_start(&(struct process_spec){.argv = absent}, &pid, &err),
                   STATUS_ENVIRONMENT);
  assert_int_equal(pid, 77);
  assert_string_equal(result.out.data, "kept");
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left behind */
  assert_true(process_exists("sh"));
  assert_true(process_exists("/bin/sh"));
  assert_false(process_exists("gameday-no-such-program"));
  assert_false(process_exists("/etc"));
}

static void test_deadline_kills_the_group(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct error err = ERROR_INIT;
  /* The grandchild holds a pipe of ours: it reads as ended only when that is dead too. */
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  struct process_spec spec = {.argv = SHELL("sleep 1000 & echo said; echo why >&2; wait"),
                              .stdout_fd = ends[1],
                              .timeout_ns = 200 * NS_PER_MS};
  assert_int_equal(process_run(&spec, &result, &err), STATUS_TIMEOUT);
  assert_true(result.timed_out);
  assert_int_equal(result.signal, SIGKILL);
  assert_string_equal(result.err.data, "why\n");
  close(ends[1]);
  char text[16] = "";
  assert_int_equal(read(ends[0], text, sizeof text), 5);
  assert_int_equal(read(ends[0], text, sizeof text), 0);
  close(ends[0]);
}

static void test_cancelled_kills_the_group(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct error err = ERROR_INIT;
  int ends[2], cancel[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  assert_int_equal(pipe2(cancel, O_CLOEXEC), 0);
  /* The child itself asks for its end, once the grandchild is there. */
  struct process_spec spec = {.argv = SHELL("sleep 1000 & echo x >&2; wait"),
                              .stdout_fd = ends[1],
                              .stderr_fd = cancel[1],
                              .cancel_fd = cancel[0]};
  assert_int_equal(process_run(&spec, &result, &err), STATUS_INTERRUPTED);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
  close(ends[1]);
  char text[16] = "";
  assert_int_equal(read(ends[0], text, sizeof text), 0); /* the grandchild is dead too */
  close(ends[0]);
  close(cancel[0]);
  close(cancel[1]);
}

static void test_a_daemon_left_behind_is_not_waited_for(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  run(&(struct process_spec){.argv = SHELL("sleep 30 & echo $!")}, &result);
  assert_true(clock_now_ns(&clock_monotonic) - begin_ns < 20 * NS_PER_S);
  long pid = strtol(result.out.data, NULL, 10);
  assert_true(pid > 1);
  assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void test_check_reports_the_last_line(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  assert_ok(process_check(&(struct process_spec){.argv = SHELL("echo noise")}, &err), &err);
  assert_int_equal(
      process_check(&(struct process_spec){.argv = SHELL("echo a >&2; echo b >&2; exit 4")}, &err),
      STATUS_SYSTEM);
  assert_string_equal(err.message, "sh failed (exit code 4): b");
  assert_int_equal(process_check(&(struct process_spec){.argv = SHELL("exit 4")}, &err),
                   STATUS_SYSTEM);
  assert_string_equal(err.message, "sh failed (exit code 4)");
  assert_int_equal(process_check(&(struct process_spec){.argv = SHELL("kill -15 $$")}, &err),
                   STATUS_SYSTEM);
  assert_string_equal(err.message, "sh was ended by signal 15");
}

/* A child starts with defaults, whatever this process ignores, blocks or has open. */
static void test_nothing_is_inherited(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int leaked = open("/dev/null", O_RDONLY); /* NOLINT: without O_CLOEXEC on purpose */
  assert_true(leaked > 2);
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, old;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &old);
  run(&(struct process_spec){.argv = SHELL("ls /proc/self/fd | wc -l;"
                                           "grep -E '^Sig(Blk|Ign)' /proc/self/status")},
      &result);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  signal(SIGPIPE, SIG_DFL);
  close(leaked);
  /* 0, 1, 2 and the directory that ls reads. */
  assert_string_equal(result.out.data, "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void test_start_gives_streams_and_a_session(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  struct process_spec spec = {.argv = SHELL("echo started; echo lost >&2; kill -TERM $$"),
                              .stdout_fd = ends[1],
                              .new_session = true,
                              .dies_with_parent = true};
  pid_t pid = 0;
  struct error err = ERROR_INIT;
  assert_ok(process_start(&spec, &pid, &err), &err);
  close(ends[1]);
  char text[32] = "";
  assert_int_equal(read(ends[0], text, sizeof text - 1), 8);
  assert_string_equal(text, "started\n");
  close(ends[0]);
  int wait_status = 0;
  assert_int_equal(waitpid(pid, &wait_status, 0), pid);
  assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGTERM);
}

/* Both streams to one descriptor, and each to the other's place. */
static void test_streams_may_be_crossed(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  run(
      &(struct process_spec){
          .argv = SHELL("echo a; echo b >&2"), .stdout_fd = ends[1], .stderr_fd = ends[1]},
      &result);
  char text[32] = "";
  assert_int_equal(read(ends[0], text, sizeof text - 1), 4);
  assert_string_equal(text, "a\nb\n");
  close(ends[0]);
  close(ends[1]);
}

/* Waits until nobody holds the other end of a pipe any more; whoever runs with it has ended then.
 */
static void await_all_closed(int fd) {
  char byte;
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&poll_fd, 1, 30000), 1);
  assert_int_equal(read(fd, &byte, 1), 0);
  close(fd);
}

/* Starts a program from a process that is then killed; returns when the program has ended. */
static void check_dies_with_parent(struct process_spec spec) {
  int held[2], started[2];
  assert_int_equal(pipe2(held, O_CLOEXEC), 0);
  assert_int_equal(pipe2(started, O_CLOEXEC), 0);
  spec.stdout_fd = held[1];
  spec.dies_with_parent = true;
  pid_t starter = fork();
  if (starter == 0) {
    pid_t pid = 0;
    if (process_start(&spec, &pid, NULL)) _exit(1);
    ssize_t written = write(started[1], "s", 1);
    (void)written;
    for (;;) pause();
  }
  close(held[1]);
  close(started[1]);
  char byte = 0;
  assert_int_equal(read(started[0], &byte, 1), 1);
  close(started[0]);
  kill(starter, SIGKILL);
  assert_int_equal(waitpid(starter, NULL, 0), starter);
  await_all_closed(held[0]);
}

static const char *const long_sleep[] = {"sleep", "1000", NULL};

static void test_dies_with_parent(void **state) {
  (void)state;
  check_dies_with_parent((struct process_spec){.argv = long_sleep});
}

/* --- namespaces: a child of ours makes some, with an init that waits --- */

struct world {
  pid_t maker;
  int pid_fd; /* of its init */
};

static _Noreturn void make_world_in_child(int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a failed test does not come to its end */
  if (unshare(CLONE_NEWPID | CLONE_NEWUTS) || sethostname("inside", 6)) _exit(1);
  pid_t init = fork();
  if (init == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  ssize_t written = write(report, &init, sizeof init);
  (void)written;
  waitpid(init, NULL, 0);
  _exit(0);
}

static void make_world(struct world *world) {
  int report[2];
  assert_int_equal(pipe2(report, O_CLOEXEC), 0);
  pid_t maker = fork();
  if (maker == 0) make_world_in_child(report[1]);
  close(report[1]);
  pid_t init = 0;
  ssize_t got = read(report[0], &init, sizeof init);
  close(report[0]);
  if (got != (ssize_t)sizeof init) {
    waitpid(maker, NULL, 0);
    skip_because("this user may not make PID and UTS namespaces");
  }
  *world = (struct world){.maker = maker, .pid_fd = pidfd_open(init, 0)};
  assert_true(world->pid_fd > 0);
}

static void end_world(const struct world *world) {
  kill(world->maker, SIGKILL);
  waitpid(world->maker, NULL, 0);
  struct pollfd poll_fd = {.fd = world->pid_fd, .events = POLLIN};
  assert_int_equal(poll(&poll_fd, 1, 30000), 1);
  close(world->pid_fd);
}

static struct process_spec inside(const struct world *world, const char *const *argv) {
  return (struct process_spec){.argv = argv,
                               .namespace_pidfd = world->pid_fd,
                               .namespace_flags = CLONE_NEWPID | CLONE_NEWUTS};
}

static void test_namespaces_are_entered(void **state) {
  (void)state;
  struct world world;
  make_world(&world);
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = inside(&world, SHELL("uname -n; echo $$; exit 9"));
  run(&spec, &result);
  assert_memory_equal(result.out.data, "inside\n", 7);
  long number = strtol(result.out.data + 7, NULL, 10);
  assert_in_range(number, 2, 9);         /* the init is 1, and nearly nobody else is there */
  assert_int_equal(result.exit_code, 9); /* through the intermediate */
  spec = inside(&world, SHELL("kill -9 $$"));
  run(&spec, &result);
  assert_int_equal(result.signal, SIGKILL);
  spec = inside(&world, SHELL("kill -QUIT $$"));
  run(&spec, &result);
  assert_int_equal(result.signal, SIGQUIT);
  const char *const absent[] = {"gameday-no-such-program", NULL};
  spec = inside(&world, absent);
  struct error err = ERROR_INIT;
  assert_int_equal(process_run(&spec, &result, &err), STATUS_ENVIRONMENT);
  end_world(&world);
  spec = inside(&world, absent);
  spec.namespace_pidfd = 1000; /* nobody's */
  assert_int_equal(process_run(&spec, &result, &err), STATUS_SYSTEM);
  assert_non_null(strstr(err.message, "entering the namespaces"));
}

static void test_a_deadline_reaches_into_namespaces(void **state) {
  (void)state;
  struct world world;
  make_world(&world);
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int held[2];
  assert_int_equal(pipe2(held, O_CLOEXEC), 0);
  struct process_spec spec = inside(&world, long_sleep);
  spec.stdout_fd = held[1];
  spec.timeout_ns = 100 * NS_PER_MS;
  struct error err = ERROR_INIT;
  assert_int_equal(process_run(&spec, &result, &err), STATUS_TIMEOUT);
  close(held[1]);
  await_all_closed(held[0]);
  end_world(&world);
}

static void test_signals_go_through_the_intermediate(void **state) {
  (void)state;
  struct world world;
  make_world(&world);
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  struct process_spec spec = inside(
      &world, SHELL("trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.01; done"));
  spec.stdout_fd = ends[1];
  pid_t pid = 0;
  struct error err = ERROR_INIT;
  assert_ok(process_start(&spec, &pid, &err), &err);
  close(ends[1]);
  char text[16] = "";
  assert_int_equal(read(ends[0], text, sizeof text), 6); /* the trap is set */
  kill(pid, SIGTERM);
  int wait_status = 0;
  assert_int_equal(waitpid(pid, &wait_status, 0), pid);
  assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 5);
  close(ends[0]);
  end_world(&world);
}

static void test_the_program_dies_with_the_intermediate(void **state) {
  (void)state;
  struct world world;
  make_world(&world);
  int held[2];
  assert_int_equal(pipe2(held, O_CLOEXEC), 0);
  struct process_spec spec = inside(&world, long_sleep);
  spec.stdout_fd = held[1];
  pid_t pid = 0;
  struct error err = ERROR_INIT;
  assert_ok(process_start(&spec, &pid, &err), &err);
  close(held[1]);
  kill(pid, SIGKILL);
  int wait_status = 0;
  assert_int_equal(waitpid(pid, &wait_status, 0), pid);
  await_all_closed(held[0]);
  check_dies_with_parent(inside(&world, long_sleep));
  end_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_output_and_exit_code),
      cmocka_unit_test(test_arguments_are_not_a_shell_line),
      cmocka_unit_test(test_input_environment_directory),
      cmocka_unit_test(test_much_output_is_read_to_the_end_and_capped),
      cmocka_unit_test(test_a_child_that_does_not_read_its_input),
      cmocka_unit_test(test_missing_programs_are_named),
      cmocka_unit_test(test_deadline_kills_the_group),
      cmocka_unit_test(test_cancelled_kills_the_group),
      cmocka_unit_test(test_a_daemon_left_behind_is_not_waited_for),
      cmocka_unit_test(test_check_reports_the_last_line),
      cmocka_unit_test(test_nothing_is_inherited),
      cmocka_unit_test(test_start_gives_streams_and_a_session),
      cmocka_unit_test(test_streams_may_be_crossed),
      cmocka_unit_test(test_dies_with_parent),
      cmocka_unit_test(test_namespaces_are_entered),
      cmocka_unit_test(test_a_deadline_reaches_into_namespaces),
      cmocka_unit_test(test_signals_go_through_the_intermediate),
      cmocka_unit_test(test_the_program_dies_with_the_intermediate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
