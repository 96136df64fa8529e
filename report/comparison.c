/* Builds the rows of a comparison. */
#include "report/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/caches.h"
#include "report/comparison_internal.h"
#include "report/facts.h"
#include "report/statistics.h"

const char *const compared_groups[COMPARED_GROUPS] = {
    [COMPARED_OBJECTIVES] = "Objectives",
    [COMPARED_PHASES] = "Recovery, from \"in effect\", over all faults and repeats",
    [COMPARED_CACHES] = "Caches and the databases behind them, worst fault",
    [COMPARED_LOAD] = "Load of " LOAD_POPULATION,
    [COMPARED_DATA] = "Data of " DATA_POPULATION,
    [COMPARED_SETTINGS] = "Settings that differ, as read back from the servers",
};

static bool intervals_apart(const struct comparison *comparison,
                            const struct compared_cell *cells) {
  for (uint32_t i = 0; i < comparison->run_count; i++)
    for (uint32_t j = 0; j < i; j++)
      if (cells[i].interval_known && cells[j].interval_known &&
          (cells[i].low > cells[j].high || cells[j].low > cells[i].high))
        return true;
  return false;
}

int compared_add(struct comparison *comparison, struct compared_row row, struct error *err) {
  if (!row.name || !row.label || !row.cells)
    return error_set(err, STATUS_MEMORY, "out of memory for a comparison");
  if (comparison->row_count == comparison->row_capacity) {
    uint32_t capacity = comparison->row_capacity ? 2 * comparison->row_capacity : 64;
    struct compared_row *rows = realloc(comparison->rows, capacity * sizeof *rows);
    if (!rows) return error_set(err, STATUS_MEMORY, "out of memory for a comparison");
    comparison->rows = rows;
    comparison->row_capacity = capacity;
  }
  for (uint32_t i = 0; i < comparison->run_count; i++)
    if (!row.cells[i].text) return error_set(err, STATUS_MEMORY, "out of memory for a comparison");
  row.apart = intervals_apart(comparison, row.cells);
  comparison->rows[comparison->row_count++] = row;
  return 0;
}

struct compared_cell *compared_cells(struct comparison *comparison) {
  struct compared_cell *cells =
      arena_calloc(&comparison->arena, comparison->run_count, sizeof *cells);
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) cells[i].text = "-";
  return cells;
}

static const struct run_result *result_of(const struct comparison *comparison, uint32_t run) {
  return comparison->runs[run].input.result;
}

static char *value_text(struct comparison *comparison, double value, enum unit unit) {
  char text[FORMAT_SIZE];
  format_value(value, unit, text);
  return arena_strdup(&comparison->arena, text);
}

static void measure_cell(struct comparison *comparison, const struct measure *measure,
                         struct compared_cell *cell) {
  if (!measure) return;
  if (!measure->known) {
    cell->why = facts_why(measure);
    cell->text = measure->not_applicable ? "does not apply" : "not measured";
    if (!measure->floor) return;
  }
  cell->known = measure->known;
  cell->value = measure->value;
  cell->text = value_text(comparison, measure->value, measure->unit);
  if (cell->text && !measure->known)
    cell->text = arena_printf(&comparison->arena, "at least %s", cell->text);
}

/* --- objectives ------------------------------------------------------------------------------ */

static const char *statistic_of(const struct objective_result *objective) {
  return objective->statistic ? objective->statistic : "max";
}

static const struct objective_result *find_objective(const struct run_result *result,
                                                     const struct objective_result *like) {
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    if (strcmp(objective->name, like->name) == 0 &&
        strcmp(statistic_of(objective), statistic_of(like)) == 0)
      return objective;
  }
  return NULL;
}

static void objective_cell(struct comparison *comparison, const struct objective_result *objective,
                           struct compared_cell *cell) {
  char text[FORMAT_SIZE];
  cell->judged = true;
  cell->verdict = objective->verdict;
  cell->known = objective->known;
  cell->value = objective->measured;
  cell->interval_known =
      objective->interval_known && strcmp(statistic_of(objective), "median") == 0;
  cell->low = objective->interval_low;
  cell->high = objective->interval_high;
  if (!objective->known) {
    cell->text = "not measured";
    cell->why = objective->why ? objective->why : "no reason was given";
    return;
  }
  format_against(objective->measured, objective->bound_value, objective->unit, text);
  cell->text = arena_strdup(&comparison->arena, text);
}

