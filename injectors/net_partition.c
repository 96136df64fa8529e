/* net-partition: packets between hosts are refused while the hosts themselves live on. Which links
 * are cut is decided when the fault begins, by the shape and by the roles of that moment, and kept:
 * what is confirmed is what was cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "injectors.h"

#define RULES_MAX 4

enum shape {
  SHAPE_ISOLATE,
  SHAPE_RING,
  SHAPE_BRIDGE,
  SHAPE_PRIMARY_FROM_REPLICAS,
  SHAPE_FROM_STORE,
  SHAPE_CLIENTS_FROM_TARGET,
};
static const char *const shape_names[] = {
    "isolate", "ring", "bridge", "primary-from-replicas", "from-store", "clients-from-target",
    NULL};

enum direction { DIRECTION_BOTH, DIRECTION_IN, DIRECTION_OUT };
static const char *const direction_names[] = {"both", "in", "out", NULL};

static const char *const action_names[] = {"drop", "reject", "reset", NULL};
static const enum link_action actions[] = {LINK_DROP, LINK_REJECT, LINK_RESET};

enum connections { CONNECTIONS_ALL, CONNECTIONS_NEW, CONNECTIONS_ESTABLISHED };
static const char *const connection_names[] = {"all", "new", "established", NULL};

struct net_partition_config {
  struct target target;
  uint32_t hosts, clients;
  int shape, direction, action, connections; /* indexes of the names above */
};

/* What is cut: fixed by inject(). */
struct net_partition_state {
  struct bits from[HOSTS_MAX]; /* by receiving host: what these send there is refused */
  struct link_rule rules[RULES_MAX];
  uint32_t rule_count; /* 0: not injected yet */
  bool healed;
};

#define FIELD(name) offsetof(struct net_partition_config, name)
static const struct param params[] = {
    {.key = "target",
     .type = PARAM_TARGET,
     .offset = FIELD(target),
     .required = true,
     .help = "The host in the middle of the side that is cut off: SERVICE.primary, "
             "SERVICE.replica[N], SERVICE.any or host/NAME."},
    {.key = "shape",
     .type = PARAM_CHOICE,
     .offset = FIELD(shape),
     .choices = shape_names,
     .default_text = "isolate",
     .help = "isolate: the target's side from all other servers; ring: each host of the service "
             "sees a majority, no two the same; bridge: two halves that only the target sees "
             "both of; primary-from-replicas: no replication between the target and the others; "
             "from-store: the target from the others' etcd or Sentinel; clients-from-target: the "
             "client hosts from the target's side."},
    {.key = "hosts",
     .type = PARAM_COUNT,
     .offset = FIELD(hosts),
     .default_text = "1",
     .minimum = "1",
     .maximum = "63",
     .help = "How many hosts of the target's service are on its side, itself included: the others "
             "in the order of the hosts."},
    {.key = "clients",
     .type = PARAM_COUNT,
     .offset = FIELD(clients),
     .default_text = "0",
     .maximum = "63",
     .help = "How many client hosts, the first ones, go with the target's side, the others with "
             "the other; 0: clients reach both sides. With clients-from-target how many are cut "
             "off; 0: all."},
    {.key = "direction",
     .type = PARAM_CHOICE,
     .offset = FIELD(direction),
     .choices = direction_names,
     .default_text = "both",
     .help = "Which packets are refused, as the target's side sees them."},
    {.key = "action",
     .type = PARAM_CHOICE,
     .offset = FIELD(action),
     .choices = action_names,
     .default_text = "drop",
     .help = "drop: silence; reject: ICMP administratively prohibited; reset: TCP RST."},
    {.key = "connections",
     .type = PARAM_CHOICE,
     .offset = FIELD(connections),
     .choices = connection_names,
     .default_text = "all",
     .help = "new: connections that are there live on; established: they die, new ones come "
             "about."},
    {0},
};
#undef FIELD

/* --- what can be ------------------------------------------------------------------------------ */

static int net_partition_validate(const void *data, struct error *err) {
  const struct net_partition_config *config = data;
  const char *shape = shape_names[config->shape];
  bool sided = config->shape == SHAPE_ISOLATE || config->shape == SHAPE_CLIENTS_FROM_TARGET;
  bool round = config->shape == SHAPE_RING || config->shape == SHAPE_BRIDGE;
  if (!sided && config->hosts != 1)
    return error_set(err, STATUS_USAGE, "hosts: shape %s has no side of several hosts; expected 1",
                     shape);
  if (!sided && config->clients != 0)
    return error_set(err, STATUS_USAGE, "clients: shape %s leaves the clients alone; expected none",
                     shape);
  if (round && config->direction != DIRECTION_BOTH)
    return error_set(err, STATUS_USAGE, "direction: shape %s has no inside; expected both", shape);
  return 0;
}

