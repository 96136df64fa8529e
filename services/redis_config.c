/* The texts of configuration files: servers, Sentinels and their users. Pure: the same plan gives
 * the same text. */
#include <string.h>
#include <strings.h>

#include "services/redis.h"

static const char *const fsync_names[] = {"always", "everysec", "no"};

static bool given(const struct redis_config *config, const char *name) {
  for (uint32_t i = 0; i < config->settings.count; i++)
    if (strcasecmp(config->settings.items[i].name, name) == 0) return true;
  return false;
}

static unsigned long long milliseconds(uint64_t ns) {
  return (unsigned long long)(ns / NS_PER_MS);
}

/* With TLS nothing is said in the clear: not to clients, not between servers, not on a cluster's
 * bus, and not by Sentinels, for which tls-replication speaks too. Clients show no certificate,
 * they have passwords; servers show each other theirs. */
static void write_tls(unsigned port, struct buf *ret) {
  buf_printf(ret, "port 0\ntls-port %u\ntls-replication yes\ntls-cluster yes\n", port);
  buf_puts(ret, "tls-auth-clients no\ntls-ca-cert-file " REDIS_TLS_DIRECTORY "/ca.crt\n");
  buf_puts(ret, "tls-cert-file " REDIS_TLS_DIRECTORY "/server.crt\n");
  buf_puts(ret, "tls-key-file " REDIS_TLS_DIRECTORY "/server.key\n");
}

static void write_network(const struct redis_plan *plan, uint32_t member, unsigned port,
                          struct buf *ret) {
  buf_printf(ret, "bind %s 127.0.0.1\n", plan->members[member]->address);
  if (plan->config->tls)
    write_tls(port, ret);
  else
    buf_printf(ret, "port %u\n", port);
  /* Strangers are kept out by the users' passwords, and by the network that the hosts are on. */
  buf_puts(ret, "protected-mode no\ndaemonize no\nsupervised no\nlogfile \"\"\n");
}

/* "3600 1 300 100": a line for each pair; none at all is said with an empty one. */
static void write_save(const char *save, struct buf *ret) {
  if (!save) return;
  const char *at = save + strspn(save, " ");
  if (!*at) buf_puts(ret, "save \"\"\n");
  while (*at) {
    size_t seconds = strcspn(at, " ");
    const char *changes = at + seconds + strspn(at + seconds, " ");
    size_t length = strcspn(changes, " ");
    buf_printf(ret, "save %.*s %.*s\n", (int)seconds, at, (int)length, changes);
    at = changes + length + strspn(changes + length, " ");
  }
}

static void write_data(const struct redis_config *config, struct buf *ret) {
  buf_printf(ret, "dir %s\nappendonly %s\nappendfsync %s\n", REDIS_DATA,
             config->appendonly ? "yes" : "no", fsync_names[config->appendfsync]);
  write_save(config->save, ret);
  buf_printf(ret, "maxmemory %llu\nmaxmemory-policy %s\nmaxclients %u\n",
             (unsigned long long)config->maxmemory_bytes, redis_policies[config->maxmemory_policy],
             config->maxclients);
}

static void write_replication(const struct redis_plan *plan, uint32_t member, struct buf *ret) {
  const struct redis_config *config = plan->config;
  const struct host *host = plan->members[member];
  buf_printf(ret, "masteruser %s\nmasterauth %s\n", REDIS_REPLICATION_USER,
             plan->secrets->replication);
  buf_printf(ret, "replica-announce-ip %s\nreplica-announce-port %d\n", host->address, REDIS_PORT);
  buf_printf(ret, "min-replicas-to-write %u\nmin-replicas-max-lag %llu\n",
             config->min_replicas_to_write,
             (unsigned long long)(config->min_replicas_max_lag_ns / NS_PER_S));
  /* Redis waits 5 s for more replicas before it copies its data set to the first, which would only
   * make each start that much longer. */
  if (!given(config, "repl-diskless-sync-delay")) buf_puts(ret, "repl-diskless-sync-delay 0\n");
  if (config->topology == REDIS_SENTINEL && member > 0)
    buf_printf(ret, "replicaof %s %d\n", plan->members[0]->address, REDIS_PORT);
}

static void write_cluster(const struct redis_plan *plan, uint32_t member, struct buf *ret) {
  const struct redis_config *config = plan->config;
  buf_puts(ret, "cluster-enabled yes\ncluster-config-file nodes.conf\n");
  buf_printf(ret, "cluster-announce-ip %s\n", plan->members[member]->address);
  buf_printf(ret, "cluster-node-timeout %llu\n", milliseconds(config->node_timeout_ns));
  buf_printf(ret, "cluster-replica-validity-factor %u\n", config->replica_validity_factor);
  buf_printf(ret, "cluster-require-full-coverage %s\n",
             config->require_full_coverage ? "yes" : "no");
  /* No master ever has so many replicas that one of them would move to another shard. */
  buf_puts(ret, "cluster-migration-barrier 1000\n");
}

int redis_write_conf(const struct redis_plan *plan, uint32_t member, struct buf *ret,
                     struct error *err) {
  const struct redis_config *config = plan->config;
  write_network(plan, member, REDIS_PORT, ret);
  buf_printf(ret, "aclfile %s\n", REDIS_ACL);
  write_data(config, ret);
  write_replication(plan, member, ret);
  if (config->topology == REDIS_CLUSTER) write_cluster(plan, member, ret);
  for (uint32_t i = 0; i < config->settings.count; i++) {
    const struct setting *setting = &config->settings.items[i];
    buf_printf(ret, "%s %s\n", setting->name, setting->value[0] ? setting->value : "\"\"");
  }
  return buf_ok(ret, err);
}

