/* Writes texts as YAML that reads back to the same bytes. */
#ifndef GAMEDAY_SCENARIO_YAML_TEXT_H
#define GAMEDAY_SCENARIO_YAML_TEXT_H

#include "base/buf.h"

/* A key; in double quotes unless it is a plain word. */
void yaml_put_key(struct buf *out, const char *key);
/* A value on the line of its key; in double quotes unless it may stand plain in block style. */
void yaml_put_value(struct buf *out, const char *text);
/* A long text after its key: as a literal block (|) where that keeps every byte. */
void yaml_put_block(struct buf *out, const char *text, unsigned indent);
void yaml_put_indent(struct buf *out, unsigned indent);

#endif
