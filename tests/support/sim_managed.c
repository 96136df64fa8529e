/* Simulated, managed servers for tests. */
#include "support/sim_managed.h"

#include "sim/sim.h"
#include "support/test.h"

#define WRITE_NS (20 * NS_PER_MS)
#define STEP_NS (5 * NS_PER_MS)

const struct postgres_config sim_managed_config = {.topology = TOPOLOGY_PATRONI,
                                                   .instances = 3,
                                                   .ttl_ns = 30 * NS_PER_S,
                                                   .loop_wait_ns = 10 * NS_PER_S,
                                                   .retry_timeout_ns = 10 * NS_PER_S,
                                                   .primary_start_timeout_ns = 300 * NS_PER_S,
                                                   .maximum_lag_on_failover_bytes = 1 << 20,
                                                   .synchronous_node_count = 1,
                                                   .use_pg_rewind = true,
                                                   .data_checksums = true,
                                                   .max_connections = 100};

void sim_managed_begin(struct sim_managed *managed, uint64_t seed,
                       const struct postgres_config *config) {
  *managed = (struct sim_managed){.version = SIM_PATRONI_3_2};
  sim_managed_init(managed, 3, seed, config);
  sim_managed_write(managed, true);
  sim_managed_run(managed, 12 * NS_PER_S);
}

uint64_t sim_managed_now_ns(const struct sim_managed *managed) {
  return managed->servers.time.now_ns;
}

struct sim_manager *sim_managed_at(struct sim_managed *managed, uint32_t member) {
  return &managed->patroni->managers[member];
}

/* --- what is heard --------------------------------------------------------------------------- */

static void key_changed(void *data) {
  struct sim_managed *managed = data;
  struct sim_patroni_view view;
  sim_patroni_view(managed->patroni, &view);
  if (view.leader == managed->leader) return;
  if (managed->leader != NOBODY) managed->lost_ns = sim_managed_now_ns(managed);
  if (view.leader != NOBODY) managed->gained_ns = sim_managed_now_ns(managed);
  managed->leader = view.leader;
  managed->changes++;
}

static void server_changed(void *data, uint32_t member) {
  struct sim_managed *managed = data;
  uint32_t primaries = 0;
  for (uint32_t i = 0; i < managed->servers.count; i++)
    primaries += sim_postgres_state(sim_servers_at(&managed->servers, i)) == SIM_PG_PRIMARY;
  uint64_t now_ns = sim_managed_now_ns(managed);
  if (primaries > managed->primaries_max) managed->primaries_max = primaries;
  if (primaries > 1 && managed->both_since_ns == 0) managed->both_since_ns = now_ns;
  if (primaries < 2 && managed->both_since_ns > 0) {
    uint64_t both_ns = now_ns - managed->both_since_ns;
    if (both_ns > managed->both_ns) managed->both_ns = both_ns;
    managed->both_since_ns = 0;
  }
  if (sim_postgres_state(sim_servers_at(&managed->servers, member)) != SIM_PG_PRIMARY ||
      managed->promoted == member)
    return;
  managed->promoted = member;
  managed->promoted_ns = sim_managed_now_ns(managed);
}

/* --- the writer ------------------------------------------------------------------------------ */

static void write_row(struct timer *timer, uint64_t now_ns) {
  struct sim_managed *managed = timer->owner;
  struct session *session = managed->writer.session;
  struct error err = ERROR_INIT;
  if (session->state == SESSION_IDLE || session->state == SESSION_LOST)
    driver_sim_postgres.session_connect(session);
  else if (session->state == SESSION_READY && session->in_flight == 0)
    sim_client_send(&managed->writer, STATEMENT_APPEND);
  if (managed->writing)
    assert_ok(loop_timer_arm(managed->servers.time.loop, timer, now_ns + WRITE_NS, &err), &err);
}

void sim_managed_write(struct sim_managed *managed, bool writing) {
  struct error err = ERROR_INIT;
  managed->writing = writing;
  if (!managed->writes.position && writing)
    assert_ok(loop_timer_arm(managed->servers.time.loop, &managed->writes,
                             sim_managed_now_ns(managed), &err),
              &err);
}

/* --- life ------------------------------------------------------------------------------------ */

void sim_managed_init(struct sim_managed *managed, uint32_t instances, uint64_t seed,
                      const struct postgres_config *config) {
  struct error err = ERROR_INIT;
  enum sim_patroni_version version = managed->version;
  *managed = (struct sim_managed){.config = config ? *config : sim_managed_config};
  managed->config.instances = instances;
  sim_servers_init(&managed->servers, instances, seed, &managed->config);
  const struct sim_patroni_options options = {.version = version,
                                              .fsync_ns = sim_servers_costs.fsync_ns,
                                              .recovery_ns = sim_servers_costs.recovery_ns};
  assert_ok(
      sim_patroni_new(&managed->servers.world, &managed->config, &options, managed->servers.cluster,
                      managed->servers.members, &managed->patroni, &err),
      &err);
  managed->leader = managed->promoted = 0;
  sim_patroni_listen(managed->patroni, key_changed, managed);
  sim_postgres_listen(managed->servers.cluster, server_changed, managed);
  sim_patroni_bootstrap(managed->patroni);
  sim_client_init(&managed->writer, &managed->servers, ROUTE_PRIMARY, HOST_NONE, 1);
  managed->writes = (struct timer){.fire = write_row, .owner = managed};
}

