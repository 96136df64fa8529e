/* What an exploration leaves: scenario files, and the summary. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/version.h"
#include "engine/explore_internal.h"
#include "engine/modelled.h"

#define NAME_MAX_LENGTH 64 /* of a scenario */

/* --- scenario files -------------------------------------------------------------------------- */

int explore_write_schedule(const struct explore *explore, const struct schedule *schedule,
                           uint64_t seed, const char *suffix, const char *comment,
                           char ret_path[PATH_MAX], struct error *err) {
  CLEANUP(buf_release) struct buf text;
  CLEANUP(arena_release) struct arena arena;
  struct scenario scenario;
  const struct explore_spec *spec = explore->spec;
  char tail[40], path[PATH_MAX];
  buf_init(&text);
  arena_init(&arena, 0);
  int status =
      schedule_apply(&explore->rules, schedule, seed, spec->scenario, &arena, &scenario, err);
  if (status < 0) return status;
  int length = snprintf(tail, sizeof tail, "-explore-%" PRIu64, seed);
  scenario.name = arena_printf(&arena, "%.*s%s", NAME_MAX_LENGTH - length, scenario.name, tail);
  if (!scenario.name) return error_set(err, STATUS_MEMORY, "out of memory for a scenario");
  /* Without any fault, objectives on faults are for what is explored only. */
  if (schedule->count == 0) {
    scenario.explore = spec->scenario->explore;
    scenario.explore.given = true;
  }
  buf_puts(&text, comment);
  status = scenario_print(&scenario, &text, err);
  if (status == 0)
    status = path_format(path, sizeof path, err, "%s/explore-%" PRIu64 "%s.yaml", spec->directory,
                         seed, suffix);
  if (status == 0) status = directory_make(spec->directory, 0755, err);
  if (status == 0) status = file_write(path, text.data, text.length, 0644, err);
  if (status == 0) memcpy(ret_path, path, sizeof path);
  return status;
}

static const char *kind_of_group(const struct group *group) {
  return group->checker ? "checker" : "objective";
}

static void put_count(struct buf *text, uint64_t count, const char *one) {
  buf_printf(text, "%" PRIu64 " %s%s", count, one, count == 1 ? "" : "s");
}

static void put_size(const struct group *group, struct buf *text) {
  const struct shrunk_message *shrunk = &group->shrunk;
  put_count(text, group_schedule(group)->count, "fault");
  if (group->is_shrunk)
    buf_printf(text, ", shrunk from %u in %u tries; with %u of the %u seeds after it too",
               group_candidate(group)->schedule.count, shrunk->tries, shrunk->shown, shrunk->seeds);
}

static const char *text_of(const struct group *group) {
  return group->is_shrunk ? group->shrunk.text : group_candidate(group)->text;
}

/* A file's comment must not be ended by what a checker says. */
static void put_line(struct buf *text, const char *line) {
  for (; *line; line++) buf_putc(text, (unsigned char)*line < ' ' ? ' ' : *line);
  buf_putc(text, '\n');
}

static void put_origin(const struct explore *explore, struct buf *text) {
  buf_puts(text, "# Found by gameday " GAMEDAY_VERSION " in virtual time: gameday explore ");
  put_line(text, explore->spec->scenario->file);
}

static void put_use(const struct explore *explore, struct buf *text) {
  buf_printf(text,
             "# `gameday run FILE` runs it on the provider below; with --provider %s it gives the "
             "same again.\n",
             explore->spec->simulated->provider->plugin.name);
}

int explore_write_remark(const struct explore *explore, const char *what, struct remark *remark,
                         struct error *err) {
  CLEANUP(buf_release) struct buf comment;
  buf_init(&comment);
  put_origin(explore, &comment);
  buf_printf(&comment, "# The schedule of seed %" PRIu64 " %s: ", remark->seed, what);
  put_line(&comment, remark->text);
  put_use(explore, &comment);
  int status = buf_ok(&comment, err);
  if (status < 0) return status;
  return explore_write_schedule(explore, &remark->schedule, remark->seed, "", comment.data,
                                remark->path, err);
}

int explore_write_group(const struct explore *explore, struct group *group, struct error *err) {
  CLEANUP(buf_release) struct buf comment;
  char suffix[sizeof group->what + 1] = "";
  uint64_t seed = group_candidate(group)->seed;
  buf_init(&comment);
  /* The same seed may stand for several violations, each with a minimal schedule of its own. */
  for (const struct group *other = explore->groups; other < group; other++)
    if (group_candidate(other)->seed == seed) snprintf(suffix, sizeof suffix, "-%s", group->what);
  put_origin(explore, &comment);
  buf_printf(&comment, "# Violates %s %s: ", kind_of_group(group), group->what);
  put_line(&comment, text_of(group));
  buf_printf(&comment, "# The schedule of seed %" PRIu64 ": ", seed);
  put_size(group, &comment);
  buf_puts(&comment, ".\n");
  put_use(explore, &comment);
  int status = buf_ok(&comment, err);
  if (status < 0) return status;
  return explore_write_schedule(explore, group_schedule(group), seed, suffix, comment.data,
                                group->path, err);
}

/* --- the summary ----------------------------------------------------------------------------- */

