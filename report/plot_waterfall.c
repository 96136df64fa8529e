/* Plot `waterfall`: each recovery step by step, from the moment its fault was in effect. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/escape.h"
#include "report/facts.h"
#include "report/plot_parts.h"

#define FAULTS_MAX 12
#define FAULTS_LOOKED_AT 1000 /* more than a scenario can have */
#define ROW_HEIGHT 26
#define TITLE_HEIGHT 30
#define HEAD 8
#define FOOT 60
#define LEFT 150
#define OUTAGES_MAX 64

enum row { ROW_FAULT, ROW_PHASE, ROW_WRITES = ROW_PHASE + PHASE_COUNT, ROW_READS, ROW_COUNT };

struct spans {
  const struct run_result *result;
  int32_t fault;
  uint64_t confirmed_ns;
  uint32_t count;   /* of all there are; the OUTAGES_MAX longest are drawn */
  double longest_s; /* of all there are */
  double until_s;   /* the latest end */
  double begin_s[OUTAGES_MAX], end_s[OUTAGES_MAX]; /* after the fault's confirmation */
};

static void span_add(void *data, const struct interval *interval) {
  struct spans *spans = data;
  if (interval->fault != spans->fault) return;
  double begin_s = ((double)interval->begin_ns - (double)spans->confirmed_ns) / 1e9;
  double span_s = facts_span_s(spans->result, interval);
  spans->longest_s = fmax(spans->longest_s, span_s);
  spans->until_s = fmax(spans->until_s, begin_s + span_s);
  uint32_t at = spans->count++;
  if (at >= OUTAGES_MAX) { /* the shortest gives way */
    at = 0;
    for (uint32_t i = 1; i < OUTAGES_MAX; i++)
      if (spans->end_s[i] - spans->begin_s[i] < spans->end_s[at] - spans->begin_s[at]) at = i;
    if (spans->end_s[at] - spans->begin_s[at] >= span_s) return;
  }
  spans->begin_s[at] = begin_s;
  spans->end_s[at] = begin_s + span_s;
}

static struct spans spans_of(const struct run_result *result, uint32_t fault, const char *what) {
  struct spans spans = {.result = result,
                        .fault = (int32_t)fault,
                        .confirmed_ns = result->info.faults[fault].confirmed_ns};
  facts_intervals(result, what, span_add, &spans);
  return spans;
}

/* Whether a recovery of servers is to be seen: what empties a cache has none. */
static bool is_told(const struct run_result *result, uint32_t fault) {
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    const struct measure *measure = facts_phase(result, fault, phase);
    if (!measure || (measure->known ? measure->value > 0 : !measure->not_applicable)) return true;
  }
  return spans_of(result, fault, "write_outage").count > 0 ||
         spans_of(result, fault, "read_outage").count > 0;
}

/* Those that were seen in effect, in the order of time. */
static uint32_t drawn(const struct run_result *result, uint32_t *ret_faults, uint32_t max) {
  uint32_t all[FAULTS_LOOKED_AT], count = 0;
  uint32_t total = facts_faults(result, FAULTS_LOOKED_AT, all);
  for (uint32_t i = 0; i < total && count < max; i++) {
    if (result->info.faults[all[i]].confirmed_ns != TIME_NEVER && is_told(result, all[i]))
      ret_faults[count++] = all[i];
  }
  return count;
}

static uint32_t waterfall_height(const struct plot_input *in, const char **ret_why) {
  uint32_t faults[FAULTS_MAX] = {0};
  uint32_t count = drawn(in->report->result, faults, FAULTS_MAX);
  bool seen = false;
  const struct record_info *info = &in->report->result->info;
  for (uint32_t i = 0; i < info->fault_count; i++)
    seen = seen || info->faults[i].confirmed_ns != TIME_NEVER;
  *ret_why = info->fault_count == 0 ? "the scenario has no fault"
             : seen                 ? "no fault was followed by a failover or an outage"
                    : "no fault was seen in effect, so that there is no moment to count from";
  return count == 0 ? 0 : HEAD + FOOT + count * (TITLE_HEIGHT + ROW_COUNT * ROW_HEIGHT);
}

/* What one picture needs while it is drawn. */
struct canvas {
  const struct run_result *result;
  struct plot_frame frame;
  struct buf *script;
  double end_s; /* of the axis */
};

/* The axis ends a little after the last thing that is measured; a heal long after it is cut off. */
static double axis_end(const struct run_result *result, const uint32_t *faults, uint32_t count) {
  double end_s = 0, healed_s = 0;
  for (uint32_t i = 0; i < count; i++) {
    const struct fault_info *fault = &result->info.faults[faults[i]];
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
      const struct measure *measure = facts_phase(result, faults[i], phase);
      if (measure && (measure->known || measure->floor)) end_s = fmax(end_s, measure->value);
    }
    end_s = fmax(end_s, spans_of(result, faults[i], "write_outage").until_s);
    end_s = fmax(end_s, spans_of(result, faults[i], "read_outage").until_s);
    if (fault->healed_ns != TIME_NEVER && fault->healed_ns > fault->confirmed_ns) {
      healed_s = fmax(healed_s, (double)(fault->healed_ns - fault->confirmed_ns) / 1e9);
    }
  }
  if (end_s <= 0) end_s = healed_s > 0 ? healed_s : 1.0;
  return fmax(end_s, fmin(healed_s, end_s * 1.5)) * 1.24;
}

