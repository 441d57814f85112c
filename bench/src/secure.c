#include "secure.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum protect_engine
engine_for(const struct secure_plan *plan, const struct protect_keys *keys)
{
	return protect_engine_has(plan->engine, keys) ? plan->engine : PROTECT_IPSEC_MB;
}

bool
secure_renew(struct secure *s)
{
	for (unsigned int i = 0; s->kind == SECURE_SDES && i < s->plan->n_suites; i++)
		if (!sdes_make(&s->lines[i], i + 1, s->plan->suites[i], s->plan->n_keys, s->plan->mki_len))
			return false;
	return true;
}

bool
secure_open(struct secure *s, const struct secure_plan *plan, unsigned int m_line)
{
	memset(s, 0, sizeof(*s));
	s->plan = plan;
	s->kind = plan->mixed_profiles && m_line % 2 == 0 ? SECURE_NONE : plan->kind;
	return secure_renew(s);
}

void
secure_hang_up(struct secure *s)
{
	dtls_destroy(s->dtls);
	s->dtls = NULL;
}

void
secure_close(struct secure *s)
{
	secure_hang_up(s);
	protect_destroy(s->out);
	protect_destroy(s->in);
	protect_destroy(s->in_before);
	OPENSSL_cleanse(s, sizeof(*s));
}

const char *
secure_profile(const struct secure *s)
{
	bool feedback = s->plan->feedback;

	if (s->kind == SECURE_SDES)
		return feedback ? "RTP/SAVPF" : "RTP/SAVP";
	if (s->kind == SECURE_DTLS)
		return feedback ? "UDP/TLS/RTP/SAVPF" : "UDP/TLS/RTP/SAVP";
	return "RTP/AVP";
}

/* Our fingerprint, or one that is off by a digit. */
static void
write_fingerprint(const struct secure *s, struct text *t)
{
	const char *ours = dtls_identity_fingerprint(s->plan->identity);
	size_t len = strlen(ours) - 1;

	if (s->plan->wrong_fingerprint)
		text_add(t, "a=fingerprint:%.*s%c\r\n", (int)len, ours, ours[len] == '0' ? '1' : '0');
	else
		text_add(t, "a=fingerprint:%s\r\n", ours);
}

void
secure_offer(const struct secure *s, struct text *t)
{
	if (s->kind == SECURE_SDES)
		for (unsigned int i = 0; i < s->plan->n_suites; i++)
			sdes_write(&s->lines[i], s->plan->lifetime, t);
	if (s->kind == SECURE_DTLS) {
		write_fingerprint(s, t);
		text_add(t, "a=setup:%s\r\n", s->plan->setup);
	}
}

/* ---- the answer ---- */

static bool
same_keys(const struct protect_keys *a, const struct protect_keys *b)
{
	return a->suite == b->suite && CRYPTO_memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       CRYPTO_memcmp(a->salt, b->salt, sizeof(a->salt)) == 0;
}

/* Sending goes on under this key. */
static bool
send_under(struct secure *s, const struct protect_keys *ours, uint32_t ssrc, uint32_t roc)
{
	struct protect *out = protect_create(engine_for(s->plan, ours), ours);

	if (out == NULL || !protect_start(out, ssrc, roc)) {
		protect_destroy(out);
		return false;
	}
	protect_destroy(s->out);
	s->out = out;
	s->keys = *ours;
	return true;
}

/* Sending goes on under `ours`, the recorder's reports come under `theirs`. Keys that stay keep their state (RFC 4568
 * §7.1.4). */
static bool
use_keys(struct secure *s, const struct protect_keys *ours, const struct protect_keys *theirs, uint32_t ssrc, uint32_t roc)
{
	if ((s->out == NULL || !same_keys(ours, &s->keys)) && !send_under(s, ours, ssrc, roc))
		return false;
	if (s->in == NULL || !same_keys(theirs, &s->peer_keys)) {
		struct protect *in = protect_create(engine_for(s->plan, theirs), theirs);

		if (in == NULL)
			return false;
		protect_destroy(s->in_before);
		s->in_before = s->in;
		s->in = in;
		s->peer_keys = *theirs;
	}
	s->agreed = true;
	return true;
}

