/* Appends to and reads journal.jsonl: what must be undone if nobody is left to undo it. */
#include "engine/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

/* A harness that died while it wrote leaves half a line; the next line must not become a part of
 * it. */
static int end_torn_line(int fd, struct error *err) {
  char last = '\n';
  off_t size = lseek(fd, 0, SEEK_END);
  if (size > 0 && pread(fd, &last, 1, size - 1) != 1) size = -1;
  if (size < 0) return error_set_errno(err, errno, "cannot read the journal");
  return last == '\n' ? 0 : file_write_all(fd, "\n", 1, "the journal", err);
}

#define JOURNAL_FILE "journal.jsonl"
#define JOURNAL_BYTES_MAX (16u << 20)

static const char *const state_names[] = {"injecting", "injected", "healing", "healed"};

int journal_open(struct journal *journal, const char *run_directory, struct error *err) {
  char path[PATH_MAX];
  journal->fd = -1;
  int status = path_format(path, sizeof path, err, "%s/" JOURNAL_FILE, run_directory);
  if (status < 0) return status;
  int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  status = end_torn_line(fd, err);
  if (status < 0) {
    close(fd);
    return status;
  }
  /* The name itself must survive a crash of the machine too. */
  CLEANUP_CLOSE int directory = open(run_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || fsync(directory) < 0) {
    status = error_set_errno(err, errno, "cannot flush %s", run_directory);
    close(fd);
    return status;
  }
  journal->fd = fd;
  return 0;
}

void journal_close(struct journal *journal) {
  if (journal->fd >= 0) close(journal->fd);
  journal->fd = -1;
}

/* NULL when memory ran out. */
static json_t *line_json(const struct injection *in, enum journal_state state) {
  const struct service_process *p = in->process;
  json_t *object = json_pack("{s:i, s:s, s:s, s:s, s:s}", "fault", (int)in->fault, "state",
                             state_names[state], "injector", in->injector->plugin.name, "host",
                             in->host ? in->host->name : "", "note", in->note);
  if (!object || !p) return object;
  json_t *process = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:b}", "name", p->name, "program",
                              p->match.program, "argument", p->match.argument, "match_unit",
                              p->match.unit, "unit", p->unit, "tree", p->match.tree);
  if (process && json_object_set_new(object, "process", process) == 0) return object;
  json_decref(object);
  return NULL;
}

int journal_write(struct journal *journal, const struct injection *in, enum journal_state state,
                  struct error *err) {
  assert(journal->fd >= 0);
  json_t *object = line_json(in, state);
  CLEANUP_FREE char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for the journal");
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  buf_puts(&line, text);
  buf_putc(&line, '\n');
  int status = buf_ok(&line, err);
  if (status < 0) return status;
  status = file_write_all(journal->fd, line.data, line.length, JOURNAL_FILE, err);
  if (status < 0) return status;
  if (fdatasync(journal->fd) < 0) return error_set_errno(err, errno, "cannot flush " JOURNAL_FILE);
  return 0;
}

static void copy_text(char *to, size_t size, const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  snprintf(to, size, "%s", text ? text : "");
}

static void remove_fault(struct journal_fault *faults, uint32_t *count, int32_t fault) {
  for (uint32_t i = 0; i < *count; i++) {
    if (faults[i].fault != fault) continue;
    memmove(&faults[i], &faults[i + 1], (*count - i - 1) * sizeof *faults);
    (*count)--;
    return;
  }
}

/* Takes one line into the set of open faults; what is no JSON object is a torn line. */
static int take_line(const char *line, struct journal_fault *faults, uint32_t max, uint32_t *count,
                     struct error *err) {
  json_t *object = json_loads(line, 0, NULL);
  const char *state = json_string_value(json_object_get(object, "state"));
  const json_t *number = json_object_get(object, "fault");
  if (!state || !json_is_integer(number)) {
    json_decref(object);
    return 0;
  }
  int32_t fault = (int32_t)json_integer_value(number);
  remove_fault(faults, count, fault);
  int status = 0;
  if (strcmp(state, state_names[JOURNAL_HEALED]) == 0) {
    /* closed */
  } else if (*count == max) {
    status = error_set(err, STATUS_USAGE, JOURNAL_FILE " has more than %u open faults", max);
  } else {
    struct journal_fault *open_fault = &faults[(*count)++];
    open_fault->fault = fault;
    copy_text(open_fault->injector, sizeof open_fault->injector, object, "injector");
    copy_text(open_fault->host, sizeof open_fault->host, object, "host");
    copy_text(open_fault->note, sizeof open_fault->note, object, "note");
    const json_t *process = json_object_get(object, "process");
    copy_text(open_fault->process, sizeof open_fault->process, process, "name");
    copy_text(open_fault->program, sizeof open_fault->program, process, "program");
    copy_text(open_fault->argument, sizeof open_fault->argument, process, "argument");
    copy_text(open_fault->match_unit, sizeof open_fault->match_unit, process, "match_unit");
    copy_text(open_fault->unit, sizeof open_fault->unit, process, "unit");
    open_fault->tree = json_is_true(json_object_get(process, "tree"));
  }
  json_decref(object);
  return status;
}

int journal_read_open(const char *run_directory, struct journal_fault *ret_faults, uint32_t max,
                      uint32_t *ret_count, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/" JOURNAL_FILE, run_directory);
  if (status < 0) return status;
  uint32_t count = 0;
  if (file_exists(path)) {
    CLEANUP(buf_release) struct buf content;
    buf_init(&content);
    status = file_read(path, JOURNAL_BYTES_MAX, &content, err);
    if (status < 0) return status;
    char *rest = content.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
      status = take_line(line, ret_faults, max, &count, err);
      if (status < 0) return status;
    }
  }
  *ret_count = count;
  return 0;
}
