/* Host names to addresses without making a loop wait: getaddrinfo() runs in a thread of the
 * resolver, the answer arrives in the loop's thread.
 *
 * The thread is made by the first question, from the thread that asks: so it looks names up in the
 * network and mount namespaces that the asker is in by then (its /etc/hosts, its name servers).
 * There is one, and it asks one name at a time, as a process with one resolver does. Questions for
 * a name that still waits for its turn share the one look-up; a question never gets the answer of a
 * look-up that had begun before it was asked.
 *
 * getaddrinfo() cannot be interrupted. Cancelling a request and freeing the resolver are
 * immediate all the same: the thread owns all it works on, and one that hangs ends when its system
 * call does, without a word to anybody. Until then it holds the namespaces it is in.
 *
 * All functions belong to the loop's thread and do not block. */
#ifndef GAMEDAY_BASE_RESOLVER_H
#define GAMEDAY_BASE_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"

#define RESOLVER_NAME_SIZE 256u
#define RESOLVER_ADDRESSES_MAX 8u
#define RESOLVER_ADDRESS_SIZE 64u
#define RESOLVER_QUEUE_MAX 256u /* different names that wait for their turn */

struct resolver;
struct resolver_lookup;

struct resolver_answer {
  uint32_t count; /* 0: the name does not resolve, `why` says why not */
  char addresses[RESOLVER_ADDRESSES_MAX][RESOLVER_ADDRESS_SIZE]; /* numeric, best first */
  char why[128];
};

/* One question, in its owner's struct. Zero-initialised means "none under way". */
struct resolver_request {
  /* In the loop's thread, once, from no call of the owner's. The answer is valid until it returns.
   * It may ask again, cancel others and free the request, but not the resolver. */
  void (*answered)(struct resolver_request *request, const struct resolver_answer *answer);
  void *owner;
  struct resolver_lookup *lookup; /* the resolver's: NULL when none is under way */
  struct resolver_request *previous, *next;
};

/* Looks one name up, however long it takes, in the resolver's thread. */
typedef void resolver_function(void *data, const char *name, struct resolver_answer *ret_answer);

/* Makes no thread yet, and nothing that a loop in virtual time lacks. The loop outlives it. */
int resolver_new(struct loop *loop, struct resolver **ret_resolver, struct error *err);
/* With another look-up than the system's. `data` must live until the thread has ended, which may be
 * after resolver_free(). */
int resolver_new_with(struct loop *loop, resolver_function *look_up, void *data,
                      struct resolver **ret_resolver, struct error *err);
/* Cancels what is under way; NULL is fine. */
void resolver_free(struct resolver *resolver);

/* Asks for the addresses of `name`; STATUS_USAGE when it is empty or too long to be one,
 * STATUS_SYSTEM when there is no thread to be had or RESOLVER_QUEUE_MAX names wait: then
 * there will be no answer. The request must not be under way. */
int resolver_ask(struct resolver *resolver, struct resolver_request *request, const char *name,
                 struct error *err);
/* There will be no answer; not under way is fine. */
void resolver_cancel(struct resolver_request *request);

/* Whether `name` is an address already, for which nobody need be asked. */
bool resolver_is_numeric(const char *name);

#endif
