/* nf_tables requests by hand: a host's rules are in effect in well under a millisecond, where
 * starting a program for them takes several, and no package need be installed. One table a fault,
 * so that taking the fault back is to delete the table. Layout of the messages:
 * include/uapi/linux/netfilter/nf_tables.h; what expressions mean: nft(8) with --debug=netlink. */
#include "filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define CHAIN "arriving"
#define BEGUN "begun" /* connections that began under the fault */
#define BEGUN_MAX 65535
#define TCP_FLAGS_OFFSET 13

/* How the two families differ. Addresses at `offset` of the header are senders'. */
struct family {
  uint8_t number, offset, length;
  uint8_t icmp, unreachable, prohibited;
  uint32_t key_type; /* of BEGUN: address, port, port, as nft(8) shows them */
};
static const struct family families[] = {
    {.number = NFPROTO_IPV4,
     .offset = 12,
     .length = 4,
     .icmp = IPPROTO_ICMP,
     .unreachable = ICMP_DEST_UNREACH,
     .prohibited = ICMP_PKT_FILTERED,
     .key_type = 7u << 12 | 13u << 6 | 13u},
    {.number = NFPROTO_IPV6,
     .offset = 8,
     .length = 16,
     .icmp = IPPROTO_ICMPV6,
     .unreachable = ICMP6_DST_UNREACH,
     .prohibited = ICMP6_DST_UNREACH_ADMIN,
     .key_type = 8u << 12 | 13u << 6 | 13u},
};

/* --- messages and attributes */

static void pad(struct buf *b) {
  static const char zeros[NLA_ALIGNTO];
  if (b->length % NLA_ALIGNTO) buf_add(b, zeros, NLA_ALIGNTO - b->length % NLA_ALIGNTO);
}

static size_t begin(struct buf *b, uint16_t type, uint16_t flags, uint8_t family,
                    uint16_t resource) {
  size_t at = b->length;
  const struct nlmsghdr header = {.nlmsg_type = type,
                                  .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
  const struct nfgenmsg body = {
      .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
  buf_add(b, &header, sizeof header);
  buf_add(b, &body, sizeof body);
  return at;
}

static size_t begin_request(struct buf *b, int request, uint16_t flags,
                            const struct family *family) {
  return begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | request), flags, family->number, 0);
}

static void end(struct buf *b, size_t at) {
  uint32_t length = (uint32_t)(b->length - at);
  if (!b->failed) memcpy(b->data + at + offsetof(struct nlmsghdr, nlmsg_len), &length, 4);
}

static size_t add(struct buf *b, uint16_t type, const void *value, size_t size) {
  size_t at = b->length;
  const struct nlattr attribute = {.nla_type = type,
                                   .nla_len = (uint16_t)(sizeof(struct nlattr) + size)};
  buf_add(b, &attribute, sizeof attribute);
  if (size > 0) buf_add(b, value, size);
  pad(b);
  return at;
}

static void add_text(struct buf *b, uint16_t type, const char *text) {
  add(b, type, text, strlen(text) + 1);
}

static void add_number(struct buf *b, uint16_t type, uint32_t number) {
  uint32_t wire = htonl(number);
  add(b, type, &wire, sizeof wire);
}

static size_t nest(struct buf *b, uint16_t type) {
  return add(b, type | NLA_F_NESTED, NULL, 0);
}

static void end_nest(struct buf *b, size_t at) {
  uint16_t length = (uint16_t)(b->length - at);
  if (!b->failed) memcpy(b->data + at + offsetof(struct nlattr, nla_len), &length, 2);
}

/* --- expressions of a rule */

struct expression {
  size_t element, data;
};

static struct expression begin_expression(struct buf *b, const char *name) {
  struct expression e = {.element = nest(b, NFTA_LIST_ELEM)};
  add_text(b, NFTA_EXPR_NAME, name);
  e.data = nest(b, NFTA_EXPR_DATA);
  return e;
}

static void end_expression(struct buf *b, struct expression e) {
  end_nest(b, e.data);
  end_nest(b, e.element);
}

