/* Seals a record, and compares a record with its seal. */
#include "engine/record_seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gameday/provider.h"

#define SEAL_NAME "seal.json"
#define SEAL_SCHEMA "gameday/seal/v1"
#define PIECE_BYTES ((size_t)1 << 20)

/* scenario.yaml is not among them: to judge a record by other objectives is nobody's accident. */
static const char *const fixed_names[] = {"run.json", "events.jsonl", "operations.bin",
                                          "samples.bin"};
#define FIXED_COUNT (sizeof fixed_names / sizeof *fixed_names)
#define FILES_MAX (FIXED_COUNT + HOSTS_MAX)
#define SEAL_BYTES_MAX (FILES_MAX * 1024) /* a row is shorter, however its name is escaped */

struct sealed_file {
  char name[HOST_NAME_SIZE + 16];
  bool there;
  uint64_t bytes;
  uint32_t crc;
};
struct seal {
  struct sealed_file files[FILES_MAX];
  uint32_t count;
};

static void free_json(json_t **json) {
  json_decref(*json);
}

static void close_directory(DIR **directory) {
  if (*directory) closedir(*directory);
}

/* --- what is there --------------------------------------------------------------------------- */

static int read_file(const char *path, struct sealed_file *file, struct error *err) {
  CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return 0;
  if (fd < 0) return error_set_errno(err, errno, "cannot open %s", path);
  struct stat stat;
  if (fstat(fd, &stat) < 0) return error_set_errno(err, errno, "cannot stat %s", path);
  if (!S_ISREG(stat.st_mode)) return error_set(err, STATUS_USAGE, "%s is not a regular file", path);
  CLEANUP_FREE unsigned char *piece = malloc(PIECE_BYTES);
  if (!piece) return error_set(err, STATUS_MEMORY, "out of memory for reading %s", path);
  file->there = true;
  for (;;) {
    ssize_t got = read(fd, piece, PIECE_BYTES);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_set_errno(err, errno, "cannot read %s", path);
    if (got == 0) return 0;
    file->crc = checksum_crc32c(file->crc, piece, (size_t)got);
    file->bytes += (uint64_t)got;
  }
}

static bool is_rows(const char *name) {
  size_t length = strlen(name);
  return strncmp(name, "final-", 6) == 0 && length > 10 && strcmp(name + length - 4, ".bin") == 0;
}

static int compare_names(const void *left, const void *right) {
  return strcmp(((const struct sealed_file *)left)->name,
                ((const struct sealed_file *)right)->name);
}

/* The names of all files that a seal is over, those of final rows in their order. */
static int list_files(const char *directory_name, struct seal *seal, struct error *err) {
  for (size_t i = 0; i < FIXED_COUNT; i++)
    snprintf(seal->files[seal->count++].name, sizeof seal->files[0].name, "%s", fixed_names[i]);
  CLEANUP(close_directory) DIR *directory = opendir(directory_name);
  if (!directory) return error_set_errno(err, errno, "cannot open %s", directory_name);
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (!is_rows(entry->d_name)) continue;
    struct sealed_file *file = &seal->files[seal->count];
    if (seal->count == FILES_MAX || strlen(entry->d_name) >= sizeof file->name)
      return error_set(err, STATUS_USAGE, "%s/%s is no file of a record", directory_name,
                       entry->d_name);
    memcpy(file->name, entry->d_name, strlen(entry->d_name) + 1);
    seal->count++;
  }
  qsort(&seal->files[FIXED_COUNT], seal->count - FIXED_COUNT, sizeof seal->files[0], compare_names);
  return 0;
}

static int look(const char *directory, struct seal *ret, struct error *err) {
  struct seal seal = {.count = 0};
  int status = list_files(directory, &seal, err);
  for (uint32_t i = 0; status == 0 && i < seal.count; i++) {
    char path[PATH_MAX];
    status = path_format(path, sizeof path, err, "%s/%s", directory, seal.files[i].name);
    if (status == 0) status = read_file(path, &seal.files[i], err);
  }
  if (status == 0) *ret = seal;
  return status;
}

/* --- sealing --------------------------------------------------------------------------------- */

int record_seal(const char *run_directory, struct error *err) {
  struct seal seal;
  int status = look(run_directory, &seal, err);
  if (status < 0) return error_wrap(err, "cannot seal the record");
  CLEANUP(free_json) json_t *root = json_pack("{s:s, s:[]}", "schema", SEAL_SCHEMA, "files");
  int failed = root ? 0 : -1;
  for (uint32_t i = 0; i < seal.count && !failed; i++) {
    const struct sealed_file *file = &seal.files[i];
    char crc[9];
    snprintf(crc, sizeof crc, "%08" PRIx32, file->crc);
    if (file->there)
      failed = json_array_append_new(json_object_get(root, "files"),
                                     json_pack("{s:s, s:I, s:s}", "name", file->name, "bytes",
                                               (json_int_t)file->bytes, "crc32c", crc));
  }
  CLEANUP_FREE char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2));
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for " SEAL_NAME);
  char path[PATH_MAX];
  status = path_format(path, sizeof path, err, "%s/" SEAL_NAME, run_directory);
  return status < 0 ? status : file_puts(path, text, 0644, err);
}

