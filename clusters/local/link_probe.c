/* Whether packets get from one host to another, found out by sending one: a crafted TCP segment
 * from the one's network, and a raw socket in the other's, which is handed what has passed its
 * packet filter. So one direction is judged by itself, without an answer that another cut may hold
 * back. Behind it, on the same way, goes a second segment from an address that nobody has: where
 * that one arrives and the first one did not, the first was refused, and nothing need be waited
 * for. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/prng.h"
#include "local.h"

/* For the second segment: it comes at once unless a host is off; on a busy machine later. */
#define FIRST_WAIT_NS (5 * NS_PER_MS)
#define LAST_WAIT_NS (200 * NS_PER_MS)
#define NOBODYS_PORT 9 /* "discard" */
#define SEGMENT_SIZE (sizeof(struct iphdr) + sizeof(struct tcphdr))

struct probe {
  int from_netns, to_netns;
  struct in_addr from, to, nobody;
  uint16_t source_port, port;
  bool established; /* a segment of a connection that is there already */
  uint64_t wait_ns;
  bool passes;
  bool heard; /* the second segment, so that the answer is certain */
};

/* Sum of 16-bit words as in RFC 1071, not yet folded. */
static uint32_t sum(const void *bytes, size_t length, uint32_t so_far) {
  const uint8_t *byte = bytes;
  for (size_t i = 0; i + 1 < length; i += 2) so_far += (uint32_t)byte[i] << 8 | byte[i + 1];
  return so_far;
}

static uint16_t tcp_checksum(const struct iphdr *ip, const struct tcphdr *tcp) {
  uint32_t total = sum(&ip->saddr, 8, IPPROTO_TCP + sizeof *tcp);
  total = sum(tcp, sizeof *tcp, total);
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return (uint16_t)~total;
}

static void craft(const struct probe *probe, struct in_addr source, uint8_t flags,
                  unsigned char segment[SEGMENT_SIZE]) {
  struct iphdr ip = {.version = 4,
                     .ihl = 5,
                     .ttl = 64,
                     .protocol = IPPROTO_TCP,
                     .saddr = source.s_addr,
                     .daddr = probe->to.s_addr};
  struct tcphdr tcp = {.th_sport = htons(probe->source_port),
                       .th_dport = htons(probe->port),
                       .th_seq = htonl(1),
                       .th_off = 5,
                       .th_flags = flags,
                       .th_win = htons(1024)};
  tcp.th_sum = htons(tcp_checksum(&ip, &tcp));
  memcpy(segment, &ip, sizeof ip);
  memcpy(segment + sizeof ip, &tcp, sizeof tcp);
}

/* False: this network does not take it. */
static bool send_segment(int fd, const struct probe *probe, struct in_addr source, uint8_t flags) {
  unsigned char segment[SEGMENT_SIZE];
  craft(probe, source, flags, segment);
  const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = probe->to};
  return sendto(fd, segment, sizeof segment, 0, (const struct sockaddr *)&to, sizeof to) > 0;
}

/* Nothing but segments from our source port. */
static int filter_port(int fd, uint16_t port) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, sizeof(struct iphdr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SEGMENT_SIZE),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* Reads until the second segment is there. */
static void listen_for(int fd, struct probe *probe) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + probe->wait_ns;
  for (;;) {
    unsigned char segment[SEGMENT_SIZE];
    struct iphdr ip;
    struct tcphdr tcp;
    ssize_t got = recv(fd, segment, sizeof segment, MSG_DONTWAIT);
    if (got < 0) {
      uint64_t now_ns = clock_now_ns(&clock_monotonic);
      if ((errno != EAGAIN && errno != EINTR) || now_ns >= deadline_ns) return;
      struct pollfd readable = {.fd = fd, .events = POLLIN};
      poll(&readable, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
      continue;
    }
    if ((size_t)got < sizeof segment) continue;
    memcpy(&ip, segment, sizeof ip);
    memcpy(&tcp, segment + sizeof ip, sizeof tcp);
    if (tcp.th_sport != htons(probe->source_port)) continue;
    if (ip.saddr == probe->from.s_addr) probe->passes = true;
    if (ip.saddr != probe->nobody.s_addr) continue;
    probe->heard = true;
    return;
  }
}

