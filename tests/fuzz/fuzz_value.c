/* Quantities from any bytes: no crash, a short message, and what was read prints and reads back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/value.h"
#include "fuzz.h"

static void check(const char *text, enum unit unit) {
  int64_t integer = 0, integer_again = 0;
  double number = 0, number_again = 0;
  struct error err = ERROR_INIT;
  if (value_parse(text, unit, &integer, &number, &err)) {
    assert(err.status == STATUS_USAGE && strlen(err.message) < 400);
    return;
  }
  char printed[48], people[32];
  value_print(integer, number, unit, printed);
  value_format(number, unit, people);
  int status = value_parse(printed, unit, &integer_again, &number_again, &err);
  assert(status == 0);
  assert(integer == integer_again && number == number_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  for (enum unit unit = UNIT_NONE; unit <= UNIT_RATIO; unit++) check(text, unit);
  free(text);
  return 0;
}