static double pixel_of(const struct canvas *canvas, double time_s) {
  const struct plot_frame *frame = &canvas->frame;
  return frame->left + time_s / canvas->end_s * (frame->right - frame->left);
}

static void bar(struct canvas *canvas, double begin_s, double end_s, double y, const char *color) {
  begin_s = fmax(begin_s, 0);
  end_s = fmin(end_s, canvas->end_s);
  /* At least two pixels: what took no time is still seen. */
  double least = 2.0 * canvas->end_s / (canvas->frame.right - canvas->frame.left);
  if (end_s - begin_s < least) end_s = begin_s + least;
  buf_printf(canvas->script,
             "set object rectangle from first %.6f, screen %.5f to first %.6f, screen %.5f fc rgb "
             "c_%s fs solid 1 noborder front\n",
             begin_s, plot_screen_y(&canvas->frame, y + 5), end_s,
             plot_screen_y(&canvas->frame, y + ROW_HEIGHT - 6), color);
}

/* Text right of `after_s`, or left of `before_s` where it would leave the picture. */
static void note(struct canvas *canvas, double before_s, double after_s, double y,
                 const char *text) {
  double width = (double)escape_width(text) * 7.0;
  double x = pixel_of(canvas, fmin(after_s, canvas->end_s)) + 7;
  const char *side = "left";
  if (x + width > canvas->frame.width && pixel_of(canvas, before_s) - 7 - width > LEFT) {
    x = pixel_of(canvas, before_s) - 7;
    side = "right";
  } else if (x + width > canvas->frame.width) {
    x = fmax(canvas->frame.width - width - 4, LEFT + 7);
  }
  buf_puts(canvas->script, "set label ");
  escape_gnuplot(canvas->script, text, 110);
  buf_printf(canvas->script, " at screen %.5f, screen %.5f %s textcolor rgb c_text front\n",
             x / canvas->frame.width, plot_screen_y(&canvas->frame, y + ROW_HEIGHT / 2.0 - 1),
             side);
}

static void row_name(struct canvas *canvas, double y, const char *text) {
  buf_printf(canvas->script,
             "set label '%s' at screen %.5f, screen %.5f right textcolor rgb c_muted\n", text,
             (LEFT - 8.0) / canvas->frame.width,
             plot_screen_y(&canvas->frame, y + ROW_HEIGHT / 2.0 - 1));
}

static void row_fault(struct canvas *canvas, uint32_t index, double y) {
  const struct fault_info *fault = &canvas->result->info.faults[index];
  row_name(canvas, y, fault->planned ? "step" : "fault in effect");
  char text[80], span[FORMAT_SIZE];
  if (fault->healed_ns == TIME_NEVER || fault->healed_ns < fault->confirmed_ns) {
    if (fault->planned) {
      bar(canvas, 0, 0, y, "fault");
      note(canvas, 0, 0, y, "done");
    } else {
      bar(canvas, 0, canvas->end_s, y, "fault");
      row_name(canvas, y, "never healed");
    }
    return;
  }
  double healed_s = (double)(fault->healed_ns - fault->confirmed_ns) / 1e9;
  format_seconds(healed_s, span);
  snprintf(text, sizeof text, "%s after %s", fault->planned ? "done" : "healed", span);
  bar(canvas, 0, healed_s, y, "fault");
  if (healed_s <= canvas->end_s) {
    note(canvas, 0, healed_s, y, text);
    return;
  }
  /* Cut off by the axis: the text goes onto the bar. */
  buf_printf(canvas->script,
             "set label '%s →' at screen %.5f, screen %.5f right textcolor rgb c_paper front\n",
             text, (canvas->frame.right - 8.0) / canvas->frame.width,
             plot_screen_y(&canvas->frame, y + ROW_HEIGHT / 2.0 - 1));
}

static void row_phase(struct canvas *canvas, uint32_t fault, enum phase phase, double y,
                      double *previous_s) {
  static const char *const colors[PHASE_COUNT] = {
      [PHASE_DETECTED] = "detected", [PHASE_PROMOTED] = "promoted",   [PHASE_WRITTEN] = "written",
      [PHASE_CLIENTS] = "written",   [PHASE_REDUNDANT] = "redundant",
  };
  const struct measure *measure = facts_phase(canvas->result, fault, phase);
  char text[FACTS_TEXT_SIZE];
  row_name(canvas, y, phase_table[phase].label);
  facts_text(measure, text);
  if (!measure || !measure->known) {
    note(canvas, 0, *previous_s, y, text);
    return;
  }
  double begin_s = fmin(*previous_s, measure->value);
  double step_s = measure->value - *previous_s;
  if (*previous_s > 0 && step_s > 0) {
    char step[FORMAT_SIZE];
    format_seconds(step_s, step);
    snprintf(text + strlen(text), sizeof text - strlen(text), "  (+%s)", step);
  }
  bar(canvas, begin_s, measure->value, y, colors[phase]);
  note(canvas, begin_s, measure->value, y, text);
  *previous_s = fmax(*previous_s, measure->value);
}

