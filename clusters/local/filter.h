/* The rules of cut links as requests to the kernel's packet filter. */
#ifndef GAMEDAY_CLUSTERS_LOCAL_FILTER_H
#define GAMEDAY_CLUSTERS_LOCAL_FILTER_H

#include "base/buf.h"
#include "base/error.h"
#include "gameday/provider.h"

/* Appends the requests that make `table` refuse what arrives from these hosts, as one transaction:
 * all of it or nothing. The table is made when it is not there; what it refuses already, it goes on
 * to refuse. STATUS_MEMORY; STATUS_USAGE for an address that is none. */
int filter_add_cut(struct buf *batch, const char *table, const struct host *const froms[],
                   uint32_t from_count, const struct link_rule rules[], uint32_t rule_count,
                   struct error *err);
/* Sends transactions, one or several, to the packet filter of the calling thread's network
 * namespace. Returns when they are in effect; STATUS_ENVIRONMENT when the kernel has no such
 * filter. */
int filter_send(const struct buf *batch, struct error *err);
/* Removes `table` from there; it need not be. */
int filter_remove(const char *table, struct error *err);
/* Whether `table` is there. */
int filter_has(const char *table, bool *ret_has, struct error *err);
/* Whether the transaction that filter_add_cut() made is of what comes from this address. */
bool filter_cuts(const struct buf *batch, const char *address);
/* Whether the kernel has what the rules are made of: tried in the calling thread's namespace. */
int filter_probe(struct error *err);

#endif
