/* Slots, shards, histories and error replies of Redis, without a server. */
#include "gameday/redis_access.h"

#include "support/test.h"

static uint16_t slot_of(const char *key) {
  return redis_key_slot(key, strlen(key));
}

/* The check value of CRC16/XMODEM in the cluster specification's appendix, and examples of the
 * documentation of CLUSTER KEYSLOT. */
static void test_slots_as_published(void **state) {
  (void)state;
  assert_int_equal(slot_of("123456789"), 0x31C3);
  assert_int_equal(slot_of("somekey"), 11058);
  assert_int_equal(slot_of("foo{hash_tag}"), 2515);
  assert_int_equal(slot_of("bar{hash_tag}"), 2515);
  assert_int_equal(slot_of("foo"), 12182);
  assert_int_equal(slot_of(""), 0);
}

/* The specification's examples of hash tags. */
static void test_hash_tags(void **state) {
  (void)state;
  assert_int_equal(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
  assert_int_not_equal(slot_of("foo{}{bar}"), slot_of("bar"));
  assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
  assert_int_not_equal(slot_of("foo{bar"), slot_of("bar"));
  /* A closing brace beyond the length is not part of the key. */
  assert_int_equal(redis_key_slot("a{b}", 3), slot_of("a{b"));
}

static void test_shards_own_equal_ranges(void **state) {
  (void)state;
  for (unsigned shards = 1; shards <= 255; shards++) {
    for (unsigned shard = 0; shard < shards; shard++) {
      unsigned first = shard * REDIS_SLOTS / shards, end = (shard + 1) * REDIS_SLOTS / shards;
      assert_int_equal(redis_slot_shard((uint16_t)first, (uint16_t)shards), shard + 1);
      assert_int_equal(redis_slot_shard((uint16_t)(end - 1), (uint16_t)shards), shard + 1);
    }
  }
}

static void test_a_tag_leads_to_its_shard(void **state) {
  (void)state;
  char tag[REDIS_TAG_SIZE];
  for (unsigned shards = 1; shards <= 255; shards += 2) {
    for (unsigned shard = 1; shard <= shards; shard++) {
      redis_shard_tag((uint16_t)shard, (uint16_t)shards, tag);
      char key[64];
      snprintf(key, sizeof key, "gd:w:%s1:2", tag);
      assert_int_equal(redis_slot_shard(slot_of(key), (uint16_t)shards), shard);
    }
  }
  redis_shard_tag(0, 3, tag);
  assert_string_equal(tag, "");
  redis_shard_tag(1, 0, tag);
  assert_string_equal(tag, "");
}

static void test_histories_are_numbered_as_they_are_seen(void **state) {
  (void)state;
  struct redis_histories histories;
  assert_int_equal(redis_histories_init(&histories, NULL), 0);
  char id[REDIS_ID_SIZE];
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < REDIS_HISTORIES_MAX; i++) {
      snprintf(id, sizeof id, "%040x", i + 1);
      assert_int_equal(redis_histories_number(&histories, id), i + 1);
    }
  }
  snprintf(id, sizeof id, "%040x", 0xFFFFu);
  assert_int_equal(redis_histories_number(&histories, id), 0);
  redis_histories_release(&histories);
}

static void test_what_is_no_history(void **state) {
  (void)state;
  struct redis_histories histories;
  assert_int_equal(redis_histories_init(&histories, NULL), 0);
  static const char *const ids[] = {NULL,
                                    "",
                                    "?",
                                    "0000000000000000000000000000000000000000",
                                    "1234",
                                    "12345678901234567890123456789012345678901",
                                    "123456789012345678901234567890123456789x"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    assert_int_equal(redis_histories_number(&histories, ids[i]), 0);
  }
  assert_int_equal(histories.count, 0);
  redis_histories_release(&histories);
  redis_histories_release(NULL);
}

static void check(const char *message, const char *code, enum outcome outcome) {
  char text[6];
  code_unpack(redis_error_code(message), text);
  assert_string_equal(text, code);
  assert_int_equal(redis_error_outcome(message), outcome);
}

static void test_errors_before_the_command_ran_are_failures(void **state) {
  (void)state;
  check("READONLY You can't write against a read only replica.", "25006", OUTCOME_FAIL);
  check("MOVED 3999 127.0.0.1:6381", "RDMOV", OUTCOME_FAIL);
  check("ASK 3999 127.0.0.1:6381", "RDASK", OUTCOME_FAIL);
  check("CLUSTERDOWN The cluster is down", "RDDWN", OUTCOME_FAIL);
  check("CLUSTERDOWN Hash slot not served", "RDDWN", OUTCOME_FAIL);
  check("LOADING Redis is loading the dataset in memory", "RDLOA", OUTCOME_FAIL);
  check("MASTERDOWN Link with MASTER is down", "RDMDN", OUTCOME_FAIL);
  check("NOREPLICAS Not enough good replicas to write.", "RDNRP", OUTCOME_FAIL);
  check("OOM command not allowed when used memory > 'maxmemory'.", "RDOOM", OUTCOME_FAIL);
  check("MISCONF Errors writing to the AOF file: No space left", "RDMIS", OUTCOME_FAIL);
  check("NOAUTH Authentication required.", "RDNAU", OUTCOME_FAIL);
  check("NOPERM this user has no permissions", "RDNPE", OUTCOME_FAIL);
  check("BUSY Redis is busy running a script.", "RDBUS", OUTCOME_FAIL);
  check("TRYAGAIN Multiple keys request during rehashing of slot", "RDTRY", OUTCOME_FAIL);
  check("WRONGTYPE Operation against a key holding the wrong kind", "RDTYP", OUTCOME_FAIL);
  check("ERR max number of clients reached", "RDMAX", OUTCOME_FAIL);
  check("ERR unknown command 'SETT'", "RDERR", OUTCOME_FAIL);
}

static void test_other_errors_leave_a_write_unknown(void **state) {
  (void)state;
  check("UNBLOCKED force unblock from blocking operation", "RDUBL", OUTCOME_UNKNOWN);
  check("ERR something in a script", "RDERR", OUTCOME_UNKNOWN);
  check("SOMETHING new", "RDOTH", OUTCOME_UNKNOWN);
  check("", "RDOTH", OUTCOME_UNKNOWN);
  check("READONLYX", "RDOTH", OUTCOME_UNKNOWN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slots_as_published),
      cmocka_unit_test(test_hash_tags),
      cmocka_unit_test(test_shards_own_equal_ranges),
      cmocka_unit_test(test_a_tag_leads_to_its_shard),
      cmocka_unit_test(test_histories_are_numbered_as_they_are_seen),
      cmocka_unit_test(test_what_is_no_history),
      cmocka_unit_test(test_errors_before_the_command_ran_are_failures),
      cmocka_unit_test(test_other_errors_leave_a_write_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
