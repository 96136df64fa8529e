/* gameday run: scenarios on clusters, to verdicts. */
#include "engine/run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/prng.h"
#include "cli.h"
#include "engine/guard.h"
#include "engine/hosts.h"
#include "engine/record_seal.h"
#include "reporting.h"
#include "series.h"
#include "simulating.h"

/* A whole number in JSON and in scenarios; the seeds of the repeats follow it. */
#define SEED_MAX ((uint64_t)INT64_MAX - REPEATS_MAX)
/* How long a run may take to end in order after a signal, before its cluster is pulled away from
 * under it. */
#define GRACE_S 5

struct run_options {
  const char *provider, *out;
  struct option_number seed, repeat;
  struct option_list sets;
};

static const struct option_row rows[] = {
    {"provider", OPTION_TEXT, offsetof(struct run_options, provider), "NAME",
     "Run on this provider instead of the scenario's."},
    {"seed", OPTION_COUNT, offsetof(struct run_options, seed), "N",
     "Seed of all random choices; without it and without one in the scenario, a new one."},
    {"repeat", OPTION_COUNT, offsetof(struct run_options, repeat), "N",
     "Run N times, each on a fresh cluster, with seeds that follow from the first."},
    {"set", OPTION_LIST, offsetof(struct run_options, sets), "PATH=VALUE",
     "Override a value: --set cluster.services.postgres.ttl=20s (may be given often)."},
    {"out", OPTION_TEXT, offsetof(struct run_options, out), "DIR",
     "Where the record and the reports go; default gameday-runs/SCENARIO-TIME."},
    {0},
};

/* How often the file system of the run directory is looked at, and what counts as full: less than a
 * small file system needs for its own ends. */
#define SPACE_LOOK_NS (250 * NS_PER_MS)
#define SPACE_LEAST_BYTES (1u << 20)

/* The thread that takes the signals that ask to end while a run goes on. */
struct signals {
  pthread_t thread;
  struct interrupt interrupt;
  const struct provider *provider;
  const char *run_directory, *cluster_id;
  struct log *log;
};

static sigset_t signal_set(void) {
  sigset_t set;
  interrupt_signals(&set);
  sigaddset(&set, SIGUSR1); /* from us: the run is over */
  return set;
}

static bool is_full(const char *directory) {
  struct statvfs space;
  return statvfs(directory, &space) == 0 &&
         (uint64_t)space.f_bfree * space.f_frsize < SPACE_LEAST_BYTES;
}

/* Waits for a signal. Meanwhile a full file system is told, once: the hosts' disks may be files on
 * it, and all that their servers can say then is "Input/output error". */
static int await_signal(const struct signals *signals, const sigset_t *set) {
  const struct timespec look = {.tv_nsec = SPACE_LOOK_NS};
  bool told = false;
  for (;;) {
    int number = sigtimedwait(set, NULL, &look);
    if (number > 0) return number;
    if (told || !is_full(signals->run_directory)) continue;
    told = true;
    log_print(signals->log, LOG_WARNING,
              "the file system of %s is full: the record, and disks of local hosts, are on it",
              signals->run_directory);
  }
}

/* A run that blocks (a server that does not start) is ended by taking its cluster away. */
static void *signals_main(void *data) {
  struct signals *signals = data;
  sigset_t set = signal_set();
  int number = await_signal(signals, &set);
  if (number == SIGUSR1) return NULL;
  int first = number;
  interrupt_raise(&signals->interrupt, first);
  struct timespec grace = {.tv_sec = GRACE_S};
  /* That a terminal is closed is told twice: by the kernel, and by a shell on it. */
  do number = sigtimedwait(&set, NULL, &grace);
  while ((number < 0 && errno == EINTR) || (number == SIGHUP && first == SIGHUP));
  if (number == SIGUSR1) return NULL;
  /* In virtual time there is nothing to take away from a run that does not come to its end. */
  if (signals->provider->virtual_time) _exit((int)cli_exit_code(STATUS_INTERRUPTED, first));
  (void)signals->provider->destroy(signals->run_directory, signals->cluster_id, NULL);
  while (sigwait(&set, &number) != 0 || number != SIGUSR1) continue;
  return NULL;
}

