/* The sections of a scenario file into struct scenario. */
#include <assert.h>
#include <string.h>

#include "scenario/draft.h"
#include "scenario/params.h"
#include "scenario/sections.h"
#include "scenario/suggest.h"

#define TIMELINE_MAX 1000

static int out_of_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory while reading the scenario");
}

static const struct node nothing = {.kind = NODE_NULL, .text = ""};

/* `input` says what is read; a section that is absent gives its defaults. */
static int read_section(struct draft *draft, struct params_input input, void *section,
                        struct error *err) {
  bool clean = false;
  input.arena = &draft->scenario->arena;
  input.mistakes = &draft->mistakes;
  if (!input.mapping) input.mapping = &nothing;
  return params_read(&input, section, &clean, err);
}

/* The parameters of a plug-in into a new configuration, then the plug-in's own check. */
static int read_plugin(struct draft *draft, const struct plugin *plugin, struct block *block,
                       void **ret_config, struct error *err) {
  struct arena *arena = &draft->scenario->arena;
  void *config = arena_alloc(arena, plugin->config_size);
  if (!config) return out_of_memory(err);
  struct params_input input = {.arena = arena,
                               .mistakes = &draft->mistakes,
                               .mapping = block->node,
                               .place = block->place,
                               .what = plugin->name,
                               .table = plugin->params};
  int status = params_read(&input, config, &block->clean, err);
  if (status < 0) return status;
  *ret_config = config;
  if (!block->clean || !plugin->validate) return 0;
  struct error why = ERROR_INIT;
  status = plugin->validate(config, &why);
  if (status == STATUS_MEMORY) return error_set(err, status, "%s", why.message);
  if (status < 0) {
    mistakes_add(&draft->mistakes, &block->place, "%s: %s", plugin->name, why.message);
    block->clean = false;
  }
  return 0;
}

static struct block block_of(const struct node_item *item) {
  return (struct block){.node = item->value, .place = item->key->place};
}

/* Lines and columns of what an argument gave are 0. */
static int line_of(const struct place *place) {
  return place->argument ? 0 : place->line;
}
static int column_of(const struct place *place) {
  return place->argument ? 0 : place->column;
}

static int read_head(struct draft *draft, const struct node *root, struct error *err) {
  struct scenario *scenario = draft->scenario;
  const char *keys[16] = {NULL};
  size_t count = 0;
  for (const struct section_info *info = section_infos; info->key; info++)
    keys[count++] = info->key;
  assert(count < sizeof keys / sizeof keys[0]);
  struct head_section head = {.name = NULL};
  const struct params_input input = {.mapping = root,
                                     .place = root->place,
                                     .what = "the scenario",
                                     .table = head_params,
                                     .missing = "a name such as primary-crash",
                                     .others = keys};
  int status = read_section(draft, input, &head, err);
  if (status < 0) return status;
  char quoted[SHOWN_SIZE];
  if (head.name && !section_is_name(head.name))
    mistakes_add(&draft->mistakes, &tree_get(root, "name")->place,
                 "name: %s is no name; expected small letters, digits and '-', at most 64",
                 shown(head.name, quoted));
  scenario->name = head.name;
  scenario->description = head.description;
  scenario->seed = (uint64_t)head.seed;
  scenario->seed_given = tree_get(root, "seed") != NULL;
  scenario->repeat = head.repeat;
  for (const struct section_info *info = section_infos; info->key; info++)
    if (info->required && !tree_get(root, info->key))
      mistakes_add(&draft->mistakes, &root->place, "'%s' is missing in the scenario; expected %s",
                   info->key, strcmp(info->key, "workloads") == 0 ? "a list" : "a mapping");
  return 0;
}

static void find_provider(struct draft *draft, const char *name, const struct place *place) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, name);
  for (const struct provider *const *p = draft->tables->providers; *p; p++) {
    suggestion_offer(&suggestion, (*p)->plugin.name);
    if (strcmp((*p)->plugin.name, name) == 0) draft->scenario->provider = *p;
  }
  if (!draft->scenario->provider)
    mistakes_add(&draft->mistakes, place, "unknown provider %s%s", shown(name, quoted),
                 suggestion_text(&suggestion, end));
}

