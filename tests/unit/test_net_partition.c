/* net-partition: which links each shape cuts, on clusters of any size; what is refused before a
 * run; when it is said to be in effect. */
#include "gameday/injector.h"
#include "scenario/param.h"
#include "support/test.h"

#define PORT 7000
#define CLIENTS 2

/* A cluster that remembers which packets its links refuse. */
struct lab {
  struct host hosts[HOSTS_MAX];
  struct cluster cluster;
  const struct host *members[HOSTS_MAX];
  struct endpoint endpoints[HOSTS_MAX];
  struct service_instance service;
  uint64_t cut[HOSTS_MAX]; /* by receiver */
  uint16_t ports[8];       /* of the rules */
  uint32_t port_count;
  uint64_t off; /* hosts that are switched off */
  struct arena arena;
  struct injection in;
};

static int lab_cut(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                   const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                   const char *tag, struct error *err) {
  struct lab *lab = cluster->state;
  (void)err;
  assert_string_equal(tag, "partition-5");
  assert_int_not_equal(to->kind, HOST_MONITOR);
  assert_int_equal(lab->cut[to->index], 0); /* one call a host */
  lab->port_count = 0;
  for (uint32_t r = 0; r < rule_count; r++) lab->ports[lab->port_count++] = rules[r].port;
  for (uint32_t i = 0; i < from_count; i++) {
    assert_int_not_equal(froms[i]->kind, HOST_MONITOR);
    assert_ptr_not_equal(froms[i], to);
    lab->cut[to->index] |= UINT64_C(1) << froms[i]->index;
  }
  return 0;
}

static int lab_mend(struct cluster *cluster, const char *tag, struct error *err) {
  struct lab *lab = cluster->state;
  (void)err;
  assert_string_equal(tag, "partition-5");
  memset(lab->cut, 0, sizeof lab->cut);
  return 0;
}

static bool is_on(const struct lab *lab, const struct host *host) {
  return !(lab->off >> host->index & 1);
}

static int lab_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                      const struct link_rule *rule, const char *tag, bool *ret_passes,
                      struct error *err) {
  const struct lab *lab = cluster->state;
  assert_string_equal(tag, "partition-5");
  (void)rule;
  (void)err;
  *ret_passes = is_on(lab, from) && is_on(lab, to) && !(lab->cut[to->index] >> from->index & 1);
  return 0;
}

static int lab_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                       struct error *err) {
  (void)err;
  *ret_running = is_on(cluster->state, host);
  return 0;
}

static const struct provider lab_provider = {.can = CAN_LINKS,
                                             .host_running = lab_running,
                                             .link_cut = lab_cut,
                                             .link_mend = lab_mend,
                                             .link_passes = lab_passes};

static const uint16_t *store_ports(const void *config) {
  static const uint16_t ports[] = {PORT + 1, PORT + 2, 0};
  (void)config;
  return ports;
}
static const struct service managed = {.plugin = {.name = "db"}, .store_ports = store_ports};
static const struct service alone = {.plugin = {.name = "db"}};

static const struct injector *the_injector(void) {
  const struct injector *const *row = injectors;
  while (*row && strcmp((*row)->plugin.name, "net-partition") != 0) row++;
  assert_non_null(*row);
  return *row;
}

/* `given`: "key=value" texts ended by NULL. */
static void *config_of(struct arena *arena, const char *const given[]) {
  struct error err = ERROR_INIT;
  const struct plugin *plugin = &the_injector()->plugin;
  void *config = arena_alloc(arena, plugin->config_size);
  assert_non_null(config);
  for (const struct param *row = plugin->params; row->key; row++) {
    size_t length = strlen(row->key);
    assert_ok(param_set_default(row, arena, config, &err), &err);
    if (row->required) assert_ok(param_parse(row, "db.primary", arena, config, &err), &err);
    for (const char *const *text = given; *text; text++)
      if (strncmp(*text, row->key, length) == 0 && (*text)[length] == '=')
        assert_ok(param_parse(row, *text + length + 1, arena, config, &err), &err);
  }
  return config;
}