/* In the sender's network, of a thread that may go on to the receiver's. */
static int send_and_listen(void *argument, struct error *err) {
  struct probe *probe = argument;
  CLEANUP_CLOSE int out = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (out < 0) return error_set_errno(err, errno, "a raw socket");
  if (setns(probe->to_netns, CLONE_NEWNET) < 0)
    return error_set_errno(err, errno, "enter the receiver's network");
  CLEANUP_CLOSE int in = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (in < 0 || filter_port(in, probe->source_port) < 0)
    return error_set_errno(err, errno, "a raw socket");
  /* A reset from nobody is the one segment that no host answers. */
  if (send_segment(out, probe, probe->from, probe->established ? TH_ACK : TH_SYN) &&
      send_segment(out, probe, probe->nobody, TH_RST))
    listen_for(in, probe);
  return 0;
}

/* A descriptor of our own: the host's is replaced when it is switched on. */
static int own_netns(struct local_host *lh, int *ret_fd, struct error *err) {
  pthread_mutex_lock(&lh->lock);
  int fd = fcntl(lh->netns, F_DUPFD_CLOEXEC, 3);
  pthread_mutex_unlock(&lh->lock);
  if (fd < 0) return error_set_errno(err, errno, "the network of host %s", lh->host->name);
  *ret_fd = fd;
  return 0;
}

static int both_up(struct cluster *cluster, const struct host *from, const struct host *to,
                   bool *ret_up, struct error *err) {
  bool up = false;
  int status = local_host_running(cluster, from, &up, err);
  if (status == 0 && up) status = local_host_running(cluster, to, &up, err);
  if (status == 0) *ret_up = up;
  return status;
}

int local_link_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                      const struct link_rule *rule, const char *tag, bool *ret_passes,
                      struct error *err) {
  CLEANUP_CLOSE int from_netns = -1;
  CLEANUP_CLOSE int to_netns = -1;
  char nobody[48];
  uint16_t chance = 0;
  local_network_address(LOCAL_HOSTS_MAX, nobody);
  struct probe probe = {.port = rule->port ? rule->port : NOBODYS_PORT,
                        .established = rule->established_only,
                        .wait_ns = FIRST_WAIT_NS};
  if (inet_pton(AF_INET, from->address, &probe.from) != 1 ||
      inet_pton(AF_INET, to->address, &probe.to) != 1 ||
      inet_pton(AF_INET, nobody, &probe.nobody) != 1)
    return error_set(err, STATUS_INTERNAL, "an address is none");
  int status = random_bytes(&chance, sizeof chance, err);
  if (status == 0) status = own_netns(local_host_of(cluster, from), &from_netns, err);
  if (status == 0) status = own_netns(local_host_of(cluster, to), &to_netns, err);
  if (status < 0) return status;
  probe.from_netns = from_netns;
  probe.to_netns = to_netns;
  probe.source_port = (uint16_t)(10000 + chance % 20000); /* below those of connections */
  status = local_call_on_network(from_netns, send_and_listen, &probe, err);
  if (status == 0 && !probe.heard) {
    bool up = false;
    status = both_up(cluster, from, to, &up, err);
    probe.wait_ns = LAST_WAIT_NS;
    probe.passes = false;
    if (status == 0 && up) status = local_call_on_network(from_netns, send_and_listen, &probe, err);
  }
  if (status == 0 && tag && probe.heard && !probe.passes)
    status = local_link_cut_by_another(cluster, from, to, tag, &probe.passes, err);
  if (status < 0) return error_wrap(err, "probe from %s to %s", from->name, to->name);
  *ret_passes = probe.passes;
  return 0;
}
