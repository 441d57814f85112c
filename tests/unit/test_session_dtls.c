/* Sessions with DTLS-SRTP: what the answer says, where datagrams and keys go, when an association goes on and when it is
 * another one. The dtls thread is the real one, its peer OpenSSL's client or server. */
#include "session_fixture.h"

#include <poll.h>
#include <time.h>

#include "dtls_peer.h"

#define HANDSHAKES_MAX 4
#define WAIT_MS_MAX    10000

#define DMLINE(port, profile, label, more) \
	"m=audio " port " " profile " 0\r\na=sendonly\r\na=rtcp-mux\r\na=label:" label "\r\n" more
#define DTLS_PROFILE "UDP/TLS/RTP/SAVP"

static struct peer_identity peer_id, other_id;
static struct peer peer;
static struct peer_queue from_peer;
static struct media_address sent_to;
static const struct media_address at_src = { .ip_version = 4, .ip = { 192, 0, 2, 9 }, .udp_port = 4000 };

static int
identities_make(void **state)
{
	peer_id = peer_identity_make(false);
	other_id = peer_identity_make(false);
	return 0;
}

static int
identities_free(void **state)
{
	peer_identity_free(&peer_id);
	peer_identity_free(&other_id);
	return 0;
}

static void
to_peer(uint32_t stream, const struct media_address *to, struct span datagram)
{
	static struct peer_datagram d;

	sent_to = *to;
	d.len = datagram.len;
	memcpy(d.bytes, datagram.bytes, datagram.len);
	if (peer.ssl != NULL)
		peer_take(&peer, &d, &from_peer);
}

static int
with_dtls(void **state)
{
	static const enum srtp_suite order[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_80 };
	const struct dtls_settings settings = {
		.suites = order, .n_suites = 2, .handshakes_max = HANDSHAKES_MAX, .associations_max = 16,
	};
	struct fixture *f = calloc(1, sizeof(*f));
	char why[200];

	*state = f;
	f->config.limits.streams_max = 16;
	memset(&peer, 0, sizeof(peer));
	memset(&sent_to, 0, sizeof(sent_to));
	from_peer.n = 0;
	if (dtls_create(&f->dtls, &settings, why, sizeof(why)) != SRS_OK || dtls_start(f->dtls, why, sizeof(why)) != SRS_OK ||
	    fixture_set_up(f) != 0)
		return -1;
	on_datagram_sent = to_peer;
	return 0;
}

/* Nothing may be left of any association, whatever the test did. */
static int
without_dtls(void **state)
{
	struct fixture *f = *state;
	struct dtls *d = f->dtls;
	uint32_t waiting = dtls_waiting(d);
	int result = teardown(state);

	if (peer.ssl != NULL)
		peer_close(&peer);
	dtls_stop(d);
	return waiting == 0 ? result : -1;
}

#define DTLS_CASE(name) cmocka_unit_test_setup_teardown(name, with_dtls, without_dtls)

static const char *
fingerprint_of(const struct peer_identity *id)
{
	static char line[200];
	struct dtls_fingerprint print = peer_print(id, DTLS_SHA256);
	int at = snprintf(line, sizeof(line), "a=fingerprint:SHA-256 ");

	for (unsigned int i = 0; i < 32; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, "%s%02X", i != 0 ? ":" : "", print.digest[i]);
	(void)snprintf(line + at, sizeof(line) - (size_t)at, "\r\n");
	return line;
}

static char *
offer_of(const struct peer_identity *id, const char *setup, const char *more, unsigned int version)
{
	static char text[2 * TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s%s%s%s%s", sdp_of(SDP_HEAD, version), DMLINE("4000", DTLS_PROFILE, "1", ""),
	               fingerprint_of(id), setup, more);
	return text;
}

/* Events of the thread to the session, records of the peer to the thread as punted ones, until `done` or nothing moves. */
static void
shuttle(struct fixture *f, struct session *s, bool (*done)(const struct session *s))
{
	for (int ms = 0; ms < WAIT_MS_MAX && (done == NULL ? ms < 60 : !done(s)); ms += 20) {
		struct pollfd p = { .fd = dtls_fd(f->dtls), .events = POLLIN };

		for (unsigned int i = 0; i < from_peer.n; i++) {
			struct dataplane_event e = {
				.kind = EVENT_STREAM_PUNTED,
				.cookie = session_cookie(s, COOKIE_STREAM, 0),
				.u.punted = { .source = at_src, .datagram = span_of(from_peer.d[i].bytes, from_peer.d[i].len) },
			};

			sessions_on_event(f->all, &e);
		}
		from_peer.n = 0;
		(void)poll(&p, 1, 20);
		(void)dtls_poll(f->dtls, sessions_on_dtls, f->all);
		run(f);
	}
}

