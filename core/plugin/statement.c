/* What statements mean for those who send them. */
#include "gameday/driver.h"

bool statement_writes(enum statement_meaning meaning) {
  switch (meaning) {
    case STATEMENT_APPEND:
    case STATEMENT_HEARTBEAT_SET:
    case STATEMENT_CACHE_SET:
    case STATEMENT_CACHE_LOCK:
    case STATEMENT_CACHE_UNLOCK: return true;
    case STATEMENT_READ_OWN:
    case STATEMENT_READ_NEWEST:
    case STATEMENT_HEARTBEAT_GET:
    case STATEMENT_CACHE_GET:
    case STATEMENT_ORIGIN_READ: return false;
  }
  return true;
}
