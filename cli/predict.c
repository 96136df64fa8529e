/* gameday predict: how a scenario ends over many seeds in virtual time, before a real cluster is
 * broken; or how that depends on one of its values. */
#include "engine/predict.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli.h"
#include "engine/batch.h"
#include "engine/modelled.h"
#include "replacing.h"
#include "report/escape.h"
#include "report/output.h"
#include "report/prediction.h"
#include "scenario/sweep.h"
#include "simulating.h"

#define SEEDS_DEFAULT 200
#define SEEDS_MAX 100000
/* Without a terminal, a line of progress in so long. */
#define PLAIN_PERIOD_NS (10 * NS_PER_S)

struct predict_options {
  const char *provider, *out, *sweep;
  struct option_number seeds, seed, jobs;
  struct option_list sets;
  bool json;
};

static const struct option_row rows[] = {
    {"seeds", OPTION_COUNT, offsetof(struct predict_options, seeds), "N",
     "How many runs, each with a seed of its own; default 200."},
    {"seed", OPTION_COUNT, offsetof(struct predict_options, seed), "FIRST",
     "The first seed; default: the scenario's, or 1."},
    {"sweep", OPTION_TEXT, offsetof(struct predict_options, sweep), "PATH=VALUES",
     "So many runs at each value of FROM..TO/STEP (20s..60s/5s) or of a list (false,true)."},
    {"jobs", OPTION_COUNT, offsetof(struct predict_options, jobs), "N",
     "Processes that simulate; default: one a processor."},
    {"provider", OPTION_TEXT, offsetof(struct predict_options, provider), "NAME",
     "Run on this provider, one in virtual time; default: the first there is."},
    {"set", OPTION_LIST, offsetof(struct predict_options, sets), "PATH=VALUE",
     "Override a value: --set cluster.services.postgres.ttl=20s (may be given often)."},
    {"out", OPTION_TEXT, offsetof(struct predict_options, out), "DIR",
     "Where predict.json, predict.csv and a sweep's pictures are written; default: nowhere, of a "
     "sweep gameday-predict/SCENARIO."},
    {"json", OPTION_FLAG, offsetof(struct predict_options, json), NULL,
     "Print predict.json instead of the tables."},
    {0},
};

/* Everything that one call needs; texts live in the arena. */
struct work {
  struct cli *cli;
  const struct predict_options *options;
  const char *file, *provider;
  struct arena arena;
  struct sweep sweep; /* count 0: none, and one point */
  uint32_t point_count;
  struct modelled_program modelled[MODELLED_MAX];
  struct scenario *scenarios;       /* of each point */
  const struct scenario **runnable; /* of each point; NULL: refused */
  const char **refused;             /* of each point: why; NULL: it is not */
  uint64_t told_ns;                 /* when progress was last printed, without a terminal */
};

static void work_release(struct work *work) {
  for (uint32_t i = 0; i < work->point_count; i++)
    if (work->runnable && work->runnable[i]) scenario_release(&work->scenarios[i]);
  arena_release(&work->arena);
}

/* --- loading --------------------------------------------------------------------------------- */

/* One value of the sweep. A scenario that is none with it is kept as refused. */
static int load_point(struct work *work, uint32_t index, struct scenario_errors *errors,
                      struct error *err) {
  static const char argument[] = "--sweep", begin[] = "--sweep: ";
  const struct scenario_override value = {
      .path = work->sweep.path, .value = work->sweep.values[index].text, .argument = argument};
  memset(errors, 0, sizeof *errors);
  int status = cli_try_scenario(work->cli, work->file, work->provider, &work->options->sets, &value,
                                &work->scenarios[index], errors, err);
  if (status == 0) {
    work->runnable[index] = &work->scenarios[index];
    return 0;
  }
  if (status != STATUS_USAGE || errors->count == 0) return status;
  const char *why = errors->errors[0].message;
  if (strncmp(why, begin, sizeof begin - 1) == 0) why += sizeof begin - 1; /* known here */
  work->refused[index] = arena_strdup(&work->arena, why);
  if (!work->refused[index]) return error_set(err, STATUS_MEMORY, "out of memory");
  return 0;
}