/* Of a run whose scenario bounds something else: what it measured, if there is but one of it. */
static void unbound_cell(struct comparison *comparison, uint32_t run,
                         const struct objective_result *like, struct compared_cell *cell) {
  struct measure worst;
  if (comparison->runs[run].input.repeat_count < 2 && strcmp(statistic_of(like), "max") == 0)
    measure_cell(comparison, facts_worst(result_of(comparison, run), like->name, &worst), cell);
}

static int add_objective(struct comparison *comparison, const struct objective_result *like,
                         struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  const char *bound = like->bound;
  bool same = true;
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) {
    const struct objective_result *objective = find_objective(result_of(comparison, i), like);
    if (!objective) {
      unbound_cell(comparison, i, like, &cells[i]);
      continue;
    }
    objective_cell(comparison, objective, &cells[i]);
    same = same && strcmp(objective->bound, bound) == 0;
  }
  const char *statistic = statistic_of(like);
  int status =
      compared_add(comparison,
                   (struct compared_row){
                       .group = COMPARED_OBJECTIVES,
                       .name = arena_printf(&comparison->arena, "%s.%s", like->name, statistic),
                       .label = arena_printf(&comparison->arena, "%s (%s)%s%s", like->name,
                                             statistic, same ? " " : "", same ? bound : ""),
                       .unit = like->unit,
                       .cells = cells},
                   err);
  if (status < 0 || same) return status;
  struct compared_cell *bounds = compared_cells(comparison);
  for (uint32_t i = 0; bounds && i < comparison->run_count; i++) {
    const struct objective_result *objective = find_objective(result_of(comparison, i), like);
    if (objective) bounds[i].text = objective->bound;
  }
  return compared_add(comparison,
                      (struct compared_row){.group = COMPARED_OBJECTIVES,
                                            .name = arena_printf(&comparison->arena, "%s.%s.bound",
                                                                 like->name, statistic),
                                            .label = "- its bound",
                                            .cells = bounds},
                      err);
}

static int add_objectives(struct comparison *comparison, struct error *err) {
  for (uint32_t run = 0; run < comparison->run_count; run++) {
    const struct run_result *result = result_of(comparison, run);
    for (uint32_t i = 0; i < result->objective_count; i++) {
      const struct objective_result *objective = &result->objectives[i];
      bool told = false;
      for (uint32_t before = 0; before < run && !told; before++)
        told = find_objective(result_of(comparison, before), objective) != NULL;
      /* Twice in one scenario (an upper and a lower bound): once here. */
      told = told || find_objective(result, objective) != objective;
      int status = told ? 0 : add_objective(comparison, objective, err);
      if (status < 0) return status;
    }
  }
  return 0;
}

/* --- recovery -------------------------------------------------------------------------------- */

static void spread_cell(struct comparison *comparison, const struct spread *spread, bool median,
                        struct compared_cell *cell) {
  if (spread->count == 0) {
    if (spread->unknown > 0) {
      cell->text = "not measured";
      cell->why = "none of its faults and repeats has a value";
    }
    return;
  }
  cell->known = true;
  cell->value = median ? spread->median : spread->maximum;
  cell->text = value_text(comparison, cell->value, spread->unit);
  if (!median && spread->unknown > 0) {
    cell->why = "not all of its faults and repeats have a value";
    cell->known = false; /* the largest may be one of the others */
    if (cell->text) cell->text = arena_printf(&comparison->arena, "at least %s", cell->text);
  }
  cell->interval_known = median && spread->has_interval;
  cell->low = spread->low;
  cell->high = spread->high;
}

