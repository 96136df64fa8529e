/* Cut links: rules in the destination host's own network namespace, where no rule of the machine
 * can be in their way and none of them can stay behind on it. What is cut is written down in the
 * world too: a host that is switched on again has a new namespace, and the fault still holds; and
 * of two faults that cut the same link each must be known to have its own part in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "filter.h"
#include "local.h"

#define TABLE_SIZE 48
#define CUT_PREFIX "cut-"
#define CUTS_BYTES_MAX (16u << 20)

static bool tag_valid(const char *tag) {
  size_t length = strlen(tag);
  return length > 0 && length <= 32 &&
         strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int table_of(const char *tag, char table[TABLE_SIZE], struct error *err) {
  if (!tag_valid(tag)) return error_set(err, STATUS_USAGE, "'%s' is no tag of a fault", tag);
  snprintf(table, TABLE_SIZE, "gameday-%s", tag);
  return 0;
}

/* Where the cuts at a host are written down: the directory of a server's units, made for others. */
static int cuts_directory(const struct local_cluster *lc, const struct host *host, char *path,
                          struct error *err) {
  int status = local_world_path(lc, path, err, "units/%s", host->name);
  if (status < 0 || host->kind == HOST_SERVER || mkdir(path, 0755) == 0 || errno == EEXIST)
    return status;
  return error_set_errno(err, errno, "%s", path);
}

static int cuts_path(const struct local_cluster *lc, const struct host *host, const char *tag,
                     char *path, struct error *err) {
  return local_world_path(lc, path, err, "units/%s/" CUT_PREFIX "%s", host->name, tag);
}

static int write_down(const struct local_cluster *lc, const struct host *host, const char *tag,
                      const struct buf *batch, struct error *err) {
  char path[PATH_MAX];
  int status = cuts_directory(lc, host, path, err);
  if (status == 0) status = cuts_path(lc, host, tag, path, err);
  if (status < 0) return status;
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return error_set_errno(err, errno, "%s", path);
  return file_write_all(fd, batch->data, batch->length, path, err);
}

static int strike_out(const struct local_cluster *lc, const struct host *host, const char *tag,
                      struct error *err) {
  char path[PATH_MAX];
  int status = cuts_path(lc, host, tag, path, err);
  if (status < 0) return status;
  if (unlink(path) < 0 && errno != ENOENT) return error_set_errno(err, errno, "%s", path);
  return 0;
}

static int send_inside(void *argument, struct error *err) {
  return filter_send(argument, err);
}

int local_link_cut(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                   const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                   const char *tag, struct error *err) {
  struct local_host *lh = local_host_of(cluster, to);
  char table[TABLE_SIZE];
  CLEANUP(buf_release) struct buf batch;
  buf_init(&batch);
  int status = table_of(tag, table, err);
  if (status == 0)
    status = filter_add_cut(&batch, table, froms, from_count, rules, rule_count, err);
  if (status < 0 || from_count == 0) return status;
  pthread_mutex_lock(&lh->lock);
  status = write_down(local_of(cluster), to, tag, &batch, err);
  if (status == 0) status = local_call_on_network(lh->netns, send_inside, &batch, err);
  pthread_mutex_unlock(&lh->lock);
  return status < 0 ? error_wrap(err, "cut links to %s", to->name) : 0;
}

/* One host's part of a mending, in a thread of its own: the kernel lets a deletion wait until no
 * processor can still be using the rules, and all hosts can wait for that together. */
struct mending {
  const struct local_cluster *lc;
  struct local_host *lh;
  const char *tag, *table;
  pthread_t thread;
  bool started;
  int status;
  struct error error;
};

static int mend_locked(struct mending *m) {
  int status = strike_out(m->lc, m->lh->host, m->tag, &m->error);
  if (status < 0) return status;
  if (setns(m->lh->netns, CLONE_NEWNET) < 0)
    return error_set_errno(&m->error, errno, "enter the network of host %s", m->lh->host->name);
  return filter_remove(m->table, &m->error);
}

