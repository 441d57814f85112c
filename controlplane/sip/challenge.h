/* Digest authentication of who begins a session: 401 with a nonce, and what the Authorization of the next INVITE is worth.
 * Nonces carry their time and a MAC, so none is stored before it was used with the right password; those that were are
 * in a table of fixed size, so that no request counts twice. SHA-256; MD5 only where the configuration says so.
 * @thread control @rfc 3261 §22; 7616; 8760 */
#ifndef CHALLENGE_H
#define CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"
#include "lib/span.h"
#include "lib/srs_err.h"

struct challenge;
struct message;

/**
 * Read sip.digest_users.
 *
 * @param why  on failure what is wrong with which line, and never what stands in it
 * @return     IO, INVALID (why), LIMIT, NOMEM
 */
SRS_MUST_CHECK enum srs_err challenge_create(struct challenge **out, const struct config *c, char *why, size_t why_len);
void challenge_destroy(struct challenge *c);	/* wiped; accepts NULL */

enum challenge_result {
	CHALLENGE_PASSED,
	CHALLENGE_MISSING,	/* no Authorization for our realm by an algorithm that is served */
	CHALLENGE_STALE,	/* the password is right, the nonce is old, unknown, or was used with this count before */
	CHALLENGE_WRONG,
};
/** @param user  who it is, when PASSED; borrowed until challenge_destroy() */
enum challenge_result challenge_judge(struct challenge *c, const struct message *m, const char **user);
/** WWW-Authenticate lines with a fresh nonce, in the order of sip.digest_algorithms (RFC 8760 §2.4). malloc'ed, NULL: no memory */
char *challenge_lines(struct challenge *c, bool stale);

/* ---- the header ---- */

#define CHALLENGE_HEX_MAX 64	/* SHA-256 */

/* Values as they stand between their quotes: nothing is unescaped, since both sides hash what was sent. */
struct credentials {
	struct span username, realm, nonce, uri, response, algorithm, cnonce, qop, nc;
};
/** Pure. @return INVALID (out is zero then), UNSUPPORTED: another scheme than Digest */
SRS_MUST_CHECK enum srs_err credentials_parse(struct credentials *out, const char *value);
/** What `response` must be. @param ha1  as lower-case hex. @return its length, 0: the library does not have the algorithm */
size_t credentials_expect(const struct credentials *c, bool md5, const char *ha1, const char *method,
                          char out[CHALLENGE_HEX_MAX]);

#endif
