/* Which passwords a run with PostgreSQL has. */
#include "services/postgres.h"

const struct secrets postgres_secret_table = {
    .service = "postgres",
    .fields =
        {
            {"superuser", offsetof(struct postgres_secrets, superuser)},
            {"replication", offsetof(struct postgres_secrets, replication)},
            {"rewind", offsetof(struct postgres_secrets, rewind)},
            {"client", offsetof(struct postgres_secrets, client)},
            {"rest", offsetof(struct postgres_secrets, rest)},
        },
};
