/* May a new recording session begin? Every bound that a call needs is asked before anything is taken, so that an SRC
 * hears 503 with Retry-After and fails over instead of getting a recording with holes (docs/rfc-coverage.md RS-10). Pure.
 * @thread control */
#ifndef ADMISSION_H
#define ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/sip/dialog.h"
#include "dataplane/dataplane.h"

/* Chunks that the emptiest lcore keeps back for the calls that it already has. */
#define ADMISSION_CHUNKS_PERCENT_MIN 10
/* A control loop that is so late for its timers answers nobody in time: the calls that there are come first. */
#define ADMISSION_LAG_MS_MAX 500

/* What there is, gathered by the caller at this moment. */
struct admission_view {
	bool stopping;
	bool draining;			/* calls in progress go on, no more are taken */
	uint32_t lag_ms;		/* how late the control loop is, again and again */
	uint32_t src_sessions, src_sessions_max;	/* of this client's profile; a max of 0: no bound of its own */
	uint32_t sessions, sessions_max;
	uint32_t pairs_free;		/* even/odd port pairs */
	uint32_t keys_ready;
	bool catalog_has_room;
	uint32_t handshakes_need;	/* DTLS: m-lines of the call with it, and how many may begin now */
	uint32_t handshakes_free;
	struct dataplane_room room;
};

/**
 * @param n_streams      m-lines that ask for a port; 0 to ask about a call in general
 * @param retry_after_s  upper end of the random Retry-After, so that refused SRCs do not come back together
 * @param why            filled when the answer is no: 503, the sentence for Warning, Retry-After
 */
bool admission_allows(const struct admission_view *v, unsigned int n_streams, uint32_t retry_after_s,
                      struct sip_refusal *why);

/** Random 1..retry_after_s. */
unsigned int admission_retry_after(uint32_t retry_after_s);

#endif