/* A part of the packet into a register. */
static void load(struct buf *b, uint32_t base, uint32_t offset, uint32_t length, uint32_t reg) {
  struct expression e = begin_expression(b, "payload");
  add_number(b, NFTA_PAYLOAD_DREG, reg);
  add_number(b, NFTA_PAYLOAD_BASE, base);
  add_number(b, NFTA_PAYLOAD_OFFSET, offset);
  add_number(b, NFTA_PAYLOAD_LEN, length);
  end_expression(b, e);
}

/* Goes on only when the first register compares so. */
static void compare(struct buf *b, enum nft_cmp_ops op, const void *value, size_t size) {
  struct expression e = begin_expression(b, "cmp");
  add_number(b, NFTA_CMP_SREG, NFT_REG_1);
  add_number(b, NFTA_CMP_OP, (uint32_t)op);
  size_t data = nest(b, NFTA_CMP_DATA);
  add(b, NFTA_DATA_VALUE, value, size);
  end_nest(b, data);
  end_expression(b, e);
}

static void match_protocol(struct buf *b, uint8_t protocol) {
  struct expression e = begin_expression(b, "meta");
  add_number(b, NFTA_META_DREG, NFT_REG_1);
  add_number(b, NFTA_META_KEY, NFT_META_L4PROTO);
  end_expression(b, e);
  compare(b, NFT_CMP_EQ, &protocol, 1);
}

static void match_tcp_flag(struct buf *b, uint8_t flag, bool set) {
  static const uint8_t none;
  match_protocol(b, IPPROTO_TCP);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, 1, NFT_REG_1);
  struct expression e = begin_expression(b, "bitwise");
  add_number(b, NFTA_BITWISE_SREG, NFT_REG_1);
  add_number(b, NFTA_BITWISE_DREG, NFT_REG_1);
  add_number(b, NFTA_BITWISE_LEN, 1);
  size_t data = nest(b, NFTA_BITWISE_MASK);
  add(b, NFTA_DATA_VALUE, &flag, 1);
  end_nest(b, data);
  data = nest(b, NFTA_BITWISE_XOR);
  add(b, NFTA_DATA_VALUE, &none, 1);
  end_nest(b, data);
  end_expression(b, e);
  compare(b, set ? NFT_CMP_NEQ : NFT_CMP_EQ, &none, 1);
}

static void match_port(struct buf *b, uint32_t offset, uint16_t port) {
  uint16_t wire = htons(port);
  match_protocol(b, IPPROTO_TCP);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, NFT_REG_1);
  compare(b, NFT_CMP_EQ, &wire, sizeof wire);
}

static void match_icmp(struct buf *b, const struct family *family, uint8_t type) {
  match_protocol(b, family->icmp);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
  compare(b, NFT_CMP_EQ, &type, 1);
}

static void verdict(struct buf *b, uint32_t code) {
  struct expression e = begin_expression(b, "immediate");
  add_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = nest(b, NFTA_IMMEDIATE_DATA);
  size_t inner = nest(b, NFTA_DATA_VERDICT);
  add_number(b, NFTA_VERDICT_CODE, code);
  end_nest(b, inner);
  end_nest(b, data);
  end_expression(b, e);
}

static void reject(struct buf *b, enum nft_reject_types type, uint8_t code) {
  struct expression e = begin_expression(b, "reject");
  add_number(b, NFTA_REJECT_TYPE, (uint32_t)type);
  add(b, NFTA_REJECT_ICMP_CODE, &code, 1);
  end_expression(b, e);
}

/* Who talks to which port from which: the key of BEGUN, into the first registers. */
static void load_connection(struct buf *b, const struct family *family) {
  uint32_t words = family->length / 4u;
  load(b, NFT_PAYLOAD_NETWORK_HEADER, family->offset, family->length, NFT_REG32_00);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, NFT_REG32_00 + words);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00 + words + 1);
}

