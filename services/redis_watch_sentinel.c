/* Watches the Sentinels of a `redis` service: what they publish as it happens, and every 250 ms
 * whom each takes for the primary, which finds what a broken subscription missed. */
#include <stdio.h>
#include <string.h>

#include "services/redis_watch.h"

#define POLL_NS (250 * NS_PER_MS)

static uint16_t host_at(const struct redis_watcher *watcher, const char *address) {
  uint32_t member = redis_member_at(watcher->service, address);
  return member == UINT32_MAX ? HOST_NONE : watcher->service->members[member]->index;
}

/* --- news --- */

static const char *text_of(const redisReply *reply, size_t i) {
  const redisReply *element = reply->element[i];
  return element->type == REDIS_REPLY_STRING ? element->str : "";
}

/* What one Sentinel says counts when it speaks of whom we know as the leader: one that was cut off
 * tells of old changes when it is back. */
static void take_message(struct redis_sentinel_watch *sentinel, const char *channel,
                         const char *message) {
  struct redis_watcher *watcher = sentinel->watcher;
  struct redis_message news;
  char text[EVENT_TEXT_SIZE];
  redis_parse_message(channel, message, REDIS_MASTER_NAME, &news);
  uint16_t host = host_at(watcher, news.address);
  if (news.notice == REDIS_NOTICE_OTHER || host == HOST_NONE || host != watcher->leaders[0].host)
    return;
  snprintf(text, sizeof text, "the Sentinel on %s: %.40s %.200s", sentinel->news.host->name,
           channel, message);
  if (news.notice == REDIS_NOTICE_DOWN) redis_leader_lost(watcher, 0, host, text);
  if (news.notice == REDIS_NOTICE_BACK) redis_leader_is(watcher, 0, host, text);
  if (news.notice == REDIS_NOTICE_SWITCH)
    redis_leader_is(watcher, 0, host_at(watcher, news.new_address), text);
}

static void take_news(struct redis_tap *tap, const redisReply *reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    redis_tap_drop(tap, reply->str);
    return;
  }
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 ||
      strcmp(text_of(reply, 0), "pmessage") != 0)
    return;
  take_message(tap->owner, text_of(reply, 2), text_of(reply, 3));
}

static void news_opened(struct redis_tap *tap) {
  static const struct redis_question question = {.answered = take_news};
  redis_tap_subscribe(tap, &question, "*");
}

static void news_silent(struct redis_tap *tap, const char *why) {
  (void)tap; /* the other connection tells whether the Sentinel answers */
  (void)why;
}

/* --- what each of them believes --- */

static void tell_word(struct redis_sentinel_watch *sentinel, const char *word) {
  if (strcmp(sentinel->word, word) == 0) return;
  snprintf(sentinel->word, sizeof sentinel->word, "%s", word);
  struct event event = {.kind = EVENT_MANAGER, .host = sentinel->poll.host->index};
  snprintf(event.text, sizeof event.text, "%s", word);
  redis_event(sentinel->watcher->service, loop_now_ns(sentinel->watcher->loop), &event);
}

/* The primary by the majority of all Sentinels, each asked after `since_ns`; HOST_NONE: there is no
 * such majority, or one of those who answer still sees a failure. */
static uint16_t majority(const struct redis_watcher *watcher, uint64_t since_ns) {
  for (uint32_t i = 0; i < watcher->sentinel_count; i++) {
    const struct redis_sentinel_watch *one = &watcher->sentinels[i];
    if (one->answers && (one->failing || one->asked_ns <= since_ns)) return HOST_NONE;
  }
  for (uint32_t i = 0; i < watcher->sentinel_count; i++) {
    uint32_t agree = 0;
    for (uint32_t j = 0; j < watcher->sentinel_count; j++)
      if (watcher->sentinels[j].answers &&
          watcher->sentinels[j].primary == watcher->sentinels[i].primary)
        agree++;
    if (watcher->sentinels[i].answers && agree > watcher->sentinel_count / 2)
      return watcher->sentinels[i].primary;
  }
  return HOST_NONE;
}

