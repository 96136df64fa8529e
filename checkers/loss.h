/* The parts of the checker `loss` among themselves: what it counts, and what it says of it. */
#ifndef GAMEDAY_CHECKERS_LOSS_H
#define GAMEDAY_CHECKERS_LOSS_H

#include "lost.h"
#include "notes.h"
#include "rows.h"
#include "sets.h"

/* By what the final state is told. */
enum truth {
  TRUTH_PRIMARY, /* the final primary's rows */
  TRUTH_AGREED,  /* nobody knows the primary, but all hosts have the same rows */
  TRUTH_NONE,    /* neither */
};

/* One set of hosts: its primary at the end tells what survived. */
struct truth_set {
  enum truth truth;
  struct lost lost;
  struct bits hosts;
  uint32_t host_count; /* read completely */
  uint16_t primary;
  uint64_t acknowledged, lost_count, diverged;
  bool read_any; /* a final read of it was tried */
};

struct loss {
  const struct record_info *info;
  struct rows rows;
  struct truth_set *sets;
  uint32_t set_count;
  struct set_watch watch;
  struct notes notes;
  bool settled;        /* all rows are there, and looked at */
  int32_t row_host;    /* whose rows are being read; -1: none yet */
  uint32_t host_count; /* read completely */
  uint64_t acknowledged, lost_count, lost_everywhere;
  uint64_t acknowledged_by[ROUTE_COUNT], lost_by[ROUTE_COUNT];
  uint64_t unplaced; /* acknowledged, on no host, and nobody knows whose they were */
  uint64_t unknown_survived, unknown_vanished, refused_present, duplicates, twice_written;
  uint64_t window_begin_ns, window_end_ns; /* of the lost writes */
  uint64_t diverged, misplaced;
  bool converging, not_converged;
  struct bits unread; /* hosts whose final read failed or is incomplete in the record */
  bool read_any;
  char unread_why[256];
};

/* loss_finding.c: the finding, when everything has been counted. */
int loss_conclude(struct loss *it, struct finding *finding, struct error *err);

#endif