bool
secure_next_key(struct secure *s, uint32_t ssrc, uint32_t roc)
{
	const struct sdes_line *line = &s->lines[s->line_i];

	if (s->kind != SECURE_SDES || s->key_i + 1 >= line->n_keys || !send_under(s, &line->keys[s->key_i + 1], ssrc, roc))
		return false;
	s->key_i++;
	return true;
}

static bool
is_ours(const struct secure *s, const struct protect_keys *keys)
{
	for (unsigned int i = 0; i < s->plan->n_suites; i++)
		for (unsigned int k = 0; k < s->lines[i].n_keys; k++)
			if (memcmp(s->lines[i].keys[k].key, keys->key, protect_shape(keys->suite)->key_len) == 0)
				return true;
	return false;
}

static bool
take_sdes(struct secure *s, const struct answer_media *m, uint32_t ssrc, uint32_t roc, char *why, size_t why_len)
{
	struct sdes_line answered;
	unsigned int i = 0, key_i;

	if (m->n_crypto != 1) {
		snprintf(why, why_len, "%u a=crypto lines, not one (RFC 4568 5.1.2)", m->n_crypto);
		return false;
	}
	if (!sdes_read(&answered, m->crypto[0], why, why_len))
		return false;
	while (i < s->plan->n_suites && s->lines[i].tag != answered.tag)
		i++;
	if (i == s->plan->n_suites || s->lines[i].keys[0].suite != answered.keys[0].suite) {
		snprintf(why, why_len, "a=crypto %u %s was not offered", answered.tag,
		         protect_shape(answered.keys[0].suite)->name);
		return false;
	}
	if (is_ours(s, &answered.keys[0])) {
		snprintf(why, why_len, "a=crypto gives our own key back (RFC 4568 6.1)");
		return false;
	}
	key_i = s->out != NULL && same_keys(&s->lines[i].keys[s->key_i], &s->keys) ? s->key_i : 0;
	if (!use_keys(s, &s->lines[i].keys[key_i], &answered.keys[0], ssrc, roc)) {
		snprintf(why, why_len, "no memory for keys");
		return false;
	}
	s->line_i = i;
	s->key_i = key_i;
	return true;
}

static bool
take_dtls(struct secure *s, const struct answer_media *m, int fd, char *why, size_t why_len)
{
	bool active = strcasecmp(m->setup, "active") == 0, passive = strcasecmp(m->setup, "passive") == 0;

	if (m->n_crypto != 0)
		snprintf(why, why_len, "a=crypto answers a DTLS offer");
	else if (m->fingerprint[0] == '\0')
		snprintf(why, why_len, "no a=fingerprint");
	else if (!(active || passive) || strcasecmp(m->setup, s->plan->setup) == 0)
		snprintf(why, why_len, "a=setup:%s answers a=setup:%s (RFC 5763 5)", m->setup, s->plan->setup);
	else if (s->dtls != NULL)
		return true; /* an offer in mid-call: the association goes on (RFC 8842 §4) */
	else if ((s->dtls = dtls_create(s->plan->identity, fd, passive, m->fingerprint)) == NULL)
		snprintf(why, why_len, "no memory for DTLS");
	else {
		s->client = passive;
		return true;
	}
	return false;
}

bool
secure_take_answer(struct secure *s, const struct answer_media *m, int fd, uint32_t ssrc, uint32_t roc, char *why,
                   size_t why_len)
{
	if (strcmp(m->profile, secure_profile(s)) != 0) {
		snprintf(why, why_len, "%s answers %s (RFC 3264 6)", m->profile, secure_profile(s));
		return false;
	}
	if (s->kind == SECURE_SDES)
		return take_sdes(s, m, ssrc, roc, why, why_len);
	s->ssrc = ssrc;
	if (s->kind == SECURE_DTLS)
		return take_dtls(s, m, fd, why, why_len);
	if (m->n_crypto != 0) {
		snprintf(why, why_len, "a=crypto answers RTP/AVP");
		return false;
	}
	s->agreed = true;
	return true;
}

