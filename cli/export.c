/* gameday export: the operations of a record as JSON Lines, CSV or Jepsen's EDN, on stdout. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli.h"
#include "engine/record.h"
#include "engine/record_seal.h"
#include "series.h"

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
};

static const char *host_name(const struct writer *writer, uint16_t host) {
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
          ", \"done_ns\": %" PRIu64 ", \"workload\": %u, \"shard\": %u}\n",
          operation_kind_name(op->kind), outcome_name(op->outcome), route_name(op->route),
          op->client, op->identity, op->sequence, op->value, op->read_identity,
          host_name(writer, op->host), op->timeline, code, op->scheduled_ns, op->sent_ns,
          op->done_ns, op->workload, op->shard);
  return check_output(writer, err);
}

static int write_csv(void *data, const struct record_item *item, struct error *err) {
  struct writer *writer = data;
  const struct operation *op = item->operation;
  char code[6];
  code_unpack(op->code, code);
  fprintf(writer->out,
          "%s,%s,%s,%u,%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%s,%" PRIu32 ",%s,%" PRIu64
          ",%" PRIu64 ",%" PRIu64 ",%u,%u\n",
          operation_kind_name(op->kind), outcome_name(op->outcome), route_name(op->route),
          op->client, op->identity, op->sequence, op->value, op->read_identity,
          host_name(writer, op->host), op->timeline, code, op->scheduled_ns, op->sent_ns,
          op->done_ns, op->workload, op->shard);
  return check_output(writer, err);
}

/* --- a Jepsen history --------------------------------------------------------------------------
 */

/* Jepsen wants invocations and completions in the order of time, so they are collected and sorted:
 * this format alone takes memory with the length of the record. */
struct history {
  struct operation *operations;
  size_t count, capacity;
};
struct history_entry {
  uint64_t time_ns;
  size_t operation;
  bool done; /* the completion */
};

