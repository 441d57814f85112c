/* Memory for keys: locked, left out of core dumps, wiped on every path. */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/srs_err.h"

#define SECRET_KEY_SIZE 32

/** Pages of their own: mlock, MADV_DONTDUMP, zeroed. NULL when the system refuses memory. Where only mlock is
 * refused (RLIMIT_MEMLOCK) one warning is logged and the memory is still kept out of dumps. @thread any */
void *secret_alloc(size_t len);
/** Wipe and unmap. Accepts NULL. */
void secret_free(void *secret, size_t len);
/** How OpenSSL treats memory from now on: private keys live in a heap of its own, locked and left out of core dumps, and
 * all that it frees elsewhere is wiped, since its decoders and TLS leave keys there. Takes effect in full only before
 * OpenSSL is used for the first time; again: nothing happens. @thread any, before others use OpenSSL */
void secret_heap_make(void);
/** Overwrite so that no optimiser removes it. */
void secret_wipe(void *secret, size_t len);
/** Compare in time that depends on `len` only. */
bool secret_equal(const void *a, const void *b, size_t len);
/** Bytes from the system's generator. @return IO when it fails: no weaker source is tried */
SRS_MUST_CHECK enum srs_err secret_random(void *out, size_t len);

#endif
