/* The few rtnetlink requests that a world needs. */
#ifndef GAMEDAY_CLUSTERS_LOCAL_NETLINK_H
#define GAMEDAY_CLUSTERS_LOCAL_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* A socket in the calling thread's network namespace; it stays there wherever the thread goes. Not
 * for two threads at once. All requests block until the kernel's answer. */
int netlink_open(int *ret_fd, struct error *err);
int netlink_bridge_add(int fd, const char *name, struct error *err);
/* A virtual cable: `name` here, plugged into `bridge` and up; `peer` in the namespace `peer_netns`
 * with the hardware address `mac`, still down. */
int netlink_veth_add(int fd, const char *name, const char *bridge, const char *peer, int peer_netns,
                     const uint8_t mac[6], struct error *err);
int netlink_link_set(int fd, const char *name, bool up, struct error *err);
int netlink_link_get(int fd, const char *name, uint32_t *ret_index, bool *ret_up,
                     struct error *err);
int netlink_link_delete(int fd, const char *name, struct error *err);
/* `address` is IPv4 in network byte order. */
int netlink_address_add(int fd, const char *name, uint32_t address, uint8_t prefix_bits,
                        struct error *err);

#endif
