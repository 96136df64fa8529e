/* Finding simulated processes as a provider finds real ones: by program, by command line, by the
 * unit that started them. Then signals, freezing, and units. */
#include <signal.h>
#include <string.h>

#include "sim/sim.h"

/* What the process list of a real host would show for each kind of process. */
struct command {
  const char *kind, *program, *line;
  const char *units[2]; /* one of these, that is on the host, has started it */
};
static const struct command commands[] = {
    {.kind = "postmaster",
     .program = "postgres",
     .line = "postgres -D " HOST_DATA_DIRECTORY "/postgres/data",
     .units = {"patroni", "postgres"}},
    {.kind = "patroni",
     .program = "patroni",
     .line = "/usr/bin/patroni /etc/gameday/patroni.yml",
     .units = {"patroni"}},
    {.kind = "etcd",
     .program = "etcd",
     .line = "/usr/bin/etcd --data-dir=" HOST_DATA_DIRECTORY "/etcd",
     .units = {"etcd"}},
    {.kind = "postgres",
     .program = "sh",
     .line = "/bin/sh /etc/gameday/start-postgres",
     .units = {"postgres"}},
    {.kind = "redis",
     .program = "redis-server",
     .line = "/usr/bin/redis-server *:6379",
     .units = {"redis"}},
    /* The same process at another port. */
    {.kind = "redis-bus",
     .program = "redis-server",
     .line = "/usr/bin/redis-server *:6379",
     .units = {"redis"}},
    /* Many processes, which come and go together. */
    {.kind = "memory-fill", .program = "tail", .line = "tail", .units = {"memory-fill"}},
    {.kind = "redis-sentinel",
     .program = "redis-sentinel",
     .line = "/usr/bin/redis-sentinel *:26379 [sentinel]",
     .units = {"redis-sentinel"}},
};

static const struct command *command_of(const struct sim_process *process) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(commands[i].kind, process->kind->name) == 0) return &commands[i];
  return NULL;
}

static struct sim_process *unit_named(const struct sim_cluster *sim, const struct host *host,
                                      const char *name) {
  struct sim_process *process = sim->world.hosts[host->index].processes;
  while (process && !(process->kind->unit && strcmp(process->kind->name, name) == 0))
    process = process->next;
  return process;
}

static bool started_by(const struct sim_cluster *sim, const struct host *host,
                       const struct command *command, const char *unit) {
  for (size_t i = 0; i < 2 && command->units[i]; i++)
    if (strcmp(command->units[i], unit) == 0 && unit_named(sim, host, unit)) return true;
  return false;
}

/* Only what lives is found. `match` NULL: everything. */
static bool matches(const struct sim_cluster *sim, const struct host *host,
                    const struct sim_process *process, const struct process_match *match) {
  const struct command *command = command_of(process);
  if (!process->running || !command) return false;
  if (!match) return true;
  return (!match->program || strcmp(command->program, match->program) == 0) &&
         (!match->argument || strstr(command->line, match->argument)) &&
         (!match->unit || started_by(sim, host, command, match->unit));
}

static void deliver(struct sim_cluster *sim, struct sim_process *process, int signal) {
  switch (signal) {
    case 0: break;
    case SIGSTOP: sim_process_freeze(process, true); break;
    case SIGCONT: sim_process_freeze(process, false); break;
    case SIGKILL:
      if (sim->config->guilty == GUILTY_IMMUNE) break;
      sim_truth_note(sim->truth, SIM_TRUTH_KILLED, process->host, 0);
      sim_process_kill(process);
      break;
    default:
      if (sim->claims[process->host].terminate)
        sim->claims[process->host].terminate(sim->claims[process->host].service, process, signal);
      else
        sim_process_kill(process);
      break;
  }
}

int sim_signal(struct cluster *cluster, const struct host *host, const struct process_match *match,
               int signal, uint32_t *ret_count, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  struct sim_process *found[8];
  uint32_t count = 0;
  (void)err;
  /* All found first: what one does when it dies must not hide another. */
  for (struct sim_process *p = sim->world.hosts[host->index].processes; p; p = p->next)
    if (matches(sim, host, p, match) && count < sizeof found / sizeof *found) found[count++] = p;
  for (uint32_t i = 0; i < count; i++) deliver(sim, found[i], signal);
  if (ret_count) *ret_count = count;
  return 0;
}

int sim_freeze(struct cluster *cluster, const struct host *host, const struct process_match *match,
               bool frozen, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  sim_truth_note(sim->truth, frozen ? SIM_TRUTH_FROZEN : SIM_TRUTH_THAWED, host->index, 0);
  if (!match) {
    if (frozen && !sim->world.hosts[host->index].on)
      return error_set(err, STATUS_SERVER, "freeze: host %s is off", host->name);
    sim_host_freeze(&sim->world, host->index, frozen);
    return 0;
  }
  for (struct sim_process *p = sim->world.hosts[host->index].processes; p; p = p->next)
    if (matches(sim, host, p, match)) sim_process_freeze(p, frozen);
  return 0;
}

int sim_frozen(struct cluster *cluster, const struct host *host, const struct process_match *match,
               bool *ret_frozen, struct error *err) {
  const struct sim_cluster *sim = sim_cluster_of(cluster);
  const struct sim_host *machine = &sim->world.hosts[host->index];
  if (!match && machine->on) {
    *ret_frozen = machine->frozen;
    return 0;
  }
  bool all = true;
  uint32_t living = 0;
  for (const struct sim_process *p = machine->processes; p; p = p->next) {
    if (!matches(sim, host, p, match)) continue;
    living++;
    all = all && p->frozen;
  }
  if (living == 0)
    return error_set(err, STATUS_SERVER, "no such process runs on host %s", host->name);
  *ret_frozen = all;
  return 0;
}

int sim_unit_define(struct cluster *cluster, const struct host *host, const struct host_unit *unit,
                    struct error *err) {
  if (unit->memory_bytes > 0) return sim_memory_define(sim_cluster_of(cluster), host, unit, err);
  return error_set(err, STATUS_ENVIRONMENT,
                   "%s: a simulated host runs models of services, not the program %s", host->name,
                   unit->argv[0]);
}

int sim_unit_start(struct cluster *cluster, const struct host *host, const char *name,
                   struct error *err) {
  struct sim_process *unit = unit_named(sim_cluster_of(cluster), host, name);
  if (!unit) return error_set(err, STATUS_USAGE, "host %s has no unit %s", host->name, name);
  if (!sim_cluster_of(cluster)->world.hosts[host->index].on)
    return error_set(err, STATUS_SERVER, "host %s is off", host->name);
  sim_process_start(unit);
  return 0;
}

int sim_unit_running(struct cluster *cluster, const struct host *host, const char *name,
                     bool *ret_running, struct error *err) {
  const struct sim_cluster *sim = sim_cluster_of(cluster);
  if (!unit_named(sim, host, name))
    return error_set(err, STATUS_USAGE, "host %s has no unit %s", host->name, name);
  *ret_running = false;
  for (const struct sim_process *p = sim->world.hosts[host->index].processes; p; p = p->next) {
    const struct command *command = command_of(p);
    if (p->running && command && started_by(sim, host, command, name)) *ret_running = true;
  }
  return 0;
}