static int needs_hosts(const char *shape, uint32_t least, const struct fault_place *place,
                       struct error *err) {
  if (place->host_count >= least) return 0;
  return error_set(err, STATUS_USAGE, "shape: %s needs %u hosts of %s or more, which has %u", shape,
                   least, place->service->plugin.name, place->host_count);
}

static int net_partition_fits(const void *data, const struct fault_place *place,
                              struct error *err) {
  const struct net_partition_config *config = data;
  const char *service = place->service->plugin.name, *shape = shape_names[config->shape];
  if (config->clients > place->client_host_count)
    return error_set(err, STATUS_USAGE, "clients: there are %u client hosts; expected 0 to %u",
                     place->client_host_count, place->client_host_count);
  switch ((enum shape)config->shape) {
    case SHAPE_ISOLATE:
      if (config->hosts < place->host_count) return 0;
      if (place->host_count < 2) return needs_hosts(shape, 2, place, err);
      return error_set(err, STATUS_USAGE,
                       "hosts: %s has %u hosts, and somebody must be on the other side; expected 1 "
                       "to %u",
                       service, place->host_count, place->host_count - 1);
    case SHAPE_RING: return needs_hosts(shape, 4, place, err);
    case SHAPE_BRIDGE: return needs_hosts(shape, 3, place, err);
    case SHAPE_PRIMARY_FROM_REPLICAS: return needs_hosts(shape, 2, place, err);
    case SHAPE_FROM_STORE:
      if (place->service->store_ports && place->service->store_ports(place->service_config))
        return needs_hosts(shape, 2, place, err);
      return error_set(err, STATUS_USAGE,
                       "shape: %s, as it is configured, has no store that decides who is primary",
                       service);
    case SHAPE_CLIENTS_FROM_TARGET:
      if (config->hosts <= place->host_count) return 0;
      return error_set(err, STATUS_USAGE, "hosts: %s has %u hosts; expected 1 to %u", service,
                       place->host_count, place->host_count);
  }
  return 0;
}

/* --- what is cut ------------------------------------------------------------------------------ */

static struct bits only(const struct host *host) {
  struct bits one = {{0}};
  bits_add(&one, host->index);
  return one;
}

static struct bits hosts_of_kind(const struct cluster *cluster, enum host_kind kind, uint32_t max) {
  struct bits hosts = {{0}};
  for (uint32_t i = 0; i < cluster->host_count && max > 0; i++) {
    if (cluster->hosts[i].kind != kind) continue;
    bits_add(&hosts, cluster->hosts[i].index);
    max--;
  }
  return hosts;
}

static void cut_into(struct net_partition_state *state, const struct bits *to,
                     const struct bits *from) {
  for (uint32_t h = bits_next(to, 0); h < BITS_MAX; h = bits_next(to, h + 1))
    bits_add_all(&state->from[h], from);
}

static void cut_between(struct net_partition_state *state, const struct bits *side,
                        const struct bits *rest, enum direction direction) {
  if (direction != DIRECTION_OUT) cut_into(state, side, rest);
  if (direction != DIRECTION_IN) cut_into(state, rest, side);
}

/* The target and the next of its service, in the order of the hosts. */
static struct bits side_of(const struct injection *in, uint32_t count) {
  struct bits side = only(in->host);
  count--;
  for (uint32_t m = 0; m < in->service->member_count && count > 0; m++) {
    if (in->service->members[m] == in->host) continue;
    bits_add(&side, in->service->members[m]->index);
    count--;
  }
  return side;
}

static void cut_side(const struct injection *in, struct net_partition_state *state) {
  const struct net_partition_config *config = in->config;
  struct bits side = side_of(in, config->hosts);
  struct bits rest = hosts_of_kind(in->cluster, HOST_SERVER, HOSTS_MAX);
  struct bits with = hosts_of_kind(in->cluster, HOST_CLIENT, config->clients);
  struct bits others = hosts_of_kind(in->cluster, HOST_CLIENT, HOSTS_MAX);
  enum direction direction = (enum direction)config->direction;
  bits_remove_all(&rest, &side);
  bits_remove_all(&others, &with);
  cut_between(state, &side, &rest, direction);
  if (config->clients == 0) return;
  cut_between(state, &with, &rest, direction);
  cut_between(state, &side, &others, direction);
}