/* The signals are blocked, in the thread that is made too. */
static int signals_begin(struct signals *signals, struct error *err) {
  interrupt_init(&signals->interrupt);
  int errnum = pthread_create(&signals->thread, NULL, signals_main, signals);
  return errnum ? error_set_errno(err, errnum, "cannot start a thread") : 0;
}

static void signals_end(struct signals *signals) {
  pthread_kill(signals->thread, SIGUSR1);
  pthread_join(signals->thread, NULL);
}

/* A run that broke off may have failed to remove its cluster, too, and told only the first of its
 * errors: then the guard does it, or the user is told. */
static void end_guard(struct cli *cli, const struct guard_spec *guarded, bool in_order,
                      struct guard *guard) {
  struct error err = ERROR_INIT;
  if (in_order || guard->pid == 0 || guard_clean_up(guarded, false, NULL, NULL) == 0)
    guard_dismiss(guard);
  else if (guard_trip(guard, guarded->run_directory, &err) < 0)
    (void)cli_fail(cli, &err);
}

/* One run into an existing empty directory; the signals are blocked. Returns an exit code;
 * `ret_record`: the measured time had begun, so that there is a record to judge, whatever became of
 * the run. */
static int run_once(struct cli *cli, const struct scenario *scenario, uint64_t seed,
                    const char *directory, bool *ret_record) {
  char id[16];
  struct error err = ERROR_INIT;
  struct guard guard = {.pid = 0};
  /* Nothing of a simulated cluster can outlive the process. */
  bool simulated = scenario->provider->virtual_time;
  snprintf(id, sizeof id, "simulated");
  int status = simulated ? 0 : cluster_id_make(id, &err);
  if (status < 0) return cli_fail(cli, &err);
  struct guard_spec guarded = {.tables = &cli->tables,
                               .provider = scenario->provider,
                               .run_directory = directory,
                               .cluster_id = id};
  if (!simulated) status = guard_start(&guarded, &guard, &err);
  if (status < 0) return cli_fail(cli, &err);
  struct signals signals = {.provider = scenario->provider,
                            .run_directory = directory,
                            .cluster_id = id,
                            .log = &cli->log};
  status = signals_begin(&signals, &err);
  if (status < 0) {
    guard_dismiss(&guard); /* there is nothing yet */
    return cli_fail(cli, &err);
  }
  struct run_spec spec = {.scenario = scenario,
                          .seed = seed,
                          .run_directory = directory,
                          .cluster_id = id,
                          .log = &cli->log,
                          .interrupt = &signals.interrupt};
  status = run_execute(&spec, ret_record, &err);
  int sealed = *ret_record ? record_seal(directory, status == 0 ? &err : NULL) : 0;
  if (status == 0) status = sealed;
  signals_end(&signals);
  end_guard(cli, &guarded, status == 0, &guard);
  int number = atomic_load(&signals.interrupt.signal);
  /* A signal in the last moment is too late for this run, but not for the next. */
  if (status == 0) return number ? (int)cli_exit_code(STATUS_INTERRUPTED, number) : EXIT_MET;
  (void)cli_fail(cli, &err);
  return (int)cli_exit_code((enum status)status, number);
}

static int default_directory(const char *scenario, char *ret, size_t size, struct error *err) {
  char when[32];
  time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(when, sizeof when, "%Y%m%d-%H%M%S", &parts);
  char relative[PATH_MAX], again[16] = "";
  /* The same scenario may come twice in a second, where time is virtual. */
  for (int number = 2;; number++) {
    int status = path_format(relative, sizeof relative, err, "gameday-runs/%s-%s-%d%s", scenario,
                             when, (int)getpid(), again);
    if (status == 0) status = cli_absolute(relative, ret, size, err);
    if (status < 0 || !file_exists(ret)) return status;
    snprintf(again, sizeof again, "-%d", number);
  }
}