/* Rows written and rows read; heartbeats and what was never sent are no part of it. */
static int collect(void *data, const struct record_item *item, struct error *err) {
  struct history *history = data;
  const struct operation *op = item->operation;
  bool row = op->kind == OPERATION_WRITE || op->kind == OPERATION_PROBE ||
             op->kind == OPERATION_READ_OWN || op->kind == OPERATION_READ_NEWEST;
  if (!row || op->sent_ns == 0) return 0;
  if (history->count == history->capacity) {
    size_t capacity = history->capacity ? history->capacity * 2 : 4096;
    struct operation *larger = realloc(history->operations, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for the history");
    history->operations = larger;
    history->capacity = capacity;
  }
  history->operations[history->count++] = *op;
  return 0;
}

/* At one moment completions come first: their process is free again then. */
static int compare_entries(const void *left, const void *right) {
  const struct history_entry *a = left, *b = right;
  if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
  if (a->done != b->done) return a->done ? -1 : 1;
  return a->operation < b->operation ? -1 : a->operation > b->operation;
}

/* A process is an identity: one that has written something unknown writes no more, as Jepsen asks
 * of a process after :info. A read that was not answered has changed nothing, so it failed. */
static void write_entry(FILE *out, const struct operation *op, const struct history_entry *entry,
                        size_t index) {
  static const char *const types[] = {"ok", "fail", "info", "fail"};
  bool write = op->kind == OPERATION_WRITE || op->kind == OPERATION_PROBE;
  enum outcome outcome = op->outcome < OUTCOME_COUNT ? op->outcome : OUTCOME_UNKNOWN;
  if (!write && outcome == OUTCOME_UNKNOWN) outcome = OUTCOME_FAIL;
  fprintf(out, "{:index %zu, :type :%s, :process %" PRIu32 ", :time %" PRIu64 ", :f :%s, :value ",
          index, entry->done ? types[outcome] : "invoke", op->identity, entry->time_ns,
          write                            ? "write"
          : op->kind == OPERATION_READ_OWN ? "read-own"
                                           : "read-newest");
  if (write)
    fprintf(out, "[%" PRIu32 " %" PRIu64 "]", op->identity, op->sequence);
  else if (entry->done && outcome == OUTCOME_OK)
    fprintf(out, "[%" PRIu32 " %" PRIu64 "]", op->read_identity, op->value);
  else
    fprintf(out, "nil");
  if (op->shard > 0) fprintf(out, ", :shard %u", op->shard);
  fprintf(out, "}\n");
}

static int write_history(const struct record *record, FILE *out, struct error *err) {
  struct history history = {.count = 0};
  int status = record_visit_all(record, WANTS_OPERATIONS, collect, &history, err);
  struct history_entry *entries = calloc(2 * history.count + 1, sizeof *entries);
  if (status == 0 && !entries)
    status = error_set(err, STATUS_MEMORY, "out of memory for the history");
  for (size_t i = 0; i < history.count && status == 0; i++) {
    const struct operation *op = &history.operations[i];
    entries[2 * i] = (struct history_entry){.time_ns = op->sent_ns, .operation = i};
    entries[2 * i + 1] =
        (struct history_entry){.time_ns = op->done_ns, .operation = i, .done = true};
  }
  if (status == 0) qsort(entries, 2 * history.count, sizeof *entries, compare_entries);
  for (size_t i = 0; i < 2 * history.count && status == 0 && !ferror(out); i++)
    write_entry(out, &history.operations[entries[i].operation], &entries[i], i);
  free(entries);
  free(history.operations);
  return status;
}

/* --- the command -------------------------------------------------------------------------------
 */

/* What is missing in the export, before somebody takes it for all there was. Returns the exit code
 * that it deserves. */
static int warn_of_damage(struct cli *cli, const struct record *record) {
  if (record->damage) {
    log_print(&cli->log, LOG_WARNING, "%s: %s; what can be read of it is exported",
              record->directory, record->damage);
    return EXIT_UNTRUSTED;
  }
  if (!record->finished)
    log_print(&cli->log, LOG_WARNING, "%s: the run did not come to its end%s%s", record->directory,
              record->stopped_because ? ": " : "",
              record->stopped_because ? record->stopped_because : "");
  if (record->dropped > 0)
    log_print(&cli->log, LOG_WARNING, "%s: %" PRIu64 " operations or samples were dropped",
              record->directory, record->dropped);
  return EXIT_MET;
}

static int main_export(struct cli *cli, const void *data, int argc, char **argv) {
  const struct export_options *options = data;
  const char *format = options->format ? options->format : "jsonl";
  struct error err = ERROR_INIT;
  struct record record;
  if (argc != 1) return cli_usage(cli, &command_export);
  bool history = strcmp(format, "edn") == 0;
  record_visit *visit = strcmp(format, "jsonl") == 0 ? write_jsonl
                        : strcmp(format, "csv") == 0 ? write_csv
                                                     : NULL;
  if (!visit && !history) {
    (void)error_set(&err, STATUS_USAGE, "--format is jsonl, csv or edn, not '%s'", format);
    return cli_fail(cli, &err);
  }
  if (series_refuse(argv[0], &err) < 0) return cli_fail(cli, &err);
  if (record_open_sealed(argv[0], &record, &err) < 0) return cli_fail(cli, &err);
  int code = warn_of_damage(cli, &record);
  struct writer writer = {.out = stdout, .record = &record};
  if (visit == write_csv)
    printf(
        "kind,outcome,route,client,identity,sequence,value,read_identity,host,timeline,code,"
        "scheduled_ns,sent_ns,done_ns,workload,shard\n");
  int status = history ? write_history(&record, stdout, &err)
                       : record_visit_all(&record, WANTS_OPERATIONS, visit, &writer, &err);
  record_close(&record);
  /* What cannot be printed is main()'s to tell. */
  return status < 0 && !ferror(stdout) ? cli_fail(cli, &err) : code;
}

const struct command command_export = {
    .name = "export",
    .usage = "export RUN_DIR [--format jsonl|csv|edn]",
    .summary = "Print the operations of a record as JSON Lines, CSV or Jepsen EDN.",
    .more =
        "Of a record that is not what the run wrote, what can be read is printed, with a warning "
        "and\n"
        "the exit code 4.",
    .options = rows,
    .options_size = sizeof(struct export_options),
    .main = main_export,
};