void sim_managed_release(struct sim_managed *managed) {
  loop_timer_cancel(managed->servers.time.loop, &managed->writes);
  sim_client_release(&managed->writer);
  sim_servers_release(&managed->servers);
  sim_patroni_free(managed->patroni);
}

void sim_managed_run(struct sim_managed *managed, uint64_t for_ns) {
  sim_servers_run(&managed->servers, for_ns);
}

/* --- waiting --------------------------------------------------------------------------------- */

uint32_t sim_managed_primary(struct sim_managed *managed) {
  uint32_t found = NOBODY;
  for (uint32_t i = 0; i < managed->servers.count; i++) {
    if (sim_postgres_state(sim_servers_at(&managed->servers, i)) != SIM_PG_PRIMARY) continue;
    if (found != NOBODY) return NOBODY;
    found = i;
  }
  return found;
}

uint64_t sim_managed_failover(struct sim_managed *managed, uint32_t old, uint64_t most_ns) {
  uint64_t begin_ns = sim_managed_now_ns(managed);
  for (;;) {
    uint32_t primary = sim_managed_primary(managed);
    if (primary != NOBODY && primary != old) return sim_managed_now_ns(managed) - begin_ns;
    if (sim_managed_now_ns(managed) - begin_ns > most_ns) fail_msg("no new primary in time");
    sim_managed_run(managed, STEP_NS);
  }
}

static bool has_converged(struct sim_managed *managed) {
  uint32_t primary = sim_managed_primary(managed);
  if (primary == NOBODY) return false;
  struct sim_postgres *leads = sim_servers_at(&managed->servers, primary);
  for (uint32_t i = 0; i < managed->servers.count; i++) {
    uint64_t replayed;
    bool synchronous;
    if (i == primary) continue;
    if (sim_postgres_state(sim_servers_at(&managed->servers, i)) != SIM_PG_STANDBY ||
        !sim_postgres_streams_to(leads, i, &replayed, &synchronous) ||
        sim_postgres_replayed(sim_servers_at(&managed->servers, i)) < sim_postgres_position(leads))
      return false;
  }
  return true;
}

/* What stands in the way, for people. */
static void describe(struct sim_managed *managed) {
  for (uint32_t i = 0; i < managed->servers.count; i++) {
    const struct sim_manager *m = sim_managed_at(managed, i);
    print_message(
        "member %u: server %d, timeline %u, at %llu; manager %s action %d role %d rewind %d "
        "follows %d leader %d cache %d base %u locked %d\n",
        i, (int)sim_postgres_state(m->server), sim_postgres_timeline(m->server),
        (unsigned long long)sim_postgres_position(m->server),
        m->process.running ? "runs" : "is dead", (int)m->action, (int)m->role, (int)m->rewind,
        m->follows ? (int)m->following : -2, (int)m->client.keys.leader, m->client.ready,
        m->client.base, m->locked);
  }
}

void sim_managed_converge(struct sim_managed *managed, uint64_t most_ns) {
  uint64_t begin_ns = sim_managed_now_ns(managed);
  sim_managed_write(managed, false);
  while (!has_converged(managed)) {
    if (sim_managed_now_ns(managed) - begin_ns > most_ns) {
      describe(managed);
      fail_msg("not converged in time");
    }
    sim_managed_run(managed, STEP_NS);
  }
}

/* --- trouble --------------------------------------------------------------------------------- */

uint32_t sim_managed_raft_leader(struct sim_managed *managed) {
  const struct sim_etcd *etcd = &managed->patroni->etcd;
  for (uint32_t i = 0; i < etcd->voter_count; i++) {
    const struct sim_voter *v = &etcd->voters[i];
    if (v->process.running && !v->process.frozen && v->role == SIM_RAFT_LEADER && v->lessor)
      return i;
  }
  return NOBODY;
}

void sim_managed_make_raft_leader(struct sim_managed *managed, uint32_t voter) {
  for (int round = 0; round < 50; round++) {
    uint32_t leader = sim_managed_raft_leader(managed);
    if (leader == voter) return;
    if (leader == NOBODY) {
      sim_managed_run(managed, NS_PER_S);
      continue;
    }
    struct sim_process *process = &managed->patroni->etcd.voters[leader].process;
    sim_process_freeze(process, true);
    sim_managed_run(managed, 3 * NS_PER_S);
    sim_process_freeze(process, false);
    sim_managed_run(managed, NS_PER_S);
  }
  fail_msg("voter %u never leads", voter);
}

void sim_managed_isolate(struct sim_managed *managed, uint16_t host, bool isolated) {
  for (uint32_t i = 0; i < managed->servers.world.host_count; i++)
    if (i != host) sim_servers_cut(&managed->servers, host, (uint16_t)i, isolated);
}
