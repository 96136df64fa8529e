/* The table of SQLSTATEs: what each class of errors says about a statement that was sent. */
#include "workload/pg_outcome.h"

#include <stddef.h>
#include <string.h>

/* The ground of every FAIL below: a statement outside a transaction block commits at its Sync, and
 * a server that answers it with an ERROR has rolled it back before it says so. What could have come
 * after the commit record was written, or says that the server lost its footing, is UNKNOWN, and so
 * is what nobody here has thought of. */
const struct pg_outcome_rule pg_outcome_rules[] = {
    {"03", OUTCOME_FAIL, "sql statement not yet complete: nothing ran"},
    {"08", OUTCOME_UNKNOWN,
     "connection exceptions, a pooler's too: the server's part is not known"},
    {"09", OUTCOME_FAIL, "a trigger raised an error: rolled back"},
    {"0A", OUTCOME_FAIL, "feature not supported: refused before it ran"},
    {"0B", OUTCOME_FAIL, "invalid transaction initiation: refused"},
    {"0F", OUTCOME_FAIL, "locator exceptions: rolled back"},
    {"0L", OUTCOME_FAIL, "invalid grantor: refused"},
    {"0P", OUTCOME_FAIL, "invalid role specification: refused"},
    {"0Z", OUTCOME_FAIL, "diagnostics exceptions: rolled back"},
    {"20", OUTCOME_FAIL, "case not found: rolled back"},
    {"21", OUTCOME_FAIL, "cardinality violation: rolled back"},
    {"22", OUTCOME_FAIL, "data exceptions: the value was refused"},
    {"23", OUTCOME_FAIL,
     "constraint violations: a row of this key exists or the row was refused; "
     "nothing is ever sent twice, so this execution wrote nothing"},
    {"24", OUTCOME_FAIL, "invalid cursor state: rolled back"},
    {"25", OUTCOME_FAIL,
     "invalid transaction state; 25006 is a replica or a demoted primary that "
     "refuses writes before they run"},
    {"26", OUTCOME_FAIL, "unknown prepared statement: nothing ran"},
    {"27", OUTCOME_FAIL, "triggered data change violation: rolled back"},
    {"28", OUTCOME_FAIL, "authorisation refused: nothing ran"},
    {"2B", OUTCOME_FAIL, "dependent privileges exist: rolled back"},
    {"2D", OUTCOME_FAIL, "invalid transaction termination: refused"},
    {"2F", OUTCOME_FAIL, "sql routine exceptions: rolled back"},
    {"34", OUTCOME_FAIL, "invalid cursor name: rolled back"},
    {"38", OUTCOME_FAIL, "external routine exceptions: rolled back"},
    {"39", OUTCOME_FAIL, "external routine invocation exceptions: rolled back"},
    {"3B", OUTCOME_FAIL, "savepoint exceptions: rolled back"},
    {"3D", OUTCOME_FAIL, "no such database: nothing ran"},
    {"3F", OUTCOME_FAIL, "no such schema: nothing ran"},
    {"40", OUTCOME_FAIL,
     "transaction rollback: 40001 serialisation or a conflict with recovery, "
     "40P01 deadlock; the server says that it rolled back"},
    {"40003", OUTCOME_UNKNOWN, "statement completion unknown: it says so itself"},
    {"42", OUTCOME_FAIL, "syntax or access rule violations: nothing ran"},
    {"44", OUTCOME_FAIL, "with check option violation: rolled back"},
    {"53", OUTCOME_FAIL,
     "insufficient resources (disk, memory, connections) as an ERROR rolls back; "
     "when the log itself cannot be written the server PANICs instead"},
    {"54", OUTCOME_FAIL, "program limit exceeded: refused"},
    {"55", OUTCOME_FAIL, "object not in prerequisite state, 55P03 lock not available: rolled back"},
    {"57", OUTCOME_UNKNOWN,
     "operator intervention: shutdown or crash may hit between the commit and "
     "its answer"},
    {"57014", OUTCOME_UNKNOWN, "a cancel may hit a commit that waits for its synchronous standby"},
    {"57P03", OUTCOME_UNKNOWN,
     "cannot connect now: after a send it comes from a pooler whose server "
     "went away with the statement"},
    {"58", OUTCOME_UNKNOWN,
     "system errors outside PostgreSQL (input/output): what reached the disk "
     "is not known"},
    {"72", OUTCOME_FAIL, "snapshot too old: rolled back"},
    {"F0", OUTCOME_UNKNOWN, "configuration file errors do not belong to a statement"},
    {"HV", OUTCOME_UNKNOWN, "foreign data wrapper errors: the other side's part is not known"},
    {"P0", OUTCOME_FAIL, "PL/pgSQL errors: rolled back"},
    {"XX", OUTCOME_UNKNOWN, "internal error or corruption: no promise of the server holds"},
    {NULL, OUTCOME_UNKNOWN, "not in this table"},
};

enum outcome pg_outcome(const char *sqlstate, bool fatal, bool writes) {
  /* FATAL and PANIC end the session: the answer that would have told is never sent. */
  if (fatal || !sqlstate || strlen(sqlstate) != 5) return OUTCOME_UNKNOWN;
  /* A read that was answered with an error has changed nothing, whatever the error. */
  if (!writes) return OUTCOME_FAIL;
  const struct pg_outcome_rule *best = NULL;
  size_t best_length = 0;
  for (const struct pg_outcome_rule *rule = pg_outcome_rules; rule->prefix; rule++) {
    size_t length = strlen(rule->prefix);
    if (length > best_length && strncmp(sqlstate, rule->prefix, length) == 0) {
      best = rule;
      best_length = length;
    }
  }
  return best ? best->outcome : OUTCOME_UNKNOWN;
}

bool pg_warning_is_doubt(const char *sqlstate) {
  /* SyncRepWaitForLSN() warns with 01000 when the wait is cancelled and with 57P01 when the session
   * is terminated in it. The message would tell more, but it is translated on some servers. */
  return sqlstate && (strcmp(sqlstate, "01000") == 0 || strncmp(sqlstate, "57", 2) == 0);
}