static void row_outages(struct canvas *canvas, uint32_t fault, const char *what, const char *name,
                        double y) {
  struct spans spans = spans_of(canvas->result, fault, what);
  row_name(canvas, y, name);
  if (spans.count == 0) {
    char why[FACTS_TEXT_SIZE];
    bool none = facts_none(canvas->result, what, (int32_t)fault, why);
    note(canvas, 0, 0, y, none ? "no outage" : why);
    return;
  }
  double begin_s = INFINITY, end_s = 0;
  for (uint32_t i = 0; i < spans.count && i < OUTAGES_MAX; i++) {
    bar(canvas, spans.begin_s[i], spans.end_s[i], y, "fail");
    begin_s = fmin(begin_s, spans.begin_s[i]);
    end_s = fmax(end_s, spans.end_s[i]);
  }
  char text[96], span[FORMAT_SIZE];
  format_seconds(spans.longest_s, span);
  if (spans.count == 1) {
    snprintf(text, sizeof text, "%s", span);
  } else {
    /* Short enough for what axis_end() leaves behind the last one: it must not lie on a bar. */
    snprintf(text, sizeof text, "%u, longest %s", spans.count, span);
  }
  note(canvas, begin_s, end_s, y, text);
}

static void group(struct canvas *canvas, uint32_t fault, double y) {
  const struct fault_info *info = &canvas->result->info.faults[fault];
  char title[256], when[FORMAT_SIZE];
  format_moment(info->confirmed_ns, when);
  snprintf(title, sizeof title, "%.90s on %.50s, in effect at %s",
           facts_fault(canvas->result, (int32_t)fault), facts_host(canvas->result, info->host),
           when);
  /* Paper behind the title, so that no line of the grid goes through it. */
  buf_printf(canvas->script,
             "set object rectangle from screen %.5f, screen %.5f to screen 1, screen %.5f fc rgb "
             "c_paper fs solid 1 noborder front\nset label ",
             (LEFT - 4.0) / canvas->frame.width, plot_screen_y(&canvas->frame, y + 1),
             plot_screen_y(&canvas->frame, y + TITLE_HEIGHT));
  escape_gnuplot(canvas->script, title, 110);
  buf_printf(canvas->script, " at screen %.5f, screen %.5f left textcolor rgb c_text front\n",
             (double)LEFT / canvas->frame.width, plot_screen_y(&canvas->frame, y + 16));
  y += TITLE_HEIGHT;
  double previous_s = 0;
  row_fault(canvas, fault, y);
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    row_phase(canvas, fault, phase, y + ROW_HEIGHT * (double)(ROW_PHASE + (int)phase), &previous_s);
  }
  row_outages(canvas, fault, "write_outage", "writes down", y + ROW_HEIGHT * (double)ROW_WRITES);
  row_outages(canvas, fault, "read_outage", "reads down", y + ROW_HEIGHT * (double)ROW_READS);
}

static void waterfall_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  uint32_t faults[FAULTS_MAX] = {0};
  const struct run_result *result = in->report->result;
  uint32_t count = drawn(result, faults, FAULTS_MAX);
  struct canvas canvas = {.result = result, .script = script};
  canvas.frame = plot_frame_panel(height, HEAD, height - FOOT);
  canvas.frame.left = LEFT;
  canvas.end_s = axis_end(result, faults, count);
  plot_style(script);
  plot_margins(script, &canvas.frame);
  buf_printf(script,
             "set border 1\nunset ytics\nset grid noytics xtics lc rgb c_grid lt 1 lw 1\n"
             "set yrange [0:1]\nset xrange [0:%.6f]\nset format x '%%g'\n"
             "set xlabel 'seconds since the fault was in effect' textcolor rgb c_muted "
             "offset 0,0.4\n"
             "unset key\n",
             canvas.end_s);
  for (uint32_t i = 0; i < count; i++) {
    group(&canvas, faults[i], HEAD + i * (double)(TITLE_HEIGHT + ROW_COUNT * ROW_HEIGHT));
  }
  buf_puts(script, "plot NaN notitle\n");
}

const struct plot plot_waterfall = {
    .name = "waterfall",
    .title = "Recovery, step by step",
    .caption =
        "From the moment the fault was in effect. Each step's bar begins where the one "
        "before it ended.",
    .height = waterfall_height,
    .script = waterfall_script,
};