/* Nobody comes in without a password; the user that needs no name is off. */
#define DEFAULT_USER_OFF "user default off resetpass resetkeys resetchannels -@all\n"

/* Sentinel's rights are those that its documentation lists for ACLs. */
int redis_write_acl(const struct redis_plan *plan, struct buf *ret, struct error *err) {
  const struct redis_secrets *secrets = plan->secrets;
  buf_puts(ret, DEFAULT_USER_OFF);
  /* An application: data, scripts, where it is; and emptying its cache. No administration. */
  buf_printf(ret,
             "user %s on >%s ~* &* -@all +@read +@write +@keyspace +@connection +@pubsub "
             "+@scripting +@transaction -@admin -@dangerous +info +role +wait +flushdb +flushall "
             "+cluster|slots +cluster|nodes +cluster|shards +cluster|info +cluster|myid "
             "+cluster|keyslot\n",
             REDIS_CLIENT_USER, secrets->client);
  buf_printf(ret, "user %s on >%s resetkeys resetchannels -@all +psync +replconf +ping\n",
             REDIS_REPLICATION_USER, secrets->replication);
  buf_printf(ret,
             "user %s on >%s resetkeys &* -@all +multi +slaveof +ping +exec +subscribe "
             "+config|rewrite +role +publish +info +client|setname +client|kill +script|kill\n",
             REDIS_SENTINEL_USER, secrets->sentinel);
  buf_printf(ret,
             "user %s on >%s resetkeys resetchannels -@all +@connection +ping +info +role +config "
             "+cluster +client +memory +latency +slowlog +lastsave +wait\n",
             REDIS_OBSERVER_USER, secrets->observer);
  return buf_ok(ret, err);
}

/* What Sentinels would find out by themselves over the first seconds (2 s until they have told each
 * other of themselves, up to 10 s until they have asked for the replicas) they are told here, in
 * the lines in which they remember it over their own restarts. */
static void write_known(const struct redis_plan *plan, uint32_t member, struct buf *ret) {
  const struct redis_config *config = plan->config;
  for (uint32_t i = 1; i < redis_instances(config); i++)
    buf_printf(ret, "sentinel known-replica %s %s %d\n", REDIS_MASTER_NAME,
               plan->members[i]->address, REDIS_PORT);
  for (uint32_t i = 0; i < redis_sentinel_count(config); i++)
    if (i != member)
      buf_printf(ret, "sentinel known-sentinel %s %s %d %s\n", REDIS_MASTER_NAME,
                 plan->members[i]->address, REDIS_SENTINEL_PORT, plan->sentinel_ids[i]);
}

int redis_write_sentinel_conf(const struct redis_plan *plan, uint32_t member, struct buf *ret,
                              struct error *err) {
  const struct redis_config *config = plan->config;
  const struct host *host = plan->members[member];
  static const char name[] = REDIS_MASTER_NAME;
  write_network(plan, member, REDIS_SENTINEL_PORT, ret);
  buf_printf(ret, "dir %s\naclfile %s\n", REDIS_CONFIG_DIRECTORY, REDIS_SENTINEL_ACL);
  buf_printf(ret, "sentinel myid %s\n", plan->sentinel_ids[member]);
  buf_printf(ret, "sentinel announce-ip %s\nsentinel announce-port %d\n", host->address,
             REDIS_SENTINEL_PORT);
  buf_printf(ret, "sentinel sentinel-user %s\nsentinel sentinel-pass %s\n", REDIS_SENTINEL_USER,
             plan->secrets->sentinel);
  buf_printf(ret, "sentinel monitor %s %s %d %u\n", name, plan->members[0]->address, REDIS_PORT,
             redis_quorum(config));
  buf_printf(ret, "sentinel auth-user %s %s\nsentinel auth-pass %s %s\n", name, REDIS_SENTINEL_USER,
             name, plan->secrets->sentinel);
  buf_printf(ret, "sentinel down-after-milliseconds %s %llu\n", name,
             milliseconds(config->down_after_ns));
  buf_printf(ret, "sentinel failover-timeout %s %llu\n", name,
             milliseconds(config->failover_timeout_ns));
  buf_printf(ret, "sentinel parallel-syncs %s %u\n", name, config->parallel_syncs);
  write_known(plan, member, ret);
  return buf_ok(ret, err);
}

int redis_write_sentinel_acl(const struct redis_plan *plan, struct buf *ret, struct error *err) {
  const struct redis_secrets *secrets = plan->secrets;
  buf_puts(ret, DEFAULT_USER_OFF);
  buf_printf(ret,
             "user %s on >%s resetkeys &* -@all +@connection +@pubsub +ping +info +role "
             "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters "
             "+sentinel|replicas +sentinel|slaves +sentinel|sentinels +sentinel|myid\n",
             REDIS_CLIENT_USER, secrets->client);
  buf_printf(ret, "user %s on >%s ~* &* +@all\n", REDIS_SENTINEL_USER, secrets->sentinel);
  buf_printf(ret, "user %s on >%s ~* &* +@all\n", REDIS_OBSERVER_USER, secrets->observer);
  return buf_ok(ret, err);
}
