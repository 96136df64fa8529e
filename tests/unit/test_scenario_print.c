/* A printed scenario parses back to the same: by hand, and for many random ones. */
#include "base/prng.h"
#include "support/scenario_fixture.h"
#include "support/test.h"

/* Parses, prints, parses what was printed; both must be the same, and print alike. */
static void check_round_trip(const char *yaml, char **ret_printed) {
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario first, second;
  struct buf once, twice;
  struct error err = ERROR_INIT;
  buf_init(&once);
  buf_init(&twice);
  int status =
      scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, NULL, 0, &first, errors, &err);
  if (status < 0) fail_msg("%d:%d: %s in\n%s", err.line, err.column, err.message, yaml);
  assert_ok(scenario_print(&first, &once, &err), &err);
  status = scenario_parse("s.yaml", once.data, once.length, &fixture_tables, NULL, 0, &second,
                          errors, &err);
  if (status < 0) fail_msg("%d:%d: %s in\n%s", err.line, err.column, err.message, once.data);
  const char *difference = fixture_difference(&first, &second);
  if (difference) fail_msg("%s differs between\n%s\nand\n%s", difference, yaml, once.data);
  assert_ok(scenario_print(&second, &twice, &err), &err);
  assert_string_equal(once.data, twice.data);
  if (ret_printed) *ret_printed = buf_steal(&once);
  scenario_release(&first);
  scenario_release(&second);
  buf_release(&once);
  buf_release(&twice);
  free(errors);
}

static void test_every_default_is_written(void **state) {
  (void)state;
  char *printed = NULL;
  check_round_trip(fixture_minimal, &printed);
  assert_string_equal(printed,
                      "name: small\n"
                      "repeat: 1\n"
                      "cluster:\n"
                      "  provider: lab\n"
                      "  client_hosts: 1\n"
                      "  workers: 0\n"
                      "  start_timeout: 2min\n"
                      "  services:\n"
                      "    store:\n"
                      "      topology: chain\n"
                      "      instances: 3\n"
                      "      ttl: 30s\n"
                      "      synchronous: false\n"
                      "      weight: 1.5\n"
                      "  lab:\n"
                      "    memory: 1GiB\n"
                      "    shelf: lower\n"
                      "workloads:\n"
                      "  - ledger:\n"
                      "      rate: 200/s\n"
                      "      reads: 20%\n"
                      "      clients: 8\n"
                      "      patience: 1500ms\n"
                      "load:\n"
                      "  warmup: 5s\n"
                      "  settle: 10s\n"
                      "  minimum: 100\n"
                      "timeline:\n"
                      "  - at: 10s\n"
                      "    jitter: 0s\n"
                      "    name: host-crash-1\n"
                      "    host-crash:\n"
                      "      target: store.primary\n"
                      "measure:\n"
                      "  outage_min: 250ms\n"
                      "  latency_bound: 1s\n"
                      "  lag_bound: 1MiB\n"
                      "  recovery_timeout: 2min\n"
                      "  converge_timeout: 2min\n"
                      "objectives:\n"
                      "  failover_time: <= 45s\n");
  free(printed);
}

