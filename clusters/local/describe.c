/* What the hosts of a local cluster were made of, for the record: it decides what a fault means. */
#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "local.h"

int local_describe(const struct cluster *cluster, struct buf *json, struct error *err) {
  const struct local_cluster *lc = local_of(cluster);
  bool loop = lc->storage == LOCAL_STORAGE_LOOP;
  json_t *object =
      json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "runtime", lc->runtime, "control_groups",
                lc->cgroups.unified ? "v2" : "v1", "image", lc->image, "storage",
                loop ? "ext4 on loop devices" : "tmpfs", "power_loss",
                (int)(loop && lc->power_loss), "packet_filter", "nf_tables");
  CLEANUP_FREE char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory");
  buf_puts(json, text);
  return buf_ok(json, err);
}
