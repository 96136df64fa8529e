/* rtnetlink requests by hand: a link is changed in well under a millisecond, where starting a
 * program for it would take several. Message layout: rtnetlink(7). */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

struct request {
  _Alignas(struct nlmsghdr) char bytes[1024];
  bool full;
};

static struct nlmsghdr *header_of(struct request *request) {
  return (struct nlmsghdr *)(void *)request->bytes;
}

static void begin(struct request *request, uint16_t type, uint16_t flags, const void *body,
                  size_t size) {
  memset(request, 0, sizeof *request);
  struct nlmsghdr *header = header_of(request);
  header->nlmsg_type = type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
  header->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(header), body, size);
}

/* Appends bytes as they are, padded to the alignment; returns their offset. */
static size_t append(struct request *request, const void *bytes, size_t size) {
  struct nlmsghdr *header = header_of(request);
  size_t at = NLMSG_ALIGN(header->nlmsg_len);
  if (at + NLMSG_ALIGN(size) > sizeof request->bytes) {
    request->full = true;
    return 0;
  }
  if (size > 0) memcpy(request->bytes + at, bytes, size);
  header->nlmsg_len = (uint32_t)(at + size);
  return at;
}

static size_t add(struct request *request, uint16_t type, const void *value, size_t size) {
  struct rtattr attribute = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(size)};
  size_t at = append(request, &attribute, sizeof attribute);
  if (size > 0) append(request, value, size);
  return at;
}

static size_t nest(struct request *request, uint16_t type) {
  return add(request, type, NULL, 0);
}

static void end_nest(struct request *request, size_t at) {
  struct rtattr *attribute = (struct rtattr *)(void *)(request->bytes + at);
  if (!request->full) attribute->rta_len = (uint16_t)(header_of(request)->nlmsg_len - at);
}

static void add_name(struct request *request, uint16_t type, const char *name) {
  add(request, type, name, strlen(name) + 1);
}

/* Sends and waits for the kernel's verdict; a link message before it is copied to `ret_link`. */
static int ask(int fd, struct request *request, struct ifinfomsg *ret_link, const char *what,
               const char *name, struct error *err) {
  struct nlmsghdr *header = header_of(request);
  if (request->full) return error_set(err, STATUS_INTERNAL, "%s %s: request too long", what, name);
  /* An answer that came after its request was given up is not the answer to this one. */
  for (char late[64]; recv(fd, late, sizeof late, MSG_DONTWAIT) > 0;) {
  }
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, header, header->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    return error_set_errno(err, errno, "%s %s", what, name);
  for (;;) {
    _Alignas(struct nlmsghdr) char answer[16384];
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_set_errno(err, errno, "%s %s", what, name);
    size_t left = (size_t)got;
    for (const struct nlmsghdr *message = (const void *)answer; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == RTM_NEWLINK && ret_link)
        memcpy(ret_link, NLMSG_DATA(message), sizeof *ret_link);
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      const struct nlmsgerr *verdict = NLMSG_DATA(message);
      if (verdict->error == 0) return 0;
      return error_set_errno(err, -verdict->error, "%s %s", what, name);
    }
  }
}

int netlink_open(int *ret_fd, struct error *err) {
  CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return error_set_errno(err, errno, "netlink socket");
  struct timeval limit = {.tv_sec = 10};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
    return error_set_errno(err, errno, "netlink socket");
  *ret_fd = fd;
  fd = -1;
  return 0;
}

int netlink_bridge_add(int fd, const char *name, struct error *err) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request request;
  begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  add_name(&request, IFLA_IFNAME, name);
  size_t info = nest(&request, IFLA_LINKINFO);
  add_name(&request, IFLA_INFO_KIND, "bridge");
  size_t data = nest(&request, IFLA_INFO_DATA);
  uint8_t off = 0;
  add(&request, IFLA_BR_MCAST_SNOOPING, &off, sizeof off);
  end_nest(&request, data);
  end_nest(&request, info);
  return ask(fd, &request, NULL, "make bridge", name, err);
}

int netlink_veth_add(int fd, const char *name, const char *bridge, const char *peer, int peer_netns,
                     const uint8_t mac[6], struct error *err) {
  uint32_t master = 0;
  int status = netlink_link_get(fd, bridge, &master, NULL, err);
  if (status < 0) return status;
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request request;
  begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  add_name(&request, IFLA_IFNAME, name);
  add(&request, IFLA_MASTER, &master, sizeof master);
  size_t info = nest(&request, IFLA_LINKINFO);
  add_name(&request, IFLA_INFO_KIND, "veth");
  size_t data = nest(&request, IFLA_INFO_DATA);
  size_t other = nest(&request, VETH_INFO_PEER);
  /* Not up yet: the kernel connects the two ends only after it has configured this one. */
  append(&request, &(struct ifinfomsg){.ifi_family = AF_UNSPEC}, sizeof link);
  add_name(&request, IFLA_IFNAME, peer);
  add(&request, IFLA_ADDRESS, mac, 6);
  add(&request, IFLA_NET_NS_FD, &(uint32_t){(uint32_t)peer_netns}, sizeof(uint32_t));
  end_nest(&request, other);
  end_nest(&request, data);
  end_nest(&request, info);
  return ask(fd, &request, NULL, "make link", name, err);
}

int netlink_link_set(int fd, const char *name, bool up, struct error *err) {
  struct ifinfomsg link = {
      .ifi_family = AF_UNSPEC, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
  struct request request;
  begin(&request, RTM_SETLINK, 0, &link, sizeof link);
  add_name(&request, IFLA_IFNAME, name);
  return ask(fd, &request, NULL, up ? "link up" : "link down", name, err);
}

int netlink_link_get(int fd, const char *name, uint32_t *ret_index, bool *ret_up,
                     struct error *err) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
  struct request request;
  begin(&request, RTM_GETLINK, 0, &link, sizeof link);
  add_name(&request, IFLA_IFNAME, name);
  struct ifinfomsg found = {.ifi_index = 0};
  int status = ask(fd, &request, &found, "look up link", name, err);
  if (status < 0) return status;
  if (found.ifi_index <= 0)
    return error_set(err, STATUS_SYSTEM, "look up link %s: no answer", name);
  if (ret_index) *ret_index = (uint32_t)found.ifi_index;
  if (ret_up) *ret_up = (found.ifi_flags & IFF_UP) != 0;
  return 0;
}

int netlink_link_delete(int fd, const char *name, struct error *err) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
  struct request request;
  begin(&request, RTM_DELLINK, 0, &link, sizeof link);
  add_name(&request, IFLA_IFNAME, name);
  return ask(fd, &request, NULL, "delete link", name, err);
}

int netlink_address_add(int fd, const char *name, uint32_t address, uint8_t prefix_bits,
                        struct error *err) {
  uint32_t index = 0;
  int status = netlink_link_get(fd, name, &index, NULL, err);
  if (status < 0) return status;
  struct ifaddrmsg message = {
      .ifa_family = AF_INET, .ifa_prefixlen = prefix_bits, .ifa_index = index};
  uint32_t broadcast = address | htonl((uint32_t)((UINT64_C(1) << (32 - prefix_bits)) - 1));
  struct request request;
  begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  add(&request, IFA_LOCAL, &address, sizeof address);
  add(&request, IFA_ADDRESS, &address, sizeof address);
  add(&request, IFA_BROADCAST, &broadcast, sizeof broadcast);
  return ask(fd, &request, NULL, "address of", name, err);
}
