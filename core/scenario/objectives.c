/* Objectives: `measure: [statistic] [<=|>=] bound`, or a list of these. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "scenario/draft.h"
#include "scenario/params.h"
#include "scenario/suggest.h"

#define FORM "\"<= 45s\" or \"p95 <= 45s\""

/* What the tables know of one measure. */
struct measure_facts {
  enum unit unit;
  bool at_least;
};

static const char *skip_blanks(const char *text) {
  while (*text == ' ') text++;
  return text;
}

/* "p95", "p99.9": above 0 and below 100. */
static bool is_percentile(const char *word) {
  size_t whole = strspn(word + 1, "0123456789");
  if (word[0] != 'p' || whole == 0 || whole > 2) return false;
  const char *rest = word + 1 + whole;
  size_t decimals = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
  if (*rest == '.' && (decimals == 0 || decimals > 3)) return false;
  if (rest[decimals ? decimals + 1 : 0] != '\0') return false;
  return strtod(word + 1, NULL) > 0;
}

static const char *const statistics[] = {"max", "min", "median", "mean", NULL};

static bool is_statistic(const char *word) {
  for (size_t i = 0; statistics[i]; i++)
    if (strcmp(statistics[i], word) == 0) return true;
  return is_percentile(word);
}

static int statistic_error(const char *word, struct error *err) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, word);
  for (size_t i = 0; statistics[i]; i++) suggestion_offer(&suggestion, statistics[i]);
  suggestion_offer(&suggestion, "p95");
  return error_set(err, STATUS_USAGE, "%s is no statistic%s", shown(word, quoted),
                   suggestion_text(&suggestion, end));
}

/* Reads what stands before the bound. `word` is the statistic, or "". */
static int parse_head(const char **text, char word[16], bool *ret_given, bool *ret_at_least,
                      struct error *err) {
  char quoted[SHOWN_SIZE];
  const char *at = skip_blanks(*text);
  size_t length = strcspn(at, " <>=");
  bool statistic = (*at >= 'a' && *at <= 'z');
  word[0] = '\0';
  if (statistic) {
    snprintf(word, 16, "%.*s", (int)(length < 15 ? length : 15), at);
    if (length > 15 || !is_statistic(word)) return statistic_error(word, err);
    at = skip_blanks(at + length);
  }
  *ret_given = *at == '<' || *at == '>' || *at == '=';
  if (*ret_given) {
    if (at[0] == '=' || at[1] != '=')
      return error_set(err, STATUS_USAGE, "%s has no '<=' or '>='; expected a bound such as " FORM,
                       shown(*text, quoted));
    *ret_at_least = at[0] == '>';
    at = skip_blanks(at + 2);
  }
  *text = at;
  return 0;
}

