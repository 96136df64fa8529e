/* The parent's side of a batch: hands jobs out, takes results in, delivers them in order. */
#include "engine/batch.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/loop.h"
#include "engine/batch_internal.h"
#include "engine/interrupt.h"

#define TICK_NS (NS_PER_S / 4)
/* How many jobs may be ahead of one that is not done yet. */
#define AHEAD_PER_WORKER 64
/* A file system in memory must have so much room. A record is a few megabytes. */
#define SCRATCH_ROOM_BYTES (UINT64_C(512) << 20)

struct worker {
  struct batch *batch;
  struct batch_child child;
  struct watch watch; /* of child.result_fd */
  bool busy;
  uint64_t index, began_ns;
  bool hung;
  unsigned char *message; /* struct batch_message and the result, as far as `filled` */
  size_t filled;
};

/* A job that is done, kept until those before it are. */
struct slot {
  bool ready;
  enum batch_end end;
  int wait_status;
  unsigned char *message; /* batch->message_size bytes */
};

struct batch {
  const struct batch_spec *spec;
  struct loop *loop;
  size_t message_size;
  struct worker *workers;
  struct slot *slots;
  uint32_t slot_count;
  uint64_t next, delivered; /* the next job to hand out; the next to deliver */
  uint64_t deadline_ns;
  char scratch[PATH_MAX];
  struct batch_janitor janitor;
  struct timer tick;
  uint64_t ticked_ns; /* when it fired last */
  struct watch signals;
  sigset_t mask; /* before the batch */
  int signal;
  int status; /* the first failure: ends the batch */
  struct error error;
};

const char *batch_scratch_base(void) {
  static const char memory[] = "/dev/shm";
  struct statvfs room;
  if (statvfs(memory, &room) == 0 && access(memory, W_OK | X_OK) == 0 &&
      (uint64_t)room.f_bavail * room.f_frsize >= SCRATCH_ROOM_BYTES)
    return memory;
  const char *temporary = getenv("TMPDIR");
  return temporary && temporary[0] == '/' ? temporary : "/tmp";
}

static void fail(struct batch *batch, int status, const struct error *err) {
  if (batch->status < 0) return;
  batch->status = status;
  batch->error = *err;
  loop_stop(batch->loop);
}

/* --- handing out ----------------------------------------------------------------------------- */

static bool more_to_do(const struct batch *batch) {
  const struct batch_spec *spec = batch->spec;
  return batch->status == 0 && batch->signal == 0 && batch->next < spec->count &&
         loop_now_ns(batch->loop) < batch->deadline_ns;
}

static int start_worker(struct worker *worker, struct error *err) {
  struct batch *batch = worker->batch;
  int status = batch_worker_start(batch->spec, batch->scratch, batch->janitor.life_fd, &batch->mask,
                                  &worker->child, err);
  if (status < 0) return status;
  worker->watch.fd = worker->child.result_fd;
  return loop_watch_set(batch->loop, &worker->watch, LOOP_READ, err);
}

static int end_worker(struct worker *worker) {
  (void)loop_watch_set(worker->batch->loop, &worker->watch, 0, NULL);
  return batch_child_end(&worker->child);
}

static void hand_out(struct worker *worker) {
  struct batch *batch = worker->batch;
  struct error err = ERROR_INIT;
  int status = 0;
  if (!more_to_do(batch) || batch->next >= batch->delivered + batch->slot_count) return;
  if (worker->child.pid == 0) status = start_worker(worker, &err);
  if (status == 0) {
    worker->index = batch->next++;
    worker->busy = true;
    worker->hung = false;
    worker->filled = 0;
    worker->began_ns = loop_now_ns(batch->loop);
    /* Eight bytes into an empty pipe. A worker that has died since is noticed by its other pipe. */
    (void)file_write_all(worker->child.command_fd, &worker->index, sizeof worker->index, "a job",
                         NULL);
  }
  if (status < 0) fail(batch, status, &err);
}

static void hand_out_all(struct batch *batch) {
  bool busy = false;
  for (uint32_t i = 0; i < batch->spec->workers; i++) {
    if (!batch->workers[i].busy) hand_out(&batch->workers[i]);
    busy = busy || batch->workers[i].busy;
  }
  if (!busy) loop_stop(batch->loop);
}

/* --- taking in ------------------------------------------------------------------------------- */

