/* The final rows of all hosts in little memory: about eight bytes a row (two more where hosts have
 * several primaries), in pages of 256 rows that are found by (identity, sequence / 256). */
#ifndef GAMEDAY_CHECKERS_ROWS_H
#define GAMEDAY_CHECKERS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define ROWS_PER_PAGE 256

enum row_flag {
  ROW_ON_PRIMARY = 1 << 0,
  ROW_CORRUPT = 1 << 1,   /* some copy does not match its own checksum */
  ROW_DIFFERS = 1 << 2,   /* copies differ from each other */
  ROW_WRITTEN = 1 << 3,   /* a write that was acknowledged or may have been applied */
  ROW_REFUSED = 1 << 4,   /* a write that was reported as failed */
  ROW_ELSEWHERE = 1 << 5, /* on hosts of another set too, or of another than its write was for */
};
struct row_page {
  uint32_t identity;
  uint64_t first;                    /* sequence of the first row */
  uint8_t flags[ROWS_PER_PAGE];      /* enum row_flag */
  uint16_t hosts[ROWS_PER_PAGE];     /* how many hosts of its set have it; 0: no row */
  uint32_t values[ROWS_PER_PAGE];    /* folded checksum of the payload */
  uint64_t here[ROWS_PER_PAGE / 64]; /* bit: seen on the host that is being read */
  uint16_t sets[];                   /* with more than one set: of the first host that had it */
};
struct rows {
  struct row_page **pages; /* in the order they were made */
  uint32_t page_count, page_capacity;
  uint32_t *slots; /* hash table of page index + 1; 0: empty */
  uint32_t slot_mask;
  bool with_sets; /* pages have `sets` */
};
/* A row in its page; page NULL: there is none. */
struct row_place {
  struct row_page *page;
  uint32_t index;
};

void rows_init(struct rows *rows, bool with_sets);
void rows_release(struct rows *rows);
/* The place of a row, its page made when there is none. */
int rows_insert(struct rows *rows, uint32_t identity, uint64_t sequence, struct row_place *ret,
                struct error *err);
struct row_place rows_find(const struct rows *rows, uint32_t identity, uint64_t sequence);
/* Forgets `here`: another host is read from now on. */
void rows_next_host(struct rows *rows);
/* 64 bits of checksum in 32. */
uint32_t rows_fold(uint64_t value);

#endif
