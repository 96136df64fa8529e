/* Which passwords a run with Redis has. */
#include "services/redis.h"

const struct secrets redis_secret_table = {
    .service = "redis",
    .fields =
        {
            {"client", offsetof(struct redis_secrets, client)},
            {"replication", offsetof(struct redis_secrets, replication)},
            {"sentinel", offsetof(struct redis_secrets, sentinel)},
            {"observer", offsetof(struct redis_secrets, observer)},
        },
};