/* `servers` of the service, the first of them the target, two clients, a monitor. */
static void lab_init(struct lab *lab, uint32_t servers, const char *const given[]) {
  const struct injector *injector = the_injector();
  *lab = (struct lab){0};
  arena_init(&lab->arena, 0);
  uint32_t count = servers + CLIENTS + 1;
  for (uint32_t i = 0; i < count; i++) {
    enum host_kind kind = i < servers ? HOST_SERVER : i + 1 < count ? HOST_CLIENT : HOST_MONITOR;
    lab->hosts[i] = (struct host){.index = (uint16_t)i, .kind = kind};
    snprintf(lab->hosts[i].name, HOST_NAME_SIZE, "h%u", i);
    lab->members[i] = &lab->hosts[i];
    lab->endpoints[i] = (struct endpoint){.host = (uint16_t)i, .port = PORT};
  }
  lab->cluster = (struct cluster){
      .provider = &lab_provider, .hosts = lab->hosts, .host_count = count, .state = lab};
  lab->service =
      (struct service_instance){.service = &managed,
                                .cluster = &lab->cluster,
                                .members = lab->members,
                                .member_count = servers,
                                .access = {.endpoints = lab->endpoints, .endpoint_count = servers}};
  lab->in = (struct injection){.injector = injector,
                               .config = config_of(&lab->arena, given),
                               .fault = 5,
                               .cluster = &lab->cluster,
                               .host = &lab->hosts[0],
                               .service = &lab->service,
                               .state = arena_alloc(&lab->arena, injector->plugin.state_size)};
  assert_non_null(lab->in.state);
}

static bool active(const struct lab *lab) {
  struct error err = ERROR_INIT;
  bool answer = false;
  assert_ok(lab->in.injector->confirm(&lab->in, &answer, &err), &err);
  return answer;
}

static void inject(struct lab *lab) {
  struct error err = ERROR_INIT;
  assert_false(active(lab));
  assert_ok(lab->in.injector->inject(&lab->in, &err), &err);
  assert_true(active(lab));
}

static void lab_end(struct lab *lab) {
  struct error err = ERROR_INIT;
  assert_ok(lab->in.injector->heal(&lab->in, &err), &err);
  assert_false(active(lab));
  for (uint32_t i = 0; i < HOSTS_MAX; i++) assert_int_equal(lab->cut[i], 0);
  arena_release(&lab->arena);
}

/* Compares with lines such as "0<12", host 0 gets nothing from hosts 1 and 2. */
static void check_cuts(const struct lab *lab, const char *expected) {
  char found[512] = "";
  for (uint32_t to = 0; to < lab->cluster.host_count; to++) {
    size_t used = strlen(found);
    if (!lab->cut[to]) continue;
    used += (size_t)snprintf(found + used, sizeof found - used, "%s%u<", used ? " " : "", to);
    for (uint32_t from = 0; from < lab->cluster.host_count; from++)
      if (lab->cut[to] >> from & 1)
        used += (size_t)snprintf(found + used, sizeof found - used, "%u", from);
  }
  assert_string_equal(found, expected);
}

static void check_shape(uint32_t servers, const char *const given[], const char *expected) {
  struct lab lab;
  lab_init(&lab, servers, given);
  inject(&lab);
  check_cuts(&lab, expected);
  lab_end(&lab);
}
#define GIVEN(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_isolate_cuts_one_side_from_the_rest(void **state) {
  (void)state;
  check_shape(3, GIVEN("shape=isolate"), "0<12 1<0 2<0");
  check_shape(3, GIVEN("direction=in"), "0<12");
  check_shape(3, GIVEN("direction=out"), "1<0 2<0");
  check_shape(5, GIVEN("hosts=2"), "0<234 1<234 2<01 3<01 4<01");
  check_shape(5, GIVEN("hosts=3"), "0<34 1<34 2<34 3<012 4<012");
}

/* Hosts 3 and 4 are the clients, the monitor is 5. */
static void test_clients_go_with_a_side_when_asked(void **state) {
  (void)state;
  check_shape(3, GIVEN("clients=1"), "0<124 1<03 2<03 3<12 4<0");
  check_shape(3, GIVEN("clients=2"), "0<12 1<034 2<034 3<12 4<12");
  check_shape(3, GIVEN("shape=clients-from-target"), "0<34 3<0 4<0");
  check_shape(3, GIVEN("shape=clients-from-target", "clients=1"), "0<3 3<0");
  check_shape(3, GIVEN("shape=clients-from-target", "hosts=2", "direction=in"), "0<34 1<34");
}

/* Of every size: each host sees a majority, nobody sees all, and what a sees, sees a. */
static void test_ring_leaves_each_host_another_majority(void **state) {
  (void)state;
  check_shape(4, GIVEN("shape=ring"), "0<2 1<3 2<0 3<1");
  check_shape(5, GIVEN("shape=ring"), "0<23 1<34 2<04 3<01 4<12");
  for (uint32_t servers = 4; servers <= 33; servers++) {
    struct lab lab;
    lab_init(&lab, servers, GIVEN("shape=ring"));
    inject(&lab);
    for (uint32_t a = 0; a < servers; a++) {
      uint32_t cut = (uint32_t)__builtin_popcountll(lab.cut[a]);
      assert_true(cut > 0 && servers - cut > servers / 2);
      for (uint32_t b = 0; b < servers; b++) {
        assert_int_equal(lab.cut[a] >> b & 1, lab.cut[b] >> a & 1);
        if (a != b) assert_true(lab.cut[a] != lab.cut[b]);
      }
    }
    lab_end(&lab);
  }
}

