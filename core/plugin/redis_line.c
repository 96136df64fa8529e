/* Commands out and answers in, without waiting. */
#include "plugin/redis_line.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "plugin/redis_words.h"

#define RECEIVE_SIZE (16u * 1024u)

void redis_line_init(struct redis_line *line) {
  *line = (struct redis_line){.connection = TCP_NO_CONNECTION};
  buf_init(&line->out);
}

void redis_line_close(struct redis_line *line) {
  tcp_close(&line->connection);
  if (line->reader) redisReaderFree(line->reader);
  buf_release(&line->out);
  redis_line_init(line);
}

int redis_line_put(struct redis_line *line, const char *const words[], uint32_t count,
                   struct error *err) {
  size_t length = redis_words(words, count, NULL);
  CLEANUP_FREE char *bytes = malloc(length);
  if (!bytes) return error_set(err, STATUS_MEMORY, "out of memory for a command");
  redis_words(words, count, bytes);
  buf_add(&line->out, bytes, length);
  return buf_ok(&line->out, err);
}

int redis_line_flush(struct redis_line *line, struct error *err) {
  while (line->out_start < line->out.length) {
    size_t sent = 0;
    int status = tcp_send(&line->connection, line->out.data + line->out_start,
                          line->out.length - line->out_start, &sent, err);
    if (status < 0 || sent == 0) return status;
    line->out_start += sent;
  }
  buf_clear(&line->out);
  line->out_start = 0;
  return 0;
}

int redis_line_receive(struct redis_line *line, struct error *err) {
  char bytes[RECEIVE_SIZE];
  size_t size = 0;
  int status = tcp_receive(&line->connection, bytes, sizeof bytes, &size, err);
  if (status < 0 || size == 0) return status;
  if (!line->reader) line->reader = redisReaderCreate();
  if (!line->reader || redisReaderFeed(line->reader, bytes, size) != REDIS_OK)
    return error_set(err, STATUS_MEMORY, "out of memory for an answer");
  return 0;
}

int redis_line_take(struct redis_line *line, redisReply **ret_reply, struct error *err) {
  void *reply = NULL;
  if (line->reader && redisReaderGetReply(line->reader, &reply) != REDIS_OK)
    return error_set(err, STATUS_SERVER, "no answer of a Redis server: %s", line->reader->errstr);
  *ret_reply = reply;
  return 0;
}