/* The seed and the number of repeats, from the command line, the scenario, or the kernel. */
static int choose_seed(const struct run_options *options, const struct scenario *scenario,
                       uint64_t *ret_seed, uint64_t *ret_repeat, struct error *err) {
  uint64_t repeat = options->repeat.given ? options->repeat.value : scenario->repeat;
  if (repeat < 1 || repeat > REPEATS_MAX)
    return error_set(err, STATUS_USAGE, "--repeat: \"%" PRIu64 "\" is too %s; expected 1 to %d",
                     repeat, repeat < 1 ? "small" : "large", REPEATS_MAX);
  uint64_t seed = options->seed.given ? options->seed.value : scenario->seed;
  if (seed > SEED_MAX)
    return error_set(err, STATUS_USAGE,
                     "%s: \"%" PRIu64 "\" is too large; expected at most %" PRIu64,
                     options->seed.given ? "--seed" : "seed", seed, SEED_MAX);
  if (!options->seed.given && !scenario->seed_given) {
    int status = random_bytes(&seed, sizeof seed, err);
    if (status < 0) return status;
    seed &= INT32_MAX; /* short enough to be typed again */
  }
  *ret_seed = seed;
  *ret_repeat = repeat;
  return 0;
}

/* The directory of one repeat: `out` itself when there is just one. */
static int repeat_directory(const char *out, uint64_t repeat, uint32_t index, struct arena *arena,
                            const char **ret_directory, struct error *err) {
  *ret_directory = out;
  if (repeat == 1) return 0;
  *ret_directory = arena_printf(arena, "%s/repeat-%u", out, index + 1);
  if (!*ret_directory) return error_set(err, STATUS_MEMORY, "out of memory");
  CLEANUP_CLOSE int lock = -1; /* the whole series is locked */
  return cli_make_run_directory(*ret_directory, &lock, err);
}

/* Judges what there is of the repeats. `code` is that of the last run: its own failure says more
 * than that its record cannot be read. */
static int report_repeats(struct cli *cli, const char *const *made, uint32_t count, uint64_t repeat,
                          const char *out, struct arena *arena, int code) {
  bool there[REPEATS_MAX] = {false};
  struct error err = ERROR_INIT;
  const char *missing = NULL;
  for (uint32_t i = 0; i < count; i++) there[i] = true;
  if (series_missing(there, (uint32_t)repeat, arena, &missing, &err) < 0)
    return cli_worse(code, cli_fail(cli, &err));
  int reported = reporting_write(cli, made, count, missing, out, cli->log.fd);
  if (code != EXIT_MET && reported == EXIT_BAD_USAGE) return code;
  return cli_worse(code, reported);
}

/* Runs the repeats, and tells which were made. One that ends without a record ends the series.
 * Returns the exit code of the last. */
static int run_repeats(struct cli *cli, const struct scenario *scenario, uint64_t seed,
                       uint64_t repeat, const char *out, struct arena *arena, const char **ret_made,
                       uint32_t *ret_count) {
  int code = EXIT_MET;
  uint32_t count = 0;
  while (code == EXIT_MET && count < repeat) {
    struct error err = ERROR_INIT;
    int status = repeat_directory(out, repeat, count, arena, &ret_made[count], &err);
    if (status < 0) { /* those that were run are judged all the same */
      code = cli_fail(cli, &err);
      break;
    }
    log_print(&cli->log, LOG_INFO, "%s: seed %llu, record in %s", scenario->name,
              (unsigned long long)(seed + count), ret_made[count]);
    bool record = false;
    code = run_once(cli, scenario, seed + count, ret_made[count], &record);
    if (record && code < EXIT_SIGHUP) count++;
  }
  *ret_count = count;
  return code;
}

