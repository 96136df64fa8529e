/* predict.json (gameday/predict/v1), described in docs/predict.md. */
#include <math.h>

#include "base/cleanup.h"
#include "gameday/provider.h"
#include "report/json_parts.h"
#include "report/prediction.h"

static json_t *share_json(struct maker *maker, const struct share *share) {
  json_t *object = json_object();
  maker_put(maker, object, "count", count_json(share->count));
  maker_put(maker, object, "of", count_json(share->of));
  maker_put(maker, object, "share",
            number_json(share->of > 0 ? (double)share->count / share->of : NAN));
  maker_put(maker, object, "low95", number_json(share->low));
  maker_put(maker, object, "high95", number_json(share->high));
  return object;
}

static json_t *example_json(struct maker *maker, const struct predicted_example *example) {
  if (!example->why) return json_null();
  json_t *object = json_object();
  maker_put(maker, object, "seed", count_json(example->seed));
  maker_put(maker, object, "why", text_json(example->why));
  return object;
}

static json_t *objectives_json(struct maker *maker, const struct prediction_point *point) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < point->objective_count; i++) {
    const struct predicted_objective *objective = &point->objectives[i];
    json_t *object = json_object();
    maker_put(maker, object, "name", text_json(objective->name));
    maker_put(maker, object, "statistic", text_json(objective->statistic));
    maker_put(maker, object, "bound", text_json(objective->bound));
    maker_put(maker, object, "unit", text_json(unit_name(objective->unit)));
    maker_put(maker, object, "comparison", text_json(objective->at_least ? ">=" : "<="));
    maker_put(maker, object, "bound_value", number_json(objective->bound_value));
    maker_put(maker, object, "met", count_json(objective->met));
    maker_put(maker, object, "missed", count_json(objective->missed));
    maker_put(maker, object, "unknown", count_json(objective->unknown));
    maker_put(maker, object, "not_applicable", count_json(objective->none));
    maker_push(maker, array, object);
  }
  return array;
}

static json_t *value_json(struct maker *maker, const struct predicted_value *value,
                          uint32_t seeds) {
  const struct distribution *of = &value->distribution;
  json_t *object = json_object(), *by_seed = json_array();
  bool any = of->known > 0, interval = of->interval_known;
  maker_put(maker, object, "unit", text_json(unit_name(value->unit)));
  maker_put(maker, object, "worst", text_json(value->at_least ? "smallest" : "largest"));
  maker_put(maker, object, "known", count_json(of->known));
  maker_put(maker, object, "unknown", count_json(of->unknown));
  maker_put(maker, object, "not_applicable", count_json(of->none));
  maker_put(maker, object, "min", number_json(any ? of->minimum : NAN));
  maker_put(maker, object, "median", number_json(any ? of->median : NAN));
  maker_put(maker, object, "median_low95", number_json(interval ? of->low : NAN));
  maker_put(maker, object, "median_high95", number_json(interval ? of->high : NAN));
  maker_put(maker, object, "p95", number_json(any ? of->p95 : NAN));
  maker_put(maker, object, "max", number_json(any ? of->maximum : NAN));
  for (uint32_t i = 0; i < seeds; i++) maker_push(maker, by_seed, number_json(value->by_seed[i]));
  maker_put(maker, object, "by_seed", by_seed);
  return object;
}

static json_t *runs_json(struct maker *maker, const struct prediction_point *point) {
  json_t *object = json_object();
  maker_put(maker, object, "met", count_json(point->met));
  maker_put(maker, object, "missed", count_json(point->missed));
  maker_put(maker, object, "unknown", count_json(point->unknown));
  maker_put(maker, object, "crashed", count_json(point->crashed));
  return object;
}

static json_t *point_json(struct maker *maker, const struct prediction *prediction,
                          const struct prediction_point *point) {
  json_t *object = json_object();
  if (prediction->parameter) {
    maker_put(maker, object, "value", text_json(point->value));
    maker_put(maker, object, "number", number_json(prediction->numeric ? point->number : NAN));
  }
  maker_put(maker, object, "refused", text_json(point->refused));
  if (point->refused) return object;
  maker_put(maker, object, "runs", runs_json(maker, point));
  maker_put(maker, object, "missed", share_json(maker, &point->missed_share));
  maker_put(maker, object, "lost", share_json(maker, &point->lost_share));
  maker_put(maker, object, "first_missed", example_json(maker, &point->first_missed));
  maker_put(maker, object, "first_unknown", example_json(maker, &point->first_unknown));
  maker_put(maker, object, "objectives", objectives_json(maker, point));
  json_t *values = json_object();
  for (uint32_t i = 0; i < point->value_count; i++)
    maker_put(maker, values, point->values[i].name,
              value_json(maker, &point->values[i], prediction->seeds));
  maker_put(maker, object, "values", values);
  return object;
}

int prediction_json(const struct prediction *prediction, struct buf *out, struct error *err) {
  struct maker maker = {.lost = false};
  CLEANUP(cleanup_json) json_t *root = json_object();
  json_t *points = json_array();
  maker_put(&maker, root, "schema", text_json("gameday/predict/v1"));
  maker_put(&maker, root, "scenario", text_json(prediction->scenario));
  maker_put(&maker, root, "scenario_file", text_json(prediction->file));
  maker_put(&maker, root, "first_seed", count_json(prediction->first_seed));
  maker_put(&maker, root, "seeds", count_json(prediction->seeds));
  maker_put(&maker, root, "command", text_json(prediction->command));
  json_t *versions = json_object();
  for (uint32_t i = 0; i < prediction->modelled_count; i++)
    maker_put(&maker, versions, prediction->modelled[i].command,
              text_json(prediction->modelled[i].version));
  maker_put(&maker, root, "versions", versions);
  maker_put(&maker, root, "parameter", text_json(prediction->parameter));
  if (prediction->numeric)
    maker_put(&maker, root, "parameter_unit", text_json(unit_name(prediction->unit)));
  maker_put(&maker, root, "verdict", text_json(verdict_name(prediction_verdict(prediction))));
  for (uint32_t i = 0; i < prediction->point_count; i++)
    maker_push(&maker, points, point_json(&maker, prediction, &prediction->points[i]));
  maker_put(&maker, root, "points", points);
  return maker_print(&maker, root, out, err);
}
