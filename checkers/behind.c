/* Tells reads that waited behind an operation of their own client from reads that nobody answered.
 * A queue is first in, first out, so that an operation waits behind what was scheduled before it;
 * operations arrive in the order of completion, so that what was given up in the queue may have to
 * be kept until the operation before it is done. */
#include "behind.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct behind_client {
  /* The last operation that hung: unanswered for `outage_min_ns` or longer. */
  uint64_t hung_scheduled_ns, hung_sent_ns, hung_done_ns;
  struct operation *held; /* reads that were given up unsent, for a reason not known yet */
  uint32_t count, capacity;
};

void behind_init(struct behind *it, const struct record_info *info, behind_give *give, void *data) {
  *it = (struct behind){.info = info, .give = give, .data = data};
}

void behind_release(struct behind *it) {
  for (uint32_t i = 0; i < it->client_count; i++) free(it->clients[i].held);
  free(it->clients);
  *it = (struct behind){.info = NULL};
}

static int client_of(struct behind *it, uint32_t index, struct behind_client **ret,
                     struct error *err) {
  if (index >= it->client_count) {
    uint32_t count = (index / 64 + 1) * 64;
    if (count < it->client_count * 2) count = it->client_count * 2;
    struct behind_client *clients = realloc(it->clients, count * sizeof *clients);
    if (!clients) return error_set(err, STATUS_MEMORY, "out of memory for clients");
    memset(&clients[it->client_count], 0, (count - it->client_count) * sizeof *clients);
    it->clients = clients;
    it->client_count = count;
  }
  *ret = &it->clients[index];
  return 0;
}

/* When its waiting ended. */
static uint64_t left_queue_ns(const struct operation *operation) {
  return operation->sent_ns ? operation->sent_ns : operation->done_ns;
}

static bool waited_behind_hung(const struct behind_client *client,
                               const struct operation *operation) {
  return operation->scheduled_ns > client->hung_scheduled_ns &&
         operation->scheduled_ns < client->hung_done_ns &&
         left_queue_ns(operation) > client->hung_sent_ns;
}

static int hold(struct behind_client *client, const struct operation *operation,
                struct error *err) {
  if (client->count == client->capacity) {
    uint32_t capacity = client->capacity ? client->capacity * 2 : 16;
    struct operation *held = realloc(client->held, capacity * sizeof *held);
    if (!held) return error_set(err, STATUS_MEMORY, "out of memory for reads");
    client->held = held;
    client->capacity = capacity;
  }
  client->held[client->count++] = *operation;
  return 0;
}

/* The client has sent something: what left its queue before that did not wait behind it. */
static int settle_held(struct behind *it, struct behind_client *client, uint64_t sent_ns,
                       struct error *err) {
  uint32_t kept = 0;
  int status = 0;
  for (uint32_t i = 0; i < client->count; i++) {
    const struct operation *read = &client->held[i];
    if (waited_behind_hung(client, read))
      it->reads++;
    else if (status < 0 || left_queue_ns(read) > sent_ns)
      client->held[kept++] = *read;
    else
      status = it->give(it->data, read, read->scheduled_ns, err);
  }
  client->count = kept;
  return status;
}

static int take_read(struct behind *it, struct behind_client *client, const struct operation *read,
                     struct error *err) {
  bool waited = waited_behind_hung(client, read);
  if (waited) it->reads++;
  if (!read->sent_ns) return waited ? 0 : hold(client, read, err);
  /* From when it was asked at last. */
  return it->give(it->data, read, waited ? read->sent_ns : read->scheduled_ns, err);
}

int behind_operation(struct behind *it, const struct operation *operation, bool read,
                     struct error *err) {
  struct behind_client *client = NULL;
  int status = client_of(it, operation->client, &client, err);
  if (status == 0 && read) status = take_read(it, client, operation, err);
  if (status < 0 || !operation->sent_ns) return status;
  if (operation->done_ns - operation->sent_ns >= it->info->outage_min_ns) {
    client->hung_scheduled_ns = operation->scheduled_ns;
    client->hung_sent_ns = operation->sent_ns;
    client->hung_done_ns = operation->done_ns;
  }
  return settle_held(it, client, operation->sent_ns, err);
}

int behind_finish(struct behind *it, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < it->client_count && status == 0; i++)
    status = settle_held(it, &it->clients[i], TIME_NEVER, err);
  return status;
}