static void *mend_host(void *data) {
  struct mending *m = data;
  pthread_mutex_lock(&m->lh->lock);
  m->status = mend_locked(m);
  pthread_mutex_unlock(&m->lh->lock);
  if (m->status < 0) (void)error_wrap(&m->error, "mend links to %s", m->lh->host->name);
  return NULL;
}

int local_link_mend(struct cluster *cluster, const char *tag, struct error *err) {
  struct local_cluster *lc = local_of(cluster);
  struct mending mendings[LOCAL_HOSTS_MAX];
  char table[TABLE_SIZE];
  int first = table_of(tag, table, err);
  if (first < 0) return first;
  for (uint32_t i = 0; i < cluster->host_count; i++) {
    struct mending *m = &mendings[i];
    *m = (struct mending){.lc = lc, .lh = &lc->locals[i], .tag = tag, .table = table};
    int errnum = pthread_create(&m->thread, NULL, mend_host, m);
    if (errnum) m->status = error_set_errno(&m->error, errnum, "cannot start a thread");
    m->started = errnum == 0;
  }
  for (uint32_t i = 0; i < cluster->host_count; i++) {
    struct mending *m = &mendings[i];
    if (m->started) pthread_join(m->thread, NULL);
    if (m->status == 0 || first < 0) continue;
    first = m->status;
    if (err) *err = m->error;
  }
  return first;
}

/* --- what is written down */

static void cleanup_closedir(DIR **directory) {
  if (*directory) closedir(*directory);
}

typedef int cut_call(void *data, const char *tag, struct buf *batch, struct error *err);

/* Calls it for each cut at the host; under the host's lock. */
static int each_cut(const struct local_cluster *lc, const struct host *host, cut_call *call,
                    void *data, struct error *err) {
  char path[PATH_MAX];
  int status = cuts_directory(lc, host, path, err);
  if (status < 0) return status;
  CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
  if (!directory) return error_set_errno(err, errno, "%s", path);
  for (const struct dirent *entry; status == 0 && (entry = readdir(directory)) != NULL;) {
    if (strncmp(entry->d_name, CUT_PREFIX, strlen(CUT_PREFIX)) != 0) continue;
    const char *tag = entry->d_name + strlen(CUT_PREFIX);
    CLEANUP(buf_release) struct buf batch;
    buf_init(&batch);
    status = cuts_path(lc, host, tag, path, err);
    if (status == 0) status = file_read(path, CUTS_BYTES_MAX, &batch, err);
    if (status == 0) status = call(data, tag, &batch, err);
  }
  return status;
}

static int cut_again(void *data, const char *tag, struct buf *batch, struct error *err) {
  const struct local_host *lh = data;
  (void)tag;
  return local_call_on_network(lh->netns, send_inside, batch, err);
}

int local_links_restore(const struct local_cluster *lc, struct local_host *lh, struct error *err) {
  return each_cut(lc, lh->host, cut_again, lh, err);
}

struct question {
  const char *tag, *table, *sender;
  bool own, other;
};

static int ask_inside(void *argument, struct error *err) {
  struct question *question = argument;
  return filter_has(question->table, &question->own, err);
}

static int look_at_cut(void *data, const char *tag, struct buf *batch, struct error *err) {
  struct question *question = data;
  (void)err;
  if (strcmp(tag, question->tag) != 0 && filter_cuts(batch, question->sender))
    question->other = true;
  return 0;
}

int local_link_cut_by_another(struct cluster *cluster, const struct host *from,
                              const struct host *to, const char *tag, bool *ret_another,
                              struct error *err) {
  struct local_host *lh = local_host_of(cluster, to);
  char table[TABLE_SIZE];
  struct question question = {.tag = tag, .table = table, .sender = from->address};
  int status = table_of(tag, table, err);
  if (status < 0) return status;
  pthread_mutex_lock(&lh->lock);
  status = local_call_on_network(lh->netns, ask_inside, &question, err);
  if (status == 0) status = each_cut(local_of(cluster), to, look_at_cut, &question, err);
  pthread_mutex_unlock(&lh->lock);
  if (status == 0) *ret_another = question.other && !question.own;
  return status;
}
