/* Inside the provider `local`: its structs and the functions its files share. Nobody else includes
 * this.
 *
 * A cluster lives in a *world*: one process (the anchor, process 1 of its process namespace) with
 * mount, network, process, ipc and host name namespaces of its own. All that is made for the
 * cluster is made in there, so that killing the anchor removes it; only control group directories,
 * the disk images and the state file are outside. */
#ifndef GAMEDAY_CLUSTERS_LOCAL_LOCAL_H
#define GAMEDAY_CLUSTERS_LOCAL_LOCAL_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/process.h"
#include "clusters/clusters.h"
#include "gameday/provider.h"

#define LOCAL_REGISTRY "/run/gameday/clusters"
/* Every world has its tmpfs here, in its own mount namespace. Never removed: taking away a mount
 * point that some other namespace has mounted would tear down that mount. */
#define LOCAL_WORLD "/run/gameday/world"
#define LOCAL_HELPER "gameday-host"
#define LOCAL_MARK "GAMEDAY_CLUSTER" /* environment variable on all processes of a world */
#define LOCAL_ID_MAX 32
#define LOCAL_CGROUPS_MAX 24
#define LOCAL_PREFIX_BITS 24
/* Hosts of one cluster, by the plan of addresses, and because each is some ten processes. */
#define LOCAL_HOSTS_MAX 64
/* Clients of one client host, which may all be connected to one server: a new network namespace has
 * 28,232 ports for that (net.ipv4.ip_local_port_range), some of them of connections that end. */
#define LOCAL_CLIENTS_MAX 28000
#define LOCAL_WAIT_NS (10 * UINT64_C(1000000000)) /* for what the kernel does by itself */

enum local_storage { LOCAL_STORAGE_AUTO, LOCAL_STORAGE_LOOP, LOCAL_STORAGE_TMPFS };

struct local_config {
  const char *image;
  int storage; /* enum local_storage */
  uint64_t disk_bytes;
  bool power_loss;
};

/* Where the machine's control groups are. */
struct local_cgroups {
  bool unified;      /* version 2 alone; else processes are found and frozen by v1's freezer */
  bool memory, pids; /* whether their numbers can be limited */
  uint32_t count;
  char mounts[LOCAL_CGROUPS_MAX][128]; /* one a hierarchy */
  char main[128];                      /* that of the freezer, or the unified one */
};

struct local_host {
  const struct host *host;
  uint64_t memory_bytes, disk_bytes;
  int netns;            /* descriptor of its network namespace */
  pthread_mutex_t lock; /* one change of power or units at a time */
};

/* The `state` of a struct cluster. Set up by up() or attach(), constant afterwards but for what the
 * locks guard, so that any thread may use it. */
struct local_cluster {
  struct cluster public;
  char id[LOCAL_ID_MAX + 1];
  char run_directory[PATH_MAX];
  char image[PATH_MAX];
  char runtime[16];           /* "runc" or "crun" */
  enum local_storage storage; /* never LOCAL_STORAGE_AUTO */
  bool power_loss, keep;
  struct local_cgroups cgroups;
  struct host *hosts;
  struct local_host *locals; /* same order */
  pid_t anchor;
  uint64_t anchor_start; /* clock ticks since boot: tells a reused process number apart */
  int anchor_fd;         /* pidfd */
  int world_fd;          /* O_PATH of LOCAL_WORLD in the world */
  int netlink;           /* in the world's network namespace */
  pthread_mutex_t netlink_lock;
  bool locks_ready;
};

/* --- cluster.c: the handle */

/* An empty handle for `host_count` hosts; free with local_cluster_free(), also when half filled. */
int local_cluster_new(uint32_t host_count, struct local_cluster **ret, struct error *err);
void local_cluster_free(struct local_cluster *lc);
static inline struct local_cluster *local_of(const struct cluster *cluster) {
  return cluster->state;
}
struct local_host *local_host_of(const struct cluster *cluster, const struct host *host);

/* --- state.c: RUN_DIRECTORY/cluster.json and the machine's registry */

int local_state_write(const struct local_cluster *lc, struct error *err);
/* The handle as far as the file tells; nothing of it is opened or checked. STATUS_USAGE when there
 * is no such file or it is no cluster of ours. */
int local_state_read(const char *run_directory, struct local_cluster **ret, struct error *err);
int local_registry_add(const struct local_cluster *lc, struct error *err);
void local_registry_remove(const char *id);
/* Removes what is left of clusters whose harness and anchor are both dead: of a harness that was
 * killed with its guard before there was a world. */
void local_registry_sweep(void);
/* provider.h: describe */
int local_describe(const struct cluster *cluster, struct buf *json, struct error *err);
int local_list(int (*found)(void *data, const char *id, const char *run_directory), void *data,
               struct error *err);
/* Whether `id` is [a-z0-9-]{1,32}. */
bool local_id_valid(const char *id);

