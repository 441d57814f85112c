/* The dtls thread: it runs the handshakes of media streams, so that public-key work is in no call's way. Control hands
 * it datagrams that the data plane punted and gets back datagrams to send, SRTP keys, or why there are none. Both ways
 * are rings of messages from pools (lib/spsc); an eventfd each way wakes the other side.
 *
 * Control never waits for the thread: a datagram that finds the pool used up is lost, as datagrams are, and the
 * handshake sends again. The thread waits for control where keys or a failure would be lost otherwise.
 *
 * Functions are @thread control unless they say otherwise. */
#ifndef DTLS_H
#define DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/dtls/dtls_association.h"

#define DTLS_NONE UINT32_MAX	/* no association */

struct dtls;

struct dtls_settings {
	const enum srtp_suite *suites;	/* srtp.suites, preferred first */
	unsigned int n_suites;
	uint32_t handshakes_max;	/* srtp.dtls_handshakes_max */
	uint32_t associations_max;	/* limits.streams_max */
};

/** Make certificate, rings and pools. @param why on failure one sentence that names the remedy
 * @thread the process's first, before others use OpenSSL: its heap for private keys is made here */
SRS_MUST_CHECK enum srs_err dtls_create(struct dtls **out, const struct dtls_settings *settings, char *why,
                                        size_t why_len);
/** Start the thread, on the CPUs of the caller. @return IO */
SRS_MUST_CHECK enum srs_err dtls_start(struct dtls *d, char *why, size_t why_len);
/** Join, close everything, wipe. Accepts NULL. */
void dtls_stop(struct dtls *d);

/** The value of a=fingerprint in our answers. */
const char *dtls_fingerprint(const struct dtls *d);

/** How many more associations may wait for their first keys: admission asks before an answer. */
uint32_t dtls_room(const struct dtls *d);
/** Associations that wait for their first keys: poll the data plane each 1 ms meanwhile. */
uint32_t dtls_waiting(const struct dtls *d);
/** A call was refused for want of dtls_room(). */
void dtls_count_refused(struct dtls *d);

/** Open an association for a stream.
 * @param cookie       comes back with every event
 * @param association  its handle, until dtls_close()
 * @return LIMIT: srtp.dtls_handshakes_max wait already, or associations_max; INVALID: spec */
SRS_MUST_CHECK enum srs_err dtls_open(struct dtls *d, const struct dtls_spec *spec, uint64_t cookie,
                                      uint32_t *association);
/** What EVENT_STREAM_PUNTED brought; copied. */
void dtls_datagram(struct dtls *d, uint32_t association, const struct media_address *from, struct span datagram);
/** No event comes after it; the handle is gone. Keys that were handed out are the data plane's. */
void dtls_close(struct dtls *d, uint32_t association);

/** Readable when dtls_poll() has something. */
int dtls_fd(const struct dtls *d);
/** Deliver what happened. @return events delivered */
unsigned int dtls_poll(struct dtls *d, void (*on_event)(void *ctx, uint32_t association, const struct dtls_event *e),
                       void *ctx);

/** Hand each counter to `on_counter`. @thread any (relaxed) */
void dtls_counters(const struct dtls *d, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx);

#endif
