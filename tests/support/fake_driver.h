/* A database that exists in memory only, on any loop: a driver for it and a workload of plain
 * writes and reads. A test says when the server is down, stalls, or how long it takes. */
#ifndef GAMEDAY_TESTS_SUPPORT_FAKE_DRIVER_H
#define GAMEDAY_TESTS_SUPPORT_FAKE_DRIVER_H

#include "gameday/workload.h"

#define FAKE_CLASSES_MAX 8

struct fake_database {
  bool down;           /* connects are refused; sessions stay as they are */
  bool stalled;        /* requests are taken and not answered until it goes on */
  uint64_t connect_ns; /* how long a connect takes */
  uint64_t service_ns; /* how long a request takes, one after the other on a session */
  uint64_t row_count;
  uint16_t shard; /* of all keys */
  uint32_t connects;
  uint32_t in_flight_most; /* on any one session */
};

/* The workload's configuration. */
struct fake_config {
  struct client_options options;
  struct client_class classes[FAKE_CLASSES_MAX]; /* those with a count */
  double read_ratio;
  uint64_t payload;
};

extern const struct driver fake_driver;
/* kind by class name: "heartbeat" HEARTBEAT_WRITE, "probe" PROBE, else WRITE or READ_OWN. */
extern const struct workload fake_workload;

/* `access` is for the one fake server, host 0, of `database`. */
void fake_access_init(struct access *access, struct fake_database *database);
/* Breaks the connection of a session of fake_driver: what is in flight is UNKNOWN. */
void fake_session_break(struct session *session);
/* Lets the session answer again what it holds, after `stalled` was reset. */
void fake_session_go_on(struct session *session);

#endif