/* --- world.c */

/* Makes the world with a network namespace for each host; fills anchor*, world_fd, netlink and the
 * hosts' netns. To be called from a thread that lives as long as the cluster: unless lc->keep is
 * set, the world is removed when that thread ends. */
int local_world_start(struct local_cluster *lc, struct error *err);
/* Opens the descriptors of the world that lc->anchor holds. STATUS_ENVIRONMENT when it is gone. */
int local_world_open(struct local_cluster *lc, struct error *err);
int local_world_open_netns(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* Path of a file in the world as this process can open it; `path` holds PATH_MAX. */
int local_world_path(const struct local_cluster *lc, char *path, struct error *err,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Runs `function` in a thread that is in the mount and network namespaces of the process `pidfd`,
 * with a root directory of its own, and waits for it. */
int local_call_inside(int pidfd, int (*function)(void *argument, struct error *err), void *argument,
                      struct error *err);
/* As above for a network namespace alone. */
int local_call_on_network(int netns, int (*function)(void *argument, struct error *err),
                          void *argument, struct error *err);
/* A program in the world; argv[0] as found there. */
int local_world_run(const struct local_cluster *lc, const struct process_spec *spec,
                    struct process_result *ret, struct error *err);
int local_world_check(const struct local_cluster *lc, const char *const argv[], struct error *err);

/* --- network.c: the switch and the hosts' links */

int local_network_switch(struct local_cluster *lc, struct error *err);
int local_network_attach(struct local_cluster *lc, struct local_host *lh, struct error *err);
int local_network_renew(struct local_cluster *lc, struct local_host *lh, struct error *err);
int local_network_link(struct local_cluster *lc, const struct local_host *lh, bool up,
                       struct error *err);
int local_network_link_is_up(struct local_cluster *lc, const struct local_host *lh, bool *ret_up,
                             struct error *err);
void local_network_address(uint32_t index, char address[48]);

/* --- names.c */

/* Appends what is in /etc/hosts of every host. */
int local_names_text(const struct local_cluster *lc, struct buf *text, struct error *err);
/* Gives the calling thread a mount namespace of its own: this machine as it is, but with the hosts'
 * /etc/hosts and without its name services. It ends with the last thread or program in it. The
 * working directory stays; it is no longer shared with other threads. */
int local_names_enter(const struct local_cluster *lc, struct error *err);

/* --- disk.c: the data file systems */

int local_disk_make(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* Mounts it, when it is not; waits for an earlier life's device to be gone. */
int local_disk_mount(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* Power loss: what was not flushed is gone; unmounts. Nothing for tmpfs. */
int local_disk_crash(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* Waits until no loop device holds an image of this run directory. */
int local_disk_wait_released(const char *run_directory, uint64_t timeout_ns, struct error *err);

/* --- container.c: OCI */

int local_container_prepare(struct local_cluster *lc, struct local_host *lh, struct error *err);
int local_container_run(struct local_cluster *lc, struct local_host *lh, struct error *err);
int local_container_delete(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* The path to hide from hosts so that they do not see runs of the machine; "" for none. */
void local_container_hidden(const char *image, const char *run_directory, char *ret_path,
                            size_t size);

/* --- unit.c */

int local_units_start(struct local_cluster *lc, struct local_host *lh, struct error *err);
/* The error of a start that failed: the helper's first line, or how it ended when it was killed. */
int local_unit_failed(const struct process_result *result, struct error *err);
int local_unit_define(struct cluster *cluster, const struct host *host,
                      const struct host_unit *unit, struct error *err);
int local_unit_start(struct cluster *cluster, const struct host *host, const char *name,
                     struct error *err);
int local_unit_running(struct cluster *cluster, const struct host *host, const char *name,
                       bool *ret_running, struct error *err);

/* --- enter.c: programs and files on a host */

/* The start of an argument list that runs a program on the host; the caller appends "--" and it. */
struct local_enter {
  const char *argv[512];
  uint32_t count;
  char helper[PATH_MAX], pid[16];
  char cgroups[LOCAL_CGROUPS_MAX][PATH_MAX];
  bool full;
};
int local_enter_init(struct local_enter *enter, const struct local_cluster *lc,
                     const struct local_host *lh, const char *unit, struct error *err);
void local_enter_add(struct local_enter *enter, const char *argument);
int local_exec(struct cluster *cluster, const struct host *host, const char *user,
               const struct process_spec *spec, struct process_result *ret, struct error *err);
int local_file_put(struct cluster *cluster, const struct host *host, const char *path,
                   const void *bytes, size_t length, mode_t mode, const char *owner,
                   struct error *err);

/* --- power.c */

int local_host_stop(struct cluster *cluster, const struct host *host, struct error *err);
int local_host_start(struct cluster *cluster, const struct host *host, struct error *err);
int local_host_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                       struct error *err);

/* --- cgroup.c */

/* From the text of /proc/self/mountinfo. STATUS_ENVIRONMENT: there is nothing to freeze with. */
int local_cgroups_parse(const char *mountinfo, struct local_cgroups *ret, struct error *err);
int local_cgroups_find(struct local_cgroups *ret, struct error *err);
/* "MOUNT/gameday-ID/HOST" in the hierarchy that finds and freezes; `path` holds PATH_MAX. */
int local_cgroup_path(const struct local_cluster *lc, const struct host *host, char *path,
                      struct error *err);
/* The group of a unit below it, made when absent. */
int local_cgroup_unit(const struct local_cluster *lc, const struct host *host, const char *unit,
                      char *path, struct error *err);
/* Process numbers (this machine's) of a group and all below it, appended. */
struct local_pids {
  pid_t *items;
  uint32_t count, capacity;
};
void local_pids_release(struct local_pids *pids);
int local_cgroup_pids(const char *path, struct local_pids *pids, struct error *err);
/* Whether a process is in it or below. */
bool local_cgroup_empty(const char *path);
int local_cgroup_freeze(const struct local_cgroups *cgroups, const char *path, bool frozen,
                        struct error *err);
int local_cgroup_is_frozen(const struct local_cgroups *cgroups, const char *path, bool *ret_frozen,
                           struct error *err);
/* Thaws all groups at and below `path`; what is absent is fine. */
void local_cgroup_thaw_all(const struct local_cgroups *cgroups, const char *path);
/* Removes gameday-ID of every hierarchy, waiting for the last processes. */
int local_cgroups_remove(const struct local_cgroups *cgroups, const char *id, uint64_t timeout_ns,
                         struct error *err);
int local_cgroup_remove_tree(const char *path);

/* --- proc.c: what /proc says of a process; false when it is gone */

struct local_proc {
  pid_t pid, parent;
  char state;         /* as in /proc/PID/stat */
  uint64_t start;     /* clock ticks since boot */
  pid_t inner, world; /* its number in its own namespace, and in the one around that */
};
bool local_proc_parse_stat(const char *text, struct local_proc *ret);
bool local_proc_read(pid_t pid, struct local_proc *ret);
bool local_proc_start(pid_t pid, uint64_t *ret_start);
/* Process 1 of a host; false when the host is off. */
bool local_proc_init(const struct local_cluster *lc, const struct host *host,
                     struct local_proc *ret);
/* A pidfd of exactly this process, or -1. */
int local_proc_open(const struct local_proc *proc);
bool local_proc_has_mark(pid_t pid, const char *id);
/* Whether a path of `cgroup_text` (/proc/PID/cgroup) has the component gameday-ID. */
bool local_proc_cgroup_names(const char *cgroup_text, const char *id);

/* --- match.c, freeze.c */

struct local_matched {
  struct local_proc *items; /* parents before their children */
  uint32_t count;
};
void local_matched_release(struct local_matched *matched);
int local_match(const struct local_cluster *lc, const struct host *host,
                const struct process_match *match, struct local_matched *ret, struct error *err);
int local_process_signal(struct cluster *cluster, const struct host *host,
                         const struct process_match *match, int signal, uint32_t *ret_count,
                         struct error *err);
int local_freeze(struct cluster *cluster, const struct host *host,
                 const struct process_match *match, bool frozen, struct error *err);
int local_frozen(struct cluster *cluster, const struct host *host,
                 const struct process_match *match, bool *ret_frozen, struct error *err);

/* --- links.c, link_probe.c */

int local_link_cut(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                   const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                   const char *tag, struct error *err);
int local_link_mend(struct cluster *cluster, const char *tag, struct error *err);
int local_link_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                      const struct link_rule *rule, const char *tag, bool *ret_passes,
                      struct error *err);
/* Of a packet that was refused: whether no cut of `tag` is left at `to`, by the kernel's word, and
 * one of another tag is of what comes from `from`. */
int local_link_cut_by_another(struct cluster *cluster, const struct host *from,
                              const struct host *to, const char *tag, bool *ret_another,
                              struct error *err);
/* What is cut at this server, in its new network namespace; before it is plugged in. */
int local_links_restore(const struct local_cluster *lc, struct local_host *lh, struct error *err);

/* --- probe.c, destroy.c */

int local_probe(const void *config, struct error *err);
int local_probe_can(const void *config, uint32_t capabilities, struct error *err);
/* "runc" or "crun", whichever can run with these control groups; NULL: none is installed. */
const char *local_probe_runtime(const struct local_cgroups *cgroups);
int local_probe_loop(struct error *err);
int local_destroy(const char *run_directory, const char *id, struct error *err);

/* The embedded helper program; helper_image.c. */
extern const unsigned char local_helper_bytes[];
extern const uint64_t local_helper_length;

#endif
