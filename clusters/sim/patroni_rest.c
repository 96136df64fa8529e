/* What Patroni asks of other hosts: the REST interface of other members, 2 s at most and all at the
 * same time (fetch_nodes_statuses() in ha.py), and the leader's server before a rewind
 * (check_leader_is_not_in_recovery() in postgresql/rewind.py). */
#include "sim/patroni_internal.h"

#define ASK_TIMEOUT_NS (2 * NS_PER_S)
#define VISIT_TIMEOUT_NS (3 * NS_PER_S)
#define REQUEST_BYTES 300
#define ANSWER_BYTES 700
/* From the moment when the candidate read its own position until the other reads its own: drawn,
 * for it decides who is ahead of whom while the log grows. The rest of TLS and Python comes after.
 */
#define HANDSHAKE_MIN_NS (1 * NS_PER_MS)
#define HANDSHAKE_SPREAD_NS (6 * NS_PER_MS)
#define HANDLE_NS (40 * NS_PER_MS)
/* A connection to a server, with TLS and password. */
#define VISIT_NS (60 * NS_PER_MS)

/* Arguments on their way: `number` of the inquiry, `number2` the member asked. `pointer`: who asks.
 */
static bool is_current(const struct sim_args *args) {
  const struct sim_manager *m = args->pointer;
  return m->inquiry.number == args->number && (m->inquiry.waiting & 1u << args->number2);
}

static void answered(struct sim_manager *m, uint32_t member, struct sim_status status) {
  struct sim_inquiry *inquiry = &m->inquiry;
  inquiry->answers[member] = status;
  inquiry->waiting &= ~(1u << member);
  if (inquiry->waiting == 0) inquiry->after(m);
}

static void on_failed(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  if (is_current(args))
    answered(args->pointer, (uint32_t)args->number2, (struct sim_status){.reachable = false});
}

/* --- REST ------------------------------------------------------------------------------------ */

/* A copy of the status travels in the arguments: `number3` is the position, the role its lowest
 * bit. */
static void on_status(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  if (!is_current(args)) return;
  const struct sim_status status = {
      .reachable = true, .primary = args->number3 & 1, .position = args->number3 >> 1};
  answered(args->pointer, (uint32_t)args->number2, status);
}

static void reply(struct sim_process *self, const struct sim_args *args, sim_call *deliver) {
  const struct sim_manager *m = args->pointer;
  if (!is_current(args)) return;
  struct sim_manager *asking = m->patroni->managers + m->member;
  sim_send(&(struct sim_message){.from = self,
                                 .to = &asking->process,
                                 .to_life = m->process.life,
                                 .connection = args->number,
                                 .bytes = ANSWER_BYTES,
                                 .deliver = deliver,
                                 .wanted = is_current,
                                 .args = *args});
}

static void on_handled(struct sim_process *self, const struct sim_args *args) {
  reply(self, args, on_status);
}

static void on_unhealthy(struct sim_process *self, const struct sim_args *args) {
  reply(self, args, on_failed);
}

/* get_postgresql_status(): a server that is down, starting or frozen gives no position, and its
 * member counts as unreachable. */
static void on_asked(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *peer = self->owner;
  enum sim_postgres_state state = sim_postgres_state(peer->server);
  bool primary = state == SIM_PG_PRIMARY;
  bool answers = primary || state == SIM_PG_STANDBY || state == SIM_PG_PROMOTING;
  uint64_t position = sim_postgres_position(peer->server);
  if (sim_postgres_process(peer->server)->frozen) return; /* its query hangs */
  struct sim_args status = *args;
  status.number3 = position << 1 | primary;
  sim_after(self, HANDLE_NS, answers ? on_handled : on_unhealthy, &status);
}

static void on_handshake(struct sim_process *self, const struct sim_args *args) {
  const struct sim_manager *m = args->pointer;
  if (!is_current(args)) return;
  struct sim_manager *peer = &m->patroni->managers[args->number2];
  sim_send(&(struct sim_message){.from = self,
                                 .to = &peer->process,
                                 .to_life = args->number3,
                                 .connection = args->number,
                                 .bytes = REQUEST_BYTES,
                                 .deliver = on_asked,
                                 .broken = on_failed,
                                 .wanted = is_current,
                                 .args = *args});
}

static void on_opened(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = args->pointer;
  uint64_t spread_ns = prng_below(&m->prng, HANDSHAKE_SPREAD_NS);
  sim_after(self, HANDSHAKE_MIN_NS + spread_ns, on_handshake, args);
}

static void begin(struct sim_manager *m, uint32_t mask, void (*then)(struct sim_manager *m)) {
  m->inquiry =
      (struct sim_inquiry){.number = m->inquiry.number + 1, .waiting = mask, .after = then};
}

static void ask_one(struct sim_manager *m, uint32_t member) {
  const struct sim_args args = {.pointer = m, .number = m->inquiry.number, .number2 = member};
  sim_after(&m->process, ASK_TIMEOUT_NS, on_failed, &args);
  sim_connect(&(struct sim_connect){.from = &m->process,
                                    .to = &m->patroni->managers[member].process,
                                    .opened = on_opened,
                                    .refused = on_failed,
                                    .wanted = is_current,
                                    .args = args});
}

void ha_ask(struct sim_manager *m, uint32_t mask, void (*then)(struct sim_manager *m)) {
  mask &= ~(1u << m->member) & ((1u << m->patroni->count) - 1);
  begin(m, mask, then);
  if (mask == 0) {
    then(m);
    return;
  }
  for (uint32_t i = 0; i < m->patroni->count; i++)
    if (mask & 1u << i) ask_one(m, i);
}

/* --- the leader's server --------------------------------------------------------------------- */

/* Connected, authenticated and answered: 5 round trips or so, of which the longest part is counted
 * as time. */
static void on_visited(struct sim_process *self, const struct sim_args *args) {
  const struct sim_manager *m = args->pointer;
  (void)self;
  if (!is_current(args)) return;
  uint32_t member = (uint32_t)args->number2;
  bool primary = ha_server_is_primary(&m->patroni->managers[member]);
  answered(args->pointer, member, (struct sim_status){.reachable = true, .primary = primary});
}

static void on_door_opened(struct sim_process *self, const struct sim_args *args) {
  const struct sim_manager *m = args->pointer;
  if (!is_current(args)) return;
  if (!sim_postgres_process(m->patroni->managers[args->number2].server)->frozen)
    sim_after(self, VISIT_NS, on_visited, args);
}

void ha_visit(struct sim_manager *m, uint32_t leader, void (*then)(struct sim_manager *m)) {
  begin(m, 1u << leader, then);
  const struct sim_args args = {.pointer = m, .number = m->inquiry.number, .number2 = leader};
  sim_after(&m->process, VISIT_TIMEOUT_NS, on_failed, &args);
  sim_connect(&(struct sim_connect){.from = &m->process,
                                    .to = sim_postgres_process(m->patroni->managers[leader].server),
                                    .opened = on_door_opened,
                                    .refused = on_failed,
                                    .wanted = is_current,
                                    .args = args});
}