/* Durations are kept in seconds here, as measures are. */
static int parse_bound(const char *text, enum unit unit, double *ret_bound, struct error *err) {
  char quoted[SHOWN_SIZE];
  double bound = 0;
  if (strlen(text) > 40 || strspn(text,
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789+-./% ") != strlen(text))
    return error_set(err, STATUS_USAGE, "%s is no bound; expected one such as %s",
                     shown(text, quoted), unit_example(unit));
  int status = value_parse(text, unit, NULL, &bound, err);
  if (status < 0) return status;
  if (bound < 0)
    return error_set(err, STATUS_USAGE,
                     "%s is negative, which no run can measure; expected 0 or "
                     "more",
                     shown(text, quoted));
  if (unit == UNIT_RATIO && bound > 1)
    return error_set(err, STATUS_USAGE, "%s is more than everything; expected at most 100%%",
                     shown(text, quoted));
  *ret_bound = unit == UNIT_DURATION ? bound / (double)NS_PER_S : bound;
  return 0;
}

static int parse_objective(const char *text, const struct measure_facts *facts, struct arena *arena,
                           struct scenario_objective *ret, struct error *err) {
  char word[16];
  bool given = false, at_least = facts->at_least;
  const char *rest = text;
  double bound = 0;
  int status = parse_head(&rest, word, &given, &at_least, err);
  if (status == 0) status = parse_bound(rest, facts->unit, &bound, err);
  if (status < 0) return status;
  const char *statistic = word[0] ? arena_strdup(arena, word) : at_least ? "min" : "max";
  if (!statistic) return error_set(err, STATUS_MEMORY, "out of memory");
  ret->statistic = statistic;
  ret->text = text;
  ret->unit = facts->unit;
  ret->at_least = at_least;
  ret->bound = bound;
  return 0;
}

/* Whether of any values `low` is never above `high`. */
static bool is_never_above(const char *low, const char *high) {
  if (strcmp(low, high) == 0 || strcmp(low, "min") == 0 || strcmp(high, "max") == 0) return true;
  const char *const both[] = {low, high};
  double rank[2];
  for (int i = 0; i < 2; i++) {
    if (strcmp(both[i], "mean") == 0) return false;
    /* Of an even number of values the median lies between p50 and the next one. */
    rank[i] = both[i][0] == 'p'                ? strtod(both[i] + 1, NULL)
              : strcmp(both[i], "median") == 0 ? (i == 0 ? 50.0005 : 50)
              : strcmp(both[i], "min") == 0    ? 0
                                               : 100;
  }
  return rank[0] <= rank[1];
}

/* An earlier bound on the same measure that no run meets together with this one; NULL: none. */
static const struct scenario_objective *find_contrary(const struct scenario *scenario,
                                                      const struct scenario_objective *objective) {
  for (uint32_t i = 0; i < scenario->objective_count; i++) {
    const struct scenario_objective *other = &scenario->objectives[i];
    if (strcmp(other->name, objective->name) != 0 || other->at_least == objective->at_least)
      continue;
    const struct scenario_objective *least = objective->at_least ? objective : other;
    const struct scenario_objective *most = objective->at_least ? other : objective;
    if (least->bound > most->bound && is_never_above(least->statistic, most->statistic))
      return other;
  }
  return NULL;
}

static int read_bound(struct draft *draft, const char *name, const struct node *node,
                      const struct measure_facts *facts, struct error *err) {
  char found[SHOWN_SIZE];
  struct scenario *scenario = draft->scenario;
  if (node->kind != NODE_SCALAR) {
    mistakes_add(&draft->mistakes, &node->place, "%s: found %s; expected a bound such as " FORM,
                 name, tree_describe(node, found));
    return 0;
  }
  struct scenario_objective *objective = &scenario->objectives[scenario->objective_count];
  struct error why = ERROR_INIT;
  int status = parse_objective(node->text, facts, &scenario->arena, objective, &why);
  if (status == STATUS_MEMORY) return error_set(err, status, "%s", why.message);
  if (status < 0) {
    mistakes_add(&draft->mistakes, &node->place, "%s: %s", name, why.message);
    return 0;
  }
  objective->name = name;
  const struct scenario_objective *contrary = find_contrary(scenario, objective);
  if (contrary)
    mistakes_add(&draft->mistakes, &node->place,
                 "%s: no run meets \"%s\" and \"%s\" together; expected bounds that one can meet",
                 name, contrary->text, objective->text);
  objective->line = node->place.argument ? 0 : node->place.line;
  objective->column = node->place.argument ? 0 : node->place.column;
  scenario->objective_count++;
  return 0;
}

static void add_unknown_measure(struct draft *draft, const struct node *key) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, key->text);
  for (const char *const *name = draft->tables->measure_names; name && *name; name++)
    suggestion_offer(&suggestion, *name);
  mistakes_add(&draft->mistakes, &key->place, "unknown measure %s%s", shown(key->text, quoted),
               suggestion_text(&suggestion, end));
}

static uint32_t count_bounds(const struct node *mapping) {
  uint32_t count = 0;
  for (const struct node_item *item = mapping->items; item; item = item->next)
    count += item->value->kind == NODE_LIST ? item->value->count : 1;
  return count;
}

static int read_measure(struct draft *draft, const struct node_item *item, struct error *err) {
  struct measure_facts facts = {.unit = UNIT_NONE};
  const char *name = item->key->text;
  if (!draft->tables->measure(name, &facts.unit, &facts.at_least)) {
    add_unknown_measure(draft, item->key);
    return 0;
  }
  /* Only what is right otherwise can be asked for it. */
  const char *missing = draft->tables->measure_missing && draft->mistakes.count == 0
                            ? draft->tables->measure_missing(name, draft->scenario)
                            : NULL;
  if (missing)
    mistakes_add(&draft->mistakes, &item->key->place, "%s: no run can measure it: %s", name,
                 missing);
  if (item->value->kind == NODE_LIST && item->value->count == 0)
    mistakes_add(&draft->mistakes, &item->value->place,
                 "%s: the list is empty; expected a bound such as " FORM, name);
  if (item->value->kind != NODE_LIST) return read_bound(draft, name, item->value, &facts, err);
  int status = 0;
  for (const struct node_item *i = item->value->items; i && status == 0; i = i->next)
    status = read_bound(draft, name, i->value, &facts, err);
  return status;
}

int draft_read_objectives(struct draft *draft, const struct node *node, struct error *err) {
  struct scenario *scenario = draft->scenario;
  if (!params_is_mapping(&draft->mistakes, node, "objectives")) return 0;
  uint32_t count = count_bounds(node);
  if (count == 0) {
    mistakes_add(
        &draft->mistakes, &node->place,
        "objectives: none is given; expected at least one such as 'failover_time: <= 45s'");
    return 0;
  }
  scenario->objectives = arena_calloc(&scenario->arena, count, sizeof *scenario->objectives);
  if (!scenario->objectives) return error_set(err, STATUS_MEMORY, "out of memory");
  int status = 0;
  for (const struct node_item *item = node->items; item && status == 0; item = item->next)
    status = read_measure(draft, item, err);
  return status;
}
