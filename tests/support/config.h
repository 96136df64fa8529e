/* Configurations of plug-ins without a scenario. Failures fail the running CMocka test. */
#ifndef GAMEDAY_TESTS_SUPPORT_CONFIG_H
#define GAMEDAY_TESTS_SUPPORT_CONFIG_H

#include "base/arena.h"
#include "gameday/plugin.h"

/* Sets every parameter to its default; texts are the arena's. */
void config_defaults(const struct plugin *plugin, struct arena *arena, void *config);
/* A new configuration of defaults, the arena's. */
void *config_new(const struct plugin *plugin, struct arena *arena);
/* Sets one parameter as a scenario would. */
void config_set(const struct plugin *plugin, struct arena *arena, void *config, const char *key,
                const char *text);

#endif