/* --- comparing ------------------------------------------------------------------------------- */

/* Reads one row of the seal; false: it is none. */
static bool parse_file(const json_t *row, struct sealed_file *ret) {
  const char *name = json_string_value(json_object_get(row, "name"));
  const char *crc = json_string_value(json_object_get(row, "crc32c"));
  const json_t *bytes = json_object_get(row, "bytes");
  if (!name || strlen(name) >= sizeof ret->name || !json_is_integer(bytes) || !crc ||
      strlen(crc) != 8 || strspn(crc, "0123456789abcdef") != 8)
    return false;
  *ret = (struct sealed_file){.there = true,
                              .bytes = (uint64_t)json_integer_value(bytes),
                              .crc = (uint32_t)strtoul(crc, NULL, 16)};
  snprintf(ret->name, sizeof ret->name, "%s", name);
  return true;
}

static bool parse_seal(const struct buf *text, struct seal *ret) {
  CLEANUP(free_json) json_t *root = json_loadb(text->data, text->length, 0, NULL);
  const char *schema = json_string_value(json_object_get(root, "schema"));
  const json_t *files = json_object_get(root, "files");
  struct seal seal = {.count = 0};
  if (!schema || strcmp(schema, SEAL_SCHEMA) != 0 || !json_is_array(files) ||
      json_array_size(files) > FILES_MAX)
    return false;
  for (size_t i = 0; i < json_array_size(files); i++)
    if (!parse_file(json_array_get(files, i), &seal.files[seal.count++])) return false;
  *ret = seal;
  return true;
}

static const struct sealed_file *find(const struct seal *seal, const char *name) {
  for (uint32_t i = 0; i < seal->count; i++)
    if (seal->files[i].there && strcmp(seal->files[i].name, name) == 0) return &seal->files[i];
  return NULL;
}

/* The first difference, in words; "" when there is none. */
static void compare(const struct seal *sealed, const struct seal *found, char *text, size_t size) {
  text[0] = '\0';
  for (uint32_t i = 0; i < sealed->count && !text[0]; i++) {
    const struct sealed_file *was = &sealed->files[i], *is = find(found, was->name);
    if (!is)
      snprintf(text, size, "%s is not there any more", was->name);
    else if (is->bytes != was->bytes)
      snprintf(text, size, "%s has %" PRIu64 " bytes, and had %" PRIu64, was->name, is->bytes,
               was->bytes);
    else if (is->crc != was->crc)
      snprintf(text, size,
               "%s is not what was written (CRC-32C %08" PRIx32 ", and was %08" PRIx32 ")",
               was->name, is->crc, was->crc);
  }
  for (uint32_t i = 0; i < found->count && !text[0]; i++)
    if (found->files[i].there && !find(sealed, found->files[i].name))
      snprintf(text, size, "%s is not under the seal", found->files[i].name);
}

/* `ret_absent`: there is no seal. Otherwise `text` says what differs; "": nothing. */
static int check_seal(const char *directory, bool *ret_absent, char *text, size_t size,
                      struct error *err) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = path_format(path, sizeof path, err, "%s/" SEAL_NAME, directory);
  if (status < 0) return status;
  text[0] = '\0';
  *ret_absent = !file_exists(path);
  if (*ret_absent) return 0;
  struct seal sealed, found;
  status = file_read_regular(path, SEAL_BYTES_MAX, &content, err);
  if (status < 0 && status != STATUS_USAGE) return status;
  if (status == STATUS_USAGE || !parse_seal(&content, &sealed)) {
    snprintf(text, size, SEAL_NAME " is damaged itself");
    return 0;
  }
  status = look(directory, &found, err);
  if (status == 0) compare(&sealed, &found, text, size);
  return status;
}

int record_open_sealed(const char *run_directory, struct record *ret, struct error *err) {
  struct error failed = ERROR_INIT;
  struct record record;
  char difference[256];
  bool absent = false;
  int status = check_seal(run_directory, &absent, difference, sizeof difference, err);
  if (status < 0) return status;
  status = record_open(run_directory, &record, &failed);
  if (status == STATUS_USAGE && difference[0]) {
    /* That a file is gone need not be said twice. */
    bool gone = strstr(difference, "is not there any more") != NULL;
    char why[ERROR_MESSAGE_SIZE];
    error_format(&failed, why, sizeof why);
    return error_set(err, STATUS_UNTRUSTED, "%s: the record was changed after the run: %s%s%s",
                     run_directory, difference, gone ? "" : "; ", gone ? "" : why);
  }
  if (status < 0) {
    if (err) *err = failed;
    return status;
  }
  bool unsealed = absent && record.finished && !record.damage;
  if (difference[0])
    record.damage =
        arena_printf(&record.arena, "the record was changed after the run: %s", difference);
  else if (unsealed)
    record.damage = arena_printf(&record.arena,
                                 "the run came to its end, but its record has no "
                                 "seal: " SEAL_NAME " is not there");
  if ((difference[0] || unsealed) && !record.damage) {
    record_close(&record);
    return error_set(err, STATUS_MEMORY, "out of memory for a record");
  }
  record.changed = difference[0] != '\0';
  if (record.damage) record.info.complete = false;
  *ret = record;
  return 0;
}
