/* Which fault a moment belongs to. A fault's epoch lasts from the moment it was journaled (the last
 * one at which nothing can have happened yet) until the next fault begins. */
#ifndef GAMEDAY_CHECKERS_FAULTS_H
#define GAMEDAY_CHECKERS_FAULTS_H

#include "gameday/checker.h"

/* When it began to be made: TIME_NEVER when it never was. */
uint64_t fault_begin_ns(const struct fault_info *fault);
/* When the next one began that may have hit the same set of hosts; the end of the record when there
 * is none. */
uint64_t fault_epoch_end_ns(const struct record_info *info, int32_t fault);
/* The last fault that had begun at `time_ns`, or FAULT_NONE. */
int32_t fault_at(const struct record_info *info, uint64_t time_ns);
/* The same for something that happened to `set` (SET_NONE: to no single one): while a fault of its
 * own is in effect, one of another set is not to blame. */
int32_t fault_at_set(const struct record_info *info, uint16_t set, uint64_t time_ns);
/* For messages: "host-crash (fault 0, on pg1)". */
void fault_label(const struct record_info *info, int32_t fault, char text[128]);

#endif