static int add_spread(struct comparison *comparison, const struct phase_info *phase,
                      const struct spread *spreads, bool median, struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  const char *word = median ? "median" : "max";
  for (uint32_t i = 0; cells && i < comparison->run_count; i++)
    spread_cell(comparison, &spreads[i], median, &cells[i]);
  return compared_add(
      comparison,
      (struct compared_row){.group = COMPARED_PHASES,
                            .name = arena_printf(&comparison->arena, "%s.%s", phase->measure, word),
                            .label = arena_printf(&comparison->arena, "%s, %s", phase->label, word),
                            .unit = UNIT_DURATION,
                            .cells = cells},
      err);
}

static int add_phases(struct comparison *comparison, struct error *err) {
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    struct spread spreads[COMPARISON_RUNS_MAX] = {0};
    bool any = false, several = false;
    for (uint32_t i = 0; i < comparison->run_count; i++) {
      int status = spread_of_repeats(&comparison->runs[i].input, phase_table[phase].measure,
                                     &spreads[i], err);
      if (status < 0) return status;
      any = any || spreads[i].count > 0 || spreads[i].unknown > 0;
      several = several || spreads[i].count + spreads[i].unknown > 1;
    }
    if (!any) continue;
    int status = several ? add_spread(comparison, &phase_table[phase], spreads, true, err) : 0;
    if (status == 0) status = add_spread(comparison, &phase_table[phase], spreads, false, err);
    if (status < 0) return status;
  }
  return 0;
}

/* --- what a single run (the worst of the repeats) measured ------------------------------------ */

int compared_measure(struct comparison *comparison, enum compared_group group, const char *name,
                     const char *label, struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  enum unit unit = UNIT_COUNT;
  bool any = false;
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) {
    struct measure worst;
    const struct measure *measure = facts_worst(result_of(comparison, i), name, &worst);
    measure_cell(comparison, measure, &cells[i]);
    if (!measure) continue;
    unit = measure->unit;
    any = any || measure->known || measure->floor || !measure->not_applicable;
  }
  if (cells && !any) return 0;
  return compared_add(
      comparison,
      (struct compared_row){
          .group = group, .name = name, .label = label, .unit = unit, .cells = cells},
      err);
}

static int add_caches(struct comparison *comparison, struct error *err) {
  for (const struct cache_info *row = cache_table; row->measure; row++) {
    int status = compared_measure(comparison, COMPARED_CACHES, row->measure, row->label, err);
    if (status < 0) return status;
  }
  return 0;
}

struct data_rows {
  struct comparison *comparison;
  struct error *err;
  int status;
};

static void add_name(void *data, const char *name, const char *label) {
  struct data_rows *rows = data;
  if (rows->status == 0)
    rows->status = compared_measure(rows->comparison, COMPARED_DATA, name, label, rows->err);
}

static int add_data(struct comparison *comparison, struct error *err) {
  struct data_rows rows = {.comparison = comparison, .err = err};
  data_names(add_name, &rows);
  return rows.status;
}

/* --- load ------------------------------------------------------------------------------------ */

static const struct {
  const char *label;
  size_t offset;
} load_rows[] = {
    {"scheduled", offsetof(struct operation_counts, scheduled)},
    {"ok", offsetof(struct operation_counts, ok)},
    {"fail", offsetof(struct operation_counts, fail)},
    {"unknown", offsetof(struct operation_counts, unknown)},
    {"skipped", offsetof(struct operation_counts, skipped)},
};
#define LOAD_ROWS (sizeof load_rows / sizeof load_rows[0])

static const struct operation_counts *counts_of(const struct comparison *comparison, uint32_t run,
                                                bool reads) {
  const struct run_result *result = result_of(comparison, run);
  return reads ? &result->reads : &result->writes;
}

static int add_counts(struct comparison *comparison, bool reads, size_t row, struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  const char *class = reads ? "reads" : "writes";
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) {
    char text[FORMAT_SIZE];
    uint64_t count;
    memcpy(&count, (const char *)counts_of(comparison, i, reads) + load_rows[row].offset,
           sizeof count);
    format_count(count, text);
    cells[i].text = arena_strdup(&comparison->arena, text);
    cells[i].known = true;
    cells[i].value = (double)count;
  }
  return compared_add(
      comparison,
      (struct compared_row){
          .group = COMPARED_LOAD,
          .name = arena_printf(&comparison->arena, "%s.%s", class, load_rows[row].label),
          .label = arena_printf(&comparison->arena, "%s %s", class, load_rows[row].label),
          .unit = UNIT_COUNT,
          .cells = cells},
      err);
}