static void print_counts(const struct explore *explore, struct buf *text) {
  const struct explore_result *result = &explore->result;
  const struct explore_spec *spec = explore->spec;
  buf_printf(text, "%s: ", spec->scenario->name);
  put_count(text, result->schedules, "schedule");
  buf_printf(text, " on %s", spec->simulated->provider->plugin.name);
  if (result->schedules > 0)
    buf_printf(text, ", seeds %" PRIu64 " to %" PRIu64, spec->first_seed,
               spec->first_seed + result->schedules - 1);
  struct modelled_program programs[MODELLED_MAX];
  uint32_t modelled = modelled_programs(spec->simulated, programs);
  if (modelled > 0) buf_puts(text, "; simulated: ");
  modelled_print(programs, modelled, text);
  buf_printf(text, "\n  pass %" PRIu64 ", violated %" PRIu64 ", unknown %" PRIu64, result->pass,
             result->fail, result->unknown);
  if (result->crashed > 0) buf_printf(text, ", broken %" PRIu64, result->crashed);
  buf_putc(text, '\n');
}

static void print_kinds(const struct explore *explore, struct buf *text) {
  const struct coverage *coverage = &explore->coverage;
  buf_printf(text, "\nfaults: %u of %u kinds\n", coverage_kinds(coverage), coverage->kinds);
  buf_printf(text, "  %-34s %8s %8s %8s %8s\n", "", "drawn", "primary", "replica", "host");
  for (uint32_t k = 0; k < coverage->kinds; k++) {
    const uint64_t *targets = &coverage->targets[k * COVERAGE_TARGETS];
    buf_printf(text, "  %c %-32s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
               k < 26 ? 'A' + (char)k : ' ', explore->rules.kinds[k].name, coverage->drawn[k],
               targets[TARGET_PRIMARY], targets[TARGET_REPLICA], targets[TARGET_HOST]);
  }
}

static void print_matrix(const struct explore *explore, const uint64_t *counts, struct buf *text) {
  uint32_t kinds = explore->coverage.kinds;
  buf_puts(text, "   ");
  for (uint32_t k = 0; k < kinds; k++) buf_printf(text, " %6c", 'A' + (char)k);
  buf_putc(text, '\n');
  for (uint32_t first = 0; first < kinds; first++) {
    buf_printf(text, "  %c", 'A' + (char)first);
    for (uint32_t second = 0; second < kinds; second++)
      buf_printf(text, " %6" PRIu64, counts[(size_t)first * kinds + second]);
    buf_putc(text, '\n');
  }
}

/* The first fault is the row, the second the column. */
static void print_pairs(const struct explore *explore, struct buf *text) {
  const struct coverage *coverage = &explore->coverage;
  uint32_t all = coverage->kinds * coverage->kinds;
  bool fits = coverage->kinds <= 26;
  uint32_t following = coverage_pairs(coverage, false),
           overlapping = coverage_pairs(coverage, true);
  buf_printf(text, "\npairs, one after the other: %u of %u\n", following, all);
  if (fits && following > 0) print_matrix(explore, coverage->following, text);
  buf_printf(text, "\npairs, the second while the first is in effect: %u of %u\n", overlapping,
             all);
  if (fits && overlapping > 0) print_matrix(explore, coverage->overlapping, text);
}

static void print_smallest(const struct explore *explore, const struct group *group,
                           struct buf *text) {
  const struct schedule *schedule = group_schedule(group);
  buf_printf(text, "  smallest: seed %" PRIu64 ", ", group_candidate(group)->seed);
  put_size(group, text);
  if (group->error[0]) buf_printf(text, " (could not be shrunk: %s)", group->error);
  buf_putc(text, '\n');
  for (uint32_t i = 0; i < schedule->count; i++) {
    buf_puts(text, "    ");
    schedule_print_fault(&explore->rules, &schedule->faults[i], text);
    buf_putc(text, '\n');
  }
  buf_printf(text, "    %s\n    %s\n", text_of(group), group->path);
}

static void print_group(const struct explore *explore, const struct group *group,
                        struct buf *text) {
  buf_printf(text, "\nviolated: %s %s in ", kind_of_group(group), group->what);
  put_count(text, group->count, "schedule");
  buf_puts(text, group->count == 1 ? ", seed" : ", seeds");
  for (uint32_t i = 0; i < group->count && i < SEEDS_SHOWN; i++)
    buf_printf(text, "%s %" PRIu64, i ? "," : "", group->seeds[i]);
  buf_puts(text, group->count > SEEDS_SHOWN ? ", ...\n" : "\n");
  print_smallest(explore, group, text);
}

static void print_remarks(const char *title, const struct remark *remarks, uint32_t count,
                          uint64_t total, struct buf *text) {
  if (count == 0) return;
  buf_printf(text, "\n%s\n", title);
  for (uint32_t i = 0; i < count; i++) {
    buf_printf(text, "  seed %" PRIu64 ": %s\n", remarks[i].seed, remarks[i].text);
    if (remarks[i].path[0]) buf_printf(text, "    %s\n", remarks[i].path);
  }
  if (total > count) buf_printf(text, "  and %" PRIu64 " more\n", total - count);
}

void explore_print_summary(const struct explore *explore, struct buf *text) {
  print_counts(explore, text);
  print_kinds(explore, text);
  print_pairs(explore, text);
  for (uint32_t i = 0; i < explore->group_count; i++)
    print_group(explore, &explore->groups[i], text);
  if (explore->groups_left_out > 0)
    buf_printf(text, "\nand %" PRIu64 " further violations\n", explore->groups_left_out);
  print_remarks("not known:", explore->unknown, explore->unknown_count, explore->result.unknown,
                text);
  print_remarks("broken simulations (a bug in gameday):", explore->crashed, explore->crashed_count,
                explore->result.crashed, text);
}
