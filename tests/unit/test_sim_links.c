/* Cut links of the simulator: what is refused, what the sender learns and when, the same as on real
 * hosts; and where hosts are. */
#include <arpa/inet.h>

#include "base/arena.h"
#include "sim/sim.h"
#include "support/config.h"
#include "support/test.h"
#include "support/virtual_time.h"

#define PORT 7000
#define PEER_PORT 7001
#define ROUND_TRIP_NS (10 * NS_PER_MS) /* more than one, by far less than a retransmission */

/* Two servers on two hosts, and what they have heard. */
struct lab {
  struct virtual_time time;
  struct arena arena;
  struct cluster *cluster;
  struct sim_process one, two;
  uint32_t opened, refused, delivered, broken;
};

static const struct sim_process_kind kind = {.name = "test", .port = PORT};
static const struct sim_process_kind peer_kind = {
    .name = "peer", .port = PORT, .peer_port = PEER_PORT};

static void lab_init(struct lab *lab, const struct sim_process_kind *of) {
  struct error err = ERROR_INIT;
  static const struct host_spec hosts[] = {{.name = "h1"}, {.name = "h2"}, {.name = "h3"}};
  *lab = (struct lab){0};
  virtual_time_begin(&lab->time);
  arena_init(&lab->arena, 0);
  const void *config = config_new(&provider_sim.plugin, &lab->arena);
  const struct cluster_spec spec = {.id = "gd-test",
                                    .run_directory = "/nonexistent",
                                    .hosts = hosts,
                                    .host_count = 3,
                                    .loop = lab->time.loop,
                                    .seed = 7};
  assert_ok(provider_sim.up(config, &spec, &lab->cluster, &err), &err);
  struct sim_world *world = &sim_cluster_of(lab->cluster)->world;
  sim_process_add(world, &lab->one, of, 0, lab);
  sim_process_add(world, &lab->two, of, 1, lab);
  sim_process_start(&lab->one);
  sim_process_start(&lab->two);
}

static void lab_end(struct lab *lab) {
  provider_sim.detach(lab->cluster);
  virtual_time_release(&lab->time);
  arena_release(&lab->arena);
}

static void run(struct lab *lab, uint64_t for_ns) {
  virtual_time_run(&lab->time, lab->time.now_ns + for_ns, NULL);
}

static void on_opened(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  ((struct lab *)self->owner)->opened++;
}
static void on_refused(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  ((struct lab *)self->owner)->refused++;
}
static void on_delivered(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  ((struct lab *)self->owner)->delivered++;
}
static void on_broken(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  ((struct lab *)self->owner)->broken++;
}

static void connect_two(struct lab *lab) {
  sim_connect(&(struct sim_connect){
      .from = &lab->one, .to = &lab->two, .opened = on_opened, .refused = on_refused});
}

static void send_two(struct lab *lab) {
  sim_send(&(struct sim_message){.from = &lab->one,
                                 .to = &lab->two,
                                 .to_life = lab->two.life,
                                 .connection = 1,
                                 .deliver = on_delivered,
                                 .broken = on_broken});
}

/* Both directions between the hosts of the two. */
static void cut(struct lab *lab, const struct link_rule *rule) {
  struct error err = ERROR_INIT;
  const struct host *h1 = &lab->cluster->hosts[0], *h2 = &lab->cluster->hosts[1];
  assert_ok(provider_sim.link_cut(lab->cluster, &h1, 1, h2, rule, 1, "one", &err), &err);
  assert_ok(provider_sim.link_cut(lab->cluster, &h2, 1, h1, rule, 1, "one", &err), &err);
}

static void mend(struct lab *lab, const char *tag) {
  struct error err = ERROR_INIT;
  assert_ok(provider_sim.link_mend(lab->cluster, tag, &err), &err);
}