static int load_sweep(struct work *work, struct error *err) {
  CLEANUP_FREE struct scenario_errors *errors = malloc(sizeof *errors);
  if (!errors) return error_set(err, STATUS_MEMORY, "out of memory");
  bool any = false;
  for (uint32_t i = 0; i < work->point_count; i++) {
    int status = load_point(work, i, errors, err);
    if (status < 0) return status;
    any = any || work->runnable[i];
  }
  if (any) return 0;
  return error_set(err, STATUS_USAGE,
                   "--sweep: the scenario is refused with every value; %s=%s: %s", work->sweep.path,
                   work->sweep.values[0].text, work->refused[0]);
}

static int load(struct work *work) {
  struct error err = ERROR_INIT;
  int status = 0;
  if (work->options->sweep)
    status = sweep_parse(work->options->sweep, &work->arena, &work->sweep, &err);
  if (status < 0) return cli_fail(work->cli, &err);
  uint32_t count = work->sweep.count > 0 ? work->sweep.count : 1;
  work->scenarios = arena_calloc(&work->arena, count, sizeof *work->scenarios);
  work->runnable = arena_calloc(&work->arena, count, sizeof *work->runnable);
  work->refused = arena_calloc(&work->arena, count, sizeof *work->refused);
  if (!work->scenarios || !work->runnable || !work->refused) {
    (void)error_set(&err, STATUS_MEMORY, "out of memory");
    return cli_fail(work->cli, &err);
  }
  work->point_count = count;
  if (work->sweep.count == 0) {
    int code = cli_load_scenario(work->cli, work->file, work->provider, &work->options->sets,
                                 &work->scenarios[0]);
    if (code == EXIT_MET) work->runnable[0] = &work->scenarios[0];
    return code;
  }
  return load_sweep(work, &err) < 0 ? cli_fail(work->cli, &err) : EXIT_MET;
}

/* Any of those that can be run: what all have in common. */
static const struct scenario *first_scenario(const struct work *work) {
  uint32_t i = 0;
  while (!work->runnable[i]) i++;
  return work->runnable[i];
}

/* What all points simulate; of what a sweep changes, nothing. */
static uint32_t common_models(const struct work *work, struct modelled_program ret[MODELLED_MAX]) {
  uint32_t count = modelled_programs(first_scenario(work), ret);
  for (uint32_t i = 0; i < work->point_count; i++) {
    struct modelled_program other[MODELLED_MAX];
    if (!work->runnable[i]) continue;
    if (modelled_programs(work->runnable[i], other) != count) return 0;
    for (uint32_t k = 0; k < count; k++)
      if (strcmp(other[k].version, ret[k].version) != 0) return 0;
  }
  return count;
}

/* --- running --------------------------------------------------------------------------------- */

static void show_progress(void *data, uint64_t done, uint64_t all) {
  struct work *work = data;
  struct log *log = &work->cli->log;
  char line[96];
  snprintf(line, sizeof line, "%" PRIu64 " of %" PRIu64 " runs simulated", done, all);
  log_status(log, line);
  uint64_t now_ns = clock_now_ns(&clock_monotonic);
  if (log->live || now_ns - work->told_ns < PLAIN_PERIOD_NS) return;
  work->told_ns = now_ns;
  log_print(log, LOG_INFO, "%s", line);
}

/* What runs one of them again, but for the sweep's value and the seed. */
static int write_command(struct work *work, const char **ret_command, struct error *err) {
  CLEANUP(buf_release) struct buf command;
  buf_init(&command);
  buf_puts(&command, "gameday run ");
  escape_shell(&command, work->file);
  buf_printf(&command, " --provider %s", first_scenario(work)->provider->plugin.name);
  for (uint32_t i = 0; i < work->options->sets.count; i++) {
    buf_puts(&command, " --set ");
    escape_shell(&command, work->options->sets.items[i]);
  }
  int status = buf_ok(&command, err);
  if (status == 0) *ret_command = arena_strdup(&work->arena, command.data);
  if (status == 0 && !*ret_command) return error_set(err, STATUS_MEMORY, "out of memory");
  return status;
}

/* The names of the points, which the engine does not know. */
static void name_points(const struct work *work, struct prediction_point *points) {
  for (uint32_t i = 0; i < work->sweep.count; i++) {
    points[i].value = work->sweep.values[i].text;
    points[i].number = work->sweep.values[i].number;
    points[i].refused = work->refused[i];
  }
}

