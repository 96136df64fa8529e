/* The seal: sizes and checksums of a finished record, so that a record that changed afterwards is
 * not taken for what was measured. It guards against accidents, not against a forger. */
#ifndef GAMEDAY_ENGINE_RECORD_SEAL_H
#define GAMEDAY_ENGINE_RECORD_SEAL_H

#include "base/error.h"
#include "engine/record.h"

/* Writes seal.json over run.json, events.jsonl, operations.bin, samples.bin and all final-HOST.bin
 * of the directory; files that a broken run did not come to are left out. For whoever executes a
 * run, when nothing writes to its record any more. Reads all of it; blocks. */
int record_seal(const char *run_directory, struct error *err);

/* As record_open(), for judging: what differs from the seal, or that a finished run has none, is in
 * ret->damage, and ret->changed is set in the first case. STATUS_UNTRUSTED, with both reasons, when
 * the record cannot even be read and differs from its seal. */
int record_open_sealed(const char *run_directory, struct record *ret, struct error *err);

#endif
