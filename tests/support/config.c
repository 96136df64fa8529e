/* See config.h. */
#include "support/config.h"

#include "scenario/param.h"
#include "support/test.h"

void config_defaults(const struct plugin *plugin, struct arena *arena, void *config) {
  struct error err = ERROR_INIT;
  for (const struct param *row = plugin->params; row && row->key; row++)
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
  const struct param *row = plugin->params;
  while (row->key && strcmp(row->key, key) != 0) row++;
  if (!row->key) fail_msg("no parameter %s", key);
  assert_ok(param_parse(row, text, arena, config, &err), &err);
}