static void test_bridge_leaves_the_target_between_two_halves(void **state) {
  (void)state;
  check_shape(3, GIVEN("shape=bridge"), "1<2 2<1");
  check_shape(4, GIVEN("shape=bridge"), "1<3 2<3 3<12");
  check_shape(5, GIVEN("shape=bridge"), "1<34 2<34 3<12 4<12");
}

static void test_ports_decide_between_replication_and_the_store(void **state) {
  (void)state;
  struct lab lab;
  lab_init(&lab, 3, GIVEN("shape=primary-from-replicas"));
  lab.service.access.endpoint_count = 2; /* the third carries no server */
  inject(&lab);
  check_cuts(&lab, "0<1 1<0");
  assert_int_equal(lab.ports[0], PORT);
  lab_end(&lab);
  lab_init(&lab, 3, GIVEN("shape=from-store", "direction=in"));
  inject(&lab);
  check_cuts(&lab, "0<12");
  assert_int_equal(lab.port_count, 2);
  assert_int_equal(lab.ports[0], PORT + 1);
  assert_int_equal(lab.ports[1], PORT + 2);
  lab_end(&lab);
}

static void test_half_a_cut_is_neither_in_effect_nor_healed(void **state) {
  (void)state;
  struct lab lab;
  struct error err = ERROR_INIT;
  lab_init(&lab, 3, GIVEN("shape=isolate"));
  inject(&lab);
  lab.cut[1] = 0;
  assert_false(active(&lab));
  assert_ok(lab.in.injector->heal(&lab.in, &err), &err);
  lab.cut[2] = 1;
  assert_true(active(&lab));
  /* Nobody can tell of a host that is off, and it is no reason to wait. */
  lab.off = 4;
  assert_false(active(&lab));
  lab.off = 0;
  lab_end(&lab);
}

/* --- what can be ------------------------------------------------------------------------------ */

static void check_refused(const struct service *service, uint32_t hosts, const char *const given[],
                          const char *expected) {
  struct error err = ERROR_INIT;
  struct arena arena;
  const struct injector *injector = the_injector();
  const struct fault_place place = {
      .service = service, .host_count = hosts, .client_host_count = CLIENTS};
  arena_init(&arena, 0);
  const void *config = config_of(&arena, given);
  int status = injector->plugin.validate(config, &err);
  if (status == 0) status = injector->fits(config, &place, &err);
  if (!expected) {
    assert_ok(status, &err);
  } else {
    assert_int_equal(status, STATUS_USAGE);
    assert_string_equal(err.message, expected);
  }
  arena_release(&arena);
}

static void test_impossible_shapes_are_refused(void **state) {
  (void)state;
  check_refused(&managed, 3, GIVEN("hosts=2"), NULL);
  check_refused(&managed, 3, GIVEN("hosts=3"),
                "hosts: db has 3 hosts, and somebody must be on the other side; expected 1 to 2");
  check_refused(&managed, 1, GIVEN("hosts=1"),
                "shape: isolate needs 2 hosts of db or more, which "
                "has 1");
  check_refused(&managed, 3, GIVEN("clients=3"),
                "clients: there are 2 client hosts; expected 0 to 2");
  check_refused(&managed, 3, GIVEN("shape=ring"),
                "shape: ring needs 4 hosts of db or more, which "
                "has 3");
  check_refused(&managed, 2, GIVEN("shape=bridge"),
                "shape: bridge needs 3 hosts of db or more, which has 2");
  check_refused(&managed, 5, GIVEN("shape=bridge", "hosts=2"),
                "hosts: shape bridge has no side of several hosts; expected 1");
  check_refused(&managed, 5, GIVEN("shape=ring", "direction=in"),
                "direction: shape ring has no inside; expected both");
  check_refused(&managed, 5, GIVEN("shape=from-store", "clients=1"),
                "clients: shape from-store leaves the clients alone; expected none");
  check_refused(&managed, 3, GIVEN("shape=from-store"), NULL);
  check_refused(&alone, 3, GIVEN("shape=from-store"),
                "shape: db, as it is configured, has no store that decides who is primary");
  check_refused(&managed, 3, GIVEN("shape=clients-from-target", "hosts=3"), NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_isolate_cuts_one_side_from_the_rest),
      cmocka_unit_test(test_clients_go_with_a_side_when_asked),
      cmocka_unit_test(test_ring_leaves_each_host_another_majority),
      cmocka_unit_test(test_bridge_leaves_the_target_between_two_halves),
      cmocka_unit_test(test_ports_decide_between_replication_and_the_store),
      cmocka_unit_test(test_half_a_cut_is_neither_in_effect_nor_healed),
      cmocka_unit_test(test_impossible_shapes_are_refused),
  };
  return cmocka_run_group_tests_name("net_partition", tests, NULL, NULL);
}
