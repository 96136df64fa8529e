/* The repeats of one scenario in one directory: how many there are to be, and which are there. */
#include "series.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define SERIES_SCHEMA "gameday/series/v1"
#define SERIES_BYTES_MAX 65536
#define RUN_BYTES_MAX (16u << 20)

static void free_json(json_t **json) {
  json_decref(*json);
}

int series_write(const char *directory, const struct scenario *scenario, uint64_t repeats,
                 uint64_t first_seed, struct error *err) {
  char path[PATH_MAX];
  CLEANUP(free_json)
  json_t *root =
      json_pack("{s:s, s:s, s:I, s:I}", "schema", SERIES_SCHEMA, "scenario", scenario->name,
                "repeats", (json_int_t)repeats, "first_seed", (json_int_t)first_seed);
  CLEANUP_FREE char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for " SERIES_NAME);
  int status = path_format(path, sizeof path, err, "%s/" SERIES_NAME, directory);
  return status < 0 ? status : file_puts(path, text, 0644, err);
}

/* --- what is missing ------------------------------------------------------------------------- */

int series_missing(const bool *there, uint32_t asked, struct arena *arena, const char **ret,
                   struct error *err) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  uint32_t count = 0, gaps = 0;
  for (uint32_t i = 0; i < asked; i++) {
    count += there[i];
    if (there[i] || (i > 0 && !there[i - 1])) continue; /* told with the first of its gap */
    uint32_t last = i;
    while (last + 1 < asked && !there[last + 1]) last++;
    buf_printf(&text, "%srepeat-%" PRIu32, gaps++ ? ", " : "", i + 1);
    if (last > i) buf_printf(&text, " to repeat-%" PRIu32, last + 1);
  }
  *ret = NULL;
  if (count == asked) return 0;
  *ret = text.data ? arena_printf(arena, "%" PRIu32 " of %" PRIu32 " repeats: %s missing", count,
                                  asked, text.data)
                   : NULL;
  return *ret ? 0 : error_set(err, STATUS_MEMORY, "out of memory");
}

uint32_t series_number(const char *directory) {
  static const char prefix[] = "repeat-";
  const char *name = strrchr(directory, '/');
  name = name ? name + 1 : directory;
  if (strncmp(name, prefix, sizeof prefix - 1) != 0) return 0;
  const char *digits = name + sizeof prefix - 1;
  if (!*digits || strlen(digits) > 4 || strspn(digits, "0123456789") != strlen(digits)) return 0;
  return (uint32_t)strtoul(digits, NULL, 10);
}

/* --- finding --------------------------------------------------------------------------------- */

static bool holds(const char *directory, const char *name) {
  char path[PATH_MAX];
  return path_format(path, sizeof path, NULL, "%s/%s", directory, name) == 0 && file_exists(path);
}

bool series_is_record(const char *directory) {
  static const char *const names[] = {"run.json", "seal.json", "events.jsonl", "operations.bin",
                                      SERIES_NAME};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (holds(directory, names[i])) return true;
  return holds(directory, "repeat-1") && holds(directory, "result.json");
}

int series_refuse(const char *directory, struct error *err) {
  if (holds(directory, "run.json") || !holds(directory, SERIES_NAME)) return 0;
  return error_set(err, STATUS_USAGE,
                   "%s holds repeats, each of them a run: name one, such as %s/repeat-1", directory,
                   directory);
}

static json_t *read_json(const char *directory, const char *name, size_t limit, struct error *err) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (path_format(path, sizeof path, err, "%s/%s", directory, name) < 0) return NULL;
  if (file_read_regular(path, limit, &text, err) < 0) return NULL;
  json_t *root = json_loadb(text.data, text.length, 0, NULL);
  if (!root) (void)error_set(err, STATUS_UNTRUSTED, "%s is damaged", path);
  return root;
}

/* What the series was to be; without series.json nothing is expected. */
struct expected {
  json_t *root; /* NULL: nothing */
  const char *scenario;
  json_int_t repeats, first_seed;
};

