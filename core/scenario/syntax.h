/* libyaml's complaints in words that a person understands, and the check of the encoding before
 * libyaml sees a byte. */
#ifndef GAMEDAY_SCENARIO_SYNTAX_H
#define GAMEDAY_SCENARIO_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "scenario/mistakes.h"

/* True when all bytes are UTF-8 text that YAML allows; else a mistake is added at the first that is
 * not. */
bool syntax_check_encoding(const char *bytes, size_t length, const char *argument,
                           struct mistakes *mistakes);

/* Adds a mistake for a parser that failed with other than a memory error. */
void syntax_add_mistake(const yaml_parser_t *parser, const char *bytes, size_t length,
                        const char *argument, struct mistakes *mistakes);

#endif