static void remember_connection(struct buf *b, const struct family *family) {
  load_connection(b, family);
  struct expression e = begin_expression(b, "dynset");
  add_text(b, NFTA_DYNSET_SET_NAME, BEGUN);
  add_number(b, NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
  add_number(b, NFTA_DYNSET_SREG_KEY, NFT_REG32_00);
  end_expression(b, e);
}

static void match_unknown_connection(struct buf *b, const struct family *family) {
  load_connection(b, family);
  struct expression e = begin_expression(b, "lookup");
  add_text(b, NFTA_LOOKUP_SET, BEGUN);
  add_number(b, NFTA_LOOKUP_SREG, NFT_REG32_00);
  add_number(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  end_expression(b, e);
}

/* --- the cut */

/* What the rules of one sender are made from. */
struct cut {
  struct buf *batch;
  const char *table;
  const struct family *family;
  const struct link_rule *rule;
  uint8_t address[16];
};
struct open_rule {
  size_t message, expressions;
};

static struct open_rule begin_rule(const struct cut *cut) {
  struct buf *b = cut->batch;
  struct open_rule rule = {
      .message = begin_request(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, cut->family)};
  add_text(b, NFTA_RULE_TABLE, cut->table);
  add_text(b, NFTA_RULE_CHAIN, CHAIN);
  rule.expressions = nest(b, NFTA_RULE_EXPRESSIONS);
  load(b, NFT_PAYLOAD_NETWORK_HEADER, cut->family->offset, cut->family->length, NFT_REG_1);
  compare(b, NFT_CMP_EQ, cut->address, cut->family->length);
  return rule;
}

static void end_rule(const struct cut *cut, struct open_rule rule) {
  end_nest(cut->batch, rule.expressions);
  end(cut->batch, rule.message);
}

/* What the other side of the same cut says to refuse a packet is to arrive: it is how the sender
 * learns of it at once. */
static void let_refusals_through(const struct cut *cut) {
  if (cut->rule->action == LINK_DROP) return;
  struct open_rule rule = begin_rule(cut);
  if (cut->rule->action == LINK_RESET)
    match_tcp_flag(cut->batch, TH_RST, true);
  else
    match_icmp(cut->batch, cut->family, cut->family->unreachable);
  verdict(cut->batch, NF_ACCEPT);
  end_rule(cut, rule);
}

/* A connection that is begun now is known by its SYN, whoever sends it. */
static void note_new_connections(const struct cut *cut) {
  struct open_rule rule = begin_rule(cut);
  match_tcp_flag(cut->batch, TH_SYN, true);
  remember_connection(cut->batch, cut->family);
  end_rule(cut, rule);
}

/* `port_offset`: which of the two ports of a packet must be the rule's. */
static void refuse(const struct cut *cut, uint32_t port_offset, enum link_action action) {
  struct buf *b = cut->batch;
  struct open_rule rule = begin_rule(cut);
  if (cut->rule->port) match_port(b, port_offset, cut->rule->port);
  if (cut->rule->new_only) match_tcp_flag(b, TH_SYN, true);
  if (cut->rule->established_only) {
    match_tcp_flag(b, TH_SYN, false);
    match_unknown_connection(b, cut->family);
  }
  switch (action) {
    case LINK_DROP: verdict(b, NF_DROP); break;
    case LINK_REJECT: reject(b, NFT_REJECT_ICMP_UNREACH, cut->family->prohibited); break;
    case LINK_RESET:
      match_protocol(b, IPPROTO_TCP);
      reject(b, NFT_REJECT_TCP_RST, 0);
      break;
  }
  end_rule(cut, rule);
}

static void add_rules(const struct cut *cut) {
  const struct link_rule *rule = cut->rule;
  bool tcp_only = rule->port || rule->established_only || rule->new_only;
  let_refusals_through(cut);
  if (rule->established_only) note_new_connections(cut);
  refuse(cut, 0, rule->action);
  if (rule->port) refuse(cut, 2, rule->action);
  if (rule->action == LINK_RESET && !tcp_only) refuse(cut, 0, LINK_DROP);
}

static void add_set(const struct cut *cut) {
  struct buf *b = cut->batch;
  size_t at = begin_request(b, NFT_MSG_NEWSET, NLM_F_CREATE, cut->family);
  add_text(b, NFTA_SET_TABLE, cut->table);
  add_text(b, NFTA_SET_NAME, BEGUN);
  add_number(b, NFTA_SET_FLAGS, NFT_SET_EVAL);
  add_number(b, NFTA_SET_KEY_TYPE, cut->family->key_type);
  add_number(b, NFTA_SET_KEY_LEN, cut->family->length + 8u);
  add_number(b, NFTA_SET_ID, 1);
  size_t description = nest(b, NFTA_SET_DESC);
  add_number(b, NFTA_SET_DESC_SIZE, BEGUN_MAX);
  end_nest(b, description);
  end(b, at);
}

static void add_table(const struct cut *cut, const struct link_rule rules[], uint32_t rule_count) {
  bool established_only = false;
  struct buf *b = cut->batch;
  size_t at = begin_request(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, cut->family);
  add_text(b, NFTA_TABLE_NAME, cut->table);
  end(b, at);
  at = begin_request(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, cut->family);
  add_text(b, NFTA_CHAIN_TABLE, cut->table);
  add_text(b, NFTA_CHAIN_NAME, CHAIN);
  size_t hook = nest(b, NFTA_CHAIN_HOOK);
  add_number(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
  add_number(b, NFTA_HOOK_PRIORITY, 0);
  end_nest(b, hook);
  add_number(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
  add_text(b, NFTA_CHAIN_TYPE, "filter");
  end(b, at);
  for (uint32_t r = 0; r < rule_count; r++)
    established_only = established_only || rules[r].established_only;
  if (established_only) add_set(cut);
}

static void add_frame(struct buf *b, uint16_t type) {
  size_t at = begin(b, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  end(b, at);
}

/* NULL: it is no address of either family. */
static const struct family *family_of(const char *address, uint8_t bytes[16]) {
  if (inet_pton(AF_INET, address, bytes) == 1) return &families[0];
  return inet_pton(AF_INET6, address, bytes) == 1 ? &families[1] : NULL;
}

int filter_add_cut(struct buf *batch, const char *table, const struct host *const froms[],
                   uint32_t from_count, const struct link_rule rules[], uint32_t rule_count,
                   struct error *err) {
  add_frame(batch, NFNL_MSG_BATCH_BEGIN);
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    struct cut cut = {.batch = batch, .table = table, .family = &families[f]};
    bool made = false;
    for (uint32_t i = 0; i < from_count; i++) {
      const struct family *family = family_of(froms[i]->address, cut.address);
      if (!family)
        return error_set(err, STATUS_USAGE, "host %s has the address '%s', which is none",
                         froms[i]->name, froms[i]->address);
      if (family != cut.family) continue;
      if (!made) add_table(&cut, rules, rule_count);
      made = true;
      for (uint32_t r = 0; r < rule_count; r++) {
        cut.rule = &rules[r];
        add_rules(&cut);
      }
    }
  }
  add_frame(batch, NFNL_MSG_BATCH_END);
  return buf_ok(batch, err);
}

/* --- the kernel */

static int no_filter(int errnum, struct error *err) {
  if (errnum == EPROTONOSUPPORT || errnum == EOPNOTSUPP || errnum == EAFNOSUPPORT)
    return error_set(err, STATUS_ENVIRONMENT,
                     "the kernel has no packet filter (CONFIG_NF_TABLES): modprobe nf_tables");
  return error_set_errno(err, errnum, "packet filter");
}

/* The kernel has worked when send() returns: its answers are there. The first error is the
 * transaction's. */
static int read_answers(int fd, int *ret_errnum) {
  bool answered = false;
  int errnum = 0;
  for (;;) {
    _Alignas(struct nlmsghdr) char answer[16384];
    ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size_t left = (size_t)got;
    for (const struct nlmsghdr *message = (const void *)answer; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      const struct nlmsgerr *said = NLMSG_DATA(message);
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      answered = true;
      if (errnum == 0) errnum = -said->error;
    }
  }
  *ret_errnum = errnum;
  return answered ? 0 : -1;
}

/* One transaction; *ret_errnum is the kernel's verdict. */
static int send_one(int fd, const char *bytes, size_t length, int *ret_errnum, struct error *err) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    return no_filter(errno, err);
  if (read_answers(fd, ret_errnum) < 0)
    return error_set(err, STATUS_SYSTEM, "the packet filter does not answer");
  return 0;
}

static int filter_open(int *ret_fd, struct error *err) {
  CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return no_filter(errno, err);
  *ret_fd = fd;
  fd = -1;
  return 0;
}

/* Where the transaction that begins at `at` ends. */
static size_t transaction_end(const struct buf *batch, size_t at) {
  while (at + sizeof(struct nlmsghdr) <= batch->length) {
    struct nlmsghdr header;
    memcpy(&header, batch->data + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > batch->length - at) break;
    at += NLMSG_ALIGN(header.nlmsg_len);
    if (header.nlmsg_type == NFNL_MSG_BATCH_END) return at;
  }
  return 0;
}

int filter_send(const struct buf *batch, struct error *err) {
  CLEANUP_CLOSE int fd = -1;
  int status = filter_open(&fd, err);
  for (size_t at = 0; status == 0 && at < batch->length;) {
    size_t next = transaction_end(batch, at);
    int errnum = 0;
    if (next == 0) return error_set(err, STATUS_INTERNAL, "damaged requests to the packet filter");
    status = send_one(fd, batch->data + at, next - at, &errnum, err);
    if (status == 0 && errnum) status = no_filter(errnum, err);
    at = next;
  }
  return status;
}

/* Asks one thing of a table; ENOENT is an answer. */
static int ask_table(int fd, int request, const char *table, const struct family *family,
                     bool *ret_exists, struct error *err) {
  bool change = request != NFT_MSG_GETTABLE; /* only changes are transactions */
  int errnum = 0;
  CLEANUP(buf_release) struct buf batch;
  buf_init(&batch);
  if (change) add_frame(&batch, NFNL_MSG_BATCH_BEGIN);
  size_t at = begin_request(&batch, request, NLM_F_ACK, family);
  add_text(&batch, NFTA_TABLE_NAME, table);
  end(&batch, at);
  if (change) add_frame(&batch, NFNL_MSG_BATCH_END);
  int status = buf_ok(&batch, err);
  if (status == 0) status = send_one(fd, batch.data, batch.length, &errnum, err);
  if (status == 0 && errnum && errnum != ENOENT) status = no_filter(errnum, err);
  if (status == 0) *ret_exists = errnum == 0;
  return status;
}

/* To look first is quick; a deletion that fails waits for all processors. */
int filter_remove(const char *table, struct error *err) {
  CLEANUP_CLOSE int fd = -1;
  int status = filter_open(&fd, err);
  for (size_t f = 0; status == 0 && f < sizeof families / sizeof *families; f++) {
    bool exists = false;
    status = ask_table(fd, NFT_MSG_GETTABLE, table, &families[f], &exists, err);
    if (status == 0 && exists)
      status = ask_table(fd, NFT_MSG_DELTABLE, table, &families[f], &exists, err);
  }
  return status;
}

int filter_has(const char *table, bool *ret_has, struct error *err) {
  CLEANUP_CLOSE int fd = -1;
  bool has = false;
  int status = filter_open(&fd, err);
  for (size_t f = 0; status == 0 && !has && f < sizeof families / sizeof *families; f++)
    status = ask_table(fd, NFT_MSG_GETTABLE, table, &families[f], &has, err);
  if (status == 0) *ret_has = has;
  return status;
}

/* The attribute with which a rule compares the sender. */
bool filter_cuts(const struct buf *batch, const char *address) {
  uint8_t bytes[16];
  const struct family *family = family_of(address, bytes);
  if (!family) return false;
  const struct nlattr head = {.nla_len = (uint16_t)(sizeof head + family->length),
                              .nla_type = NFTA_DATA_VALUE};
  unsigned char compared[sizeof head + sizeof bytes];
  memcpy(compared, &head, sizeof head);
  memcpy(compared + sizeof head, bytes, family->length);
  return memmem(batch->data, batch->length, compared, sizeof head + family->length) != NULL;
}

int filter_probe(struct error *err) {
  static const struct host nobody = {.name = "nobody", .address = "192.0.2.1"};
  static const struct link_rule rules[] = {{.action = LINK_DROP, .established_only = true},
                                           {.action = LINK_REJECT, .port = 1},
                                           {.action = LINK_RESET}};
  const struct host *from = &nobody;
  CLEANUP(buf_release) struct buf batch;
  buf_init(&batch);
  int status =
      filter_add_cut(&batch, "gameday-probe", &from, 1, rules, sizeof rules / sizeof *rules, err);
  return status < 0 ? status : filter_send(&batch, err);
}
