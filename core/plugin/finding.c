/* Adding to a finding: the arrays grow in the finding's arena, texts are copied into it. */
#include <assert.h>
#include <string.h>

#include "gameday/checker.h"

static int no_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory for a finding");
}

/* Doubles an array of the arena when it is full. The old one stays in the arena until its release:
 * at most as much again as is used. NULL: no memory. */
static void *room_for_one(struct arena *arena, void *array, uint32_t count, uint32_t *capacity,
                          size_t size) {
  if (count < *capacity) return array;
  if (*capacity > UINT32_MAX / 2) return NULL;
  uint32_t larger = *capacity ? *capacity * 2 : 8;
  void *copy = arena_calloc(arena, larger, size);
  if (!copy) return NULL;
  if (count) memcpy(copy, array, (size_t)count * size);
  *capacity = larger;
  return copy;
}

/* A copy of `text` in `ret_copy`; NULL stays NULL. */
static bool copy_text(struct arena *arena, const char *text, const char **ret_copy) {
  const char *copy = text ? arena_strdup(arena, text) : NULL;
  if (text && !copy) return false;
  *ret_copy = copy;
  return true;
}

int finding_measure(struct finding *finding, const struct measure *measure, struct error *err) {
  assert(measure->name);
  struct measure copy = *measure;
  if (!copy_text(finding->arena, measure->name, &copy.name) ||
      !copy_text(finding->arena, measure->why, &copy.why))
    return no_memory(err);
  struct measure *array = room_for_one(finding->arena, finding->measures, finding->measure_count,
                                       &finding->measure_capacity, sizeof *array);
  if (!array) return no_memory(err);
  finding->measures = array;
  array[finding->measure_count++] = copy;
  return 0;
}

int finding_interval(struct finding *finding, const struct interval *interval, struct error *err) {
  assert(interval->what && interval->begin_ns <= interval->end_ns);
  struct interval copy = *interval;
  if (!copy_text(finding->arena, interval->what, &copy.what) ||
      !copy_text(finding->arena, interval->of, &copy.of))
    return no_memory(err);
  struct interval *array = room_for_one(finding->arena, finding->intervals, finding->interval_count,
                                        &finding->interval_capacity, sizeof *array);
  if (!array) return no_memory(err);
  finding->intervals = array;
  array[finding->interval_count++] = copy;
  return 0;
}

int finding_witness(struct finding *finding, const struct witness *witness, struct error *err) {
  assert(witness->what && witness->text);
  /* Witnesses of one kind share one copy of `what`, so that a pointer tells them apart. */
  const char *what = NULL;
  uint32_t same = 0;
  for (uint32_t i = 0; i < finding->witness_count; i++) {
    const char *other = finding->witnesses[i].what;
    if (!what && strcmp(other, witness->what) == 0) what = other;
    if (other == what) same++;
  }
  if (same >= WITNESSES_MAX) return 0;
  struct witness copy = {.what = what, .time_ns = witness->time_ns};
  if ((!what && !copy_text(finding->arena, witness->what, &copy.what)) ||
      !copy_text(finding->arena, witness->text, &copy.text))
    return no_memory(err);
  struct witness *array = room_for_one(finding->arena, finding->witnesses, finding->witness_count,
                                       &finding->witness_capacity, sizeof *array);
  if (!array) return no_memory(err);
  finding->witnesses = array;
  array[finding->witness_count++] = copy;
  return 0;
}
