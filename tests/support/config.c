/* See config.h. */
#include "support/config.h"

#include "scenario/param.h"
#include "support/test.h"

void config_defaults(const struct plugin *plugin, struct arena *arena, void *config) {
  struct error err = ERROR_INIT;
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(plugin->params, i)); i++)
    assert_ok(param_set_default(row, arena, config, &err), &err);
}

void *config_new(const struct plugin *plugin, struct arena *arena) {
  void *config = arena_alloc(arena, plugin->config_size);
  assert_non_null(config);
  config_defaults(plugin, arena, config);
  return config;
}

void config_set(const struct plugin *plugin, struct arena *arena, void *config, const char *key,
                const char *text) {
  struct error err = ERROR_INIT;
  const struct param *row = param_at(plugin->params, 0);
  for (uint32_t i = 1; row && strcmp(row->key, key) != 0; i++) row = param_at(plugin->params, i);
  if (!row) fail_msg("no parameter %s", key);
  assert_ok(param_parse(row, text, arena, config, &err), &err);
}