/* The blocks of all providers, so that a file that serves several is right for each; the chosen
 * one's is kept. */
static int read_providers(struct draft *draft, const struct node *cluster,
                          const struct place *place, struct error *err) {
  struct scenario *scenario = draft->scenario;
  size_t count = 0;
  while (draft->tables->providers[count]) count++;
  scenario->other_providers =
      arena_calloc(&scenario->arena, count + 1, sizeof *scenario->other_providers);
  if (!scenario->other_providers) return out_of_memory(err);
  for (const struct provider *const *p = draft->tables->providers; *p; p++) {
    const struct node_item *item = tree_find(cluster, (*p)->plugin.name);
    bool chosen = *p == scenario->provider;
    if (!item && !chosen) continue;
    struct block block = item ? block_of(item) : (struct block){.node = &nothing, .place = *place};
    void *config = NULL;
    int status = read_plugin(draft, &(*p)->plugin, &block, &config, err);
    if (status < 0) return status;
    if (!chosen) {
      scenario->other_providers[scenario->other_provider_count++] =
          (struct scenario_provider){.provider = *p, .config = config};
      continue;
    }
    scenario->provider_config = config;
    draft->provider = block;
  }
  return 0;
}

static void add_unknown_service(struct draft *draft, const struct node *key) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, key->text);
  for (const struct service *const *s = draft->tables->services; *s; s++)
    suggestion_offer(&suggestion, (*s)->plugin.name);
  mistakes_add(&draft->mistakes, &key->place, "unknown service %s%s", shown(key->text, quoted),
               suggestion_text(&suggestion, end));
}

static int read_service(struct draft *draft, const struct node_item *item, struct error *err) {
  struct scenario *scenario = draft->scenario;
  const struct service *const *s = draft->tables->services;
  while (*s && strcmp((*s)->plugin.name, item->key->text) != 0) s++;
  if (!*s) {
    add_unknown_service(draft, item->key);
    return 0;
  }
  struct block block = block_of(item);
  struct scenario_service service = {
      .service = *s, .line = line_of(&block.place), .column = column_of(&block.place)};
  int status = read_plugin(draft, &(*s)->plugin, &block, &service.config, err);
  if (status < 0) return status;
  draft->services[scenario->service_count] = block;
  scenario->services[scenario->service_count++] = service;
  return 0;
}

static int read_services(struct draft *draft, const struct node *cluster, const struct place *place,
                         struct error *err) {
  struct scenario *scenario = draft->scenario;
  const struct node *node = tree_get(cluster, SERVICES_KEY);
  if (!node) {
    mistakes_add(&draft->mistakes, place, "'services' is missing in cluster; expected a mapping");
    return 0;
  }
  if (!params_is_mapping(&draft->mistakes, node, SERVICES_KEY)) return 0;
  if (node->count == 0)
    mistakes_add(&draft->mistakes, &node->place, "services: none is given; expected at least one");
  scenario->services = arena_calloc(&scenario->arena, node->count, sizeof *scenario->services);
  draft->services = arena_calloc(&scenario->arena, node->count, sizeof *draft->services);
  if (!scenario->services || !draft->services) return out_of_memory(err);
  int status = 0;
  for (const struct node_item *item = node->items; item && status == 0; item = item->next)
    status = read_service(draft, item, err);
  return status;
}

/* Keys of the cluster beside its own: services, and a block a provider. */
static const char **cluster_keys(struct draft *draft) {
  size_t count = 0;
  while (draft->tables->providers[count]) count++;
  const char **keys = arena_calloc(&draft->scenario->arena, count + 2, sizeof *keys);
  if (!keys) return NULL;
  keys[0] = SERVICES_KEY;
  for (size_t i = 0; i < count; i++) keys[i + 1] = draft->tables->providers[i]->plugin.name;
  return keys;
}