static int add_availability(struct comparison *comparison, bool reads, struct error *err) {
  struct compared_cell *cells = compared_cells(comparison);
  const char *class = reads ? "reads" : "writes";
  for (uint32_t i = 0; cells && i < comparison->run_count; i++) {
    double ratio;
    if (!facts_availability(counts_of(comparison, i, reads), &ratio)) continue;
    cells[i] = (struct compared_cell){
        .known = true, .value = ratio, .text = value_text(comparison, ratio, UNIT_RATIO)};
  }
  return compared_add(
      comparison,
      (struct compared_row){.group = COMPARED_LOAD,
                            .name = arena_printf(&comparison->arena, "%s.availability", class),
                            .label = arena_printf(&comparison->arena, "%s ok of scheduled", class),
                            .unit = UNIT_RATIO,
                            .cells = cells},
      err);
}

static int add_load(struct comparison *comparison, struct error *err) {
  for (int reads = 0; reads < 2; reads++) {
    bool any = false;
    for (uint32_t i = 0; i < comparison->run_count; i++)
      any = any || counts_of(comparison, i, reads)->scheduled > 0;
    int status = 0;
    for (size_t row = 0; any && row < LOAD_ROWS && status == 0; row++)
      status = add_counts(comparison, reads, row, err);
    if (any && status == 0) status = add_availability(comparison, reads, err);
    if (status < 0) return status;
  }
  return 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

int comparison_build(const struct compared_run *runs, uint32_t count, struct comparison *ret,
                     struct error *err) {
  struct comparison comparison = {.runs = runs, .run_count = count};
  arena_init(&comparison.arena, 0);
  for (uint32_t i = 0; i < count; i++)
    comparison.single = comparison.single || runs[i].input.repeat_count < 2;
  int status = add_objectives(&comparison, err);
  if (status == 0) status = add_phases(&comparison, err);
  if (status == 0) status = add_caches(&comparison, err);
  if (status == 0) status = add_load(&comparison, err);
  if (status == 0) status = add_data(&comparison, err);
  if (status == 0) status = compared_settings(&comparison, err);
  if (status < 0) {
    comparison_release(&comparison);
    return status;
  }
  *ret = comparison;
  return 0;
}

void comparison_release(struct comparison *comparison) {
  free(comparison->rows);
  arena_release(&comparison->arena);
  *comparison = (struct comparison){0};
}

const char *comparison_caution(const struct comparison *comparison) {
  if (comparison->single)
    return "One run tells little: the moment of a fault within the manager's period alone changes "
           "a failover by seconds. Compare repeats (gameday run --repeat 20).";
  return "Where two medians' 95 % intervals do not meet, the row is marked with *: that difference "
         "is no chance. Load and data are of the repeat that the report of the series shows.";
}

void compared_change(const struct compared_row *row, uint32_t run, char text[FORMAT_SIZE]) {
  const struct compared_cell *from = &row->cells[0], *to = &row->cells[run];
  text[0] = '\0';
  if (run == 0 || !from->known || !to->known || !isfinite(from->value) || !isfinite(to->value))
    return;
  if (from->value == to->value) {
    snprintf(text, FORMAT_SIZE, "%s", from->value != 0 ? "same" : "");
  } else if (row->unit == UNIT_RATIO) {
    snprintf(text, FORMAT_SIZE, "%+.3g points", 100 * (to->value - from->value));
  } else if (from->value > 0 && to->value >= 0) {
    double ratio = to->value / from->value;
    if (ratio >= 10)
      snprintf(text, FORMAT_SIZE, "x%.3g", ratio);
    else if (fabs(ratio - 1) < 0.0005)
      snprintf(text, FORMAT_SIZE, "< 0.1 %%");
    else
      snprintf(text, FORMAT_SIZE, "%+.3g %%", 100 * (ratio - 1));
  }
}
