/* Writer `text`: the terminal's summary as a file. */
#include "base/cleanup.h"
#include "report/output.h"
#include "report/summary.h"
#include "report/writers.h"

static int text_write(const struct report_input *input, struct error *err) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = summary_text(input, &text, err);
  return status == 0 ? output_write(input, report_text.file, &text, err) : status;
}

const struct report report_text = {
    .plugin = {.name = "text", .summary = "The summary that the terminal shows"},
    .file = "summary.txt",
    .write = text_write,
};
