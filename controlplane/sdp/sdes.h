/* SDP security descriptions: what an a=crypto line says, which of several we take, and the line of our answer. Pure; what
 * holds keys is the caller's, in secret memory, and the caller wipes it. @thread any @rfc 4568, 6188, 7714 §14.1 */
#ifndef SDES_H
#define SDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sdp/offer.h"
#include "crypto/srtp_suite.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define SDES_TAG_SIZE       10	/* nine digits */
#define SDES_PARAMETERS_MAX 16	/* session parameters of one line */

struct sdes_line {
	char tag[SDES_TAG_SIZE];	/* as offered: the answer repeats it */
	enum srtp_suite suite;
	struct srtp_master masters[SRTP_MASTERS_MAX];
	unsigned int n_masters;
};

/**
 * Read what stands behind "a=crypto:". A line that is not all good counts as not there (RFC 4568 §5.1.2).
 *
 * @param out  all zero after a failure
 * @param why  static text on failure
 * @return     INVALID (grammar, a key of another length, a lifetime beyond 2^48), UNSUPPORTED (suite, key method, a
 *             session parameter that we must heed and do not take), LIMIT (more keys than SRTP_MASTERS_MAX, a longer
 *             MKI than SRTP_MKI_MAX)
 */
SRS_MUST_CHECK enum srs_err sdes_line_read(struct sdes_line *out, struct span value, const char **why);

/**
 * The line that we take: the first of the most preferred suite (RFC 4568 §5.1.2 leaves the choice to the answerer).
 *
 * @param out      room for two lines; the chosen one is out[0], out[1] is all zero afterwards
 * @param order    suites that are taken, preferred first
 * @param on_bad   told of each line that cannot be taken, except for suites that are merely not in `order`; may be NULL
 * @return         false: none can be taken, and `out` is all zero
 */
bool sdes_choose(struct sdes_line out[2], const struct offer_crypto *lines, unsigned int n_lines,
                 const enum srtp_suite *order, unsigned int n_order,
                 void (*on_bad)(void *ctx, unsigned int line, const char *why), void *ctx);

/** Write "TAG SUITE inline:KEY", without lifetime and MKI, NUL-terminated. @return its length, 0: `out` is too small */
size_t sdes_line_write(char *out, size_t out_len, const char *tag, const struct srtp_master *master);

#endif
