/* Writer `junit`: junit.xml for CI servers. One suite a scenario; a test case an objective and one
 * a checker; a miss is a failure, what could not be decided is an error. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/escape.h"
#include "report/facts.h"
#include "report/output.h"
#include "report/writers.h"

struct totals {
  uint32_t tests, failures, errors;
};

static void count_verdict(struct totals *totals, enum verdict verdict) {
  totals->tests++;
  totals->failures += verdict == VERDICT_FAIL;
  totals->errors += verdict == VERDICT_UNKNOWN;
}

static enum verdict worse(enum verdict a, enum verdict b) {
  return a > b ? a : b;
}

/* That of the first test case: whether the measuring can be trusted. Where no other case says why
 * the run is no pass, it does: a server that counts cases sees nothing else. */
static enum verdict verdict_of_run(const struct run_result *result) {
  enum verdict verdict = result->trusted ? VERDICT_PASS : VERDICT_UNKNOWN, told = verdict;
  for (uint32_t i = 0; i < result->objective_count; i++) {
    told = worse(told, result->objectives[i].verdict);
  }
  for (uint32_t i = 0; i < result->finding_count; i++) {
    told = worse(told, result->findings[i].verdict);
  }
  return told < result->verdict ? result->verdict : verdict;
}

static struct totals count_all(const struct run_result *result) {
  struct totals totals = {.tests = 0};
  count_verdict(&totals, verdict_of_run(result));
  for (uint32_t i = 0; i < result->objective_count; i++) {
    count_verdict(&totals, result->objectives[i].verdict);
  }
  for (uint32_t i = 0; i < result->finding_count; i++) {
    count_verdict(&totals, result->findings[i].verdict);
  }
  return totals;
}

static void attribute(struct buf *out, const char *name, const char *value) {
  buf_printf(out, " %s=\"", name);
  escape_html(out, value);
  buf_putc(out, '"');
}

/* The end of a test case: nothing, a failure or an error; the message in both places, because some
 * servers show only the attribute and some only the text. */
static void outcome(struct buf *out, enum verdict verdict, const char *type, const char *message) {
  if (verdict == VERDICT_PASS) {
    buf_puts(out, "/>\n");
    return;
  }
  const char *element = verdict == VERDICT_FAIL ? "failure" : "error";
  if (!message || !*message) message = "no reason was given";
  buf_printf(out, ">\n      <%s", element);
  attribute(out, "message", message);
  attribute(out, "type", type);
  buf_putc(out, '>');
  escape_html(out, message);
  buf_printf(out, "</%s>\n    </testcase>\n", element);
}

static void testcase(struct buf *out, const struct run_result *result, const char *group,
                     const char *name, double time_s) {
  buf_puts(out, "    <testcase classname=\"gameday.");
  escape_html(out, result->scenario);
  buf_printf(out, ".%s\"", group);
  attribute(out, "name", name);
  /* Servers add these up: only the first one carries the time of the run. */
  buf_printf(out, " time=\"%.3f\"", time_s);
}

static void objective(struct buf *out, const struct run_result *result,
                      const struct objective_result *objective) {
  CLEANUP(buf_release) struct buf name, message;
  buf_init(&name);
  buf_init(&message);
  buf_printf(&name, "%s (%s) %s", objective->name,
             objective->statistic ? objective->statistic : "max", objective->bound);
  char measured[FORMAT_SIZE] = "not measured";
  if (objective->known) {
    format_against(objective->measured, objective->bound_value, objective->unit, measured);
  }
  buf_printf(&message, "%s: %s%s, bound %s", objective->name, objective->known ? "measured " : "",
             measured, objective->bound);
  if (objective->why && *objective->why) buf_printf(&message, "; %s", objective->why);
  output_join_failure(out, &name);
  output_join_failure(out, &message);
  testcase(out, result, "objectives", name.data, 0);
  outcome(out, objective->verdict,
          objective->verdict == VERDICT_FAIL ? "objective-missed" : "objective-unknown",
          message.data);
}

static void properties(struct buf *out, const struct run_result *result) {
  const struct {
    const char *name, *value;
  } texts[] = {{"provider", result->provider},
               {"scenario_file", result->scenario_file},
               {"verdict", verdict_name(result->verdict)},
               {"why", result->why}};
  buf_puts(out, "    <properties>\n");
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    buf_printf(out, "      <property name=\"%s\"", texts[i].name);
    attribute(out, "value", texts[i].value);
    buf_puts(out, "/>\n");
  }
  buf_printf(out, "      <property name=\"seed\" value=\"%" PRIu64 "\"/>\n    </properties>\n",
             result->seed);
}

static int junit_write(const struct report_input *input, struct error *err) {
  const struct run_result *result = input->result;
  struct totals totals = count_all(result);
  char when[32];
  clock_format_wall(result->wall_start_ns, when);
  when[19] = '\0'; /* the schema knows no fractions and no zone: UTC */
  CLEANUP(buf_release) struct buf out;
  buf_init(&out);
  buf_puts(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
  char numbers[128];
  snprintf(numbers, sizeof numbers,
           " tests=\"%" PRIu32 "\" failures=\"%" PRIu32 "\" errors=\"%" PRIu32 "\" time=\"%.3f\"",
           totals.tests, totals.failures, totals.errors, result->duration_s);
  buf_printf(&out, "<testsuites name=\"gameday\"%s>\n  <testsuite", numbers);
  attribute(&out, "name", result->scenario);
  buf_printf(&out, "%s skipped=\"0\" timestamp=\"%s\" hostname=\"gameday\">\n", numbers, when);
  properties(&out, result);
  testcase(&out, result, "run", "the measuring can be trusted", result->duration_s);
  outcome(&out, verdict_of_run(result), result->trusted ? "verdict" : "untrusted", result->why);
  for (uint32_t i = 0; i < result->objective_count; i++) {
    objective(&out, result, &result->objectives[i]);
  }
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    testcase(&out, result, "checkers", finding->checker ? finding->checker->plugin.name : "-", 0);
    outcome(&out, finding->verdict, finding->verdict == VERDICT_FAIL ? "rule-broken" : "undecided",
            finding->why);
  }
  buf_puts(&out, "  </testsuite>\n</testsuites>\n");
  return output_write(input, report_junit.file, &out, err);
}

const struct report report_junit = {
    .plugin = {.name = "junit", .summary = "Objectives and checks as test cases, for CI servers"},
    .file = "junit.xml",
    .write = junit_write,
};