static void deliver_ready(struct batch *batch) {
  struct slot *slot = &batch->slots[batch->delivered % batch->slot_count];
  while (slot->ready && batch->status == 0) {
    const struct batch_message *message = (const struct batch_message *)(const void *)slot->message;
    struct batch_outcome outcome = {.index = batch->delivered, .end = slot->end};
    struct error err = ERROR_INIT;
    if (slot->end == BATCH_DONE) outcome.result = message + 1;
    if (slot->end == BATCH_FAILED) outcome.error = &message->error;
    if (WIFSIGNALED(slot->wait_status)) outcome.signal = WTERMSIG(slot->wait_status);
    if (WIFEXITED(slot->wait_status)) outcome.exit_code = WEXITSTATUS(slot->wait_status);
    slot->ready = false;
    int status = batch->spec->deliver(batch->spec->data, &outcome, &err);
    if (status < 0) {
      fail(batch, status, &err);
      return;
    }
    slot = &batch->slots[++batch->delivered % batch->slot_count];
  }
}

/* The worker's job has come to its end; its message becomes that of the slot. */
static void take_in(struct worker *worker, enum batch_end end, int wait_status) {
  struct batch *batch = worker->batch;
  struct slot *slot = &batch->slots[worker->index % batch->slot_count];
  unsigned char *message = slot->message;
  slot->message = worker->message;
  worker->message = message;
  slot->ready = true;
  slot->end = end;
  slot->wait_status = wait_status;
  worker->busy = false;
  deliver_ready(batch);
  hand_out_all(batch);
}

/* The end of its pipe: what it left behind goes at once, there may be many like it. */
static void worker_died(struct worker *worker) {
  struct batch *batch = worker->batch;
  char directory[PATH_MAX];
  struct error err = ERROR_INIT;
  int named = path_format(directory, sizeof directory, NULL, "%s/%d", batch->scratch,
                          (int)worker->child.pid);
  int wait_status = end_worker(worker);
  if (named == 0) (void)directory_remove(directory, NULL);
  if (worker->busy)
    take_in(worker, worker->hung ? BATCH_HUNG : BATCH_CRASHED, wait_status);
  else
    fail(batch, error_set(&err, STATUS_INTERNAL, "a worker ended without a job"), &err);
}

static void worker_ready(struct watch *watch, unsigned events) {
  struct worker *worker = watch->owner;
  struct batch *batch = worker->batch;
  (void)events;
  size_t room = batch->message_size - worker->filled;
  ssize_t got = read(worker->child.result_fd, worker->message + worker->filled, room);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    worker_died(worker);
    return;
  }
  worker->filled += (size_t)got;
  if (worker->filled < batch->message_size) return;
  const struct batch_message *message = (const struct batch_message *)(const void *)worker->message;
  assert(worker->busy && message->index == worker->index);
  /* Killed a moment too late: its message is whole, but it takes no other job. */
  if (worker->hung) (void)end_worker(worker);
  take_in(worker, message->status < 0 ? BATCH_FAILED : BATCH_DONE, 0);
}

static void signal_ready(struct watch *watch, unsigned events) {
  struct batch *batch = watch->owner;
  struct signalfd_siginfo info;
  (void)events;
  if (read(watch->fd, &info, sizeof info) != (ssize_t)sizeof info) return;
  batch->signal = (int)info.ssi_signo;
  loop_stop(batch->loop);
}

static void fire_tick(struct timer *timer, uint64_t now_ns) {
  struct batch *batch = timer->owner;
  const struct batch_spec *spec = batch->spec;
  struct error err = ERROR_INIT;
  uint64_t since_ns = now_ns - batch->ticked_ns;
  batch->ticked_ns = now_ns;
  /* Ctrl-Z, or an outcome that took long to deliver: time in which no message could be read is no
   * time that the jobs took. */
  for (uint32_t i = 0; since_ns > 2 * TICK_NS && i < spec->workers; i++)
    batch->workers[i].began_ns += since_ns - TICK_NS;
  for (uint32_t i = 0; spec->job_timeout_ns && i < spec->workers; i++) {
    struct worker *worker = &batch->workers[i];
    if (!worker->busy || worker->hung) continue;
    if (now_ns < worker->began_ns + spec->job_timeout_ns) continue;
    worker->hung = true; /* its pipe ends, and the rest is the same as for any other death */
    kill(worker->child.pid, SIGKILL);
  }
  if (spec->tick) spec->tick(spec->data);
  int status = loop_timer_arm(batch->loop, timer, now_ns + TICK_NS, &err);
  if (status < 0) fail(batch, status, &err);
}

/* --- the frame ------------------------------------------------------------------------------- */