/* Where the files go; "": there are to be none. */
static int choose_directory(const struct work *work, const struct prediction *prediction, char *ret,
                            size_t size, struct error *err) {
  const char *out = work->options->out;
  ret[0] = '\0';
  if (!out && !prediction->parameter) return 0;
  return path_format(ret, size, err, "%s%s", out ? out : "gameday-predict/",
                     out ? "" : prediction->scenario);
}

/* Better told before all is simulated. */
static int check_directory(const struct work *work, const struct prediction *prediction,
                           struct error *err) {
  char directory[PATH_MAX];
  int status = choose_directory(work, prediction, directory, sizeof directory, err);
  return status < 0 || !directory[0] ? status : cli_check_writable(directory, err);
}

static int predict(struct work *work, struct prediction *ret, int *ret_signal, struct error *err) {
  const struct predict_options *options = work->options;
  const struct scenario *scenario = first_scenario(work);
  struct prediction prediction = {
      .scenario = scenario->name,
      .file = work->file,
      .seeds = options->seeds.given ? (uint32_t)options->seeds.value : SEEDS_DEFAULT,
      .parameter = work->sweep.path,
      .numeric = work->sweep.numeric,
      .unit = work->sweep.unit,
      .modelled = work->modelled,
      .modelled_count = common_models(work, work->modelled),
      .point_count = work->point_count};
  if ((uint64_t)prediction.seeds * work->point_count > PREDICT_RUNS_MAX)
    return error_set(err, STATUS_USAGE, "%u values of %u runs each are more than %d runs",
                     work->point_count, prediction.seeds, PREDICT_RUNS_MAX);
  int status = simulating_check(scenario, err);
  if (status == 0)
    status = simulating_first_seed(&options->seed, scenario, &prediction.first_seed, err);
  if (status == 0 && prediction.first_seed + prediction.seeds - 1 > SIMULATING_SEED_MAX)
    status =
        error_set(err, STATUS_USAGE, "the last seed must be at most %" PRIu64, SIMULATING_SEED_MAX);
  if (status == 0) status = check_directory(work, &prediction, err);
  if (status == 0) status = write_command(work, &prediction.command, err);
  if (status < 0) return status;
  if (prediction.modelled_count > 0) simulating_compare_installed(work->cli, scenario);
  work->told_ns = clock_now_ns(&clock_monotonic);
  const struct predict_spec spec = {.scenarios = work->runnable,
                                    .point_count = work->point_count,
                                    .first_seed = prediction.first_seed,
                                    .seeds = prediction.seeds,
                                    .workers = simulating_jobs(&options->jobs),
                                    .checkers = checkers,
                                    .progress = show_progress,
                                    .data = work};
  struct prediction_point *points = NULL;
  status = predict_run(&spec, &work->arena, &points, ret_signal, err);
  log_status(&work->cli->log, "");
  if (status < 0) return status;
  name_points(work, points);
  prediction.points = points;
  *ret = prediction;
  return 0;
}

/* --- telling --------------------------------------------------------------------------------- */

typedef int prediction_writer(const struct prediction *prediction, struct buf *out,
                              struct error *err);

static int write_file(const struct prediction *prediction, prediction_writer *writer,
                      const char *directory, const char *name, struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = writer(prediction, &content, err);
  return status < 0 ? status : output_put(directory, name, &content, err);
}

/* A prediction, and who is told of what could not be drawn of it. */
struct predicted {
  const struct prediction *prediction;
  struct cli *cli;
  struct error undrawn; /* STATUS_OK: all was, or nothing can be here */
};

/* Pictures that cannot be drawn take nothing from the rest. */
static int make_files(void *data, const char *directory, int cancel_fd, struct error *err) {
  struct predicted *predicted = data;
  const struct prediction *prediction = predicted->prediction;
  int status = write_file(prediction, prediction_json, directory, PREDICTION_JSON, err);
  if (status == 0) status = write_file(prediction, prediction_csv, directory, PREDICTION_CSV, err);
  if (status < 0 || !prediction->parameter) return status;
  struct error undrawn = ERROR_INIT;
  status = prediction_draw(prediction, directory, cancel_fd, &undrawn);
  if (status == STATUS_ENVIRONMENT)
    (void)cli_fail(predicted->cli, &undrawn);
  else
    predicted->undrawn = undrawn;
  return 0;
}

