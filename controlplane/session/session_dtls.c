/* DTLS-SRTP of a session's streams: which association an m-line gets, what of it stands in our answer, and what becomes
 * of what the dtls thread says. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define TLS_ID_RANDOM 16	/* 128 bits; RFC 8842 §4 asks for 120 */
#define RULE_MAX      320
#define PEER_TEXT_MAX (INET6_ADDRSTRLEN + 8)

static_assert(2 * TLS_ID_RANDOM < sizeof(((struct session_dtls *)0)->tls_id), "our a=tls-id fits");
static_assert(OFFER_FINGERPRINTS_MAX == DTLS_FINGERPRINTS_MAX, "every fingerprint that is kept counts");

/* ---- what was offered ---- */

static bool
needs_address(const struct offer_media *m)
{
	return m->dtls.setup == OFFER_SETUP_PASSIVE && (m->address.ip_version == 0 || m->address.unspecified);
}

const char *
session_dtls_obstacle(const struct sessions *all, const struct offer_media *m)
{
	if (all->floor.dtls == NULL)
		return "DTLS-SRTP is not accepted here since srtp.dtls is false: offer RTP/SAVP with a=crypto";
	if (m->dtls.n_fingerprints == 0)
		return "DTLS-SRTP needs a=fingerprint of the certificate that will be shown: offer one with SHA-256";
	if (needs_address(m))
		return "a=setup:passive leaves the first word to the recorder, and c= says not where to: offer a=setup:actpass";
	return NULL;
}

static bool
print_of(const struct offer_fingerprint *f, struct dtls_fingerprint *out)
{
	static const char *const names[DTLS_HASHES] = {
		[DTLS_SHA1] = "sha-1", [DTLS_SHA224] = "sha-224", [DTLS_SHA256] = "sha-256", [DTLS_SHA384] = "sha-384",
		[DTLS_SHA512] = "sha-512",
	};

	for (unsigned int i = 0; i < DTLS_HASHES; i++) {
		if (strcmp(f->hash, names[i]) == 0) {
			out->hash = (enum dtls_hash)i;
			memcpy(out->digest, f->bytes, f->len);
			return true;
		}
	}
	return false;
}

static void
spec_fill(struct dtls_spec *spec, const struct offer_media *m, enum offer_setup ours)
{
	*spec = (struct dtls_spec){ .role = ours == OFFER_SETUP_ACTIVE ? DTLS_ACTIVE : DTLS_PASSIVE };
	if (m->address.ip_version != 0 && !m->address.unspecified) {
		spec->peer.ip_version = m->address.ip_version;
		memcpy(spec->peer.ip, m->address.ip, sizeof(spec->peer.ip));
		spec->peer.udp_port = m->port;
	}
	for (unsigned int i = 0; i < m->dtls.n_fingerprints; i++)
		spec->n_prints += print_of(&m->dtls.fingerprints[i], &spec->prints[spec->n_prints]);
}

/* ---- associations ---- */

/* Passive whenever the offer allows it: the peer knows best when it is ready, and has less of us to learn first (RFC 5763
 * §5). actpass in a later offer asks for no change (RFC 8842 §5.3). @param now  ours until now; NONE: there is none yet */
static enum offer_setup
setup_of(const struct offer_dtls *offered, enum offer_setup now)
{
	if (offered->setup == OFFER_SETUP_PASSIVE)
		return OFFER_SETUP_ACTIVE;
	if (offered->setup == OFFER_SETUP_ACTPASS && now != OFFER_SETUP_NONE)
		return now;
	return OFFER_SETUP_PASSIVE;
}

/* RFC 8842 §4: another set of fingerprints, another tls-id and other roles each mean another association. A new address
 * or port alone does not. */
static bool
is_same(const struct session_dtls *now, const struct offer_dtls *offered)
{
	return now->association != DTLS_NONE && now->setup == setup_of(offered, now->setup) &&
	       now->peer.n_fingerprints == offered->n_fingerprints &&
	       memcmp(now->peer.fingerprints, offered->fingerprints,
	              offered->n_fingerprints * sizeof(offered->fingerprints[0])) == 0 &&
	       strcmp(now->peer.tls_id, offered->tls_id) == 0;
}

