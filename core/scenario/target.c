/* Targets as users write them: postgres.primary, redis.primary[2], postgres.replica[0],
 * postgres.any, host/pg1. */
#include <stdio.h>
#include <string.h>

#include "scenario/mistakes.h"
#include "scenario/param.h"
#include "scenario/suggest.h"

#define TARGET_FORMS "SERVICE.primary, SERVICE.replica[0], SERVICE.any or host/NAME"

static bool is_name(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return length > 0 && length < HOST_NAME_SIZE;
}

/* The N of "[N]"; false when it is written otherwise or beyond any cluster. */
static bool parse_index(const char *text, uint32_t *ret_index) {
  uint32_t index = 0;
  if (*text++ != '[') return false;
  const char *digits = text;
  for (; *text >= '0' && *text <= '9' && text - digits < 3; text++)
    index = index * 10 + (uint32_t)(*text - '0');
  if (text == digits || strcmp(text, "]") != 0 || index >= HOSTS_MAX) return false;
  *ret_index = index;
  return true;
}

static int role_error(const char *text, const char *role, struct error *err) {
  char quoted[SHOWN_SIZE];
  if (strncmp(role, "replica", strlen("replica")) == 0)
    return error_set(err, STATUS_USAGE,
                     "%s is no target; expected which replica as an index below %d, as in "
                     "replica[0]",
                     shown(text, quoted), HOSTS_MAX);
  if (strncmp(role, "primary[", strlen("primary[")) == 0)
    return error_set(err, STATUS_USAGE,
                     "%s is no target; expected of which shard as an index below %d, as in "
                     "primary[0]",
                     shown(text, quoted), HOSTS_MAX);
  struct suggestion suggestion;
  suggestion_init(&suggestion, role);
  suggestion_offer(&suggestion, "primary");
  suggestion_offer(&suggestion, "any");
  if (!suggestion.best)
    return error_set(err, STATUS_USAGE, "%s is no target; expected " TARGET_FORMS,
                     shown(text, quoted));
  return error_set(err, STATUS_USAGE, "%s is no target; did you mean '%.*s%s'?",
                   shown(text, quoted), (int)(role - text), text, suggestion.best);
}

int target_parse(const char *text, struct arena *arena, struct target *ret_target,
                 struct error *err) {
  char quoted[SHOWN_SIZE];
  struct target target = {.kind = TARGET_NONE};
  const char *dot = strchr(text, '.'), *name = text;
  size_t length = dot ? (size_t)(dot - text) : 0;
  if (strncmp(text, "host/", 5) == 0) {
    target.kind = TARGET_HOST;
    name = text + 5;
    length = strlen(name);
  }
  if (!is_name(name, length))
    return error_set(err, STATUS_USAGE, "%s is no target; expected " TARGET_FORMS,
                     shown(text, quoted));
  if (target.kind == TARGET_NONE) {
    const char *role = dot + 1;
    bool indexed = strncmp(role, "primary[", 8) == 0 && parse_index(role + 7, &target.index);
    if (indexed || strcmp(role, "primary") == 0)
      target.kind = TARGET_PRIMARY;
    else if (strcmp(role, "any") == 0)
      target.kind = TARGET_ANY;
    else if (strncmp(role, "replica", 7) == 0 && parse_index(role + 7, &target.index))
      target.kind = TARGET_REPLICA;
    else
      return role_error(text, role, err);
  }
  const char *copy = arena_strndup(arena, name, length);
  if (!copy) return error_set(err, STATUS_MEMORY, "out of memory");
  if (target.kind == TARGET_HOST)
    target.host = copy;
  else
    target.service = copy;
  *ret_target = target;
  return 0;
}

void target_print(const struct target *target, struct buf *text) {
  switch (target->kind) {
    case TARGET_NONE: break;
    case TARGET_HOST: buf_printf(text, "host/%s", target->host); break;
    case TARGET_PRIMARY:
      buf_printf(text, "%s.primary", target->service);
      if (target->index > 0) buf_printf(text, "[%u]", target->index);
      break;
    case TARGET_REPLICA: buf_printf(text, "%s.replica[%u]", target->service, target->index); break;
    case TARGET_ANY: buf_printf(text, "%s.any", target->service); break;
  }
}

bool target_equal(const struct target *a, const struct target *b) {
  if (a->kind != b->kind || a->index != b->index) return false;
  if (a->kind == TARGET_HOST) return strcmp(a->host, b->host) == 0;
  return a->kind == TARGET_NONE || strcmp(a->service, b->service) == 0;
}