static bool
is_keyed(const struct session *s)
{
	return n_rekeys != 0 && peer.done;
}

static bool
is_noted(const struct session *s)
{
	return strstr(last_note(REEL_FRAME_DEVIATIONS), "DTLS of m-line") != NULL;
}

static void
handshake(struct fixture *f, struct session *s, bool server, const struct peer_identity *id)
{
	n_rekeys = 0;
	if (peer.ssl != NULL)
		peer_close(&peer);
	peer_open(&peer, server, id, PEER_ALL_PROFILES);
	if (!server)
		peer_step(&peer, &from_peer);
	shuttle(f, s, is_keyed);
}

static void
assert_keys_are_the_peers(bool server)
{
	struct srtp_master client, ours;

	assert_true(peer.done);
	assert_true(peer_masters(&peer, SRTP_AEAD_AES_256_GCM, &client, &ours));
	assert_int_equal(last_keys.n_theirs, 1);
	assert_memory_equal(&last_keys.theirs[0], server ? &ours : &client, sizeof(client));
	assert_memory_equal(&last_keys.ours, server ? &client : &ours, sizeof(client));
}

static void
answer_has_our_fingerprint_and_the_keys_come_by_handshake(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), ANN_AND_BOB);
	char line[DTLS_FINGERPRINT_TEXT_MAX + 20];
	char *report;

	assert_int_equal(n_accepts, 1);
	assert_true(last_spec.secure);
	assert_true(last_spec.dtls);
	assert_int_equal(last_keys.n_theirs, 0);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 " DTLS_PROFILE " 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "a=setup:passive\r\n"));
	(void)snprintf(line, sizeof(line), "a=fingerprint:%s\r\n", dtls_fingerprint(f->dtls));
	assert_non_null(strstr(accepted_sdp, line));
	assert_null(strstr(accepted_sdp, "a=crypto"));
	assert_null(strstr(accepted_sdp, "a=tls-id"));
	assert_int_equal(dtls_waiting(f->dtls), 1);
	handshake(f, s, false, &peer_id);
	assert_int_equal(n_rekeys, 1);
	assert_keys_are_the_peers(false);
	assert_memory_equal(&sent_to, &at_src, sizeof(sent_to));
	assert_int_equal(dtls_waiting(f->dtls), 0);
	assert_int_equal(sessions_counter_read(f->all, SESSION_DTLS_KEYS), 1);
	assert_null(s->streams[0]->keying);	/* what was handed over is kept no longer */
	report = rest_says(f, REST_ASK_SESSIONS);
	assert_non_null(strstr(report, "\"protection\":\"dtls\",\"suite\":\"AEAD_AES_256_GCM\""));
	free(report);
	call_end(f);
}

/* RFC 5763 §5, RFC 4145 §4.1: passive whenever the offer allows it, never actpass. */
static void
each_setup_has_its_answer(void **state)
{
	static const struct { const char *offered, *answered; } rows[] = {
		{ "a=setup:actpass\r\n", "a=setup:passive\r\n" },
		{ "a=setup:active\r\n", "a=setup:passive\r\n" },
		{ "a=setup:passive\r\n", "a=setup:active\r\n" },
		{ "a=setup:holdconn\r\n", "a=setup:passive\r\n" },
		{ "", "a=setup:passive\r\n" },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		call_begin(f, offer_of(&peer_id, rows[i].offered, "", 1), NULL);
		assert_int_equal(n_accepts, i + 1);
		assert_non_null(strstr(accepted_sdp, rows[i].answered));
		assert_null(strstr(strstr(accepted_sdp, "a=setup:") + 1, "a=setup:"));
		call_end(f);
		shuttle(f, NULL, NULL);
	}
}

static void
as_client_we_speak_first_to_where_the_offer_says(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:passive\r\n", "", 1), NULL);

	peer_open(&peer, true, &peer_id, PEER_ALL_PROFILES);
	shuttle(f, s, is_keyed);
	assert_memory_equal(&sent_to, &at_src, sizeof(sent_to));
	assert_keys_are_the_peers(true);
	call_end(f);
}

