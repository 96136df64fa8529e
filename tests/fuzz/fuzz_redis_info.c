/* What Redis says of itself, from any bytes: no read beyond the end, and nothing out of range. */
#include "services/redis_info.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void check_nodes(const char *text, size_t size) {
  struct redis_node nodes[4];
  uint32_t count = redis_parse_nodes(text, size, nodes, 4);
  assert(count <= 4);
  for (uint32_t i = 0; i < count; i++)
    assert(nodes[i].id[0] && strlen(nodes[i].address) < REDIS_ADDRESS_SIZE &&
           nodes[i].first_slot < REDIS_SLOTS);
}

/* A NUL-terminated channel and message, as hiredis gives them. */
static void check_message(const char *text, size_t size) {
  char *copy = malloc(size + 2);
  if (!copy) return;
  memcpy(copy, text, size);
  copy[size] = copy[size + 1] = '\0';
  struct redis_message message;
  redis_parse_message(copy, copy + strlen(copy) + 1, "gameday", &message);
  assert(message.notice <= REDIS_NOTICE_SWITCH);
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct redis_info info;
  struct redis_cluster_info cluster;
  if (redis_parse_info(text, size, &info)) assert(info.listed_count <= REDIS_LISTED_MAX);
  redis_parse_cluster_info(text, size, &cluster);
  check_nodes(text, size);
  check_message(text, size);
  return 0;
}
