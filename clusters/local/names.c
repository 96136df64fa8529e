/* What the cluster's hosts are called: the hosts' own /etc/hosts, and a view of this machine in
 * which our threads and programs on a client host find the same names. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"

int local_names_text(const struct local_cluster *lc, struct buf *text, struct error *err) {
  buf_puts(text, "127.0.0.1 localhost\n");
  for (uint32_t i = 0; i < lc->public.host_count; i++)
    buf_printf(text, "%s %s\n", lc->hosts[i].address, lc->hosts[i].name);
  return buf_ok(text, err);
}

static int put(const char *path, const struct buf *text, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return error_set_errno(err, errno, "%s", path);
  return file_write_all(fd, text->data, text->length, path, err);
}

/* Caches and services of this machine that libc asks before or instead of its files. They are
 * reached by a path, which no network namespace separates, and know nothing of the cluster's names.
 * Without them libc goes on to the files. */
static const char *const name_services[] = {"/var/run/nscd", "/run/systemd/resolve"};

static int hide_name_services(struct error *err) {
  for (size_t i = 0; i < sizeof name_services / sizeof *name_services; i++) {
    struct stat info;
    if (stat(name_services[i], &info) < 0 || !S_ISDIR(info.st_mode)) continue;
    if (mount("gameday", name_services[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0755,size=4k") < 0)
      return error_set_errno(err, errno, "hide %s", name_services[i]);
  }
  return 0;
}

static int cover(const char *with, const char *path, struct error *err) {
  if (mount(with, path, NULL, MS_BIND, NULL) < 0 ||
      mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            NULL) < 0)
    return error_set_errno(err, errno, "the cluster's names over %s", path);
  return 0;
}

/* In a mount namespace of our own. The files are in a file system over the folder that is empty for
 * everybody else; nothing of it is on a disk. */
static int make_view(const struct buf *names, struct error *err) {
  /* What this machine mounts and unmounts from now on happens here too, and not the other way. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
    return error_set_errno(err, errno, "mounts of our own");
  if (mount("gameday", LOCAL_WORLD, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "mode=0755,size=1m") < 0)
    return error_set_errno(err, errno, "a tmpfs at %s", LOCAL_WORLD);
  const struct buf nothing = {.data = NULL};
  int status = put(LOCAL_WORLD "/hosts", names, err);
  if (status == 0) status = put(LOCAL_WORLD "/empty", &nothing, err);
  if (status == 0) status = hide_name_services(err);
  if (status == 0) status = cover(LOCAL_WORLD "/hosts", "/etc/hosts", err);
  if (status < 0) return status;
  /* No name server, as on the hosts. Where there is no such file, or it was among what is hidden by
   * now, there is none anyway. */
  return file_exists("/etc/resolv.conf") ? cover(LOCAL_WORLD "/empty", "/etc/resolv.conf", err) : 0;
}

int local_names_enter(const struct local_cluster *lc, struct error *err) {
  CLEANUP(buf_release) struct buf names;
  buf_init(&names);
  int status = local_names_text(lc, &names, err);
  if (status == 0) status = directory_make(LOCAL_WORLD, 0700, err);
  if (status < 0) return status;
  if (unshare(CLONE_NEWNS) < 0)
    return error_set_errno(err, errno, "a mount namespace for the cluster's names");
  return make_view(&names, err);
}