#define PICK(prng, ...)                          \
  pick(prng, (const char *const[]){__VA_ARGS__}, \
       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *pick(struct prng *prng, const char *const *texts, size_t count) {
  return texts[prng_below(prng, count)];
}

static bool maybe(struct prng *prng) {
  return prng_below(prng, 2) == 0;
}

/* A text in double quotes of characters that a printer may stumble over. */
static void put_text(struct buf *yaml, struct prng *prng) {
  buf_putc(yaml, '"');
  for (uint64_t n = prng_below(prng, 12); n > 0; n--)
    buf_puts(yaml,
             PICK(prng, "a", "Z", "7", " ", " ", "\\n", "\\n", "\\t", "\\\"", "\\\\", "#", ":",
                  ": ", " #", "'", "- ", "[", "]", "{", "}", "%", "&", "*", "!", "|", ">", "@", "`",
                  "~", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\u2028", "\\u0085",
                  "\\x1b", "\\x7f", "\\uFEFF", "\\r", "null", ".", "=", "<", "?", ","));
  buf_putc(yaml, '"');
}

static void put_store(struct buf *yaml, struct prng *prng) {
  buf_puts(yaml, "    store:\n      instances: 3\n");
  if (maybe(prng))
    buf_printf(yaml, "      ttl: %s\n", PICK(prng, "5s", "299999999999ns", "1.5min"));
  if (maybe(prng)) buf_printf(yaml, "      synchronous: %s\n", PICK(prng, "true", "false"));
  if (maybe(prng))
    buf_printf(
        yaml, "      weight: %s%s\n", PICK(prng, "", "-"),
        PICK(prng, "0", "0.1", "1e300", "3.14159265358979312", "5e-324", "123456789012345678"));
  if (maybe(prng)) buf_printf(yaml, "      offset: %d\n", (int)prng_below(prng, 21) - 10);
  if (maybe(prng))
    buf_printf(yaml, "      memory: %s\n", PICK(prng, "1MiB", "1048577B", "1.5GiB", "7TB"));
  if (maybe(prng)) {
    buf_puts(yaml, "      suite: ");
    put_text(yaml, prng);
    buf_putc(yaml, '\n');
  }
  if (maybe(prng)) return;
  buf_puts(yaml, "      parameters:\n        plain: on\n");
  for (uint64_t n = prng_below(prng, 3); n > 0; n--) {
    buf_printf(yaml, "        \"%llu%s\": ", (unsigned long long)n,
               PICK(prng, "", "\\n", " ", ": ", "null", "<<"));
    put_text(yaml, prng);
    buf_putc(yaml, '\n');
  }
}

static void put_entry(struct buf *yaml, struct prng *prng, uint64_t index) {
  bool after = index > 0 && maybe(prng);
  buf_printf(yaml, "  - at: %s%s\n", after ? "recovery + " : "",
             PICK(prng, "0s", "1ns", "1500ms", "1.5h"));
  if (maybe(prng)) buf_printf(yaml, "    jitter: %s\n", PICK(prng, "0s", "3s", "1us"));
  if (maybe(prng)) buf_printf(yaml, "    for: %s\n", PICK(prng, "1ms", "1min", "7d"));
  if (maybe(prng)) buf_printf(yaml, "    name: entry-%llu\n", (unsigned long long)index);
  if (maybe(prng))
    buf_printf(yaml, "    noise: {level: %s}\n", PICK(prng, "0%", "33.3%", "99.999%", "1e-9%"));
  else
    buf_printf(yaml, "    process-kill: {target: \"%s\", process: %s, signal: %s}\n",
               index == 0 ? "store.replica[1]" : "store.any", PICK(prng, "server", "manager"),
               PICK(prng, "SIGKILL", "SIGTERM"));
}

static void put_explore(struct buf *yaml, struct prng *prng) {
  buf_puts(yaml, "explore:\n");
  if (maybe(prng)) buf_printf(yaml, "  faults: %s\n", PICK(prng, "3", "1..16", "2..2"));
  if (maybe(prng)) buf_printf(yaml, "  window: %s\n", PICK(prng, "0s..1.5min", "7s", "1ns..1d"));
  if (maybe(prng)) buf_printf(yaml, "  for: %s\n", PICK(prng, "1ms..1d", "90s..2min"));
  if (maybe(prng))
    buf_printf(yaml, "  injectors: %s\n",
               PICK(prng, "[]", "", "[freeze]", "[process-kill, \"host-crash\"]"));
  if (maybe(prng)) buf_printf(yaml, "  steps: %s\n", PICK(prng, "true", "false"));
}

static void put_scenario(struct buf *yaml, struct prng *prng) {
  buf_puts(yaml, "name: random-1\n");
  if (maybe(prng)) {
    buf_puts(yaml, "description: ");
    put_text(yaml, prng);
    buf_putc(yaml, '\n');
  }
  if (maybe(prng)) buf_printf(yaml, "seed: %s\n", PICK(prng, "0", "7", "9223372036854775807"));
  if (maybe(prng)) buf_puts(yaml, "repeat: 20\n");
  buf_printf(yaml, "cluster:\n  provider: lab\n  workers: %d\n  services:\n",
             (int)prng_below(prng, 65));
  put_store(yaml, prng);
  if (maybe(prng)) buf_puts(yaml, "    cache:\n");
  if (maybe(prng)) buf_puts(yaml, "  glass:\n  lab: {memory: 64MiB}\n");
  buf_puts(yaml, "workloads:\n");
  for (uint64_t n = 1 + prng_below(prng, 3); n > 0; n--)
    buf_printf(yaml, "  - ledger: {rate: %s, reads: %s}\n",
               PICK(prng, "1/min", "99999.5/s", "70/h", "0.1/s"), PICK(prng, "0%", "100%", "1.1%"));
  if (maybe(prng)) buf_puts(yaml, "load: {duration: 1.5s, minimum: 0}\n");
  buf_puts(yaml, "timeline:\n");
  for (uint64_t i = 0, n = prng_below(prng, 5); i < n; i++) put_entry(yaml, prng, i);
  if (maybe(prng)) put_explore(yaml, prng);
  buf_puts(yaml, "objectives:\n");
  buf_printf(yaml, "  failover_time: [%s, p95 <= 1min]\n", PICK(prng, "45s", "<= 45s", "max 1ns"));
  if (maybe(prng)) buf_printf(yaml, "  data_loss: %s\n", PICK(prng, "0", "\"<= 3\"", "'min>=1'"));
  if (maybe(prng))
    buf_printf(yaml, "  availability: %s\n", PICK(prng, "99.9%", "'>= 0%'", "<= 100%"));
  if (maybe(prng)) buf_puts(yaml, "  replication_lag.p99: \" median  <=   5 s\"\n");
}

static void test_random_scenarios_round_trip(void **state) {
  (void)state;
  struct prng prng;
  prng_init(&prng, 20240229, "test/print");
  struct buf yaml;
  buf_init(&yaml);
  for (int i = 0; i < 2000; i++) {
    buf_clear(&yaml);
    put_scenario(&yaml, &prng);
    check_round_trip(yaml.data, NULL);
  }
  buf_release(&yaml);
}

/* A file that serves several providers is printed with the blocks of all, so that what is made of
 * it serves them too. */
static void test_blocks_of_other_providers_are_kept(void **state) {
  (void)state;
  static const char yaml[] =
      "name: both\n"
      "cluster: {provider: glass, lab: {memory: 64MiB}, services: {cache: {}}}\n"
      "workloads: [pings: {}]\n"
      "objectives: {data_loss: 0}\n";
  char *printed = NULL;
  check_round_trip(yaml, &printed);
  if (!strstr(printed, "  glass: {}\n  lab:\n    memory: 64MiB\n    shelf: lower\n"))
    fail_msg("%s", printed);
  free(printed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_default_is_written),
      cmocka_unit_test(test_random_scenarios_round_trip),
      cmocka_unit_test(test_blocks_of_other_providers_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
