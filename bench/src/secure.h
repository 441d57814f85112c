/* How one m-line of a call is protected, from its offer to the keys in use: not at all, by SDES or by DTLS-SRTP. */
#ifndef SRC_SECURE_H
#define SRC_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "dtls.h"
#include "protect.h"
#include "sdes.h"
#include "text.h"

#define SECURE_LINES_MAX 8	/* a=crypto lines of an m-line */

enum secure_kind { SECURE_NONE, SECURE_SDES, SECURE_DTLS };

/* From the command line; all calls share it. */
struct secure_plan {
	enum secure_kind kind;
	enum protect_engine engine;
	enum protect_suite suites[SECURE_LINES_MAX];
	unsigned int n_suites;
	unsigned int n_keys;		/* inline keys of a line, used one after the other */
	uint8_t mki_len;
	const char *lifetime;		/* NULL: none stands in the offer */
	bool feedback;			/* SAVPF for SAVP */
	bool mixed_profiles;		/* every other m-line in clear, the first one too */
	const char *setup;		/* a=setup of the offer */
	const struct dtls_identity *identity;
	uint8_t hello[512];		/* of a forger's handshake */
	uint16_t hello_len;
	bool wrong_fingerprint;		/* offer one that our certificate does not have */
	uint32_t roc;			/* rollover counter that the streams start with */
};

struct secure {
	const struct secure_plan *plan;
	enum secure_kind kind;
	struct sdes_line lines[SECURE_LINES_MAX];	/* of the newest offer */
	unsigned int line_i;		/* the one that was chosen ... */
	unsigned int key_i;		/* ... and which of its keys is in use */
	struct protect_keys keys;	/* in use for sending; suite as answered */
	struct protect_keys peer_keys;	/* the recorder's, for its reports */
	struct protect *out, *in, *in_before;	/* in_before: reports on the way when its key changed */
	bool agreed;			/* keys are there, or none are needed */
	struct dtls *dtls;
	uint32_t ssrc;			/* of the stream when the handshake began */
	bool client;			/* of the DTLS association */
	unsigned int answer_tag;	/* of the recorder\'s a=crypto line that we take */
};

/** `m_line` counts from 0. @return false: no random bytes to be had */
bool secure_open(struct secure *s, const struct secure_plan *plan, unsigned int m_line);
/** Other keys in the next offer (SDES). */
bool secure_renew(struct secure *s);
/** Say good-bye to the peer's DTLS. */
void secure_hang_up(struct secure *s);
void secure_close(struct secure *s);	/* wipes */

/** "RTP/SAVP" and the like. */
const char *secure_profile(const struct secure *s);
/** Append the m-line's attributes of an offer. */
void secure_offer(const struct secure *s, struct text *t);
/**
 * Check what the recorder answered and take its keys; with DTLS, begin the handshake.
 *
 * @param fd    the stream's connected socket
 * @param ssrc  of the stream, whose sequence numbers go on with rollover counter `roc` under a new key
 * @return false, with the reason in `why`
 */
bool secure_take_answer(struct secure *s, const struct answer_media *m, int fd, uint32_t ssrc, uint32_t roc, char *why,
                        size_t why_len);
/** The same for an offer of the recorder's in mid-call: our keys stay, those for its reports may change. */
bool secure_take_offer(struct secure *s, const struct answer_media *m, uint32_t ssrc, uint32_t roc, char *why,
                       size_t why_len);
/** Append the m-line's attributes of the answer to it. */
void secure_answer(const struct secure *s, struct text *t);
/** A DTLS datagram, or none (`len` 0) for the timers. @return false, with the reason in `why` */
bool secure_shake(struct secure *s, const uint8_t *datagram, size_t len, char *why, size_t why_len);
/** Go on under the next inline key of the chosen line, sequence numbers as in secure_take_answer().
 * @return false: that was the last one, or no memory */
bool secure_next_key(struct secure *s, uint32_t ssrc, uint32_t roc);
/** May media flow? */
bool secure_ready(const struct secure *s);
/** Decrypt the recorder's RTCP in place. @return false: it does not authenticate */
bool secure_open_rtcp(struct secure *s, uint8_t *packet, uint16_t *len);

#endif