static void take_master(struct redis_tap *tap, const redisReply *reply) {
  struct redis_sentinel_watch *sentinel = tap->owner;
  struct redis_watcher *watcher = sentinel->watcher;
  if (reply->type == REDIS_REPLY_ERROR) {
    redis_tap_drop(tap, reply->str);
    return;
  }
  char word[sizeof sentinel->word];
  const char *flags = redis_reply_field(reply, "flags");
  sentinel->answers = true;
  sentinel->primary = host_at(watcher, redis_reply_field(reply, "ip"));
  sentinel->failing = strstr(flags, "down") || strstr(flags, "failover_in_progress");
  uint32_t member = redis_member_at(watcher->service, redis_reply_field(reply, "ip"));
  snprintf(word, sizeof word, "Sentinel: primary %.30s, %.70s",
           member == UINT32_MAX ? "unknown" : watcher->service->members[member]->name, flags);
  tell_word(sentinel, word);
  redis_leader_is(watcher, 0, majority(watcher, watcher->leaders[0].told_ns),
                  "by the majority of the Sentinels");
  redis_publish(watcher, loop_now_ns(watcher->loop));
}

static void poll_silent(struct redis_tap *tap, const char *why) {
  (void)why;
  struct redis_sentinel_watch *sentinel = tap->owner;
  if (!sentinel->answers) return;
  sentinel->answers = false;
  tell_word(sentinel, "");
  redis_publish(sentinel->watcher, loop_now_ns(sentinel->watcher->loop));
}

static void ask(struct redis_sentinel_watch *sentinel, uint64_t now_ns) {
  static const struct redis_question question = {.answered = take_master};
  if (!sentinel->poll.ready || sentinel->poll.awaited > 0) return;
  sentinel->asked_ns = now_ns;
  redis_tap_ask(&sentinel->poll, &question, "SENTINEL MASTER " REDIS_MASTER_NAME);
}

static void poll_opened(struct redis_tap *tap) {
  struct redis_sentinel_watch *sentinel = tap->owner;
  ask(sentinel, loop_now_ns(sentinel->watcher->loop));
}

static void tick_fired(struct timer *timer, uint64_t now_ns) {
  struct redis_sentinel_watch *sentinel = timer->owner;
  sentinel->tick_ns += POLL_NS;
  if (sentinel->tick_ns <= now_ns) sentinel->tick_ns = now_ns + POLL_NS;
  loop_timer_arm(sentinel->watcher->loop, &sentinel->tick, sentinel->tick_ns, NULL);
  ask(sentinel, now_ns);
}

bool redis_sentinels_follow(const struct redis_watcher *watcher, uint16_t primary) {
  for (uint32_t i = 0; i < watcher->sentinel_count; i++) {
    const struct redis_sentinel_watch *one = &watcher->sentinels[i];
    if (!one->answers || one->failing || one->primary != primary) return false;
  }
  return true;
}

/* --- begin and end --- */

static int start_sentinel(struct redis_watcher *watcher, uint32_t member, struct error *err) {
  struct redis_sentinel_watch *sentinel = &watcher->sentinels[member];
  const struct redis_tap tap = {.service = watcher->service,
                                .loop = watcher->loop,
                                .host = watcher->service->members[member],
                                .port = REDIS_SENTINEL_PORT,
                                .owner = sentinel};
  sentinel->watcher = watcher;
  sentinel->member = member;
  sentinel->primary = HOST_NONE;
  sentinel->poll = sentinel->news = tap;
  sentinel->poll.opened = poll_opened;
  sentinel->poll.silent = poll_silent;
  sentinel->news.opened = news_opened;
  sentinel->news.silent = news_silent;
  sentinel->tick = (struct timer){.fire = tick_fired, .owner = sentinel};
  sentinel->tick_ns = loop_now_ns(watcher->loop);
  int status = redis_tap_start(&sentinel->news, err);
  if (status == 0) status = redis_tap_start(&sentinel->poll, err);
  if (status == 0) status = loop_reserve_timers(watcher->loop, 1, err);
  if (status == 0) status = loop_timer_arm(watcher->loop, &sentinel->tick, sentinel->tick_ns, err);
  return status;
}

int redis_sentinels_start(struct redis_watcher *watcher, struct error *err) {
  uint32_t count = redis_sentinel_count(redis_config(watcher->service));
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < count; i++) {
    watcher->sentinel_count = i + 1;
    status = start_sentinel(watcher, i, err);
  }
  return status;
}

void redis_sentinels_stop(struct redis_watcher *watcher) {
  for (uint32_t i = 0; i < watcher->sentinel_count; i++) {
    struct redis_sentinel_watch *sentinel = &watcher->sentinels[i];
    loop_timer_cancel(watcher->loop, &sentinel->tick);
    redis_tap_stop(&sentinel->poll);
    redis_tap_stop(&sentinel->news);
  }
}
