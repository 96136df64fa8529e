/* What an error answer of a PostgreSQL server says about the statement that it answers: was it
 * certainly not applied, or may it have been? One table, by SQLSTATE. */
#ifndef GAMEDAY_WORKLOAD_PG_OUTCOME_H
#define GAMEDAY_WORKLOAD_PG_OUTCOME_H

#include <stdbool.h>

#include "gameday/event.h"

/* One rule: the longest prefix of the SQLSTATE that is in the table wins. */
struct pg_outcome_rule {
  const char *prefix; /* 2 to 5 characters */
  enum outcome outcome;
  const char *reason;
};

/* Ended by a NULL prefix; in the order of the prefixes. */
extern const struct pg_outcome_rule pg_outcome_rules[];

/* The outcome of a single autocommitted statement that was answered with `sqlstate` (five
 * characters; NULL or anything else: no SQLSTATE came) at severity ERROR, or FATAL and PANIC when
 * `fatal`. `writes`: the statement changes data. Never OK. */
enum outcome pg_outcome(const char *sqlstate, bool fatal, bool writes);

/* Whether a WARNING of this SQLSTATE that comes with a write's success takes the success back: the
 * wait for the synchronous standby was cut short, so that the row is committed on this server and
 * perhaps on no other. */
bool pg_warning_is_doubt(const char *sqlstate);

#endif