static int read_cluster(struct draft *draft, const struct node *root, struct error *err) {
  struct scenario *scenario = draft->scenario;
  const struct node_item *item = tree_find(root, "cluster");
  if (!item) return 0;
  const struct node *node = item->value;
  struct cluster_section section = {.provider = NULL};
  const char **keys = cluster_keys(draft);
  if (!keys) return out_of_memory(err);
  const struct params_input input = {.mapping = node,
                                     .place = item->key->place,
                                     .what = "cluster",
                                     .table = cluster_params,
                                     .missing = "the name of a provider",
                                     .others = keys};
  int status = read_section(draft, input, &section, err);
  if (status < 0 || (node->kind != NODE_MAPPING && node->kind != NODE_NULL)) return status;
  scenario->client_hosts = section.client_hosts;
  scenario->workers = section.workers;
  scenario->start_timeout_ns = section.start_timeout_ns;
  const struct node *provider = tree_get(node, "provider");
  const struct node *client_hosts = tree_get(node, "client_hosts");
  draft->client_hosts_place = client_hosts ? client_hosts->place : item->key->place;
  if (section.provider) find_provider(draft, section.provider, &provider->place);
  status = read_providers(draft, node, provider ? &provider->place : &item->key->place, err);
  return status < 0 ? status : read_services(draft, node, &item->key->place, err);
}

static void add_unknown_workload(struct draft *draft, const struct node *key) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, key->text);
  for (const struct workload *const *w = draft->tables->workloads; *w; w++)
    suggestion_offer(&suggestion, (*w)->plugin.name);
  mistakes_add(&draft->mistakes, &key->place, "unknown workload %s%s", shown(key->text, quoted),
               suggestion_text(&suggestion, end));
}

/* What is read back at the end is all that is there, whoever wrote it: two workloads that share it
 * would each find the other's rows, and every row would be there twice. */
static void check_alone(struct draft *draft, const struct workload *workload,
                        const struct place *place) {
  const struct scenario *scenario = draft->scenario;
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    if (scenario->workloads[i].workload != workload || !workload->final_read) continue;
    mistakes_add(&draft->mistakes, place,
                 "workload '%s' is given twice, and each would read back the other's rows; "
                 "expected one",
                 workload->plugin.name);
    return;
  }
}

static int read_workload(struct draft *draft, const struct node *node, struct error *err) {
  struct scenario *scenario = draft->scenario;
  char found[SHOWN_SIZE];
  if (node->kind != NODE_MAPPING || node->count != 1) {
    mistakes_add(
        &draft->mistakes, &node->place,
        "workloads: found %s; expected one workload an element, as in '- NAME: {}'",
        node->kind == NODE_MAPPING ? "a mapping of several keys" : tree_describe(node, found));
    return 0;
  }
  const struct workload *const *w = draft->tables->workloads;
  while (*w && strcmp((*w)->plugin.name, node->items->key->text) != 0) w++;
  if (!*w) {
    add_unknown_workload(draft, node->items->key);
    return 0;
  }
  struct block block = block_of(node->items);
  check_alone(draft, *w, &block.place);
  struct scenario_workload workload = {
      .workload = *w, .line = line_of(&block.place), .column = column_of(&block.place)};
  int status = read_plugin(draft, &(*w)->plugin, &block, &workload.config, err);
  if (status < 0) return status;
  draft->workloads[scenario->workload_count] = block;
  scenario->workloads[scenario->workload_count++] = workload;
  return 0;
}

/* True when `node` is a list to go through; nothing is an empty one. */
static bool is_list(struct draft *draft, const struct node *node, const char *what) {
  char found[SHOWN_SIZE];
  if (node->kind == NODE_LIST || node->kind == NODE_NULL) return true;
  mistakes_add(&draft->mistakes, &node->place, "%s: found %s; expected a list of '- ' elements",
               what, tree_describe(node, found));
  return false;
}