/* Each host sees itself and as many neighbours on either side as make a majority. */
static void cut_ring(const struct injection *in, struct net_partition_state *state) {
  uint32_t count = in->service->member_count, reach = (count / 2 + 1) / 2;
  for (uint32_t a = 0; a < count; a++)
    for (uint32_t b = 0; b < a; b++) {
      uint32_t apart = a - b < count - (a - b) ? a - b : count - (a - b);
      if (apart <= reach) continue;
      const struct host *one = in->service->members[a], *other = in->service->members[b];
      bits_add(&state->from[one->index], other->index);
      bits_add(&state->from[other->index], one->index);
    }
}

static void cut_bridge(const struct injection *in, struct net_partition_state *state) {
  struct bits halves[2] = {{{0}}, {{0}}};
  uint32_t others = in->service->member_count - 1, seen = 0;
  for (uint32_t m = 0; m < in->service->member_count; m++)
    if (in->service->members[m] != in->host)
      bits_add(&halves[seen++ < (others + 1) / 2 ? 0 : 1], in->service->members[m]->index);
  cut_between(state, &halves[0], &halves[1], DIRECTION_BOTH);
}

/* Only the port of the servers: their managers and stores, on the same hosts, go on talking. */
static int cut_replication(const struct injection *in, struct net_partition_state *state,
                           struct error *err) {
  const struct net_partition_config *config = in->config;
  const struct access *access = &in->service->access;
  struct bits target = only(in->host), others = {{0}};
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    const struct endpoint *endpoint = &access->endpoints[i];
    if (endpoint->host == in->host->index)
      state->rules[0].port = endpoint->port;
    else
      bits_add(&others, endpoint->host);
  }
  if (state->rules[0].port == 0 || !bits_any(&others))
    return error_set(err, STATUS_SERVER, "host %s has no server that replicates with others",
                     in->host->name);
  cut_between(state, &target, &others, (enum direction)config->direction);
  return 0;
}

static int cut_store(const struct injection *in, struct net_partition_state *state,
                     struct error *err) {
  const struct net_partition_config *config = in->config;
  const struct service *service = in->service->service;
  const uint16_t *ports = service->store_ports ? service->store_ports(in->service->config) : NULL;
  if (!ports || !ports[0])
    return error_set(err, STATUS_USAGE, "%s has no store that decides who is primary",
                     service->plugin.name);
  struct link_rule rule = state->rules[0];
  for (state->rule_count = 0; ports[state->rule_count] && state->rule_count < RULES_MAX;) {
    rule.port = ports[state->rule_count];
    state->rules[state->rule_count++] = rule;
  }
  struct bits target = only(in->host), others = side_of(in, in->service->member_count);
  bits_remove(&others, in->host->index);
  cut_between(state, &target, &others, (enum direction)config->direction);
  return 0;
}

static void cut_clients(const struct injection *in, struct net_partition_state *state) {
  const struct net_partition_config *config = in->config;
  struct bits side = side_of(in, config->hosts);
  struct bits clients =
      hosts_of_kind(in->cluster, HOST_CLIENT, config->clients > 0 ? config->clients : HOSTS_MAX);
  cut_between(state, &side, &clients, (enum direction)config->direction);
}

static int draw(const struct injection *in, struct net_partition_state *state, struct error *err) {
  const struct net_partition_config *config = in->config;
  if (!in->service)
    return error_set(err, STATUS_USAGE, "host %s belongs to no service", in->host->name);
  *state = (struct net_partition_state){
      .rules = {{.action = actions[config->action],
                 .new_only = config->connections == CONNECTIONS_NEW,
                 .established_only = config->connections == CONNECTIONS_ESTABLISHED}},
      .rule_count = 1};
  switch ((enum shape)config->shape) {
    case SHAPE_ISOLATE: cut_side(in, state); break;
    case SHAPE_RING: cut_ring(in, state); break;
    case SHAPE_BRIDGE: cut_bridge(in, state); break;
    case SHAPE_PRIMARY_FROM_REPLICAS: return cut_replication(in, state, err);
    case SHAPE_FROM_STORE: return cut_store(in, state, err);
    case SHAPE_CLIENTS_FROM_TARGET: cut_clients(in, state); break;
  }
  return 0;
}

/* --- the hooks -------------------------------------------------------------------------------- */

static void tag_of(const struct injection *in, char tag[32]) {
  snprintf(tag, 32, "partition-%d", (int)in->fault);
}

/* For people: heal() needs no more than the tag. */
static void note_hosts(struct injection *in, const struct net_partition_state *state) {
  size_t used = 0;
  in->note[0] = '\0';
  for (uint32_t i = 0; i < in->cluster->host_count && used < sizeof in->note; i++)
    if (bits_any(&state->from[i]))
      used += (size_t)snprintf(in->note + used, sizeof in->note - used, "%s%s", used ? " " : "",
                               in->cluster->hosts[i].name);
  if (used >= sizeof in->note) snprintf(in->note, sizeof in->note, "all");
}

