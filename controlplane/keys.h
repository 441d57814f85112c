/* Part keys made ahead of demand. Wrapping a DEK costs public-key work and, with an HSM, a round trip: it has no place
 * in a call's path. The keys thread owns the keystore's making of keys and keeps KEYS_READY_MAX of them in a ring of
 * secret memory; control takes one and names its recording and part. */
#ifndef KEYS_H
#define KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/keystore.h"
#include "dataplane/dataplane.h"
#include "lib/config.h"
#include "lib/srs_err.h"

#define KEYS_READY_MAX 512
#define KEYS_READY_LOW (KEYS_READY_MAX / 2)	/* below it the thread is woken */

struct keys;

/**
 * Fill the ring once, so that a keystore that cannot wrap is a start-up error, then start the thread.
 *
 * @param ks  borrowed until keys_stop(); its dek_create belongs to the thread from here on
 */
SRS_MUST_CHECK enum srs_err keys_start(struct keys **out, struct keystore *ks, const struct config *c, char *why,
                                       size_t why_len);
/** Join, wipe. Accepts NULL. */
void keys_stop(struct keys *k);

/** A new key for this part; the caller wipes `out` when it was handed on. @return LIMIT: none is ready (503)
 * @thread control */
SRS_MUST_CHECK enum srs_err keys_take(struct keys *k, const uint8_t recording[REEL_ID_SIZE], uint32_t part,
                                      struct part_key *out);
/** @thread control */
uint32_t keys_ready(const struct keys *k);

#endif