static void expected_release(struct expected *expected) {
  json_decref(expected->root);
}

static int read_expected(const char *directory, struct expected *ret, struct error *err) {
  if (!holds(directory, SERIES_NAME)) return 0;
  ret->root = read_json(directory, SERIES_NAME, SERIES_BYTES_MAX, err);
  if (!ret->root) return STATUS_UNTRUSTED;
  const char *schema = json_string_value(json_object_get(ret->root, "schema"));
  const json_t *seed = json_object_get(ret->root, "first_seed");
  ret->scenario = json_string_value(json_object_get(ret->root, "scenario"));
  ret->repeats = json_integer_value(json_object_get(ret->root, "repeats"));
  ret->first_seed = json_integer_value(seed);
  if (schema && strcmp(schema, SERIES_SCHEMA) == 0 && ret->scenario && json_is_integer(seed) &&
      ret->repeats >= 1 && ret->repeats <= REPEATS_MAX)
    return 0;
  return error_set(err, STATUS_UNTRUSTED, "%s/" SERIES_NAME " is damaged", directory);
}

/* A run of another scenario or with another seed is none of the series, whatever its name. A
 * run.json that cannot be read is for the reader of records to complain of. */
static int check_member(struct expected *expected, const char *directory, uint32_t index,
                        struct arena *arena, struct error *err) {
  CLEANUP(free_json) json_t *run = read_json(directory, "run.json", RUN_BYTES_MAX, NULL);
  const char *scenario = json_string_value(json_object_get(run, "scenario"));
  const json_t *seed = json_object_get(run, "seed");
  if (!scenario || !json_is_integer(seed)) return 0;
  if (!expected->scenario) expected->scenario = arena_strdup(arena, scenario);
  if (!expected->scenario) return error_set(err, STATUS_MEMORY, "out of memory");
  if (strcmp(scenario, expected->scenario) != 0)
    return error_set(err, STATUS_UNTRUSTED,
                     "repeats of different scenarios: %s is of %s, and the series of %s", directory,
                     scenario, expected->scenario);
  if (expected->root && json_integer_value(seed) != expected->first_seed + index)
    return error_set(err, STATUS_UNTRUSTED,
                     "%s has seed %" JSON_INTEGER_FORMAT ", and the series %" JSON_INTEGER_FORMAT
                     " there: it is another run",
                     directory, json_integer_value(seed), expected->first_seed + index);
  return 0;
}

int series_find(const char *directory, struct arena *arena, struct series *ret, struct error *err) {
  CLEANUP(expected_release) struct expected expected = {.root = NULL};
  bool there[REPEATS_MAX] = {false};
  const char **found = arena_calloc(arena, REPEATS_MAX, sizeof *found);
  if (!found) return error_set(err, STATUS_MEMORY, "out of memory");
  struct series series = {.directories = found};
  int status = read_expected(directory, &expected, err);
  if (status < 0) return status;
  uint32_t asked = (uint32_t)expected.repeats;
  for (uint32_t i = 0; i < REPEATS_MAX; i++) {
    const char *repeat = arena_printf(arena, "%s/repeat-%" PRIu32, directory, i + 1);
    if (!repeat) return error_set(err, STATUS_MEMORY, "out of memory");
    there[i] = series_is_record(repeat);
    if (!there[i]) continue;
    if (expected.root && i >= (uint32_t)expected.repeats)
      return error_set(err, STATUS_UNTRUSTED, "%s is none of the %" PRIu32 " repeats", repeat,
                       (uint32_t)expected.repeats);
    status = check_member(&expected, repeat, i, arena, err);
    if (status < 0) return status;
    found[series.count++] = repeat;
    if (i >= asked) asked = i + 1;
  }
  if (asked > 0) status = series_missing(there, asked, arena, &series.missing, err);
  if (status < 0) return status;
  if (series.count == 0 && asked > 0)
    return error_set(err, STATUS_UNTRUSTED, "%s: %s", directory, series.missing);
  if (series.count == 0) found[series.count++] = directory;
  *ret = series;
  return 0;
}
