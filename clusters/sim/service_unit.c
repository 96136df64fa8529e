/* The unit `postgres` of the topologies without a manager: the start program that the real service
 * writes (services/postgres_config.c), and what signals do to a postmaster. */
#include <signal.h>

#include "sim/service.h"

#define ASK_TIMEOUT_NS (2 * NS_PER_S) /* connect_timeout of the program */
#define AGAIN_NS NS_PER_S             /* after a copy that failed */
#define PSQL_NS (20 * NS_PER_MS)      /* a query on a new connection */

/* Arguments: `number` is the member that is asked, `number2` tells stale answers apart. */
static struct sim_service *service_of(const struct sim_process *process) {
  return process->owner;
}

static uint32_t member_of(const struct sim_process *process) {
  return (uint32_t)(process - service_of(process)->units);
}

static void ask(struct sim_process *self, uint32_t member);

/* It becomes the postmaster (exec). */
static void become(struct sim_process *self, enum sim_postgres_role role) {
  struct sim_service *service = service_of(self);
  struct sim_postgres *server = sim_postgres_member(service->servers, member_of(self));
  sim_postgres_start(server, role, UINT32_MAX);
  sim_process_kill(self);
}

static void on_again(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  ask(self, 0);
}

static void on_copied(struct sim_process *self, const struct sim_args *args) {
  if (args->number)
    become(self, SIM_PG_AS_STANDBY);
  else
    sim_after(self, AGAIN_NS, on_again, NULL);
}

static bool is_asked(const struct sim_process *self, const struct sim_args *args) {
  return service_of(self)->asked[member_of(self)] == args->number2;
}

static void on_next(struct sim_process *self, const struct sim_args *args) {
  if (is_asked(self, args)) ask(self, (uint32_t)args->number + 1);
}

static void on_answer(struct sim_process *self, const struct sim_args *args) {
  struct sim_service *service = service_of(self);
  uint32_t other = (uint32_t)args->number;
  if (!is_asked(self, args)) return;
  if (!sim_service_answers(service, other)) return; /* the time-out does the rest */
  struct sim_postgres *server = sim_postgres_member(service->servers, member_of(self));
  if (sim_postgres_state(sim_postgres_member(service->servers, other)) != SIM_PG_PRIMARY) {
    ask(self, other + 1);
    return;
  }
  service->asked[member_of(self)]++;
  sim_postgres_rebuild(server, other, false, self, on_copied);
}

static void on_opened(struct sim_process *self, const struct sim_args *args) {
  sim_after(self, PSQL_NS, on_answer, args);
}

static bool still_asked(const struct sim_args *args) {
  return is_asked(args->pointer, args);
}

/* Is another one the primary? Then this one is copied from it. Asked in order, of a former primary
 * only. */
static void ask(struct sim_process *self, uint32_t member) {
  struct sim_service *service = service_of(self);
  if (member == member_of(self)) member++;
  if (member >= service->count) {
    become(self, SIM_PG_AS_PRIMARY);
    return;
  }
  const struct sim_args args = {
      .pointer = self, .number = member, .number2 = ++service->asked[member_of(self)]};
  sim_after(self, ASK_TIMEOUT_NS, on_next, &args);
  sim_connect(&(struct sim_connect){
      .from = self,
      .to = sim_postgres_process(sim_postgres_member(service->servers, member)),
      .opened = on_opened,
      .refused = on_next,
      .wanted = still_asked,
      .args = args});
}

static void on_begin(struct sim_process *self, const struct sim_args *args) {
  struct sim_service *service = service_of(self);
  struct sim_postgres *server = sim_postgres_member(service->servers, member_of(self));
  (void)args;
  if (sim_postgres_state(server) != SIM_PG_DOWN)
    sim_process_kill(self); /* its predecessor is at work */
  else if (sim_postgres_was_standby(server))
    become(self, SIM_PG_AS_STANDBY);
  else
    ask(self, 0);
}

static void started(struct sim_process *process) {
  sim_after(process, 0, on_begin, NULL);
}

static const struct sim_process_kind unit_kind = {
    .name = "postgres", .unit = true, .started = started};

void sim_service_add_units(struct sim_service *service) {
  for (uint32_t i = 0; i < service->count; i++)
    sim_process_add(&service->cluster->world, &service->units[i], &unit_kind,
                    service->instance->members[i]->index, service);
}

/* --- signals --------------------------------------------------------------------------------- */

/* SIGTERM waits for clients to leave, which clients of a workload do not: it is taken as never
 * done; SIGINT ends them. A program that knows no better dies. */
static void on_signal(struct sim_process *self, const struct sim_args *args) {
  struct sim_service *service = args->pointer;
  int signal = (int)args->number;
  for (uint32_t i = 0; i < service->count; i++) {
    struct sim_postgres *server = sim_postgres_member(service->servers, i);
    if (self != sim_postgres_process(server)) continue;
    if (signal == SIGQUIT)
      sim_postgres_stop(server, true);
    else if (signal == SIGINT || sim_postgres_connections(server) == 0)
      sim_postgres_stop(server, false);
    return;
  }
  if (!service->patroni || !sim_patroni_terminate(service->patroni, self)) sim_process_kill(self);
}

/* A frozen process finds it at its thaw. */
void sim_service_terminate(void *data, struct sim_process *process, int signal) {
  sim_after(process, 0, on_signal, &(struct sim_args){.pointer = data, .number = (uint64_t)signal});
}
