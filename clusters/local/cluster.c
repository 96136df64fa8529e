/* The handle of a local cluster. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "local.h"

int local_cluster_new(uint32_t host_count, struct local_cluster **ret, struct error *err) {
  struct local_cluster *lc = calloc(1, sizeof *lc);
  if (!lc) return error_set(err, STATUS_MEMORY, "out of memory for a cluster");
  lc->anchor_fd = lc->world_fd = lc->netlink = -1;
  lc->hosts = calloc(host_count ? host_count : 1, sizeof *lc->hosts);
  lc->locals = calloc(host_count ? host_count : 1, sizeof *lc->locals);
  if (!lc->hosts || !lc->locals) {
    local_cluster_free(lc);
    return error_set(err, STATUS_MEMORY, "out of memory for a cluster");
  }
  pthread_mutex_init(&lc->netlink_lock, NULL);
  for (uint32_t i = 0; i < host_count; i++) {
    lc->hosts[i].index = (uint16_t)i;
    lc->locals[i].host = &lc->hosts[i];
    lc->locals[i].netns = -1;
    pthread_mutex_init(&lc->locals[i].lock, NULL);
  }
  lc->locks_ready = true;
  lc->public = (struct cluster){.id = lc->id,
                                .run_directory = lc->run_directory,
                                .hosts = lc->hosts,
                                .host_count = host_count,
                                .state = lc};
  *ret = lc;
  return 0;
}

void local_cluster_free(struct local_cluster *lc) {
  if (!lc) return;
  if (lc->locks_ready) {
    pthread_mutex_destroy(&lc->netlink_lock);
    for (uint32_t i = 0; i < lc->public.host_count; i++) {
      pthread_mutex_destroy(&lc->locals[i].lock);
      cleanup_close(&lc->locals[i].netns);
    }
  }
  cleanup_close(&lc->anchor_fd);
  cleanup_close(&lc->world_fd);
  cleanup_close(&lc->netlink);
  free(lc->hosts);
  free(lc->locals);
  free(lc);
}

struct local_host *local_host_of(const struct cluster *cluster, const struct host *host) {
  return &local_of(cluster)->locals[host->index];
}
