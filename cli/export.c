/* gameday export: the operations of a record as JSON Lines, CSV or Jepsen's EDN, on stdout. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "cli.h"
#include "engine/record.h"

struct export_options {
  const char *format;
};

static const struct option_row rows[] = {
    {"format", OPTION_TEXT, offsetof(struct export_options, format), "FORMAT",
     "jsonl (default), csv or edn (a Jepsen history)."},
    {0},
};

struct writer {
  FILE *out;
  const struct record *record;
  uint64_t index; /* of EDN entries */
};

static const char *host_name(const struct writer *writer, uint8_t host) {
  return host < writer->record->info.host_count ? writer->record->info.hosts[host] : "";
}

static int check_output(const struct writer *writer, struct error *err) {
  return ferror(writer->out) ? error_set(err, STATUS_SYSTEM, "cannot write the export") : 0;
}

static int write_jsonl(void *data, const struct record_item *item, struct error *err) {
  struct writer *writer = data;
  const struct operation *op = item->operation;
  char code[6];
  code_unpack(op->code, code);
  fprintf(writer->out,
          "{\"kind\": \"%s\", \"outcome\": \"%s\", \"route\": \"%s\", \"client\": %u, "
          "\"identity\": %" PRIu32 ", \"sequence\": %" PRIu64 ", \"value\": %" PRIu64
          ", \"read_identity\": %" PRIu32 ", \"host\": \"%s\", \"timeline\": %" PRIu32
          ", \"code\": \"%s\", \"scheduled_ns\": %" PRIu64 ", \"sent_ns\": %" PRIu64
          ", \"done_ns\": %" PRIu64 "}\n",
          operation_kind_name(op->kind), outcome_name(op->outcome), route_name(op->route),
          op->client, op->identity, op->sequence, op->value, op->read_identity,
          host_name(writer, op->host), op->timeline, code, op->scheduled_ns, op->sent_ns,
          op->done_ns);
  return check_output(writer, err);
}

static int write_csv(void *data, const struct record_item *item, struct error *err) {
  struct writer *writer = data;
  const struct operation *op = item->operation;
  char code[6];
  code_unpack(op->code, code);
  fprintf(writer->out,
          "%s,%s,%s,%u,%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%s,%" PRIu32 ",%s,%" PRIu64
          ",%" PRIu64 ",%" PRIu64 "\n",
          operation_kind_name(op->kind), outcome_name(op->outcome), route_name(op->route),
          op->client, op->identity, op->sequence, op->value, op->read_identity,
          host_name(writer, op->host), op->timeline, code, op->scheduled_ns, op->sent_ns,
          op->done_ns);
  return check_output(writer, err);
}

/* One invocation and one completion, as Jepsen writes them. The pair is written when the operation
 * is done, so :index is in the order of completion and :time in that of each event. */
static int write_edn(void *data, const struct record_item *item, struct error *err) {
  static const char *const types[] = {"ok", "fail", "info", "fail"};
  struct writer *writer = data;
  const struct operation *op = item->operation;
  const char *function = operation_is_write(op) ? "write" : "read";
  fprintf(writer->out,
          "{:index %" PRIu64 ", :type :invoke, :process %u, :time %" PRIu64
          ", :f :%s, :value [%" PRIu32 " %" PRIu64 "]}\n",
          writer->index, op->client, op->sent_ns ? op->sent_ns : op->scheduled_ns, function,
          op->identity, op->sequence);
  fprintf(writer->out,
          "{:index %" PRIu64 ", :type :%s, :process %u, :time %" PRIu64 ", :f :%s, :value [%" PRIu32
          " %" PRIu64 "]}\n",
          writer->index + 1, types[op->outcome < OUTCOME_COUNT ? op->outcome : OUTCOME_UNKNOWN],
          op->client, op->done_ns, function,
          operation_is_write(op) ? op->identity : op->read_identity,
          operation_is_write(op) ? op->sequence : op->value);
  writer->index += 2;
  return check_output(writer, err);
}

static int main_export(struct cli *cli, const void *data, int argc, char **argv) {
  const struct export_options *options = data;
  const char *format = options->format ? options->format : "jsonl";
  struct error err = ERROR_INIT;
  struct record record;
  if (argc != 1) return cli_usage(cli, &command_export);
  record_visit *visit = strcmp(format, "jsonl") == 0 ? write_jsonl
                        : strcmp(format, "csv") == 0 ? write_csv
                        : strcmp(format, "edn") == 0 ? write_edn
                                                     : NULL;
  if (!visit) {
    (void)error_set(&err, STATUS_USAGE, "--format is jsonl, csv or edn, not '%s'", format);
    return cli_fail(cli, &err);
  }
  if (record_open(argv[0], &record, &err) < 0) return cli_fail(cli, &err);
  struct writer writer = {.out = stdout, .record = &record};
  if (visit == write_csv)
    printf(
        "kind,outcome,route,client,identity,sequence,value,read_identity,host,timeline,code,"
        "scheduled_ns,sent_ns,done_ns\n");
  int status = record_visit_all(&record, WANTS_OPERATIONS, visit, &writer, &err);
  record_close(&record);
  return status < 0 ? cli_fail(cli, &err) : EXIT_MET;
}

const struct command command_export = {
    .name = "export",
    .usage = "export RUN_DIR [--format jsonl|csv|edn]",
    .summary = "Print the operations of a record as JSON Lines, CSV or Jepsen EDN.",
    .options = rows,
    .options_size = sizeof(struct export_options),
    .main = main_export,
};
