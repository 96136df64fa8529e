/* CRC-32C: the examples of RFC 3720 appendix B.4, by the instruction and by the table. */
#include "base/checksum.h"

#include "support/test.h"

static void check(const void *bytes, size_t length, uint32_t expected) {
  assert_true(checksum_crc32c(0, bytes, length) == expected);
  assert_true(checksum_crc32c_table(0, bytes, length) == expected);
  /* In two pieces, at every place. */
  for (size_t cut = 0; cut <= length; cut++) {
    uint32_t begun = checksum_crc32c(0, bytes, cut);
    assert_true(checksum_crc32c(begun, (const char *)bytes + cut, length - cut) == expected);
  }
}

static void test_rfc3720_examples(void **state) {
  (void)state;
  unsigned char bytes[32];
  memset(bytes, 0, sizeof bytes);
  check(bytes, sizeof bytes, UINT32_C(0x8A9136AA));
  memset(bytes, 0xFF, sizeof bytes);
  check(bytes, sizeof bytes, UINT32_C(0x62A8AB43));
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
  check(bytes, sizeof bytes, UINT32_C(0x46DD794E));
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(31 - i);
  check(bytes, sizeof bytes, UINT32_C(0x113FDB5C));
  /* An iSCSI READ (10) command, as the RFC gives it. */
  static const unsigned char command[48] = {
      0x01, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
      0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  check(command, sizeof command, UINT32_C(0xD9963A56));
}

static void test_check_value_and_nothing(void **state) {
  (void)state;
  check("123456789", 9, UINT32_C(0xE3069283));
  check("", 0, 0);
}

static void test_instruction_and_table_agree(void **state) {
  (void)state;
  unsigned char bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 31 + 7);
  for (size_t start = 0; start < 9; start++)
    for (size_t length = 0; start + length <= sizeof bytes; length += 13)
      assert_true(checksum_crc32c(1234, bytes + start, length) ==
                  checksum_crc32c_table(1234, bytes + start, length));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rfc3720_examples),
      cmocka_unit_test(test_check_value_and_nothing),
      cmocka_unit_test(test_instruction_and_table_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
