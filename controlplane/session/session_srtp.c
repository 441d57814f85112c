/* SRTP as the signalling sees it: whom the policy lets in how, and the keys of m-lines that carry them in SDP. Keys lie in
 * secret memory alone: theirs until the data plane has them, ours while the stream lives. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/secret.h"
#include "lib/srs_log.h"

struct session_secrets {
	struct sdes_line lines[2];	/* for the time of a call of sdes_choose() */
	uint32_t n_keyings;
	struct session_keying keyings[];
};

static_assert(DIGEST_SIZE == sizeof(((struct session_keying *)0)->digest), "a digest fits");

/* One for each stream, and some for offers on their way. */
static uint32_t
keyings_max(const struct config *c)
{
	return c->srtp.enabled ? c->limits.streams_max + c->limits.streams_max / 8 + OFFER_MEDIA_MAX : 0;
}

static size_t
secrets_size(uint32_t n)
{
	return sizeof(struct session_secrets) + n * sizeof(struct session_keying);
}

enum srs_err
session_secrets_create(struct sessions *all)
{
	const struct config *c = all->floor.config;
	uint32_t n = keyings_max(c);

	/* one that the engine does not run (libsrtp2 may lack AES-192) is not negotiated */
	for (unsigned int i = 0; n != 0 && i < c->srtp.n_suites && all->n_suites < SRTP_SUITES; i++) {
		enum srtp_suite suite = srtp_suite_by_name(span_of_text(c->srtp.suites[i]));

		if (dataplane_takes_suite(all->floor.dataplane, suite))
			all->suites[all->n_suites++] = suite;
		else
			log_info("session", "suite_left_out", "suite=%s: the SRTP engine does not run it", c->srtp.suites[i]);
	}
	all->secrets = secret_alloc(secrets_size(n));
	if (all->secrets == NULL)
		return SRS_ERR_NOMEM;
	all->secrets->n_keyings = n;
	for (uint32_t i = n; i-- > 0;)
		session_keying_give(all, &all->secrets->keyings[i]);
	return SRS_OK;
}

void
session_secrets_destroy(struct sessions *all)
{
	if (all->secrets != NULL)
		secret_free(all->secrets, secrets_size(all->secrets->n_keyings));
	all->secrets = NULL;
}

void
session_text_wipe(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

/* ---- policy ---- */

void
session_policy_read(struct session_policy *p, const struct sessions *all, const struct sip_request *req)
{
	const struct config *c = all->floor.config;
	uint8_t ip[16] = { 0 };
	int ip_version = 0;

	if (req->source.ss_family == AF_INET6) {
		memcpy(ip, &((const struct sockaddr_in6 *)&req->source)->sin6_addr, 16);
		ip_version = 6;
	} else if (req->source.ss_family == AF_INET) {
		memcpy(ip, &((const struct sockaddr_in *)&req->source)->sin_addr, 4);
		ip_version = 4;
	}
	*p = (struct session_policy){
		.transport = req->transport,
		.srtp_required = req->src->srtp_required ||
		                 config_prefixes_hold(c->srtp.required_from, c->srtp.n_required_from, ip_version, ip),
	};
}

bool
session_mline_is_candidate(const struct offer_media *m)
{
	return m->kind == OFFER_AUDIO && m->port != 0 && m->n_codecs != 0;
}

/* What stands against this kind of protection, whatever the keys. Quoted in Warning: at most 250 characters. */
static const char *
policy_obstacle(const struct sessions *all, const struct session_policy *p, enum offer_keying keying)
{
	const struct config *c = all->floor.config;

	if (keying == OFFER_KEYING_NONE)
		return p->srtp_required ? "SRTP is required of this client by srtp.required_from or src: offer RTP/SAVP with a=crypto"
		                        : NULL;
	if (!c->srtp.enabled)
		return "SRTP is not accepted here since srtp.enabled is false: offer RTP/AVP";
	if (keying == OFFER_KEYING_DTLS)
		return NULL;	/* no key is in the signalling */
	if (p->transport != CONFIG_TLS && c->srtp.sdes_unprotected == CONFIG_SDES_REFUSE)
		return "SRTP keys in SDP over UDP or TCP are refused since srtp.sdes_unprotected is refuse: send SIP over TLS";
	return NULL;
}

const char *
session_mline_obstacle(struct sessions *all, const struct session_policy *p, const struct offer_media *m)
{
	enum offer_keying keying = offer_media_keying(m);
	const char *obstacle = policy_obstacle(all, p, keying);
	bool found;

	if (obstacle == NULL && keying == OFFER_KEYING_DTLS)
		return session_dtls_obstacle(all, m);
	if (obstacle != NULL || keying != OFFER_KEYING_SDES)
		return obstacle;
	found = sdes_choose(all->secrets->lines, m->crypto, m->n_crypto, all->suites, all->n_suites, NULL, NULL);
	secret_wipe(all->secrets->lines, sizeof(all->secrets->lines));
	return found ? NULL : "No a=crypto line can be taken: offer a suite of srtp.suites with a key of its length, unencrypted "
	                      "and unauthenticated sessions are refused";
}

/* ---- keys ---- */

struct session_keying *
session_keying_take(struct sessions *all)
{
	struct session_keying *k = all->free_keyings;

	if (k != NULL) {
		all->free_keyings = k->next;
		k->next = NULL;
	}
	return k;
}

void
session_keying_give(struct sessions *all, struct session_keying *k)
{
	if (k == NULL)
		return;
	secret_wipe(k, sizeof(*k));
	k->next = all->free_keyings;
	all->free_keyings = k;
}

enum srs_err
session_keying_make_own(struct session_keying *k)
{
	struct srtp_master *ours = &k->keys.ours;
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)k->keys.theirs[0].suite);
	enum srs_err err = secret_random(ours->key, shape->key_len);

	ours->suite = k->keys.theirs[0].suite;
	return err ? err : secret_random(ours->salt, shape->salt_len);
}