/* DTLS keys are in no signalling: SIP over UDP will do. Each m-line has its own way. */
static void
protections_stand_side_by_side(void **state)
{
	struct fixture *f = *state;
	static char text[2 * TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s", sdp_of(SDP_HEAD, 1), MLINE("4000", "sendonly", "1"),
	               DMLINE("4002", DTLS_PROFILE "F", "2", ""), fingerprint_of(&peer_id),
	               DMLINE("4004", "RTP/SAVP", "3", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"
	                      "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"),
	               DMLINE("4006", "RTP/SAVP", "4", ""));
	(void)strcat(text, fingerprint_of(&peer_id));
	call_begin(f, text, NULL);
	assert_int_equal(live_streams, 3);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/AVP 0 8\r\n"));
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 " DTLS_PROFILE "F 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "m=audio 0 RTP/SAVP 0\r\n"));	/* srtp.sdes_unprotected: refuse */
	assert_non_null(strstr(accepted_sdp, "m=audio 20002 RTP/SAVP 0\r\n"));	/* by its fingerprint */
	assert_int_equal(dtls_waiting(f->dtls), 2);
	call_end(f);
	assert_int_equal(dtls_waiting(f->dtls), 0);
}

static void
what_cannot_work_is_refused_with_its_remedy(void **state)
{
	struct fixture *f = *state;
	char *text;

	call_begin(f, sdp_of(SDP_HEAD DMLINE("4000", DTLS_PROFILE, "1", "a=setup:actpass\r\n"), 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "a=fingerprint"));
	text = offer_of(&peer_id, "a=setup:passive\r\n", "", 1);
	memcpy(strstr(text, "c=IN IP4 192.0.2.9"), "c=IN IP4 0.0.0.0  ", 18);
	call_begin(f, text, NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "a=setup:actpass"));
	f->config.srtp.enabled = false;
	call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.enabled"));
	f->config.srtp.enabled = true;
	assert_int_equal(sessions_counter_read(f->all, SESSION_REFUSED_SRTP), 3);
	assert_int_equal(n_accepts, 0);
}

static void
switched_off_it_is_refused_by_name(void **state)
{
	struct fixture *f = *state;

	call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.dtls"));
	call_begin(f, TWO_STREAMS, NULL);
	assert_int_equal(n_accepts, 1);
	call_end(f);
}

static void
too_many_handshakes_are_refused_before_the_answer(void **state)
{
	struct fixture *f = *state;
	static char text[TEXT_MAX];
	struct dialog second = { 0 };

	text[0] = '\0';
	(void)strcat(text, sdp_of(SDP_HEAD, 1));
	for (unsigned int i = 0; i < HANDSHAKES_MAX - 1; i++) {
		(void)strcat(text, DMLINE("4000", DTLS_PROFILE, "1", ""));
		(void)strcat(text, fingerprint_of(&peer_id));
	}
	call_begin(f, text, NULL);
	assert_int_equal(live_streams, HANDSHAKES_MAX - 1);
	(void)strcat(strcpy(text, sdp_of(SDP_HEAD, 1)), DMLINE("4000", DTLS_PROFILE, "1", ""));
	(void)strcat(text, fingerprint_of(&peer_id));
	(void)strcat(text, DMLINE("4002", DTLS_PROFILE, "2", ""));
	(void)strcat(text, fingerprint_of(&peer_id));
	request_of(f, text, NULL);
	sessions_handlers()->on_invite(f->all, &second, &f->request);
	assert_int_equal(refusal.status, 503);
	assert_in_range(refusal.retry_after_s, 1, 10);
	assert_non_null(strstr(refusal_warning, "srtp.dtls_handshakes_max"));
	assert_int_equal(n_accepts, 1);
	request_of(f, TWO_STREAMS, NULL);	/* plain calls do not mind */
	sessions_handlers()->on_invite(f->all, &second, &f->request);
	run(f);
	assert_int_equal(n_accepts, 2);
	sessions_handlers()->on_ended(f->all, &second, DIALOG_END_BYE);
	run(f);
	call_end(f);
}

/* RFC 8842 §4 */
static void
association_goes_on_while_nothing_of_it_changes(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	uint32_t association = s->streams[0]->dtls.association;
	char first[TEXT_MAX];

	handshake(f, s, false, &peer_id);
	(void)snprintf(first, sizeof(first), "%s", accepted_sdp);
	reinvite(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 2), NULL);
	reinvite(f, offer_of(&peer_id, "a=setup:active\r\n", "", 3), NULL);	/* the roles are the same */
	assert_int_equal(s->streams[0]->dtls.association, association);
	assert_string_equal(accepted_sdp, first);	/* o= too */
	assert_int_equal(n_added, 1);
	assert_int_equal(dtls_waiting(f->dtls), 0);
	call_end(f);
}

