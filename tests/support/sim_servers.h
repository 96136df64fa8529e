/* Simulated PostgreSQL servers in virtual time, without a provider, a service or a manager: for
 * tests of the servers and of their driver. Hosts 0 .. count - 1 are servers, the next two carry
 * clients. */
#ifndef GAMEDAY_TESTS_SUPPORT_SIM_SERVERS_H
#define GAMEDAY_TESTS_SUPPORT_SIM_SERVERS_H

#include "gameday/workload.h"
#include "sim/postgres.h"
#include "support/virtual_time.h"

#define SIM_CLIENT_HOSTS 2

struct sim_servers {
  struct virtual_time time;
  struct sim_world world;
  struct postgres_config config;
  struct host hosts[HOSTS_MAX];
  const struct host *members[POSTGRES_INSTANCES_MAX];
  struct endpoint endpoints[POSTGRES_INSTANCES_MAX];
  struct sim_process clients[SIM_CLIENT_HOSTS];
  struct sim_postgres_cluster *cluster;
  struct access access;
  struct client_options options;
  uint32_t count;
};

extern const struct sim_postgres_costs sim_servers_costs;

/* Bootstrapped: member 0 is primary. `config` NULL: a Patroni cluster with 100 connections. */
void sim_servers_init(struct sim_servers *servers, uint32_t count, uint64_t seed,
                      const struct postgres_config *config);
void sim_servers_release(struct sim_servers *servers);
void sim_servers_run(struct sim_servers *servers, uint64_t for_ns);
struct sim_postgres *sim_servers_at(struct sim_servers *servers, uint32_t member);
/* Both directions between two hosts. */
void sim_servers_cut(struct sim_servers *servers, uint16_t a, uint16_t b, bool cut);

/* A client that sends one request at a time, and what became of the last. */
struct sim_client {
  struct sim_servers *servers;
  struct session *session;
  struct request request;
  struct reply reply;
  char text[32];
  uint32_t identity;
  uint64_t sequence; /* of the last append */
  uint32_t answers, ready, lost;
  uint64_t lost_ns;
  struct error why;
};
void sim_client_init(struct sim_client *client, struct sim_servers *servers, enum route route,
                     uint16_t pinned_host, uint32_t identity);
void sim_client_release(struct sim_client *client);
/* Connects, and runs the world until it is READY or LOST. */
bool sim_client_connect(struct sim_client *client);
void sim_client_send(struct sim_client *client, enum statement_meaning meaning);
/* Sends and runs the world until it is answered: the outcome. */
enum outcome sim_client_do(struct sim_client *client, enum statement_meaning meaning);

/* Servers and one client of theirs, identity 7. */
struct sim_bench {
  struct sim_servers servers;
  struct sim_client client;
};
/* With the defaults of sim_servers_init(); the client is not connected yet. */
struct sim_bench *sim_bench_new(uint32_t count, enum route route, uint16_t pinned_host);
void sim_bench_free(struct sim_bench *bench);
void sim_bench_run(struct sim_bench *bench, uint64_t for_ns);
struct sim_postgres *sim_bench_at(struct sim_bench *bench, uint32_t member);

/* The rows that a member has, as "identity/sequence " each, in their order. */
void sim_servers_rows(struct sim_servers *servers, uint32_t member, char *text, size_t size);
/* How many there are; -1: it cannot be asked. */
int sim_servers_row_count(struct sim_servers *servers, uint32_t member);

#endif