static int allocate(struct batch *batch, struct error *err) {
  const struct batch_spec *spec = batch->spec;
  batch->slot_count = AHEAD_PER_WORKER * spec->workers;
  batch->workers = calloc(spec->workers, sizeof *batch->workers);
  batch->slots = calloc(batch->slot_count, sizeof *batch->slots);
  bool complete = batch->workers && batch->slots;
  for (uint32_t i = 0; complete && i < spec->workers; i++) {
    struct worker *worker = &batch->workers[i];
    *worker = (struct worker){.batch = batch,
                              .child = BATCH_CHILD_NONE,
                              .watch = {.ready = worker_ready, .owner = worker},
                              .message = malloc(batch->message_size)};
    complete = worker->message != NULL;
  }
  for (uint32_t i = 0; complete && i < batch->slot_count; i++) {
    batch->slots[i].message = malloc(batch->message_size);
    complete = batch->slots[i].message != NULL;
  }
  return complete ? 0 : error_set(err, STATUS_MEMORY, "out of memory for a batch of jobs");
}

static int begin(struct batch *batch, struct error *err) {
  const char *base = batch->spec->scratch_base;
  int status = allocate(batch, err);
  if (status == 0)
    status = path_format(batch->scratch, sizeof batch->scratch, err, "%s/gameday-%d-XXXXXX",
                         base ? base : batch_scratch_base(), (int)getpid());
  if (status < 0) return status;
  if (!mkdtemp(batch->scratch)) {
    status = error_set_errno(err, errno, "cannot make the directory %s", batch->scratch);
    batch->scratch[0] = '\0';
    return status;
  }
  status = batch_janitor_start(batch->scratch, &batch->janitor, err);
  if (status == 0) status = loop_new(&batch->loop, err);
  if (status < 0) return status;
  uint64_t now_ns = loop_now_ns(batch->loop), budget_ns = batch->spec->budget_ns;
  batch->deadline_ns =
      budget_ns && budget_ns < TIME_NEVER - now_ns ? now_ns + budget_ns : TIME_NEVER;
  batch->tick = (struct timer){.fire = fire_tick, .owner = batch};
  batch->ticked_ns = now_ns;
  status = loop_timer_arm(batch->loop, &batch->tick, now_ns + TICK_NS, err);
  return status < 0 ? status : loop_watch_set(batch->loop, &batch->signals, LOOP_READ, err);
}

/* From here on signals are read from a descriptor; children get back what was before. */
static int block_signals(struct batch *batch, struct error *err) {
  sigset_t set;
  interrupt_signals(&set);
  sigprocmask(SIG_BLOCK, &set, &batch->mask);
  batch->signals =
      (struct watch){.ready = signal_ready, .owner = batch, .fd = signalfd(-1, &set, SFD_CLOEXEC)};
  if (batch->signals.fd >= 0) return 0;
  int status = error_set_errno(err, errno, "cannot make a signalfd");
  sigprocmask(SIG_SETMASK, &batch->mask, NULL);
  return status;
}

static void end(struct batch *batch) {
  for (uint32_t i = 0; batch->workers && i < batch->spec->workers; i++) {
    struct worker *worker = &batch->workers[i];
    /* Busy ones are not waited for: their jobs will not be delivered. */
    if (worker->child.pid > 0 && worker->busy) kill(worker->child.pid, SIGKILL);
    if (worker->child.pid > 0) (void)end_worker(worker);
    free(worker->message);
  }
  for (uint32_t i = 0; batch->slots && i < batch->slot_count; i++) free(batch->slots[i].message);
  batch_janitor_end(&batch->janitor);
  if (batch->scratch[0]) { /* gone already, unless the janitor could not be started or do it */
    struct error err = ERROR_INIT;
    int status = directory_remove(batch->scratch, &err);
    if (status < 0 && batch->status == 0) {
      batch->status = status;
      batch->error = err;
    }
  }
  loop_free(batch->loop);
  free(batch->workers);
  free(batch->slots);
  close(batch->signals.fd);
  sigprocmask(SIG_SETMASK, &batch->mask, NULL);
}

int batch_run(const struct batch_spec *spec, struct batch_summary *ret_summary, struct error *err) {
  assert(spec->workers > 0 && spec->workers <= BATCH_WORKERS_MAX);
  struct batch batch = {.spec = spec,
                        .message_size = sizeof(struct batch_message) + spec->result_size,
                        .janitor = {.life_fd = -1, .done_fd = -1}};
  int status = block_signals(&batch, err);
  if (status < 0) return status;
  batch.status = begin(&batch, &batch.error);
  if (batch.status == 0) {
    struct error why = ERROR_INIT;
    hand_out_all(&batch); /* may stop the loop before it runs */
    int ran = loop_run(batch.loop, &why);
    if (ran < 0 && batch.status == 0) {
      batch.status = ran;
      batch.error = why;
    }
  }
  end(&batch);
  if (batch.status < 0) {
    if (err) *err = batch.error;
    return batch.status;
  }
  *ret_summary = (struct batch_summary){.delivered = batch.delivered, .signal = batch.signal};
  return 0;
}