static enum srs_err
tls_id_make(char *out)
{
	uint8_t random[TLS_ID_RANDOM];
	enum srs_err err = secret_random(random, sizeof(random));

	for (unsigned int i = 0; i < TLS_ID_RANDOM && !err; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", random[i]);
	return err;
}

enum srs_err
session_dtls_open(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	struct sessions *all = s->all;
	struct session_dtls next = { .peer = m->dtls, .setup = setup_of(&m->dtls, OFFER_SETUP_NONE) };
	struct dtls_spec spec;
	enum srs_err err = SRS_OK;

	if (all->floor.dtls == NULL)
		return SRS_ERR_UNSUPPORTED;
	if (m->dtls.tls_id[0] != '\0')	/* only in answer to one (RFC 8842 §5.3) */
		err = tls_id_make(next.tls_id);
	if (err)
		return err;
	spec_fill(&spec, m, next.setup);
	err = dtls_open(all->floor.dtls, &spec, session_cookie(s, COOKIE_STREAM, st->i), &next.association);
	if (err)
		return err;
	next.suite = st->dtls.suite;	/* those keys live on until new ones authenticate */
	session_dtls_close(s, st);
	st->dtls = next;
	return SRS_OK;
}

enum srs_err
session_dtls_update(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	return is_same(&st->dtls, &m->dtls) ? SRS_OK : session_dtls_open(s, st, m);
}

void
session_dtls_close(struct session *s, struct session_stream *st)
{
	if (st->dtls.association == DTLS_NONE)
		return;
	dtls_close(s->all->floor.dtls, st->dtls.association);
	st->dtls.association = DTLS_NONE;
	if (st->protection == OFFER_KEYING_DTLS && st->keying != NULL) {	/* keys that never got in */
		session_keying_give(s->all, st->keying);
		st->keying = NULL;
	}
}

void
session_dtls_answer(const struct session *s, const struct session_stream *st, struct answer_media *d)
{
	d->dtls.fingerprint = dtls_fingerprint(s->all->floor.dtls);
	d->dtls.setup = st->dtls.setup;
	d->dtls.tls_id = st->dtls.tls_id[0] != '\0' ? st->dtls.tls_id : NULL;
}

/* ---- what the dtls thread says ---- */

/* Once a session: how often, the counters say. */
static bool
is_told(struct session *s, unsigned int what)
{
	bool told = (s->dtls_told & 1u << what) != 0;

	s->dtls_told |= 1u << what;
	return told;
}

static void
peer_text(const struct media_address *peer, char out[PEER_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "none";

	if (peer->ip_version != 0)
		(void)inet_ntop(peer->ip_version == 6 ? AF_INET6 : AF_INET, peer->ip, ip, sizeof(ip));
	(void)snprintf(out, PEER_TEXT_MAX, peer->ip_version == 6 ? "[%s]:%u" : "%s:%u", ip, peer->udp_port);
}

/* Into the recording of the stream: whoever listens to silence later finds the reason beside it. */
static void
note_rule(struct session *s, const struct session_stream *st, const char *rule)
{
	char *json = session_deviation_json(0, "dtls", rule);

	s->n_deviations++;
	if (json != NULL && st->recording != NULL)
		session_note(s, st->recording, REEL_FRAME_DEVIATIONS, span_of_text(json));
	free(json);
	if (s->state == SESSION_RECORDING || s->state == SESSION_PAUSED)
		session_recordings_publish(s);	/* their number stands in the catalog */
}

static void
on_failed(struct session *s, const struct session_stream *st, const struct dtls_event *e)
{
	static const char *const sentences[DTLS_REASONS] = {
		[DTLS_FAILED_FINGERPRINT] = "not the certificate that a=fingerprint names (RFC 5763 §5)",
		[DTLS_FAILED_PROFILE] = "no SRTP profile in common (RFC 5764 §4.1)",
		[DTLS_FAILED_ALERT] = "the client ended the handshake",
		[DTLS_FAILED_PROTOCOL] = "the handshake broke the protocol",
		[DTLS_FAILED_TIMEOUT] = "no handshake was completed in time",
		[DTLS_FAILED_MEMORY] = "no memory for the handshake",
	};
	enum dtls_reason reason = e->u.failed.reason;
	char rule[RULE_MAX], peer[PEER_TEXT_MAX];

	(void)snprintf(rule, sizeof(rule), "DTLS of m-line %u: %s: %s; %s", st->mline + 1, sentences[reason],
	               e->u.failed.detail, e->u.failed.live ? "the keys from before go on" : "nothing is recorded without keys");
	note_rule(s, st, rule);
	if (is_told(s, reason))
		return;
	peer_text(&e->peer, peer);
	dialog_observe(s->dialog, OBSERVED_DTLS_FAILED);
	log_warn("session", "dtls_failed", "call_id=%s mline=%u peer=%s reason=%s detail=\"%s\" keys=%s", s->call_id,
	         st->mline, peer, dtls_reason_name(reason), e->u.failed.detail, e->u.failed.live ? "kept" : "none");
}

static void
on_closed(struct session *s, const struct session_stream *st, const struct dtls_event *e)
{
	char rule[RULE_MAX];

	(void)snprintf(rule, sizeof(rule), "DTLS of m-line %u: the client closed the association (%.60s); its keys go on",
	               st->mline + 1, e->u.ended);
	note_rule(s, st, rule);
	if (!is_told(s, DTLS_REASONS))
		log_info("session", "dtls_closed", "call_id=%s mline=%u alert=\"%s\"", s->call_id, st->mline, e->u.ended);
}

void
session_dtls_install(struct session *s, struct session_stream *st)
{
	struct session_keying *k = st->keying;
	enum srs_err err;

	if (st->protection != OFFER_KEYING_DTLS || k == NULL || st->doomed || st->state == STREAM_REMOVING)
		return;
	err = dataplane_stream_rekey(s->all->floor.dataplane, st->handle, &k->keys, session_cookie(s, COOKIE_STREAM, st->i));
	if (err == SRS_ERR_LIMIT)
		return;		/* a full ring, or all contexts in use: tried again with the next event, or in a second */
	if (err) {
		session_count(s->all, SESSION_REKEYS_FAILED);
		log_error("session", "dtls_keys_refused", "call_id=%s mline=%u err=%s", s->call_id, st->mline, srs_err_name(err));
		note_rule(s, st, "DTLS gave keys that the data plane did not take; nothing is recorded with them");
	} else {
		st->n_rekeys++;
		session_count(s->all, SESSION_DTLS_KEYS);
	}
	st->keying = NULL;
	session_keying_give(s->all, k);
}

static void
on_keys(struct session *s, struct session_stream *st, const struct dtls_event *e)
{
	if (st->keying == NULL)		/* else newer ones take the place of some that never got in */
		st->keying = session_keying_take(s->all);
	if (st->keying == NULL) {
		session_count(s->all, SESSION_REKEYS_FAILED);
		log_error("session", "no_room_for_keys", "call_id=%s mline=%u", s->call_id, st->mline);
		return;
	}
	st->keying->keys = *e->u.keys;
	st->dtls.suite = (enum srtp_suite)e->u.keys->ours.suite;
	log_debug("session", "dtls_keyed", "call_id=%s mline=%u suite=%s", s->call_id, st->mline,
	          srtp_suite_shape(st->dtls.suite)->name);
	session_dtls_install(s, st);
}

static void
on_send(struct session *s, const struct session_stream *st, const struct dtls_event *e)
{
	if (dataplane_stream_send(s->all->floor.dataplane, st->handle, &e->peer, e->u.datagram))
		session_count(s->all, SESSION_DTLS_UNSENT);
}

void
sessions_on_dtls(void *ctx, uint32_t association, const struct dtls_event *e)
{
	struct sessions *all = ctx;
	uint32_t slot = (uint32_t)(e->cookie >> 16);
	struct session *s = slot < all->n_slots ? all->slots[slot] : NULL;
	struct session_stream *st;

	/* each association is closed with its stream, and says nothing after that */
	srs_assert(s != NULL);
	st = s->streams[(uint8_t)e->cookie];
	srs_assert(st != NULL);
	srs_assert(st->dtls.association == association);
	switch (e->kind) {
	case DTLS_EVENT_SEND:
		on_send(s, st, e);
		break;
	case DTLS_EVENT_KEYS:
		on_keys(s, st, e);
		break;
	case DTLS_EVENT_FAILED:
		on_failed(s, st, e);
		break;
	case DTLS_EVENT_ENDED:
		on_closed(s, st, e);
		break;
	}
	session_settle(s);
}

void
session_dtls_on_punted(struct session *s, const struct session_stream *st, const struct dataplane_event *e)
{
	if (st->dtls.association != DTLS_NONE)
		dtls_datagram(s->all->floor.dtls, st->dtls.association, &e->u.punted.source, e->u.punted.datagram);
}
