/* An SDP answer as the simulator reads it: only what it checks. Pure: text in, struct out. @rfc 8866, 3264 */
#ifndef SRC_ANSWER_H
#define SRC_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#define ANSWER_MEDIA_MAX  16
#define ANSWER_CRYPTO_MAX 4
#define ANSWER_VALUE_MAX  256

struct answer_media {
	char address[64];	/* of c=, the session's where the m-line has none */
	uint16_t port, rtcp_port;	/* rtcp_port: of a=rtcp, 0 without */
	char profile[40];	/* RTP/AVP, ... */
	bool recvonly, inactive, sends;	/* sends: sendrecv, sendonly or no direction at all */
	bool rtcp_mux;
	unsigned int label;	/* 0: none, or no number */
	char crypto[ANSWER_CRYPTO_MAX][ANSWER_VALUE_MAX];	/* values of a=crypto */
	unsigned int n_crypto;	/* counted on, past what fits */
	char fingerprint[ANSWER_VALUE_MAX], setup[16];	/* the session's where the m-line has none; "": absent */
};

struct answer {
	unsigned int n_media;	/* counted on, past what fits */
	struct answer_media media[ANSWER_MEDIA_MAX];
};

void answer_read(struct answer *a, const char *sdp);

#endif
