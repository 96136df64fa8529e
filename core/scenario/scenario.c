/* From bytes to a checked scenario: tree, overrides, sections, checks; every mistake at once. */
#include "scenario/scenario.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "scenario/draft.h"

/* Far above what the caps on bytes and nodes allow a file to need. */
#define ARENA_BYTES_MAX ((size_t)256 << 20)

static int read_tree(struct draft *draft, const char *bytes, size_t length,
                     const struct scenario_override *overrides, uint32_t override_count,
                     struct error *err) {
  struct arena *arena = &draft->scenario->arena;
  struct node *root = NULL;
  int status = tree_parse(arena, bytes, length, NULL, &draft->mistakes, &root, err);
  for (uint32_t i = 0; i < override_count && status == 0; i++)
    status = draft_override(arena, &draft->mistakes, &overrides[i], root, err);
  if (status == 0) status = draft_read(draft, root, err);
  if (status == 0) status = draft_check(draft, err);
  return status;
}

static int parse(const char *file, const char *bytes, size_t length,
                 const struct scenario_tables *tables, const struct scenario_override *overrides,
                 uint32_t override_count, struct scenario *ret, struct scenario_errors *ret_errors,
                 struct error *err) {
  struct draft draft = {.scenario = ret, .tables = tables};
  mistakes_init(&draft.mistakes, &ret->arena);
  ret->file = arena_strdup(&ret->arena, file);
  if (!ret->file) return error_set(err, STATUS_MEMORY, "out of memory");
  int status = read_tree(&draft, bytes, length, overrides, override_count, err);
  if (status < 0 && status != STATUS_USAGE) return status;
  return mistakes_deliver(&draft.mistakes, file, ret_errors, err);
}

/* What failed otherwise is delivered in the same way, so that a caller prints one list. */
static int deliver_error(int status, const struct error *why, struct scenario_errors *ret_errors,
                         struct error *err) {
  if (status == 0) return 0;
  if (ret_errors->count == 0) {
    ret_errors->errors[0] = *why;
    ret_errors->count = ret_errors->total = 1;
  }
  if (err) *err = *why;
  return status;
}

int scenario_parse(const char *file, const char *bytes, size_t length,
                   const struct scenario_tables *tables, const struct scenario_override *overrides,
                   uint32_t override_count, struct scenario *ret,
                   struct scenario_errors *ret_errors, struct error *err) {
  struct error why = ERROR_INIT;
  *ret = (struct scenario){.file = NULL};
  ret_errors->count = ret_errors->total = 0;
  arena_init(&ret->arena, ARENA_BYTES_MAX);
  int status = parse(file, bytes, length, tables, overrides, override_count, ret, ret_errors, &why);
  return deliver_error(status, &why, ret_errors, err);
}

int scenario_load(const char *path, const struct scenario_tables *tables,
                  const struct scenario_override *overrides, uint32_t override_count,
                  struct scenario *ret, struct scenario_errors *ret_errors, struct error *err) {
  struct error why = ERROR_INIT;
  *ret = (struct scenario){.file = NULL};
  ret_errors->count = ret_errors->total = 0;
  arena_init(&ret->arena, 0);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = file_read(path, SCENARIO_BYTES_MAX, &content, &why);
  /* A file that cannot be read is the wrong argument, not a failure of the machine. */
  if (status == STATUS_SYSTEM) status = why.status = STATUS_USAGE;
  if (status < 0) return deliver_error(status, &why, ret_errors, err);
  return scenario_parse(path, content.data, content.length, tables, overrides, override_count, ret,
                        ret_errors, err);
}

void scenario_release(struct scenario *scenario) {
  arena_release(&scenario->arena);
  *scenario = (struct scenario){.file = NULL};
}
