/* What the commands share: loading scenarios, logging errors, exit codes. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli.h"
#include "scenario/mistakes.h"

enum exit_code cli_exit_code(enum status status, int number) {
  switch (status) {
    case STATUS_OK: return EXIT_MET;
    case STATUS_USAGE: return EXIT_BAD_USAGE;
    case STATUS_ENVIRONMENT:
    case STATUS_SYSTEM:
    case STATUS_SERVER: return EXIT_ENVIRONMENT;
    case STATUS_TIMEOUT:
    case STATUS_UNTRUSTED: return EXIT_UNTRUSTED;
    case STATUS_INTERRUPTED:
      if (number == SIGHUP) return EXIT_SIGHUP;
      return number == SIGTERM ? EXIT_SIGTERM : EXIT_SIGINT;
    case STATUS_MEMORY:
    case STATUS_INTERNAL: return EXIT_INTERNAL;
  }
  return EXIT_INTERNAL;
}

int cli_fail(struct cli *cli, const struct error *err) {
  char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE + 32];
  error_format(err, text, sizeof text);
  log_print(&cli->log, LOG_ERROR, "%s", text);
  return (int)cli_exit_code(err->status, SIGINT);
}

int cli_usage(struct cli *cli, const struct command *command) {
  log_print(&cli->log, LOG_ERROR, "usage: gameday %s", command->usage);
  return EXIT_BAD_USAGE;
}

/* "path=value" into its two parts; the path is copied into the scenario's arena-to-be, so into a
 * buffer of the caller's. */
static int split_set(const char *text, char *path, size_t size, const char **ret_value,
                     struct error *err) {
  const char *equals = strchr(text, '=');
  char quoted[SHOWN_SIZE];
  if (!equals || equals == text)
    return error_set(err, STATUS_USAGE, "--set %s: expected path=value such as load.warmup=5s",
                     shown(text, quoted));
  if ((size_t)(equals - text) >= size)
    return error_set(err, STATUS_USAGE, "--set: the path of '%.40s...' is too long", text);
  memcpy(path, text, (size_t)(equals - text));
  path[equals - text] = '\0';
  *ret_value = equals + 1;
  return 0;
}

static void log_mistakes(struct cli *cli, const struct scenario_errors *errors) {
  for (uint32_t i = 0; i < errors->count; i++) (void)cli_fail(cli, &errors->errors[i]);
  if (errors->total > errors->count)
    log_print(&cli->log, LOG_ERROR, "and %u more", errors->total - errors->count);
}

int cli_try_scenario(const struct cli *cli, const char *path, const char *provider,
                     const struct option_list *sets, const struct scenario_override *last,
                     struct scenario *ret, struct scenario_errors *ret_errors, struct error *err) {
  static const char provider_path[] = "cluster.provider";
  struct scenario_override overrides[OPTION_LIST_MAX + 2];
  char paths[OPTION_LIST_MAX][256];
  uint32_t count = 0;
  for (uint32_t i = 0; sets && i < sets->count; i++) {
    overrides[count] = (struct scenario_override){.path = paths[i]};
    int status = split_set(sets->items[i], paths[i], sizeof paths[i], &overrides[count].value, err);
    if (status < 0) return status;
    count++;
  }
  if (last) overrides[count++] = *last;
  if (provider)
    overrides[count++] = (struct scenario_override){
        .path = provider_path, .value = provider, .argument = "--provider"};
  int status = scenario_load(path, &cli->tables, overrides, count, ret, ret_errors, err);
  if (status < 0) scenario_release(ret);
  return status;
}

int cli_load_scenario(struct cli *cli, const char *path, const char *provider,
                      const struct option_list *sets, struct scenario *ret) {
  struct error err = ERROR_INIT;
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  if (!errors) {
    (void)error_set(&err, STATUS_MEMORY, "out of memory");
    return cli_fail(cli, &err);
  }
  int code = EXIT_MET;
  if (cli_try_scenario(cli, path, provider, sets, NULL, ret, errors, &err) < 0) {
    if (errors->count > 0) {
      log_mistakes(cli, errors);
      code = (int)cli_exit_code(err.status, SIGINT);
    } else {
      code = cli_fail(cli, &err);
    }
  }
  free(errors);
  return code;
}