static void
as_client_actpass_in_a_later_offer_changes_no_role(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:passive\r\n", "", 1), NULL);
	uint32_t association = s->streams[0]->dtls.association;

	reinvite(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 2), NULL);
	assert_non_null(strstr(accepted_sdp, "a=setup:active\r\n"));
	assert_int_equal(s->streams[0]->dtls.association, association);
	reinvite(f, offer_of(&peer_id, "a=setup:active\r\n", "", 3), NULL);
	assert_non_null(strstr(accepted_sdp, "a=setup:passive\r\n"));
	assert_int_not_equal(s->streams[0]->dtls.association, association);
	call_end(f);
}

static void
another_fingerprint_is_another_association_and_old_keys_live_on(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	uint32_t association = s->streams[0]->dtls.association;
	struct stream_keys before;

	handshake(f, s, false, &peer_id);
	before = last_keys;
	reinvite(f, offer_of(&other_id, "a=setup:actpass\r\n", "", 2), NULL);
	assert_int_not_equal(s->streams[0]->dtls.association, association);
	assert_int_equal(n_added, 1);		/* same stream, same port */
	assert_int_equal(n_rekeys, 1);		/* and no key taken from it */
	assert_int_equal(s->streams[0]->dtls.suite, SRTP_AEAD_AES_256_GCM);
	handshake(f, s, false, &other_id);
	assert_int_equal(n_rekeys, 1);
	assert_keys_are_the_peers(false);
	assert_memory_not_equal(before.theirs[0].key, last_keys.theirs[0].key, 32);
	call_end(f);
}

static void
tls_id_is_answered_and_another_one_is_another_association(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "a=tls-id:abc3de65cddef001be82\r\n", 1), NULL);
	uint32_t association = s->streams[0]->dtls.association;
	char ours[64];

	assert_non_null(strstr(accepted_sdp, "a=tls-id:"));
	assert_int_equal(sscanf(strstr(accepted_sdp, "a=tls-id:"), "a=tls-id:%63[0-9a-f]", ours), 1);
	assert_int_equal(strlen(ours), 32);
	reinvite(f, offer_of(&peer_id, "a=setup:actpass\r\n", "a=tls-id:abc3de65cddef001be82\r\n", 2), NULL);
	assert_int_equal(s->streams[0]->dtls.association, association);
	assert_non_null(strstr(accepted_sdp, ours));
	reinvite(f, offer_of(&peer_id, "a=setup:actpass\r\n", "a=tls-id:another65cddef001be82\r\n", 3), NULL);
	assert_int_not_equal(s->streams[0]->dtls.association, association);
	assert_null(strstr(accepted_sdp, ours));
	call_end(f);
}

static void
wrong_certificate_is_written_into_the_recording(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	char shown[DTLS_FINGERPRINT_TEXT_MAX];

	peer_open(&peer, false, &other_id, PEER_ALL_PROFILES);
	peer_step(&peer, &from_peer);
	shuttle(f, s, is_noted);
	assert_int_equal(n_rekeys, 0);
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "not the certificate that a=fingerprint names"));
	assert_true(dtls_fingerprint_text(other_id.certificate, shown));
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), shown));
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "\"path\":\"dtls\""));
	assert_int_equal(s->n_deviations, 1);
	handshake(f, s, false, &peer_id);	/* the right one comes after all */
	assert_int_equal(n_rekeys, 1);
	call_end(f);
}

static void
end_of_the_association_is_written_and_the_keys_stay(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);

	handshake(f, s, false, &peer_id);
	(void)SSL_shutdown(peer.ssl);
	peer_flush(&peer, &from_peer);
	shuttle(f, s, is_noted);
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "close notify"));
	assert_int_equal(live_streams, 1);
	assert_int_equal(n_rekeys, 1);
	call_end(f);
}