static int cut_at(struct injection *in, const struct net_partition_state *state, uint32_t to,
                  struct error *err) {
  const struct host *froms[HOSTS_MAX];
  const struct bits *from = &state->from[to];
  uint32_t count = 0;
  char tag[32];
  tag_of(in, tag);
  for (uint32_t i = bits_next(from, 0); i < BITS_MAX; i = bits_next(from, i + 1))
    froms[count++] = &in->cluster->hosts[i];
  if (count == 0) return 0;
  return in->cluster->provider->link_cut(in->cluster, froms, count, &in->cluster->hosts[to],
                                         state->rules, state->rule_count, tag, err);
}

static int net_partition_inject(struct injection *in, struct error *err) {
  struct net_partition_state *state = in->state;
  int status = draw(in, state, err);
  if (status < 0) return status;
  note_hosts(in, state);
  for (uint32_t i = 0; i < in->cluster->host_count && status == 0; i++)
    status = cut_at(in, state, i, err);
  return status;
}

/* When only the journal is left: no link of any server may be cut. */
static void draw_everything(const struct injection *in, struct net_partition_state *state) {
  struct bits servers = hosts_of_kind(in->cluster, HOST_SERVER, HOSTS_MAX);
  *state = (struct net_partition_state){.rule_count = 1, .healed = true};
  for (uint32_t i = bits_next(&servers, 0); i < BITS_MAX; i = bits_next(&servers, i + 1)) {
    state->from[i] = servers;
    bits_remove(&state->from[i], i);
  }
}

static int link_passes(const struct injection *in, const struct net_partition_state *state,
                       uint32_t from, uint32_t to, bool *ret_passes, struct error *err) {
  const struct provider *provider = in->cluster->provider;
  const struct host *hosts = in->cluster->hosts;
  int status = 0;
  /* A host that is off gets nothing and sends nothing, and no rule is to blame. */
  if (state->healed) {
    bool up = false;
    status = provider->host_running(in->cluster, &hosts[from], &up, err);
    if (status == 0 && up) status = provider->host_running(in->cluster, &hosts[to], &up, err);
    if (status < 0) return status;
    *ret_passes = true;
    if (!up) return 0;
  }
  bool all = true, any = false;
  char tag[32];
  tag_of(in, tag);
  for (uint32_t r = 0; r < state->rule_count && status == 0; r++) {
    bool passes = false;
    status = provider->link_passes(in->cluster, &hosts[from], &hosts[to], &state->rules[r], tag,
                                   &passes, err);
    all = all && passes;
    any = any || passes;
  }
  if (status == 0) *ret_passes = state->healed ? all : any;
  return status;
}

/* In effect when every link is cut; gone when every one passes. Between the two it is on its way
 * from the one to the other. */
static int net_partition_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  const struct net_partition_state *state = in->state;
  CLEANUP_FREE struct net_partition_state *drawn = NULL;
  if (!state || state->rule_count == 0) {
    state = drawn = calloc(1, sizeof *drawn);
    if (!drawn) return error_set(err, STATUS_MEMORY, "out of memory for a partition");
    int status = 0;
    if (in->config && in->service)
      status = draw(in, drawn, err);
    else
      draw_everything(in, drawn);
    if (status < 0) return status;
  }
  for (uint32_t to = 0; to < in->cluster->host_count; to++)
    for (uint32_t from = 0; from < in->cluster->host_count; from++) {
      bool passes = false;
      if (!bits_has(&state->from[to], from)) continue;
      int status = link_passes(in, state, from, to, &passes, err);
      if (status < 0) return status;
      if (passes == state->healed) continue;
      *ret_active = state->healed;
      return 0;
    }
  *ret_active = !state->healed;
  return 0;
}

static int net_partition_heal(struct injection *in, struct error *err) {
  struct net_partition_state *state = in->state;
  char tag[32];
  tag_of(in, tag);
  if (state) state->healed = true;
  return in->cluster->provider->link_mend(in->cluster, tag, err);
}

const struct injector injector_net_partition = {
    .plugin = {.name = "net-partition",
               .summary = "Hosts cannot reach each other over the network, and live on",
               .params = params,
               .config_size = sizeof(struct net_partition_config),
               .state_size = sizeof(struct net_partition_state),
               .validate = net_partition_validate},
    .needs = CAN_LINKS,
    .target_offset = offsetof(struct net_partition_config, target),
    .process_offset = SIZE_MAX,
    .fits = net_partition_fits,
    .inject = net_partition_inject,
    .confirm = net_partition_confirm,
    .heal = net_partition_heal,
};
