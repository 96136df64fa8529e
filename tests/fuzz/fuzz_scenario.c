/* Any bytes give a scenario or located messages. What parses prints, what was printed parses to the
 * same. Lines "#set path=value" at the start are overrides. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "support/scenario_fixture.h"

#define OVERRIDES_MAX 4
#define MARK "#set "

struct input {
  char *text; /* a copy with a NUL, cut at it where there are overrides */
  struct scenario_override overrides[OVERRIDES_MAX];
  uint32_t count;
};

/* Cuts the override lines out of the copy. */
static void take_overrides(struct input *input, size_t size) {
  char *at = input->text, *end = input->text + size;
  while (input->count < OVERRIDES_MAX && strncmp(at, MARK, strlen(MARK)) == 0) {
    char *line_end = memchr(at, '\n', (size_t)(end - at));
    char *equals = memchr(at, '=', (size_t)(end - at));
    if (!line_end || !equals || equals > line_end) return;
    *line_end = *equals = '\0';
    input->overrides[input->count++] =
        (struct scenario_override){.path = at + strlen(MARK), .value = equals + 1};
    at = line_end + 1;
  }
}

/* Messages are in the order of place, and hold nothing that a terminal would obey. */
static void check_errors(const struct scenario_errors *errors) {
  assert(errors->count > 0 && errors->count <= errors->total);
  for (uint32_t i = 0; i < errors->count; i++) {
    const struct error *error = &errors->errors[i];
    assert(error->status == STATUS_USAGE);
    for (const char *c = error->message; *c; c++) assert((unsigned char)*c >= 0x20 && *c != 0x7f);
    if (i == 0 || error->line == 0) continue;
    assert(errors->errors[i - 1].line <= error->line);
  }
}

static void check_round_trip(const struct scenario *scenario, struct scenario_errors *errors) {
  struct scenario again;
  struct buf yaml;
  struct error err = ERROR_INIT;
  buf_init(&yaml);
  int status = scenario_print(scenario, &yaml, &err);
  assert(status == 0);
  status = scenario_parse("printed", yaml.data, yaml.length, &fixture_tables, NULL, 0, &again,
                          errors, &err);
  assert(status == 0);
  assert(fixture_difference(scenario, &again) == NULL);
  scenario_release(&again);
  buf_release(&yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {.text = malloc(size + 1)};
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  assert(input.text && errors);
  memcpy(input.text, data, size);
  input.text[size] = '\0';
  take_overrides(&input, size);
  struct scenario scenario;
  struct error err = ERROR_INIT;
  int status = scenario_parse("fuzz", (const char *)data, size, &fixture_tables, input.overrides,
                              input.count, &scenario, errors, &err);
  assert(status == 0 || status == STATUS_USAGE);
  if (status == 0)
    check_round_trip(&scenario, errors);
  else
    check_errors(errors);
  scenario_release(&scenario);
  free(errors);
  free(input.text);
  return 0;
}