static void
keys_wait_for_room_in_the_data_plane(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);

	refuse_rekey = SRS_ERR_LIMIT;
	peer_open(&peer, false, &peer_id, PEER_ALL_PROFILES);
	peer_step(&peer, &from_peer);
	for (int i = 0; i < 500 && s->streams[0]->keying == NULL; i++)
		shuttle(f, s, NULL);
	assert_non_null(s->streams[0]->keying);
	assert_int_equal(n_rekeys, 0);
	refuse_rekey = SRS_OK;
	sessions_tick(f->all);
	assert_int_equal(n_rekeys, 1);
	assert_null(s->streams[0]->keying);
	run(f);
	assert_keys_are_the_peers(false);
	call_end(f);
}

static void
keys_that_the_data_plane_refuses_are_wiped_and_noted(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);

	refuse_rekey = SRS_ERR_UNSUPPORTED;
	peer_open(&peer, false, &peer_id, PEER_ALL_PROFILES);
	peer_step(&peer, &from_peer);
	for (int i = 0; i < 500 && sessions_counter_read(f->all, SESSION_REKEYS_FAILED) == 0; i++)
		shuttle(f, s, NULL);
	assert_int_equal(sessions_counter_read(f->all, SESSION_REKEYS_FAILED), 1);
	assert_null(s->streams[0]->keying);
	assert_true(span_is_zero(span_of(&f->all->free_keyings->keys, sizeof(f->all->free_keyings->keys))));
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "did not take"));
	call_end(f);
}

static void
stream_that_cannot_be_installed_leaves_no_association(void **state)
{
	struct fixture *f = *state;

	fail_install = SRS_ERR_LIMIT;
	call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(dtls_waiting(f->dtls), 0);
	fail_install = SRS_OK;
	refuse_add = SRS_ERR_LIMIT;
	call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(dtls_waiting(f->dtls), 0);
}

static void
call_may_end_in_the_middle_of_its_handshake(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 8; i++) {
		struct session *s = call_begin(f, offer_of(&peer_id, i % 2 == 0 ? "a=setup:actpass\r\n" : "a=setup:passive\r\n",
		                                           "", 1), NULL);

		peer_open(&peer, i % 2 == 1, &peer_id, PEER_ALL_PROFILES);
		if (i % 2 == 0)
			peer_step(&peer, &from_peer);
		for (unsigned int k = 0; k < i / 2; k++)
			shuttle(f, s, NULL);
		call_end(f);
		from_peer.n = 0;
		assert_int_equal(dtls_waiting(f->dtls), 0);
		for (unsigned int k = 0; k < 4; k++)	/* what was on its way finds nobody */
			(void)dtls_poll(f->dtls, sessions_on_dtls, f->all);
		peer_close(&peer);
	}
}

static void
stream_that_the_offer_removes_closes_its_association(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, offer_of(&peer_id, "a=setup:actpass\r\n", "", 1), NULL);

	assert_int_equal(dtls_waiting(f->dtls), 1);
	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1"), 2), NULL);	/* plain from here on, on another port */
	assert_int_equal(dtls_waiting(f->dtls), 0);
	assert_int_equal(session_streams_in(s, STREAM_LIVE), 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 RTP/AVP"));
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DTLS_CASE(answer_has_our_fingerprint_and_the_keys_come_by_handshake),
		DTLS_CASE(each_setup_has_its_answer),
		DTLS_CASE(as_client_we_speak_first_to_where_the_offer_says),
		DTLS_CASE(protections_stand_side_by_side),
		DTLS_CASE(what_cannot_work_is_refused_with_its_remedy),
		CASE(switched_off_it_is_refused_by_name),
		DTLS_CASE(too_many_handshakes_are_refused_before_the_answer),
		DTLS_CASE(association_goes_on_while_nothing_of_it_changes),
		DTLS_CASE(as_client_actpass_in_a_later_offer_changes_no_role),
		DTLS_CASE(another_fingerprint_is_another_association_and_old_keys_live_on),
		DTLS_CASE(tls_id_is_answered_and_another_one_is_another_association),
		DTLS_CASE(wrong_certificate_is_written_into_the_recording),
		DTLS_CASE(end_of_the_association_is_written_and_the_keys_stay),
		DTLS_CASE(keys_wait_for_room_in_the_data_plane),
		DTLS_CASE(keys_that_the_data_plane_refuses_are_wiped_and_noted),
		DTLS_CASE(stream_that_cannot_be_installed_leaves_no_association),
		DTLS_CASE(call_may_end_in_the_middle_of_its_handshake),
		DTLS_CASE(stream_that_the_offer_removes_closes_its_association),
	};

	return cmocka_run_group_tests(tests, identities_make, identities_free);
}