/* ---- the recorder's offer in mid-call ---- */

static bool
take_sdes_offer(struct secure *s, const struct answer_media *m, uint32_t ssrc, uint32_t roc, char *why, size_t why_len)
{
	for (unsigned int i = 0; i < m->n_crypto && i < ANSWER_CRYPTO_MAX; i++) {
		struct sdes_line line;
		const struct protect_keys ours = s->keys;

		if (!sdes_read(&line, m->crypto[i], why, why_len) || line.keys[0].suite != ours.suite)
			continue;
		if (!use_keys(s, &ours, &line.keys[0], ssrc, roc)) {
			snprintf(why, why_len, "no memory for keys");
			return false;
		}
		s->answer_tag = line.tag;
		return true;
	}
	snprintf(why, why_len, "no a=crypto with the suite in use");
	return false;
}

bool
secure_take_offer(struct secure *s, const struct answer_media *m, uint32_t ssrc, uint32_t roc, char *why,
                  size_t why_len)
{
	if (strcmp(m->profile, secure_profile(s)) != 0) {
		snprintf(why, why_len, "%s, and it was %s", m->profile, secure_profile(s));
		return false;
	}
	if (s->kind == SECURE_SDES)
		return take_sdes_offer(s, m, ssrc, roc, why, why_len);
	if (s->kind == SECURE_DTLS && m->fingerprint[0] == '\0') {
		snprintf(why, why_len, "no a=fingerprint");
		return false;
	}
	return true;
}

void
secure_answer(const struct secure *s, struct text *t)
{
	if (s->kind == SECURE_SDES) {
		struct sdes_line line = s->lines[s->line_i];

		line.tag = s->answer_tag;
		line.n_keys = 1;
		line.keys[0] = s->keys;
		sdes_write(&line, s->plan->lifetime, t);
		OPENSSL_cleanse(&line, sizeof(line));
	}
	if (s->kind == SECURE_DTLS) {
		write_fingerprint(s, t);
		text_add(t, "a=setup:%s\r\n", s->client ? "active" : "passive"); /* the association goes on (RFC 8842 §4) */
	}
}

/* ---- DTLS ---- */

bool
secure_shake(struct secure *s, const uint8_t *datagram, size_t len, char *why, size_t why_len)
{
	struct protect_keys ours, theirs;
	enum dtls_state state;
	bool ok;

	if (s->dtls == NULL)
		return true; /* before the answer: comes again by the peer's timer */
	state = len > 0 ? dtls_receive(s->dtls, datagram, len) : dtls_tick(s->dtls);
	if (state == DTLS_FAILED) {
		snprintf(why, why_len, "%s", dtls_failure(s->dtls));
		return false;
	}
	if (state != DTLS_DONE || s->agreed)
		return true;
	ok = dtls_keys(s->dtls, &ours, &theirs);
	if (ok)
		ok = use_keys(s, &ours, &theirs, s->ssrc, s->plan->roc);
	OPENSSL_cleanse(&ours, sizeof(ours));
	OPENSSL_cleanse(&theirs, sizeof(theirs));
	if (!ok)
		snprintf(why, why_len, "DTLS: no keys came of it");
	return ok;
}

bool
secure_ready(const struct secure *s)
{
	return s->agreed;
}

bool
secure_open_rtcp(struct secure *s, uint8_t *packet, uint16_t *len)
{
	uint8_t copy[2048];
	uint16_t copy_len = *len;

	if (s->kind == SECURE_NONE)
		return true;
	if (s->in == NULL)
		return false;
	if (s->in_before == NULL || *len > sizeof(copy))
		return protect_open_rtcp(s->in, packet, len);
	memcpy(copy, packet, *len); /* a failed try may have written over it */
	if (protect_open_rtcp(s->in, packet, len))
		return true;
	memcpy(packet, copy, copy_len);
	*len = copy_len;
	return protect_open_rtcp(s->in_before, packet, len);
}
