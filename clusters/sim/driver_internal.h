/* The parts of the simulator's PostgreSQL driver (driver_sim_postgres) among themselves. A session
 * behaves as one of the real driver: workload/pg_client.h says how it connects, what counts as
 * acknowledged and how it ends. */
#ifndef GAMEDAY_CLUSTERS_SIM_DRIVER_INTERNAL_H
#define GAMEDAY_CLUSTERS_SIM_DRIVER_INTERNAL_H

#include "gameday/driver.h"
#include "gameday/endpoints.h"
#include "sim/postgres_internal.h"

enum sim_session_phase {
  SIM_CLOSED,
  SIM_CONNECTING,     /* TCP */
  SIM_AUTHENTICATING, /* TLS and password */
  SIM_ASKING,         /* for the server's role */
  SIM_OPEN,
};

/* A request between its send and its completion. */
struct sim_flight {
  struct request *request;
  bool answered; /* its answer has overtaken that of an earlier one */
  struct reply reply;
};

struct sim_session {
  struct session base; /* first: the loop's users see this */
  /* What each request needs, together. */
  struct sim_postgres_cluster *cluster;
  struct sim_process *client;
  struct sim_connection *connection; /* NULL: none */
  struct sim_flight *flights;        /* a ring, oldest first */
  uint64_t first;                    /* number of the oldest flight */
  uint64_t epoch;     /* grows with every connection closed: a callback may have done it */
  uint64_t unsent_ns; /* when what the server's kernel has not acknowledged was sent; 0: nothing */
  uint32_t capacity, head; /* of the flights */
  uint32_t lost_code;      /* packed code with which the server announced the end; 0: none */
  uint8_t phase;           /* enum sim_session_phase */
  bool leaving;            /* 25006 on ROUTE_PRIMARY */
  struct timer timer;      /* end of the attempt, or the earliest deadline */

  uint64_t attempt_ns, connected_ns;
  struct endpoint_round round;
};

/* driver_connect.c */

void session_connect_round(struct sim_session *session);
void session_connect_timeout(struct sim_session *session);
/* The attempt is over; the next endpoint, or LOST. */
void session_attempt_failed(struct sim_session *session, const char *why);
/* Closes the connection; flights stay. */
void session_disconnect(struct sim_session *session);
/* What a server's code means in words. */
const char *session_code_text(uint32_t code);

/* driver.c */

/* Arms the session's timer; without memory for it the run is not to be trusted. */
int session_arm(struct sim_session *session, uint64_t deadline_ns, struct error *err);
/* Ends the session: completes what is in flight, then LOST. */
void session_lost(struct sim_session *session, const char *why);

#endif