static int read_workloads(struct draft *draft, const struct node *root, struct error *err) {
  struct scenario *scenario = draft->scenario;
  const struct node *node = tree_get(root, "workloads");
  if (!node || !is_list(draft, node, "workloads")) return 0;
  if (node->count == 0 || node->count > WORKLOADS_MAX) {
    mistakes_add(&draft->mistakes, &node->place, "workloads: %u are given; expected 1 to %d",
                 node->count, WORKLOADS_MAX);
    return 0;
  }
  scenario->workloads = arena_calloc(&scenario->arena, node->count, sizeof *scenario->workloads);
  draft->workloads = arena_calloc(&scenario->arena, node->count, sizeof *draft->workloads);
  if (!scenario->workloads || !draft->workloads) return out_of_memory(err);
  int status = 0;
  for (const struct node_item *item = node->items; item && status == 0; item = item->next)
    status = read_workload(draft, item->value, err);
  return status;
}

static const char **injector_names(struct draft *draft) {
  size_t count = 0;
  while (draft->tables->injectors[count]) count++;
  const char **names = arena_calloc(&draft->scenario->arena, count + 1, sizeof *names);
  if (!names) return NULL;
  for (size_t i = 0; i < count; i++) names[i] = draft->tables->injectors[i]->plugin.name;
  return names;
}

/* The one key of the entry that names an injector. */
static const struct injector *find_injector(struct draft *draft, const struct node *entry,
                                            const struct node_item **ret_item) {
  const struct injector *found = NULL;
  uint32_t strangers = entry->count;
  for (const struct node_item *item = entry->items; item; item = item->next)
    strangers -= params_find(entry_params, item->key->text) != NULL;
  struct suggestion suggestion;
  suggestion_init(&suggestion, "");
  for (const struct injector *const *i = draft->tables->injectors; *i; i++) {
    suggestion_offer(&suggestion, (*i)->plugin.name);
    const struct node_item *item = tree_find(entry, (*i)->plugin.name);
    if (!item) continue;
    strangers--;
    if (found) {
      mistakes_add(&draft->mistakes, &item->key->place,
                   "'%s' in an entry that has '%s' already; expected one of them",
                   (*i)->plugin.name, found->plugin.name);
      continue;
    }
    found = *i;
    *ret_item = item;
  }
  char end[SUGGESTION_SIZE];
  if (!found && strangers == 0) /* else an unknown key was meant to be it, and is noted */
    mistakes_add(&draft->mistakes, &entry->place, "the entry names no fault%s",
                 suggestion_text(&suggestion, end));
  return found;
}

/* False: there is a mistake, and nothing is known of when it happens. */
static bool read_at(struct draft *draft, const struct node *node, const char *text,
                    struct timeline_entry *entry) {
  struct error why = ERROR_INIT;
  if (section_parse_at(text, &entry->after_recovery, &entry->at_ns, &why) == 0) return true;
  mistakes_add(&draft->mistakes, &node->place, "at: %s", why.message);
  return false;
}

static int name_entry(struct draft *draft, const struct node *node, const char *given,
                      struct timeline_entry *entry, struct error *err) {
  char quoted[SHOWN_SIZE];
  if (given && !section_is_name(given))
    mistakes_add(&draft->mistakes, &tree_get(node, "name")->place,
                 "name: %s is no name; expected small letters, digits and '-', at most 64",
                 shown(given, quoted));
  entry->name = given;
  if (!given)
    entry->name = arena_printf(&draft->scenario->arena, "%s-%u", entry->injector->plugin.name,
                               draft->scenario->timeline_count + 1);
  return entry->name ? 0 : out_of_memory(err);
}

static int read_entry(struct draft *draft, const struct node *node, const char *const *names,
                      struct error *err) {
  struct scenario *scenario = draft->scenario;
  struct entry_section section = {.at = NULL};
  const struct params_input input = {.mapping = node,
                                     .place = node->place,
                                     .what = "the entry",
                                     .table = entry_params,
                                     .missing = AT_EXPECTED,
                                     .others = names};
  int status = read_section(draft, input, &section, err);
  if (status < 0 || (node->kind != NODE_MAPPING && node->kind != NODE_NULL)) return status;
  struct timeline_entry entry = {.jitter_ns = section.jitter_ns,
                                 .for_ns = section.for_ns,
                                 .line = line_of(&node->place),
                                 .column = column_of(&node->place)};
  bool timed = section.at && read_at(draft, tree_get(node, "at"), section.at, &entry);
  const struct node_item *item = NULL;
  entry.injector = find_injector(draft, node, &item);
  if (!entry.injector) return 0;
  struct block block = block_of(item);
  block.entry = node;
  status = read_plugin(draft, &entry.injector->plugin, &block, &entry.config, err);
  if (status == 0) status = name_entry(draft, node, section.name, &entry, err);
  if (status < 0) return status;
  if (entry.injector->target_offset != SIZE_MAX)
    entry.target =
        (const struct target *)((const char *)entry.config + entry.injector->target_offset);
  block.timed = timed;
  draft->entries[scenario->timeline_count] = block;
  scenario->timeline[scenario->timeline_count++] = entry;
  return 0;
}