static bool passes_but_for(const struct lab *lab, uint32_t from, uint32_t to,
                           const struct link_rule *rule, const char *tag) {
  struct error err = ERROR_INIT;
  bool answer = false;
  assert_ok(provider_sim.link_passes(lab->cluster, &lab->cluster->hosts[from],
                                     &lab->cluster->hosts[to], rule, tag, &answer, &err),
            &err);
  return answer;
}

static bool passes(const struct lab *lab, uint32_t from, uint32_t to,
                   const struct link_rule *rule) {
  return passes_but_for(lab, from, to, rule, NULL);
}

static void check_heard(const struct lab *lab, uint32_t opened, uint32_t refused,
                        uint32_t delivered, uint32_t broken) {
  assert_int_equal(lab->opened, opened);
  assert_int_equal(lab->refused, refused);
  assert_int_equal(lab->delivered, delivered);
  assert_int_equal(lab->broken, broken);
}

static void test_the_action_decides_what_the_sender_learns(void **state) {
  (void)state;
  static const struct {
    enum link_action action;
    uint32_t refused, broken;
  } cases[] = {{LINK_DROP, 0, 0}, {LINK_REJECT, 1, 0}, {LINK_RESET, 1, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct link_rule rule = {.action = cases[i].action};
    struct lab lab;
    lab_init(&lab, &kind);
    cut(&lab, &rule);
    assert_false(passes(&lab, 0, 1, &rule));
    assert_true(passes(&lab, 0, 2, &rule));
    connect_two(&lab);
    send_two(&lab);
    run(&lab, ROUND_TRIP_NS);
    check_heard(&lab, 0, cases[i].refused, 0, cases[i].broken);
    /* What was lost is sent again when the link is there. */
    mend(&lab, "one");
    assert_true(passes(&lab, 0, 1, &rule));
    run(&lab, 4 * NS_PER_S);
    check_heard(&lab, 1 - cases[i].refused, cases[i].refused, 1 - cases[i].broken, cases[i].broken);
    lab_end(&lab);
  }
}

static void test_one_direction_lets_data_arrive_and_no_connection_open(void **state) {
  (void)state;
  const struct link_rule rule = {.action = LINK_DROP};
  struct lab lab;
  struct error err = ERROR_INIT;
  lab_init(&lab, &kind);
  const struct host *h2 = &lab.cluster->hosts[1];
  assert_ok(
      provider_sim.link_cut(lab.cluster, &h2, 1, &lab.cluster->hosts[0], &rule, 1, "one", &err),
      &err);
  assert_true(passes(&lab, 0, 1, &rule));
  assert_false(passes(&lab, 1, 0, &rule));
  connect_two(&lab);
  send_two(&lab);
  run(&lab, ROUND_TRIP_NS);
  check_heard(&lab, 0, 0, 1, 0);
  lab_end(&lab);
}

static void test_ports_and_new_connections(void **state) {
  (void)state;
  static const struct {
    const struct sim_process_kind *kind;
    struct link_rule rule;
    uint32_t opened, delivered;
  } cases[] = {
      {&kind, {.port = PORT}, 0, 0},           {&kind, {.port = PORT + 5}, 1, 1},
      {&peer_kind, {.port = PEER_PORT}, 0, 0}, {&peer_kind, {.port = PORT}, 1, 1},
      {&kind, {.new_only = true}, 0, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct lab lab;
    lab_init(&lab, cases[i].kind);
    cut(&lab, &cases[i].rule);
    connect_two(&lab);
    send_two(&lab);
    run(&lab, ROUND_TRIP_NS);
    check_heard(&lab, cases[i].opened, 0, cases[i].delivered, 0);
    lab_end(&lab);
  }
}

static void test_a_cut_holds_over_a_restart_and_until_its_own_fault_is_mended(void **state) {
  (void)state;
  const struct link_rule rule = {.action = LINK_DROP};
  struct lab lab;
  lab_init(&lab, &kind);
  struct sim_world *world = &sim_cluster_of(lab.cluster)->world;
  cut(&lab, &rule);
  sim_host_stop(world, 1);
  sim_host_start(world, 1);
  assert_false(passes(&lab, 0, 1, &rule));
  mend(&lab, "another");
  assert_false(passes(&lab, 0, 1, &rule));
  mend(&lab, "one");
  mend(&lab, "one");
  assert_true(passes(&lab, 0, 1, &rule));
  sim_host_stop(world, 1);
  assert_false(passes(&lab, 0, 1, &rule)); /* nobody there */
  lab_end(&lab);
}

/* Of two faults on one link each is in effect, and healed, by itself. */
static void test_a_cut_is_judged_apart_from_anothers(void **state) {
  (void)state;
  const struct link_rule rule = {.action = LINK_DROP};
  struct error err = ERROR_INIT;
  struct lab lab;
  lab_init(&lab, &kind);
  const struct host *h1 = &lab.cluster->hosts[0], *h2 = &lab.cluster->hosts[1];
  cut(&lab, &rule);
  assert_true(passes_but_for(&lab, 0, 1, &rule, "two"));
  assert_ok(provider_sim.link_cut(lab.cluster, &h1, 1, h2, &rule, 1, "two", &err), &err);
  assert_false(passes_but_for(&lab, 0, 1, &rule, "one"));
  assert_false(passes_but_for(&lab, 0, 1, &rule, "two"));
  mend(&lab, "one");
  assert_false(passes(&lab, 0, 1, &rule));
  assert_true(passes_but_for(&lab, 0, 1, &rule, "one"));
  assert_false(passes_but_for(&lab, 0, 1, &rule, "two"));
  lab_end(&lab);
}

static void test_what_it_does_not_know_is_refused(void **state) {
  (void)state;
  const struct link_rule rule = {.established_only = true};
  struct lab lab;
  struct error err = ERROR_INIT;
  lab_init(&lab, &kind);
  const struct host *h1 = &lab.cluster->hosts[0];
  assert_int_equal(
      provider_sim.link_cut(lab.cluster, &h1, 1, &lab.cluster->hosts[1], &rule, 1, "one", &err),
      STATUS_ENVIRONMENT);
  lab_end(&lab);
}

/* As many hosts as there may be: each has an address that is one, and its own. */
static void test_addresses_of_many_hosts(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct host_spec hosts[HOSTS_MAX];
  struct virtual_time time;
  struct arena arena;
  struct cluster *cluster = NULL;
  char names[HOSTS_MAX][16];
  for (uint32_t i = 0; i < HOSTS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "client%u", i + 1);
    hosts[i] = (struct host_spec){.name = names[i], .kind = HOST_CLIENT};
  }
  virtual_time_begin(&time);
  arena_init(&arena, 0);
  const struct cluster_spec spec = {.id = "gd-test",
                                    .run_directory = "/nonexistent",
                                    .hosts = hosts,
                                    .host_count = HOSTS_MAX,
                                    .loop = time.loop};
  assert_ok(provider_sim.up(config_new(&provider_sim.plugin, &arena), &spec, &cluster, &err), &err);
  uint32_t last = 0;
  for (uint32_t i = 0; i < HOSTS_MAX; i++) {
    struct in_addr address;
    assert_int_equal(inet_pton(AF_INET, cluster->hosts[i].address, &address), 1);
    assert_true(ntohl(address.s_addr) > last);
    last = ntohl(address.s_addr);
  }
  provider_sim.detach(cluster);
  virtual_time_release(&time);
  arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_action_decides_what_the_sender_learns),
      cmocka_unit_test(test_one_direction_lets_data_arrive_and_no_connection_open),
      cmocka_unit_test(test_ports_and_new_connections),
      cmocka_unit_test(test_a_cut_holds_over_a_restart_and_until_its_own_fault_is_mended),
      cmocka_unit_test(test_a_cut_is_judged_apart_from_anothers),
      cmocka_unit_test(test_what_it_does_not_know_is_refused),
      cmocka_unit_test(test_addresses_of_many_hosts),
  };
  return cmocka_run_group_tests_name("sim_links", tests, NULL, NULL);
}
