/* The passwords of one run: made from the kernel's random bytes, kept in one private file so that a
 * later process can attach to the running service. */
#ifndef GAMEDAY_SERVICES_SECRETS_H
#define GAMEDAY_SERVICES_SECRETS_H

#include <stddef.h>

#include "base/error.h"

#define SECRET_SIZE 49 /* 24 random bytes in hexadecimal, and NUL */
#define SECRETS_MAX 8

/* The passwords of a service: a struct of its own, whose fields are char[SECRET_SIZE]. */
struct secrets {
  const char *service;
  struct secret_field {
    const char *name; /* in the file */
    size_t offset;
  } fields[SECRETS_MAX + 1]; /* ended by a NULL name */
};

/* `values` is the service's struct. */
int secrets_make(const struct secrets *secrets, void *ret_values, struct error *err);
int secrets_save(const struct secrets *secrets, const void *values, const char *path,
                 struct error *err);
/* STATUS_USAGE when the file is not one of this service. */
int secrets_load(const struct secrets *secrets, const char *path, void *ret_values,
                 struct error *err);

#endif
