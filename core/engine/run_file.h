/* run.json: what a run was, written atomically whenever the engine learns more. */
#ifndef GAMEDAY_ENGINE_RUN_FILE_H
#define GAMEDAY_ENGINE_RUN_FILE_H

#include "base/error.h"
#include "gameday/provider.h"
#include "scenario/scenario.h"

struct run_file {
  const char *run_directory, *cluster_id;
  const struct scenario *scenario;
  const struct cluster *cluster; /* NULL before it is up */
  uint64_t seed, wall_start_ns;
  uint64_t monotonic_start_ns; /* CLOCK_MONOTONIC of the same moment: for other witnesses */
  uint32_t identity_count;
  uint64_t dropped;
  uint64_t operations, samples; /* how many the record holds, once it is finished */
  bool finished, kept;
  const char *stopped_because; /* NULL: not stopped */
  const char *provider_json;   /* NULL: the provider says nothing */
  const char *settings_json;   /* NULL: not read yet */
};

int run_file_write(const struct run_file *file, struct error *err);
/* Writes scenario.yaml, resolved. */
int run_file_write_scenario(const struct scenario *scenario, const char *run_directory,
                            struct error *err);

#endif
