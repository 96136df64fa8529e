/* A run directory of any bytes: it opens or says what is wrong, and whatever opens is judged
 * without a crash. The input is a list of pieces: one byte that says which file, two that say how
 * long, and the bytes. Files that no piece mentions are those of a small good record. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/judge.h"
#include "engine/recorder.h"
#include "fuzz.h"

enum { FILE_RUN, FILE_EVENTS, FILE_OPERATIONS, FILE_SAMPLES, FILE_ROWS_1, FILE_ROWS_2, FILE_COUNT };

/* How a file is called, and how it begins when a piece has bit 7 set: then the fuzzer needs not
 * find the head on its own. */
static const struct {
  const char *name, *magic;
  uint32_t element_size;
  const char *good; /* of text files */
} files[FILE_COUNT] = {
    {.name = "run.json",
     .good =
         "{\"schema\":\"gameday/run/v1\",\"hosts\":[{\"name\":\"a\",\"kind\":\"server\"},"
         "{\"name\":\"b\",\"kind\":\"server\"}],\"faults\":[{\"name\":\"f\"},{\"planned\":true}],"
         "\"finished\":true,\"outage_min_ns\":1000000,\"load_minimum\":1}"},
    {.name = "events.jsonl",
     .good = "{\"schema\":\"gameday/events/v1\"}\n"
             "{\"time_ns\":1,\"kind\":\"role\",\"host\":0,\"role\":\"primary\"}\n"
             "{\"time_ns\":1000,\"kind\":\"run\",\"text\":\"steady\"}\n"
             "{\"time_ns\":4000000000,\"kind\":\"fault_confirmed\",\"fault\":0,\"host\":0}\n"
             "{\"time_ns\":5000000000,\"kind\":\"promoted\",\"host\":1}\n"
             "{\"time_ns\":9000000000,\"kind\":\"run\",\"text\":\"drain\"}\n"
             "{\"time_ns\":9100000000,\"kind\":\"final_read\",\"host\":0}\n"},
    {.name = "operations.bin",
     .magic = RECORD_OPERATIONS,
     .element_size = sizeof(struct operation)},
    {.name = "samples.bin", .magic = RECORD_SAMPLES, .element_size = sizeof(struct sample)},
    {.name = "final-a.bin", .magic = RECORD_ROWS, .element_size = sizeof(struct final_row)},
    {.name = "final-b.bin", .magic = RECORD_ROWS, .element_size = sizeof(struct final_row)},
};

/* One directory a process, emptied when it ends. */
static char directory[64];

static void remove_directory(void) {
  (void)directory_remove(directory, NULL);
}

static void make_directory(void) {
  const char *base = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%.32s/gameday-fuzz-XXXXXX", base ? base : "/tmp");
  const char *made = mkdtemp(directory);
  assert(made);
  atexit(remove_directory);
}

static void add_head(struct buf *content, uint32_t file) {
  struct record_head head = {.head_size = sizeof head, .element_size = files[file].element_size};
  memcpy(head.magic, files[file].magic, sizeof head.magic);
  buf_add(content, &head, sizeof head);
}

static void take_pieces(struct buf content[FILE_COUNT], bool mentioned[FILE_COUNT],
                        const uint8_t *data, size_t size) {
  while (size >= 3) {
    uint32_t file = (data[0] & 0x7f) % FILE_COUNT;
    size_t length = (size_t)data[1] | (size_t)data[2] << 8;
    if (length > size - 3) length = size - 3;
    if (!mentioned[file] && (data[0] & 0x80) && files[file].magic) add_head(&content[file], file);
    mentioned[file] = true;
    buf_add(&content[file], data + 3, length);
    data += 3 + length;
    size -= 3 + length;
  }
}

static void write_files(struct buf content[FILE_COUNT], const bool mentioned[FILE_COUNT]) {
  for (uint32_t file = 0; file < FILE_COUNT; file++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, files[file].name);
    if (!mentioned[file] && files[file].good) buf_puts(&content[file], files[file].good);
    if (!mentioned[file] && files[file].magic) add_head(&content[file], file);
    FILE *out = fopen(path, "wb");
    assert(out);
    if (content[file].length) (void)fwrite(content[file].data, 1, content[file].length, out);
    fclose(out);
  }
}

static int look(void *data, const struct record_item *item, struct error *err) {
  uint64_t *seen = data;
  (void)err;
  *seen += item->time_ns & 1;
  return 0;
}

static void judge(void) {
  struct error err = ERROR_INIT;
  struct record record;
  struct run_result result;
  struct arena arena;
  uint64_t seen = 0;
  int status = record_open(directory, &record, &err);
  if (status < 0) {
    assert(status == STATUS_USAGE && err.message[0] != '\0');
    return;
  }
  arena_init(&arena, 0);
  status = record_visit_all(&record, WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS | WANTS_ROWS,
                            look, &seen, &err);
  assert(status == 0 || status == STATUS_UNTRUSTED);
  status = judge_run(&record, NULL, checkers, &arena, &result, &err);
  assert(status == 0 && result.finding_count > 0);
  arena_release(&arena);
  record_close(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct buf content[FILE_COUNT];
  bool mentioned[FILE_COUNT] = {false};
  if (!directory[0]) make_directory();
  for (uint32_t file = 0; file < FILE_COUNT; file++) buf_init(&content[file]);
  take_pieces(content, mentioned, data, size);
  write_files(content, mentioned);
  judge();
  for (uint32_t file = 0; file < FILE_COUNT; file++) buf_release(&content[file]);
  return 0;
}
