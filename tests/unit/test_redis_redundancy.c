/* When replicas of Redis count as following, and the service as redundant. */
#include "support/test.h"

#include "services/redis_redundancy.h"

#define BOUND 1000

/* A primary, member 0, and two replicas that follow it. */
static void healthy(struct redis_word words[3]) {
  words[0] = (struct redis_word){.answers = true,
                                 .primary = true,
                                 .writable = true,
                                 .history = 1,
                                 .offset = 500,
                                 .from = UINT32_MAX,
                                 .listed = {{1u << 1 | 1u << 2}}};
  for (uint32_t i = 1; i < 3; i++)
    words[i] = (struct redis_word){
        .answers = true, .history = 1, .offset = 500, .from = 0, .link_up = true};
}

static void test_healthy(void **state) {
  (void)state;
  struct redis_word words[3];
  healthy(words);
  assert_true(redis_follows(words, 1, 0));
  assert_false(redis_follows(words, 0, 1));
  assert_int_equal(redis_one_primary(words, 3, 0), 0);
  assert_true(redis_words_redundant(words, 3, 0, BOUND));
}

/* Neither end alone is believed, and no old word. */
static void test_each_end_must_say_so(void **state) {
  (void)state;
  for (int i = 0; i < 8; i++) {
    struct redis_word words[3];
    healthy(words);
    switch (i) {
      case 0: words[1].link_up = false; break;
      case 1: words[1].answers = false; break;
      case 2: words[1].from = 2; break;
      case 3: words[1].history = 2; break;
      case 4: words[0].listed = (struct bits){{1u << 2}}; break;
      case 5: words[0].overdue = (struct bits){{1u << 1}}; break;
      case 6: words[0].answers = false; break;
      default: words[1].primary = true; break;
    }
    assert_false(redis_follows(words, 1, 0));
    assert_false(redis_words_redundant(words, 3, 0, BOUND));
  }
}

/* After a split the old primary follows the new one, and its replica still follows it. */
static void test_through_another_replica(void **state) {
  (void)state;
  struct redis_word words[3];
  healthy(words);
  words[0].listed = (struct bits){{1u << 1}};
  words[1].listed = (struct bits){{1u << 2}};
  words[2].from = 1;
  assert_true(redis_follows(words, 2, 0));
  assert_true(redis_words_redundant(words, 3, 0, BOUND));
  words[1].link_up = false; /* the one between hears nothing itself */
  assert_false(redis_follows(words, 2, 0));
  words[1].link_up = true;
  words[1].from = 2; /* a circle */
  words[2].listed = (struct bits){{1u << 1}};
  assert_false(redis_follows(words, 2, 0));
  assert_false(redis_follows(words, 1, 0));
}

static void test_too_far_behind(void **state) {
  (void)state;
  struct redis_word words[3];
  healthy(words);
  words[2].lag = BOUND;
  assert_true(redis_words_redundant(words, 3, 0, BOUND));
  words[2].lag = BOUND + 1;
  assert_false(redis_words_redundant(words, 3, 0, BOUND));
}

/* A primary that was left behind and is back claims its role: there is no one primary then. */
static void test_two_primaries(void **state) {
  (void)state;
  struct redis_word words[3];
  healthy(words);
  words[2] = (struct redis_word){
      .answers = true, .primary = true, .writable = true, .history = 2, .from = UINT32_MAX};
  assert_int_equal(redis_one_primary(words, 3, 0), UINT32_MAX);
  assert_false(redis_words_redundant(words, 3, 0, BOUND));
  words[2].writable = false; /* it refuses writes for want of replicas */
  assert_int_equal(redis_one_primary(words, 3, 0), 0);
  assert_false(redis_words_redundant(words, 3, 0, BOUND));
  words[0].writable = false;
  assert_int_equal(redis_one_primary(words, 3, 0), UINT32_MAX);
}

static void test_each_shard_has_its_own(void **state) {
  (void)state;
  struct redis_word words[4];
  for (uint32_t i = 0; i < 2; i++) {
    words[i] = (struct redis_word){.answers = true,
                                   .primary = true,
                                   .writable = true,
                                   .shard = (uint16_t)(i + 1),
                                   .history = i + 1,
                                   .from = UINT32_MAX,
                                   .listed = {{1u << (i + 2)}}};
    words[i + 2] = (struct redis_word){
        .answers = true, .shard = (uint16_t)(i + 1), .history = i + 1, .from = i, .link_up = true};
  }
  assert_int_equal(redis_one_primary(words, 4, 1), 0);
  assert_int_equal(redis_one_primary(words, 4, 2), 1);
  assert_true(redis_words_redundant(words, 4, 2, BOUND));
  words[3].link_up = false;
  assert_false(redis_words_redundant(words, 4, 2, BOUND));
  words[3].link_up = true;
  words[1].writable = false; /* the cluster does not let it */
  assert_false(redis_words_redundant(words, 4, 2, BOUND));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_healthy),
      cmocka_unit_test(test_each_end_must_say_so),
      cmocka_unit_test(test_through_another_replica),
      cmocka_unit_test(test_too_far_behind),
      cmocka_unit_test(test_two_primaries),
      cmocka_unit_test(test_each_shard_has_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
