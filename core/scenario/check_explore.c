/* Checks the section `explore`: the faults that random timelines are made of. */
#include <string.h>

#include "scenario/checks.h"
#include "scenario/sections.h"
#include "scenario/suggest.h"

bool scenario_can_explore(const struct injector *injector) {
  const struct param *row;
  if (injector->target_offset == SIZE_MAX) return false;
  for (uint32_t i = 0; (row = param_at(injector->plugin.params, i)); i++) {
    bool chosen = row->offset == injector->target_offset || row->offset == injector->process_offset;
    if (row->required && !chosen) return false;
  }
  return true;
}

static const struct injector *find_injector(struct draft *draft, const struct node *name) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, name->text);
  for (const struct injector *const *i = draft->tables->injectors; *i; i++) {
    if (strcmp((*i)->plugin.name, name->text) == 0) return *i;
    suggestion_offer(&suggestion, (*i)->plugin.name);
  }
  mistakes_add(&draft->mistakes, &name->place, "injectors: unknown injector %s%s",
               shown(name->text, quoted), suggestion_text(&suggestion, end));
  return NULL;
}

static void check_injector(struct draft *draft, const struct injector *injector,
                           const struct place *place) {
  const char *name = injector->plugin.name;
  const struct scenario_explore *explore = &draft->scenario->explore;
  if ((injector->flags & INJECTOR_PLANNED) && !explore->steps)
    mistakes_add(&draft->mistakes, place,
                 "injectors: %s is a planned step; expected 'steps: true' beside it", name);
  else if (!scenario_can_explore(injector))
    mistakes_add(&draft->mistakes, place,
                 "injectors: %s cannot be drawn; expected one that has a target and requires no "
                 "more than that and a process",
                 name);
  else
    checks_needs(draft, name, injector->needs, place);
}

int checks_explore(struct draft *draft, struct error *err) {
  struct scenario_explore *explore = &draft->scenario->explore;
  const struct node *list = tree_get(draft->explore, EXPLORE_INJECTORS_KEY);
  if (!list || list->kind != NODE_LIST) return 0;
  explore->injectors =
      arena_calloc(&draft->scenario->arena, list->count + 1u, sizeof *explore->injectors);
  if (!explore->injectors) return error_set(err, STATUS_MEMORY, "out of memory");
  uint32_t count = 0;
  for (const struct node_item *item = list->items; item; item = item->next) {
    if (item->value->kind != NODE_SCALAR) continue; /* noted already */
    const struct injector *injector = find_injector(draft, item->value);
    if (!injector) continue;
    check_injector(draft, injector, &item->value->place);
    for (uint32_t i = 0; i < count; i++)
      if (explore->injectors[i] == injector)
        mistakes_add(&draft->mistakes, &item->value->place,
                     "injectors: %s is listed twice; expected it once", injector->plugin.name);
    explore->injectors[count++] = injector;
  }
  return 0;
}
