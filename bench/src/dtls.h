/* DTLS-SRTP as the recorder's peer: the handshake over a media socket that somebody else reads and writes, and the
 * SRTP keys that come out of it. OpenSSL on memory BIOs. @rfc 5763, 5764, 8122 */
#ifndef SRC_DTLS_H
#define SRC_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protect.h"

/* A self-signed certificate and the profiles on offer; shared by all calls of a run. */
struct dtls_identity;
/** @param profiles  OpenSSL's use_srtp names with colons, best first
 * @return NULL: a profile that OpenSSL does not know, or no memory */
struct dtls_identity *dtls_identity_create(const char *profiles);
void dtls_identity_destroy(struct dtls_identity *id);	/* accepts NULL */
/** A ClientHello in one record, without a cookie, as a stranger would begin. @return its length; 0: no memory, or longer */
size_t dtls_hello(const struct dtls_identity *id, uint8_t *out, size_t room);
#define DTLS_HELLO_RANDOM 27	/* where its 32 random bytes stand: behind two headers and the version */
/** The value of a=fingerprint: "sha-256 AB:CD:..." */
const char *dtls_identity_fingerprint(const struct dtls_identity *id);

enum dtls_state {
	DTLS_SHAKING,
	DTLS_DONE,
	DTLS_FAILED,	/* dtls_failure() says why */
};

struct dtls;
/**
 * @param fd           connected datagram socket to send on; borrowed
 * @param client       send the ClientHello (the peer answered a=setup:passive)
 * @param fingerprint  the peer's a=fingerprint: its certificate must have it
 */
struct dtls *dtls_create(const struct dtls_identity *id, int fd, bool client, const char *fingerprint);
void dtls_destroy(struct dtls *d);	/* accepts NULL */
/** A datagram that starts with 20 to 63 (RFC 7983). */
enum dtls_state dtls_receive(struct dtls *d, const uint8_t *datagram, size_t len);
/** Retransmit what is due; often. */
enum dtls_state dtls_tick(struct dtls *d);
const char *dtls_failure(const struct dtls *d);
/** With DTLS_DONE: master keys of both directions (RFC 5764 §4.2). @return false: a profile of no suite of ours */
bool dtls_keys(const struct dtls *d, struct protect_keys *ours, struct protect_keys *theirs);

#endif
