/* The network of a world: one bridge in the world's own network namespace, a virtual cable from it
 * to every host. The machine's network, its routes and its packet filter have no part in it, so the
 * addresses can be the same in every world. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"
#include "netlink.h"

#define SWITCH "gd0"
#define SUBNET "10.213.0" /* of private addresses; no other host can see it */
#define FIRST_HOST 11
#define LINK_SIZE 16

_Static_assert(FIRST_HOST + LOCAL_HOSTS_MAX < 255, "all hosts fit into the subnet");

void local_network_address(uint32_t index, char address[48]) {
  snprintf(address, 48, "%s.%u", SUBNET, FIRST_HOST + index);
}

/* The switch's end of a host's cable. */
static void link_name(const struct local_host *lh, char name[LINK_SIZE]) {
  snprintf(name, LINK_SIZE, "sw%u", lh->host->index);
}

int local_network_switch(struct local_cluster *lc, struct error *err) {
  pthread_mutex_lock(&lc->netlink_lock);
  int status = netlink_bridge_add(lc->netlink, SWITCH, err);
  pthread_mutex_unlock(&lc->netlink_lock);
  return status;
}

/* In the host's network namespace. */
static int configure_host(void *argument, struct error *err) {
  const struct local_host *lh = argument;
  CLEANUP_CLOSE int fd = -1;
  int status = netlink_open(&fd, err);
  if (status < 0) return status;
  status = netlink_address_add(fd, "eth0", inet_addr(lh->host->address), LOCAL_PREFIX_BITS, err);
  return status < 0 ? status : netlink_link_set(fd, "eth0", true, err);
}

int local_network_attach(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char name[LINK_SIZE];
  link_name(lh, name);
  /* The same after a restart, as a machine's is: its peers' neighbour tables stay right. */
  const uint8_t mac[6] = {0x02, 'g', 'd', 0, 0, (uint8_t)lh->host->index};
  pthread_mutex_lock(&lc->netlink_lock);
  int status = netlink_veth_add(lc->netlink, name, SWITCH, "eth0", lh->netns, mac, err);
  pthread_mutex_unlock(&lc->netlink_lock);
  if (status == 0) status = local_call_on_network(lh->netns, configure_host, lh, err);
  if (status < 0) return error_wrap(err, "network of host %s", lh->host->name);
  return 0;
}

/* A machine that lost power remembers no connection. The namespace would: sockets whose owner was
 * killed live on in it and would say goodbye as soon as the link is up. So it gets a new one. */
int local_network_renew(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  char name[LINK_SIZE], file[PATH_MAX];
  link_name(lh, name);
  pthread_mutex_lock(&lc->netlink_lock);
  bool exists = netlink_link_get(lc->netlink, name, NULL, NULL, NULL) == 0;
  int status = exists ? netlink_link_delete(lc->netlink, name, err) : 0;
  pthread_mutex_unlock(&lc->netlink_lock);
  if (status < 0) return status;
  status = path_format(file, sizeof file, err, "%s/ns/%s", LOCAL_WORLD, lh->host->name);
  if (status < 0) return status;
  const char *argv[] = {LOCAL_WORLD "/" LOCAL_HELPER, "netns", file, NULL};
  status = local_world_check(lc, argv, err);
  if (status == 0) status = local_world_open_netns(lc, lh, err);
  if (status == 0) status = local_links_restore(lc, lh, err);
  if (status == 0) status = local_network_attach(lc, lh, err);
  return status;
}

int local_network_link(struct local_cluster *lc, const struct local_host *lh, bool up,
                       struct error *err) {
  char name[LINK_SIZE];
  link_name(lh, name);
  pthread_mutex_lock(&lc->netlink_lock);
  int status = netlink_link_set(lc->netlink, name, up, err);
  pthread_mutex_unlock(&lc->netlink_lock);
  return status;
}

int local_network_link_is_up(struct local_cluster *lc, const struct local_host *lh, bool *ret_up,
                             struct error *err) {
  char name[LINK_SIZE];
  link_name(lh, name);
  pthread_mutex_lock(&lc->netlink_lock);
  int status = netlink_link_get(lc->netlink, name, NULL, ret_up, err);
  pthread_mutex_unlock(&lc->netlink_lock);
  return status;
}
