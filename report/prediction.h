/* A prediction as text for a terminal, as JSON and CSV for programs, and a sweep as pictures. */
#ifndef GAMEDAY_REPORT_PREDICTION_H
#define GAMEDAY_REPORT_PREDICTION_H

#include "base/buf.h"
#include "gameday/checker.h"
#include "gameday/prediction.h"

#define PREDICTION_JSON "predict.json"
#define PREDICTION_CSV "predict.csv"
#define PREDICTION_PLOT "sweep" /* .svg and .png */

/* Over all points: FAIL when some run missed something, else UNKNOWN when some could not be decided
 * (or every point was refused), else PASS. */
enum verdict prediction_verdict(const struct prediction *prediction);

/* Each appends to `out`; STATUS_MEMORY is the only error. The same prediction gives the same bytes.
 */
int prediction_text(const struct prediction *prediction, struct buf *out, struct error *err);
int prediction_json(const struct prediction *prediction, struct buf *out, struct error *err);
int prediction_csv(const struct prediction *prediction, struct buf *out, struct error *err);

/* Draws a sweep into the directory: failover time, recovery point, and shares of runs against the
 * parameter. STATUS_ENVIRONMENT: gnuplot is missing, and the message says how to get it. Once
 * `cancel_fd` (0: none) is readable, it fails with STATUS_INTERRUPTED. */
int prediction_draw(const struct prediction *prediction, const char *directory, int cancel_fd,
                    struct error *err);
/* Removes from a directory what prediction_draw() put there. */
int prediction_remove_pictures(const char *directory, struct error *err);

/* The value of that name at a point, or NULL. */
const struct predicted_value *prediction_value(const struct prediction_point *point,
                                               const char *name);
/* The first objective of that name at a point, or NULL. */
const struct predicted_objective *prediction_objective(const struct prediction_point *point,
                                                       const char *name);

#endif