static void
on_bad_line(void *ctx, unsigned int line, const char *why)
{
	offer_deviate(ctx, line, why);
}

/* @param lines  lines[0] is the chosen one */
static void
keying_fill(struct session_keying *k, const struct sdes_line *line)
{
	memcpy(k->tag, line->tag, sizeof(k->tag));
	memcpy(k->keys.theirs, line->masters, sizeof(k->keys.theirs));
	k->keys.n_theirs = line->n_masters;
	/* the masters' bytes alone: tag and lifetime may change and the keys be the same */
	digest_sha256((const uint8_t *)line->masters, sizeof(line->masters), k->digest);
}

static enum srs_err
mline_keys_take(struct session *s, unsigned int i)
{
	struct sessions *all = s->all;
	const struct offer_media *m = &all->offer.media[i];
	struct sdes_line *lines = all->secrets->lines;
	enum srs_err err = SRS_OK;

	if (sdes_choose(lines, m->crypto, m->n_crypto, all->suites, all->n_suites, on_bad_line, &all->offer)) {
		s->keys_offered[i] = session_keying_take(all);
		if (s->keys_offered[i] != NULL)
			keying_fill(s->keys_offered[i], &lines[0]);
		else
			err = SRS_ERR_LIMIT;
		if (s->policy.transport != CONFIG_TLS)
			offer_deviate(&all->offer, m->crypto[0].line,
			              "a=crypto over UDP or TCP, which srtp.sdes_unprotected allows (RFC 4568 §8)");
	}
	secret_wipe(lines, 2 * sizeof(*lines));
	return err;
}

enum srs_err
session_keys_take(struct session *s)
{
	const struct offer *o = &s->all->offer;
	enum srs_err err = SRS_OK;

	session_keys_drop(s);
	for (unsigned int i = 0; i < o->n_media && !err; i++) {
		if (session_mline_is_candidate(&o->media[i]) && offer_media_keying(&o->media[i]) == OFFER_KEYING_SDES &&
		    policy_obstacle(s->all, &s->policy, OFFER_KEYING_SDES) == NULL)
			err = mline_keys_take(s, i);
	}
	if (err)
		session_keys_drop(s);
	return err;
}

void
session_keys_drop(struct session *s)
{
	for (unsigned int i = 0; i < OFFER_MEDIA_MAX; i++) {
		session_keying_give(s->all, s->keys_offered[i]);
		s->keys_offered[i] = NULL;
	}
}
