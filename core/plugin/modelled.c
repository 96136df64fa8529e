/* The programs that a provider models, in words. */
#include "gameday/provider.h"

void modelled_print(const struct modelled_program *programs, uint32_t count, struct buf *out) {
  for (uint32_t i = 0; i < count; i++)
    buf_printf(out, "%s%s %s", i > 0 ? ", " : "", programs[i].name, programs[i].version);
}