static int write_files(struct work *work, const struct prediction *prediction, int *ret_signal,
                       struct error *err) {
  char directory[PATH_MAX];
  struct predicted predicted = {.prediction = prediction, .cli = work->cli, .undrawn = ERROR_INIT};
  const struct replacing files = {
      .make = make_files, .clear = prediction_remove_pictures, .data = &predicted};
  int status = choose_directory(work, prediction, directory, sizeof directory, err);
  if (status < 0 || !directory[0]) return status;
  status = replacing_files(&work->cli->log, directory, &files, ret_signal, err);
  if (status < 0 || predicted.undrawn.status == STATUS_OK) return status;
  *err = predicted.undrawn;
  return (int)err->status;
}

static int print(const struct prediction *prediction, prediction_writer *writer,
                 struct error *err) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = writer(prediction, &text, err);
  if (status == 0) fwrite(text.data, 1, text.length, stdout);
  return status;
}

static int exit_code(const struct prediction *prediction) {
  for (uint32_t i = 0; i < prediction->point_count; i++)
    if (prediction->points[i].crashed > 0) return EXIT_INTERNAL;
  switch (prediction_verdict(prediction)) {
    case VERDICT_PASS: return EXIT_MET;
    case VERDICT_UNKNOWN: return EXIT_UNTRUSTED;
    case VERDICT_FAIL: return EXIT_MISSED;
  }
  return EXIT_INTERNAL;
}

static int predict_and_tell(struct work *work) {
  struct error err = ERROR_INIT;
  struct prediction prediction;
  int number = 0;
  int status = predict(work, &prediction, &number, &err);
  if (status == 0)
    status = print(&prediction, work->options->json ? prediction_json : prediction_text, &err);
  if (status == 0) status = write_files(work, &prediction, &number, &err);
  if (status == STATUS_INTERRUPTED) {
    (void)cli_fail(work->cli, &err);
    return (int)cli_exit_code(STATUS_INTERRUPTED, number);
  }
  return status < 0 ? cli_fail(work->cli, &err) : exit_code(&prediction);
}

static int main_predict(struct cli *cli, const void *data, int argc, char **argv) {
  const struct predict_options *options = data;
  if (argc != 1) return cli_usage(cli, &command_predict);
  CLEANUP(work_release) struct work work = {.cli = cli, .options = options, .file = argv[0]};
  struct error err = ERROR_INIT;
  arena_init(&work.arena, 0);
  int status = cli_check_out(options->out, &err);
  if (status == 0) status = simulating_check_number("seeds", &options->seeds, 1, SEEDS_MAX, &err);
  if (status == 0)
    status = simulating_check_number("seed", &options->seed, 0, SIMULATING_SEED_MAX, &err);
  if (status == 0)
    status = simulating_check_number("jobs", &options->jobs, 1, BATCH_WORKERS_MAX, &err);
  work.provider = simulating_provider(cli, options->provider);
  if (status == 0 && !work.provider)
    status = error_set(&err, STATUS_ENVIRONMENT, "no provider in virtual time is built in");
  if (status < 0) return cli_fail(cli, &err);
  int code = load(&work);
  return code == EXIT_MET ? predict_and_tell(&work) : code;
}

const struct command command_predict = {
    .name = "predict",
    .usage = "predict SCENARIO.yaml [OPTIONS]",
    .summary = "Predict how a scenario ends, from many runs of it in virtual time.",
    .more =
        "Each run has a seed of its own, from which the random phases of its timeline follow. "
        "Says\n"
        "of each objective how many runs meet it, and of each value how it is distributed. The "
        "same\n"
        "seeds give the same words, whatever --jobs. Values of a sweep with which the scenario is\n"
        "refused are shown as such. Exit codes: 0 every objective was met in all runs, 1 one was\n"
        "missed in some, 4 none was, but some runs could not be decided, 5 the simulation broke.",
    .options = rows,
    .options_size = sizeof(struct predict_options),
    .main = main_predict,
};
