/* Bytes as an offer. Our answer to it must be readable, keep number and order of the m-lines, and never send; after
 * redaction no key is left and nothing else has moved. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp/offer.h"

#define FINGERPRINT "sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct offer offer, answer;
static struct answer_media decided[OFFER_MEDIA_MAX];
static char text[4 * OFFER_BYTES_MAX];
static const struct srtp_master own = { .suite = SRTP_AEAD_AES_128_GCM, .key = "0123456789abcde", .salt = "0123456789a" };

static void
answer_is_strict(void)
{
	const char *why;
	size_t len;

	for (unsigned int i = 0; i < offer.n_media; i++)
		decided[i] = (struct answer_media){
			.accepted = offer.media[i].kind != OFFER_OTHER,
			.ip_version = 4,
			.ip = "198.51.100.4",
			.port = (uint16_t)(16384 + 2 * i),
			.rtcp_port = (uint16_t)(offer.media[i].rtcp_mux ? 0 : 16385 + 2 * i),
			.sdes = { "1", offer_media_keying(&offer.media[i]) == OFFER_KEYING_SDES ? &own : NULL },
			.dtls = { offer_media_keying(&offer.media[i]) == OFFER_KEYING_DTLS ? FINGERPRINT : NULL,
			          OFFER_SETUP_PASSIVE, offer.media[i].dtls.tls_id[0] != '\0' ? "0123456789abcdef0123" : NULL },
		};
	len = answer_write(&offer, decided, "198.51.100.4", 1, 1, text, sizeof(text));
	if (len == 0 || strlen(text) != len)
		abort();
	/* an answer to 64 m-lines with long formats may pass what we read as an offer */
	if (len > OFFER_BYTES_MAX)
		return;
	if (offer_parse(&answer, span_of(text, len), &why) != SRS_OK || answer.n_media != offer.n_media)
		abort();
	for (unsigned int i = 0; i < offer.n_media; i++) {
		const struct offer_media *o = &offer.media[i], *a = &answer.media[i];

		if (strcmp(o->kind_text, a->kind_text) != 0 ||
		    strcmp(o->profile_text, a->profile_text) != 0 || strcmp(o->label, a->label) != 0 ||
		    (o->port == 0 && a->port != 0))
			abort();
		if (a->port == 0)
			continue;
		if ((a->n_crypto == 1) != (offer_media_keying(o) == OFFER_KEYING_SDES) ||
		    (a->dtls.n_fingerprints == 1) != (offer_media_keying(o) == OFFER_KEYING_DTLS))
			abort();
		if (strcmp(o->formats, a->formats) != 0 || (a->rtcp_mux && !o->rtcp_mux) ||
		    (a->direction != OFFER_RECVONLY && a->direction != OFFER_INACTIVE))
			abort();
	}
}

static void
redaction_leaves_the_rest(const uint8_t *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);

	if (copy == NULL)
		return;
	if (len != 0)
		memcpy(copy, bytes, len);
	offer_redact(copy, len);
	for (size_t i = 0; i < len; i++)
		if (copy[i] != (char)bytes[i] && copy[i] != '*')
			abort();
	if (offer_redact(copy, len) != 0)
		abort();
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *why = NULL;
	enum srs_err err = offer_parse(&offer, span_of(bytes, len), &why);

	if (why == NULL || (err != SRS_OK) != (why[0] != '\0'))
		abort();
	if (err == SRS_OK)
		answer_is_strict();
	redaction_leaves_the_rest(bytes, len);
	return 0;
}