/* All repeats of one scenario, and their reports. */
static int run_scenario(struct cli *cli, const struct run_options *options,
                        const struct scenario *scenario, const char *out) {
  CLEANUP(arena_release) struct arena arena;
  CLEANUP_CLOSE int lock = -1;
  struct error err = ERROR_INIT;
  uint64_t seed = 0, repeat = 0;
  arena_init(&arena, 0);
  int status = choose_seed(options, scenario, &seed, &repeat, &err);
  /* Where it cannot be done, there is to be no run directory either. */
  if (status == 0) status = hosts_probe(scenario, &err);
  if (status == 0) status = cli_make_run_directory(out, &lock, &err);
  if (status == 0 && repeat > 1) status = series_write(out, scenario, repeat, seed, &err);
  if (status < 0) return cli_fail(cli, &err);
  const char **made = arena_calloc(&arena, repeat, sizeof *made);
  if (!made) {
    (void)error_set(&err, STATUS_MEMORY, "out of memory");
    return cli_fail(cli, &err);
  }
  simulating_compare_installed(cli, scenario);
  /* A signal that comes between two runs waits for the next, or for the reports: it would end the
   * process, and what was run would not be judged. */
  sigset_t set = signal_set(), before;
  pthread_sigmask(SIG_BLOCK, &set, &before);
  uint32_t count = 0;
  int code = run_repeats(cli, scenario, seed, repeat, out, &arena, made, &count);
  if (count > 0) code = report_repeats(cli, made, count, repeat, out, &arena, code);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  const char *page = arena_printf(&arena, "%s/report.html", out);
  if (count > 0 && page && file_exists(page)) log_print(&cli->log, LOG_INFO, "report: %s", page);
  return code;
}

/* Loads every scenario, to tell all mistakes before the first cluster is touched. Below one --out
 * each has a directory of its name, and a record is never written over another. */
static int check_scenarios(struct cli *cli, const struct run_options *options, int count,
                           char **files) {
  CLEANUP(arena_release) struct arena arena;
  struct error err = ERROR_INIT;
  struct scenario scenario;
  int code = EXIT_MET;
  arena_init(&arena, 0);
  if (cli_check_out(options->out, &err) < 0) return cli_fail(cli, &err);
  const char **names = arena_calloc(&arena, (size_t)count, sizeof *names);
  for (int i = 0; names && i < count; i++) {
    int loaded = cli_load_scenario(cli, files[i], options->provider, &options->sets, &scenario);
    code = cli_worse(code, loaded);
    if (loaded != EXIT_MET) continue;
    names[i] = arena_strdup(&arena, scenario.name);
    scenario_release(&scenario);
    for (int k = 0; options->out && names[i] && k < i; k++) {
      if (!names[k] || strcmp(names[k], names[i]) != 0) continue;
      (void)error_set(&err, STATUS_USAGE,
                      "%s and %s are both named '%s', and so would be their directories in --out; "
                      "for more runs of one scenario there is --repeat",
                      files[k], files[i], names[i]);
      return cli_worse(code, cli_fail(cli, &err));
    }
  }
  if (names) return code;
  (void)error_set(&err, STATUS_MEMORY, "out of memory");
  return cli_fail(cli, &err);
}

static int main_run(struct cli *cli, const void *data, int argc, char **argv) {
  const struct run_options *options = data;
  if (argc < 1) return cli_usage(cli, &command_run);
  struct scenario scenario;
  int code = check_scenarios(cli, options, argc, argv);
  if (code != EXIT_MET) return code;
  for (int i = 0; i < argc && code < EXIT_SIGHUP; i++) {
    char out[PATH_MAX];
    struct error err = ERROR_INIT;
    int loaded = cli_load_scenario(cli, argv[i], options->provider, &options->sets, &scenario);
    if (loaded != EXIT_MET) return cli_worse(code, loaded);
    int status;
    if (!options->out) {
      status = default_directory(scenario.name, out, sizeof out, &err);
    } else {
      char below[PATH_MAX];
      status = argc == 1
                   ? path_format(below, sizeof below, &err, "%s", options->out)
                   : path_format(below, sizeof below, &err, "%s/%s", options->out, scenario.name);
      if (status == 0) status = cli_absolute(below, out, sizeof out, &err);
    }
    code = cli_worse(code,
                     status < 0 ? cli_fail(cli, &err) : run_scenario(cli, options, &scenario, out));
    scenario_release(&scenario);
  }
  return code;
}

const struct command command_run = {
    .name = "run",
    .usage = "run SCENARIO.yaml... [OPTIONS]",
    .summary = "Run scenarios: bring the cluster up, drive, break, measure, judge, take it down.",
    .more =
        "All scenarios are checked before the first cluster is made. Ctrl-C, SIGTERM and a "
        "terminal\n"
        "that is closed heal and remove everything and leave the record as far as it got.",
    .options = rows,
    .options_size = sizeof(struct run_options),
    .main = main_run,
};