static int read_timeline(struct draft *draft, const struct node *root, struct error *err) {
  struct scenario *scenario = draft->scenario;
  const struct node *node = tree_get(root, "timeline");
  if (!node || !is_list(draft, node, "timeline") || node->count == 0) return 0;
  if (node->count > TIMELINE_MAX) {
    mistakes_add(&draft->mistakes, &node->place, "timeline: %u entries; expected at most %d",
                 node->count, TIMELINE_MAX);
    return 0;
  }
  scenario->timeline = arena_calloc(&scenario->arena, node->count, sizeof *scenario->timeline);
  draft->entries = arena_calloc(&scenario->arena, node->count, sizeof *draft->entries);
  const char **names = injector_names(draft);
  if (!scenario->timeline || !draft->entries || !names) return out_of_memory(err);
  int status = 0;
  for (const struct node_item *item = node->items; item && status == 0; item = item->next)
    status = read_entry(draft, item->value, names, err);
  return status;
}

static int read_load_and_measure(struct draft *draft, const struct node *root, struct error *err) {
  struct scenario *scenario = draft->scenario;
  struct load_section load = {.warmup_ns = 0};
  struct measure_section measure = {.outage_min_ns = 0};
  struct params_input input = {.mapping = tree_get(root, "load"),
                               .place = root->place,
                               .what = "load",
                               .table = load_params};
  int status = read_section(draft, input, &load, err);
  input.mapping = tree_get(root, "measure");
  input.what = "measure";
  input.table = measure_params;
  if (status == 0) status = read_section(draft, input, &measure, err);
  if (status < 0) return status;
  scenario->warmup_ns = load.warmup_ns;
  scenario->settle_ns = load.settle_ns;
  scenario->duration_ns = load.duration_ns;
  scenario->load_minimum = load.minimum;
  scenario->outage_min_ns = measure.outage_min_ns;
  scenario->lag_bound_bytes = measure.lag_bound_bytes;
  scenario->recovery_timeout_ns = measure.recovery_timeout_ns;
  scenario->latency_bound_ns = measure.latency_bound_ns;
  scenario->converge_timeout_ns = measure.converge_timeout_ns;
  return 0;
}

static int read_explore(struct draft *draft, const struct node *root, struct error *err) {
  draft->explore = tree_get(root, "explore");
  draft->scenario->explore.given = draft->explore != NULL;
  const struct params_input input = {
      .mapping = draft->explore, .place = root->place, .what = "explore", .table = explore_params};
  return read_section(draft, input, &draft->scenario->explore, err);
}

int draft_read(struct draft *draft, const struct node *root, struct error *err) {
  if (root->kind == NODE_NULL) {
    mistakes_add(&draft->mistakes, &root->place,
                 "the file is empty; expected a scenario: name, cluster, workloads, objectives");
    return 0;
  }
  if (!params_is_mapping(&draft->mistakes, root, "the scenario")) return 0;
  int status = read_head(draft, root, err);
  if (status == 0) status = read_cluster(draft, root, err);
  if (status == 0) status = read_workloads(draft, root, err);
  if (status == 0) status = read_load_and_measure(draft, root, err);
  if (status == 0) status = read_timeline(draft, root, err);
  if (status == 0) status = read_explore(draft, root, err);
  const struct node *objectives = tree_get(root, "objectives");
  if (status == 0 && objectives) status = draft_read_objectives(draft, objectives, err);
  return status;
}
