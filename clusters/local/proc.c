/* What /proc says of processes: of this machine's numbering, and of a host's. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "local.h"

/* A small /proc file, whole and NUL-terminated; false when the process is gone. */
static bool read_small(pid_t pid, const char *name, char *text, size_t size, size_t *ret_length) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t length = 0;
  while (length + 1 < size) {
    ssize_t got = read(fd, text + length, size - 1 - length);
    if (got < 0) return false;
    if (got == 0) break;
    length += (size_t)got;
  }
  text[length] = 0;
  if (ret_length) *ret_length = length;
  return true;
}

bool local_proc_parse_stat(const char *text, struct local_proc *ret) {
  /* The name in brackets may hold anything, brackets too: the last one ends it. */
  const char *end = strrchr(text, ')');
  if (!end) return false;
  char state = 0;
  int parent = 0;
  uint64_t start = 0;
  int fields = sscanf(end + 1,
                      " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
                      " %" SCNu64,
                      &state, &parent, &start);
  if (fields != 3) return false;
  ret->pid = (pid_t)strtol(text, NULL, 10);
  ret->parent = parent;
  ret->state = state;
  ret->start = start;
  return true;
}

/* "NSpid: 812 34 1": here, in the world, in the host. */
static void read_inner(pid_t pid, struct local_proc *ret) {
  char text[8192];
  ret->inner = ret->world = pid;
  if (!read_small(pid, "status", text, sizeof text, NULL)) return;
  const char *line = strstr(text, "\nNSpid:");
  if (!line) return;
  line += strlen("\nNSpid:");
  for (;;) {
    char *end;
    while (*line == '\t' || *line == ' ') line++;
    if (*line < '0' || *line > '9') return;
    long number = strtol(line, &end, 10);
    ret->world = ret->inner;
    ret->inner = (pid_t)number;
    line = end;
  }
}

bool local_proc_read(pid_t pid, struct local_proc *ret) {
  char text[1024];
  if (!read_small(pid, "stat", text, sizeof text, NULL)) return false;
  if (!local_proc_parse_stat(text, ret)) return false;
  read_inner(pid, ret);
  return ret->state != 'Z' && ret->state != 'X';
}

bool local_proc_start(pid_t pid, uint64_t *ret_start) {
  char text[1024];
  struct local_proc proc;
  if (!read_small(pid, "stat", text, sizeof text, NULL)) return false;
  if (!local_proc_parse_stat(text, &proc)) return false;
  *ret_start = proc.start;
  return true;
}

bool local_proc_init(const struct local_cluster *lc, const struct host *host,
                     struct local_proc *ret) {
  char path[PATH_MAX];
  if (local_cgroup_path(lc, host, path, NULL) < 0) return false;
  CLEANUP(local_pids_release) struct local_pids pids = {0};
  if (local_cgroup_pids(path, &pids, NULL) < 0) return false;
  for (uint32_t i = 0; i < pids.count; i++) {
    struct local_proc proc;
    if (!local_proc_read(pids.items[i], &proc)) continue;
    if (proc.inner != 1 || proc.world == proc.inner) continue;
    *ret = proc;
    return true;
  }
  return false;
}

int local_proc_open(const struct local_proc *proc) {
  int fd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
  uint64_t start = 0;
  /* Open first, then look: what the descriptor means can no longer change. */
  if (fd >= 0 && (!local_proc_start(proc->pid, &start) || start != proc->start)) {
    close(fd);
    return -1;
  }
  return fd;
}

bool local_proc_has_mark(pid_t pid, const char *id) {
  CLEANUP_FREE char *text = malloc(1 << 17);
  size_t length = 0;
  if (!text || !read_small(pid, "environ", text, 1 << 17, &length)) return false;
  char mark[64];
  snprintf(mark, sizeof mark, "%s=%s", LOCAL_MARK, id);
  for (size_t at = 0; at < length; at += strlen(text + at) + 1)
    if (strcmp(text + at, mark) == 0) return true;
  return false;
}

bool local_proc_cgroup_names(const char *cgroup_text, const char *id) {
  char component[LOCAL_ID_MAX + 16];
  snprintf(component, sizeof component, "/gameday-%s", id);
  size_t length = strlen(component);
  for (const char *at = cgroup_text; (at = strstr(at, component)) != NULL; at += length)
    if (at[length] == '/' || at[length] == '\n' || at[length] == 0) return true;
  return false;
}
