/* Runs the inputs of a corpus through a fuzzer's entry where libFuzzer is not linked, so that every
 * ordinary build replays what was found before. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "fuzz.h"

static int replay_file(const char *path) {
  CLEANUP(buf_release) struct buf content;
  struct error err = ERROR_INIT;
  buf_init(&content);
  if (file_read(path, (size_t)16 << 20, &content, &err) < 0) {
    fprintf(stderr, "%s\n", err.message);
    return -1;
  }
  printf("%s\n", path);
  fflush(stdout);
  return LLVMFuzzerTestOneInput((const uint8_t *)content.data, content.length);
}

/* The number of files, or -1. */
static int replay_directory(const char *path) {
  DIR *directory = opendir(path);
  if (!directory) return replay_file(path) < 0 ? -1 : 1;
  int count = 0;
  for (const struct dirent *entry = readdir(directory); entry && count >= 0;
       entry = readdir(directory)) {
    char file[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
    count = replay_file(file) < 0 ? -1 : count + 1;
  }
  closedir(directory);
  return count;
}

int main(int argc, char **argv) {
  int total = 0;
  for (int i = 1; i < argc; i++) {
    int count = replay_directory(argv[i]);
    if (count < 0) return 1;
    total += count;
  }
  printf("%d inputs\n", total);
  return total > 0 ? 0 : 1;
}
