/* Puts a finished file into the report directory. */
#include "report/output.h"

#include <limits.h>

#include "base/file.h"

int output_put(const char *directory, const char *name, const struct buf *content,
               struct error *err) {
  char path[PATH_MAX];
  int status = buf_ok(content, err);
  if (status == 0) status = path_format(path, sizeof path, err, "%s/%s", directory, name);
  if (status == 0) status = file_write(path, content->data, content->length, 0644, err);
  return status == 0 ? 0 : error_wrap(err, "cannot write the report %s", name);
}

const char *output_directory(const struct report_input *input) {
  return input->into ? input->into : input->directory;
}

int output_write(const struct report_input *input, const char *name, const struct buf *content,
                 struct error *err) {
  return output_put(output_directory(input), name, content, err);
}

void output_join_failure(struct buf *whole, const struct buf *part) {
  if (part->failed) whole->failed = true;
}
