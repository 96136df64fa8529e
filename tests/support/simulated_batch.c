/* Batches of simulated runs in tests. Apart from simulated.c, which benchmarks use without CMocka.
 */
#include "support/simulated.h"
#include "support/test.h"

void simulated_batch(struct batch_spec spec) {
  struct batch_summary summary;
  struct error err = ERROR_INIT;
  spec.workers = 2;
  spec.job_timeout_ns = 120 * NS_PER_S;
  assert_ok(batch_run(&spec, &summary, &err), &err);
  assert_int_equal(summary.delivered, spec.count);
}

int simulated_done(const struct batch_outcome *outcome, const char *name, uint64_t seed,
                   struct error *err) {
  if (outcome->end == BATCH_DONE) return 0;
  return error_set(err, STATUS_INTERNAL, "%s, seed %llu: %s", name, (unsigned long long)seed,
                   outcome->end == BATCH_FAILED ? outcome->error->message : "crashed or hung");
}