int cli_worse(int a, int b) {
  static const int order[] = {EXIT_MET,         EXIT_UNTRUSTED, EXIT_MISSED,
                              EXIT_ENVIRONMENT, EXIT_BAD_USAGE, EXIT_INTERNAL,
                              EXIT_SIGHUP,      EXIT_SIGTERM,   EXIT_SIGINT};
  int rank_a = 0, rank_b = 0;
  for (int i = 0; i < (int)(sizeof order / sizeof *order); i++) {
    if (order[i] == a) rank_a = i;
    if (order[i] == b) rank_b = i;
  }
  return rank_a >= rank_b ? a : b;
}

int cli_absolute(const char *path, char *ret, size_t size, struct error *err) {
  /* A shell's variable that is not set: it is not the current directory that is meant. */
  if (!path[0]) return error_set(err, STATUS_USAGE, "\"\" is no path");
  if (path[0] == '/') return path_format(ret, size, err, "%s", path);
  char here[PATH_MAX];
  if (!getcwd(here, sizeof here))
    return error_set(err, STATUS_SYSTEM, "cannot tell the current directory");
  return path_format(ret, size, err, "%s/%s", here, path);
}

int cli_check_out(const char *out, struct error *err) {
  if (!out || out[0]) return 0;
  return error_set(err, STATUS_USAGE, "--out: \"\" is no directory");
}

int cli_check_writable(const char *directory, struct error *err) {
  char path[PATH_MAX];
  struct stat info;
  int status = cli_absolute(directory, path, sizeof path, err);
  if (status < 0) return status;
  /* The nearest that exists is where the rest would be made. */
  while (stat(path, &info) < 0) {
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || !path[1])
      return error_set_errno(err, errno, "cannot write to %s", directory);
    slash[slash == path] = '\0';
  }
  if (!S_ISDIR(info.st_mode)) return error_set_errno(err, ENOTDIR, "cannot write to %s", directory);
  if (access(path, W_OK | X_OK) < 0)
    return error_set_errno(err, errno, "cannot write to %s", directory);
  return 0;
}

/* Whether an existing directory may take a run. */
static int check_empty(const char *path, struct error *err) {
  DIR *directory = opendir(path);
  if (!directory) return error_set_errno(err, errno, "cannot open %s", path);
  const struct dirent *entry;
  bool empty = true;
  while (empty && (entry = readdir(directory)) != NULL)
    empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
  closedir(directory);
  if (!empty)
    return error_set(err, STATUS_USAGE, "%s is not empty; a run is never written over another",
                     path);
  if (access(path, W_OK | X_OK) < 0) return error_set_errno(err, errno, "cannot write to %s", path);
  return 0;
}

/* Of two that find the directory empty at the same time one goes on. */
static int lock_directory(const char *path, int *ret_lock, struct error *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOTDIR)
    return error_set(err, STATUS_USAGE, "%s is a file; a run needs a directory", path);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *ret_lock = fd;
    return 0;
  }
  bool taken = errno == EWOULDBLOCK; /* else there are no locks here: no harm but a race */
  close(fd);
  return taken ? error_set(err, STATUS_USAGE, "%s is being used by another run", path) : 0;
}

int cli_make_run_directory(const char *path, int *ret_lock, struct error *err) {
  char parent[PATH_MAX];
  int status = path_format(parent, sizeof parent, err, "%s", path);
  if (status < 0) return status;
  char *slash = strrchr(parent, '/');
  if (slash && slash != parent) {
    *slash = '\0';
    status = directory_make(parent, 0755, err);
    if (status < 0) return status;
  }
  if (mkdir(path, 0755) < 0 && errno != EEXIST)
    return error_set_errno(err, errno, "cannot make %s", path);
  status = lock_directory(path, ret_lock, err);
  return status < 0 ? status : check_empty(path, err);
}
