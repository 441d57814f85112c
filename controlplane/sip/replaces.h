/* Replaces: an INVITE that takes the place of another dialog. Here is what SIP itself asks: one readable header, in a
 * new INVITE, that names one confirmed dialog of ours, sent by who may. What then becomes of the recording is
 * controlplane/session/session_replace's business. @thread control @rfc 3891 */
#ifndef REPLACES_H
#define REPLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

struct conn_path;
struct dialog;
struct message;
struct sip;

/* ---- the header ---- */

struct replaces {
	struct span call_id, to_tag, from_tag;	/* within the value */
	bool early_only;
};
/** Pure. @return INVALID: out is zero then @rfc 3891 §6.1 */
SRS_MUST_CHECK enum srs_err replaces_parse(struct replaces *out, const char *value);

/* ---- dialogs that ended not long ago ---- */

/* Their ids as keyed hashes, in a table of fixed size: one that meets another's place takes it. A replacing INVITE
 * that comes too late hears 603 for 64*T1, and 481 afterwards. */
struct replaces_ended {
	struct replaces_ended_row {
		uint64_t hash, until_mono_ns;
	} *rows;
	uint32_t mask;
	uint64_t life_ns;
};
SRS_MUST_CHECK enum srs_err replaces_ended_init(struct replaces_ended *e, uint32_t dialogs_max, uint32_t t1_ms);
void replaces_ended_release(struct replaces_ended *e);
/** @param hash  of the dialog's key in sip.dialogs */
void replaces_ended_add(struct replaces_ended *e, uint64_t hash);
bool replaces_ended_has(const struct replaces_ended *e, uint64_t hash);

/* ---- finding ---- */

/* status 0: `dialog` may be replaced; NULL when the request names none. */
struct replaces_finding {
	struct dialog *dialog;
	unsigned int status;
	const char *warning;
};
/** Of any request but ACK: the header where it has no place, or more than once, is 400.
 * @param user  who asks, by digest; "" nobody */
void replaces_find(struct replaces_finding *out, const struct sip *s, const struct message *m,
                   const struct conn_path *from, const char *user);
/** Is the extension offered at all (sip.replaces)? Without it the header means nothing, as for who never heard of it. */
bool replaces_served(const struct sip *s);

#endif
