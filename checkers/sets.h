/* What checkers ask of sets of hosts that have one primary each. */
#ifndef GAMEDAY_CHECKERS_SETS_H
#define GAMEDAY_CHECKERS_SETS_H

#include "gameday/checker.h"
#include "gameday/provider.h"

/* How many services there are; a record that was made by hand may tell of none. */
uint32_t service_count_of(const struct record_info *info);
/* How many sets there are; also where a record was made by hand and tells of none. */
uint32_t set_count_of(const struct record_info *info);
/* Writes a second that are scheduled on its primary; where shards are many, those of known shard.
 */
double set_write_rate(const struct record_info *info, uint16_t set);
/* The service and the shard of a set. */
uint16_t set_service(const struct record_info *info, uint16_t set);
uint16_t set_shard(const struct record_info *info, uint16_t set);
/* The set that a fault is measured by; SET_NONE: no single one. */
uint16_t fault_set(const struct record_info *info, int32_t fault);

/* " of shard 2" for messages; "" of the only set, and of SET_NONE. */
#define SET_LABEL_SIZE 80
void set_label(const struct record_info *info, uint16_t set, char text[SET_LABEL_SIZE]);

/* To which set each host belongs while events pass: a replica may be given to another shard. */
struct set_watch {
  const struct record_info *info;
  uint16_t sets[HOSTS_MAX]; /* by host */
  uint16_t unknown;         /* of who is no host */
};
void set_watch_init(struct set_watch *watch, const struct record_info *info);
/* Any event, in the order of time. */
void set_watch_event(struct set_watch *watch, const struct event *event);
/* The set of the event's host; where the event names a shard (of roles and leaders), that one. Of
 * HOST_NONE: SET_NONE, unless there is only one. */
uint16_t set_watch_of(const struct set_watch *watch, const struct event *event);

#endif
