/* SDP offers as an SRS reads them, and the answers that it writes. Lenient in, strict out. Pure.
 * @thread any @rfc 3264, 8866, 4574, 5761, 3605, 7866 §7; for SRTP 4568 §5, 5763 §5, 8122 §5, 4145 §4 */
#ifndef OFFER_H
#define OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/srtp_suite.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define OFFER_MEDIA_MAX    64	/* m-lines */
#define OFFER_CODECS_MAX   32	/* formats of one m-line */
#define OFFER_TEXT_MAX     64
#define OFFER_BYTES_MAX    65536
#define OFFER_CRYPTO_MAX   16	/* a=crypto lines of one m-line */
#define OFFER_FINGERPRINTS_MAX 4
#define OFFER_FINGERPRINT_BYTES_MAX 64	/* SHA-512 */
#define OFFER_TLS_ID_MAX   256	/* RFC 8842 §4: at most 255 characters */

enum offer_direction { OFFER_SENDRECV, OFFER_SENDONLY, OFFER_RECVONLY, OFFER_INACTIVE };
enum offer_kind { OFFER_AUDIO, OFFER_VIDEO, OFFER_OTHER };
enum offer_profile { OFFER_RTP_AVP, OFFER_RTP_AVPF, OFFER_RTP_SAVP, OFFER_RTP_SAVPF, OFFER_DTLS_SAVP, OFFER_DTLS_SAVPF, OFFER_PROFILE_OTHER };

struct offer_codec {
	uint8_t payload_type;
	char name[OFFER_TEXT_MAX];	/* "" when the type is dynamic and has no rtpmap */
	uint32_t clock_hz;
	uint8_t channels;
	char fmtp[128];
};

struct offer_address {
	uint8_t ip_version;	/* 4, 6; 0: missing or unreadable */
	uint8_t ip[16];
	bool unspecified;	/* 0.0.0.0 or :: : never changes our direction (docs/rfc-coverage.md SDP-11) */
};

/* One a=crypto line. It is not read here, so that no key enters this struct: sdes.h reads it into secret memory. */
struct offer_crypto {
	unsigned int line;
	struct span value;	/* behind the colon; points into the parsed bytes, and lives as long as they */
};

enum offer_setup {		/* a=setup, RFC 4145 §4 */
	OFFER_SETUP_NONE,	/* missing or no word of the RFC: counts as active (§4.1) */
	OFFER_SETUP_ACTIVE,
	OFFER_SETUP_PASSIVE,
	OFFER_SETUP_ACTPASS,
	OFFER_SETUP_HOLDCONN,
};

/* a=fingerprint: hash name in lower case, and the digest. Only SHA-1 and SHA-2 are kept (RFC 8122 §5). */
struct offer_fingerprint {
	char hash[8];		/* "sha-256" */
	uint8_t len;		/* as that hash has it */
	uint8_t bytes[OFFER_FINGERPRINT_BYTES_MAX];
};

/* What an m-line says about DTLS, or else the session level for it. */
struct offer_dtls {
	struct offer_fingerprint fingerprints[OFFER_FINGERPRINTS_MAX];	/* the certificate must match one (RFC 8122 §5) */
	unsigned int n_fingerprints;	/* readable ones */
	enum offer_setup setup;
	char tls_id[OFFER_TLS_ID_MAX];	/* "" when missing */
};

/* How an m-line's packets are protected. */
enum offer_keying { OFFER_KEYING_NONE, OFFER_KEYING_SDES, OFFER_KEYING_DTLS };

struct offer_media {
	enum offer_kind kind;
	char kind_text[16];	/* as offered, for the answer's m-line */
	enum offer_profile profile;
	char profile_text[32];
	uint16_t port;		/* 0: refused or removed by the SRC */
	uint16_t n_ports;
	struct offer_address address;	/* media-level c=, else session-level */
	uint16_t rtcp_port;	/* a=rtcp; 0: port + 1 */
	bool rtcp_mux;
	enum offer_direction direction;
	char label[OFFER_TEXT_MAX];	/* a=label; "" when missing */
	char mid[OFFER_TEXT_MAX];
	uint16_t ptime_ms;
	struct offer_crypto crypto[OFFER_CRYPTO_MAX];	/* of SAVP and SAVPF alone */
	unsigned int n_crypto;
	struct offer_dtls dtls;
	struct offer_codec codecs[OFFER_CODECS_MAX];
	unsigned int n_codecs;
	char formats[256];	/* the m-line's format list as offered */
	bool has_crypto, has_fingerprint;	/* such a line is there, usable or not */
};

struct offer {
	char session_id[OFFER_TEXT_MAX];	/* o= */
	uint64_t version;
	struct offer_media media[OFFER_MEDIA_MAX];
	unsigned int n_media;
	struct offer_deviation {
		unsigned int line;
		const char *rule;	/* static text */
	} deviations[16];
	unsigned int n_deviations;
};

/** @param why static text on failure @return INVALID (no SDP at all, no m-line), LIMIT (a named bound) */
SRS_MUST_CHECK enum srs_err offer_parse(struct offer *out, struct span sdp, const char **why);

/** Note what was found only later. The first sixteen are kept. @param rule static text */
void offer_deviate(struct offer *o, unsigned int line, const char *rule);

/** By the profile: a DTLS profile is DTLS. RTP/SAVP and SAVPF are SDES; with a=fingerprint and without a=crypto
 * they are DTLS all the same (RFC 5763 came before the profile names of RFC 5764). */
enum offer_keying offer_media_keying(const struct offer_media *m);

/* What we decided for each m-line, same order and number. */
struct answer_media {
	bool accepted;		/* false: port 0 */
	uint8_t ip_version;
	char ip[48];		/* the address in our c= line (external_ip may differ from the lcore's) */
	uint16_t port;
	uint16_t rtcp_port;	/* 0: muxed */
	bool inactive;		/* ours; else recvonly */
	bool asks;		/* in an offer of ours, whatever theirs said; in an answer what they do not send is inactive */
	/* Of a secure m-line one of the two, borrowed; one that has neither is written as refused. */
	struct {
		const char *tag;		/* of the chosen a=crypto line, as offered */
		const struct srtp_master *ours;	/* NULL: no a=crypto */
	} sdes;
	struct {
		const char *fingerprint;	/* "sha-256 AB:CD:..."; NULL: no a=fingerprint, no a=setup */
		enum offer_setup setup;		/* OFFER_SETUP_ACTIVE or _PASSIVE */
		const char *tls_id;		/* NULL: none */
	} dtls;
};

/**
 * Write the answer: profile and formats as offered, recvonly or inactive, labels echoed, rtcp-mux only if offered.
 * With `sdes.ours` the text holds a key: wipe it after use.
 *
 * @param session_id,version  our own o= line; version goes up by one only when the description changed
 * @return  bytes written, 0 when `out` is too small
 */
size_t answer_write(const struct offer *o, const struct answer_media *decided, const char *origin_ip,
                    uint64_t session_id, uint64_t version, char *out, size_t out_len);

/** No answer to this offer is longer, whatever is decided: asked before anything is taken for it. */
size_t answer_size_max(const struct offer *o);

/** Overwrite a=crypto inline keys, a=ice-pwd and Authorization values by as many '*'. @return secrets struck out */
unsigned int offer_redact(char *bytes, size_t len);

#endif
