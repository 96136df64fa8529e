/* compare.json (gameday/compare/v1), described in docs/reports.md. */
#include "base/cleanup.h"
#include "report/comparison.h"
#include "report/json_parts.h"

static const char *const groups[COMPARED_GROUPS] = {
    [COMPARED_OBJECTIVES] = "objectives",
    [COMPARED_PHASES] = "recovery",
    [COMPARED_CACHES] = "caches",
    [COMPARED_LOAD] = "load",
    [COMPARED_DATA] = "data",
    [COMPARED_SETTINGS] = "settings",
};

static json_t *run_json(struct maker *maker, const struct compared_run *run) {
  const struct run_result *result = run->input.result;
  json_t *object = json_object();
  maker_put(maker, object, "label", text_json(run->label));
  maker_put(maker, object, "directory", text_json(run->input.directory));
  maker_put(maker, object, "scenario", text_json(result->scenario));
  maker_put(maker, object, "provider", text_json(result->provider));
  maker_put(maker, object, "seed", count_json(result->seed));
  maker_put(maker, object, "repeats", count_json(run->input.repeat_count));
  maker_put(maker, object, "verdict", text_json(verdict_name(result->verdict)));
  maker_put(maker, object, "why", text_json(result->why));
  maker_put(maker, object, "trusted", json_boolean(result->trusted));
  return object;
}

static json_t *cell_json(struct maker *maker, const struct compared_cell *cell) {
  json_t *object = json_object();
  maker_put(maker, object, "value", cell->known ? number_json(cell->value) : json_null());
  maker_put(maker, object, "text", text_json(cell->text));
  maker_put(maker, object, "why", text_json(cell->why));
  maker_put(maker, object, "verdict",
            cell->judged ? text_json(verdict_name(cell->verdict)) : json_null());
  maker_put(maker, object, "low95", cell->interval_known ? number_json(cell->low) : json_null());
  maker_put(maker, object, "high95", cell->interval_known ? number_json(cell->high) : json_null());
  return object;
}

static json_t *row_json(struct maker *maker, const struct comparison *comparison,
                        const struct compared_row *row) {
  json_t *object = json_object(), *cells = json_array();
  maker_put(maker, object, "group", text_json(groups[row->group]));
  maker_put(maker, object, "name", text_json(row->name));
  maker_put(maker, object, "unit",
            row->group == COMPARED_SETTINGS ? json_null() : text_json(unit_name(row->unit)));
  for (uint32_t i = 0; i < comparison->run_count; i++)
    maker_push(maker, cells, cell_json(maker, &row->cells[i]));
  maker_put(maker, object, "apart", json_boolean(row->apart));
  maker_put(maker, object, "runs", cells);
  return object;
}

int comparison_json(const struct comparison *comparison, struct buf *out, struct error *err) {
  struct maker maker = {.lost = false};
  CLEANUP(cleanup_json) json_t *root = json_object();
  json_t *runs = json_array(), *rows = json_array();
  for (uint32_t i = 0; i < comparison->run_count; i++)
    maker_push(&maker, runs, run_json(&maker, &comparison->runs[i]));
  for (uint32_t i = 0; i < comparison->row_count; i++)
    maker_push(&maker, rows, row_json(&maker, comparison, &comparison->rows[i]));
  maker_put(&maker, root, "schema", text_json("gameday/compare/v1"));
  maker_put(&maker, root, "runs", runs);
  maker_put(&maker, root, "rows", rows);
  return maker_print(&maker, root, out, err);
}
