/* Sessions with SRTP by SDES: whose keys go where, what the answer says, what the policy refuses, and what a new key moves. */
#include "session_fixture.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"			/* 00 01 02 .. */
#define KEY_B "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi"			/* ff fe fd .. */
#define KEY_GCM "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="
#define LINE_80(tag, key) "a=crypto:" tag " AES_CM_128_HMAC_SHA1_80 inline:" key "\r\n"
#define LINE_GCM(tag) "a=crypto:" tag " AEAD_AES_256_GCM inline:" KEY_GCM "\r\n"
#define SMLINE(port, profile, label, crypto) \
	"m=audio " port " " profile " 0\r\na=sendonly\r\na=rtcp-mux\r\na=label:" label "\r\n" crypto
#define ONE_SECURE(key) SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_80("1", key))

static void
over_tls(struct fixture *f)
{
	f->request.transport = CONFIG_TLS;
}

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

/* The key of the answer's m-line `i`: what follows inline:. "" when it has none. */
static const char *
key_of_answer(unsigned int mline)
{
	static char key[80];
	const char *at = accepted_sdp;
	unsigned int n = 0;

	key[0] = '\0';
	for (unsigned int i = 0; at != NULL && i <= mline; i++)
		at = strstr(at + 1, "\r\nm=");
	at = at != NULL ? at + 2 : NULL;
	if (at == NULL || strstr(at, "inline:") == NULL ||
	    (strstr(at, "\r\nm=") != NULL && strstr(at, "\r\nm=") < strstr(at, "inline:")))
		return key;
	for (at = strstr(at, "inline:") + 7; is_letter(*at) && n + 1 < sizeof(key); at++)
		key[n++] = *at;
	key[n] = '\0';
	return key;
}

/* Every keying that is not in use is all zero but for its place in the list. @return how many */
static unsigned int
free_keyings_are_clean(const struct sessions *all)
{
	unsigned int n = 0;

	for (const struct session_keying *k = all->free_keyings; k != NULL; k = k->next, n++) {
		assert_true(span_is_zero(span_of(k->tag, sizeof(k->tag))));
		assert_true(span_is_zero(span_of(&k->keys, sizeof(k->keys))));
		assert_true(span_is_zero(span_of(k->digest, sizeof(k->digest))));
	}
	return n;
}

static void
assert_no_key_is_kept_in_text(const struct session *s)
{
	static const char *const keys[] = { KEY_A, KEY_B, KEY_GCM };

	for (unsigned int i = 0; i < 3; i++) {
		assert_null(strstr(s->offer_sdp, keys[i]));
		for (unsigned int k = 0; k < n_notes; k++)
			assert_null(strstr(notes[k].text, keys[i]));
	}
	if (key_of_answer(0)[0] != '\0') {
		assert_null(strstr(s->answer_sdp, key_of_answer(0)));
		for (unsigned int k = 0; k < n_notes; k++)
			assert_null(strstr(notes[k].text, key_of_answer(0)));
	}
}

static void
theirs_goes_to_the_data_plane_and_ours_into_the_answer(void **state)
{
	struct fixture *f = *state;
	unsigned int n_free = free_keyings_are_clean(f->all);
	struct session *s;

	assert_int_equal(n_free, OFFER_MEDIA_MAX);
	over_tls(f);
	s = call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:" KEY_B "\r\n"
	                         LINE_80("2", KEY_A "|2^20|1:4") "a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:" KEY_B "\r\n"), 1), NULL);
	assert_int_equal(n_accepts, 1);
	assert_true(last_spec.secure);
	assert_false(last_spec.dtls);
	assert_int_equal(last_keys.n_theirs, 1);
	assert_int_equal(last_keys.theirs[0].suite, SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_memory_equal(last_keys.theirs[0].key, "\0\1\2\3\4\5\6\7", 8);
	assert_memory_equal(last_keys.theirs[0].salt, "\20\21\22\23", 4);
	assert_int_equal(last_keys.theirs[0].mki_len, 4);
	assert_int_equal(last_keys.theirs[0].mki[3], 1);
	assert_int_equal(last_keys.ours.suite, SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(last_keys.ours.mki_len, 0);
	assert_memory_not_equal(last_keys.ours.key, last_keys.theirs[0].key, 16);
	assert_true(span_is_zero(span_of(last_keys.ours.key + 16, SRTP_MASTER_KEY_MAX - 16)));

	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/SAVP 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"));
	assert_null(strstr(strstr(accepted_sdp, "a=crypto:") + 1, "a=crypto:"));
	assert_null(strchr(strstr(accepted_sdp, "a=crypto:"), '|'));
	assert_int_equal(strlen(key_of_answer(0)), 40);
	assert_string_not_equal(key_of_answer(0), KEY_A);
	assert_no_key_is_kept_in_text(s);
	for (unsigned int i = 0; i < n_notes; i++) {
		if (notes[i].kind == REEL_FRAME_OFFER || notes[i].kind == REEL_FRAME_ANSWER)
			assert_int_equal(notes[i].flags, REEL_FRAME_REDACTED);
	}
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "suite that is not known"));
	assert_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "over UDP or TCP"));
	assert_true(span_is_zero(span_of(s->streams[0]->keying->keys.theirs, sizeof(s->streams[0]->keying->keys.theirs))));
	assert_int_equal(free_keyings_are_clean(f->all), n_free - 1);
	call_end(f);
	assert_int_equal(free_keyings_are_clean(f->all), n_free);
}

static void
the_order_of_suites_decides_and_each_m_line_has_its_own_key(void **state)
{
	struct fixture *f = *state;
	char first[80];

	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_80("1", KEY_A) LINE_GCM("2"))
	                     SMLINE("4002", "RTP/SAVPF", "2", LINE_80("7", KEY_A)) SMLINE("4004", "RTP/AVP", "3", ""), 1), NULL);
	assert_int_equal(live_streams, 3);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/SAVP 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 RTP/SAVPF 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "m=audio 20002 RTP/AVP 0\r\n"));
	assert_non_null(strstr(accepted_sdp, "a=crypto:2 AEAD_AES_256_GCM inline:"));
	assert_non_null(strstr(accepted_sdp, "a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:"));
	(void)snprintf(first, sizeof(first), "%s", key_of_answer(0));
	assert_int_equal(strlen(first), 60);
	assert_int_equal(strlen(key_of_answer(1)), 40);
	assert_memory_not_equal(first, key_of_answer(1), 20);
	assert_string_equal(key_of_answer(2), "");
	assert_false(last_spec.secure);
	assert_int_equal(last_keys.n_theirs, 0);
	call_end(f);
}

static void
several_keys_are_handed_on_with_their_mkis(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1",
	                     LINE_80("1", KEY_A "|1:1;inline:" KEY_B "|2^31|2:1")), 1), NULL);
	assert_int_equal(last_keys.n_theirs, 2);
	assert_int_equal(last_keys.theirs[1].key[0], 0xff);
	assert_int_equal(last_keys.theirs[1].mki[0], 2);
	call_end(f);
}

static void
an_m_line_without_a_usable_key_is_refused_never_downgraded(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", "a=crypto:1 AES_192_CM_HMAC_SHA1_80 inline:" KEY_A "\r\n")
	                     SMLINE("4002", "RTP/SAVP", "2", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY_A " UNENCRYPTED_SRTP\r\n")
	                     SMLINE("4004", "RTP/SAVP", "3", "") SMLINE("4006", "RTP/SAVP", "4", LINE_80("1", KEY_A)), 1), NULL);
	assert_int_equal(live_streams, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 0 RTP/SAVP 0\r\na=label:1\r\nm=audio 0 RTP/SAVP 0\r\na=label:2\r\n"
	                                     "m=audio 0 RTP/SAVP 0\r\na=label:3\r\nm=audio 20000 RTP/SAVP 0\r\n"));
	assert_null(strstr(accepted_sdp, "RTP/AVP"));
	call_end(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:" KEY_A "\r\n"), 1),
	           NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.suites"));
	assert_int_equal(sessions_counter_read(f->all, SESSION_REFUSED_SRTP), 1);
}

static void
keys_over_unprotected_signalling_are_refused_until_they_are_allowed(void **state)
{
	struct fixture *f = *state;

	for (enum config_transport t = CONFIG_UDP; t <= CONFIG_TCP; t++) {
		f->request.transport = t;
		call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
		assert_int_equal(refusal.status, 488);
		assert_non_null(strstr(refusal_warning, "srtp.sdes_unprotected"));
		assert_non_null(strstr(refusal_warning, "TLS"));
	}
	assert_int_equal(n_refusals, 2);
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_80("1", KEY_A)) MLINE("4002", "sendonly", "2"), 1), NULL);
	assert_int_equal(live_streams, 1);	/* the plain one */
	assert_non_null(strstr(accepted_sdp, "m=audio 0 RTP/SAVP"));
	call_end(f);
	f->config.srtp.sdes_unprotected = CONFIG_SDES_ALLOW;
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	assert_int_equal(n_accepts, 2);
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "srtp.sdes_unprotected allows"));
	call_end(f);
}

static void
srtp_can_be_switched_off(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	f->config.srtp.enabled = false;
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.enabled"));
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(n_accepts, 1);
	call_end(f);
}

static void
srtp_can_be_required_of_a_client(void **state)
{
	struct fixture *f = *state;
	struct config_prefix prefixes[] = { { .ip_version = 4, .ip = { 192, 0, 2, 0 }, .bits = 24 } };
	struct session *s;

	over_tls(f);
	f->config.srtp.required_from = prefixes;
	f->config.srtp.n_required_from = 1;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.required_from"));
	s = call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1") SMLINE("4002", "RTP/SAVP", "2", LINE_80("1", KEY_A)), 1), NULL);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(live_streams, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 0 RTP/AVP"));
	/* nor by a later offer; the refused one changes nothing */
	reinvite(f, sdp_of(TWO_STREAMS, 2), NULL);
	assert_int_equal(n_refusals, 2);
	assert_int_equal(refusal.status, 488);
	assert_int_equal(live_streams, 1);
	assert_int_equal(s->state, SESSION_RECORDING);
	call_end(f);
	prefixes[0].ip[2] = 3;	/* somebody else */
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(live_streams, 2);
	call_end(f);
}

/* ---- later offers ---- */

static void
the_same_key_moves_nothing_and_is_answered_alike(void **state)
{
	struct fixture *f = *state;
	char first[TEXT_MAX];

	over_tls(f);
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	(void)snprintf(first, sizeof(first), "%s", accepted_sdp);
	reinvite(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	assert_int_equal(n_accepts, 2);
	assert_int_equal(n_rekeys, 0);
	assert_string_equal(accepted_sdp, first);
	/* another tag and a lifetime are another line, not another key */
	reinvite(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_80("9", KEY_A "|2^20")), 2), NULL);
	assert_int_equal(n_rekeys, 0);
	assert_non_null(strstr(accepted_sdp, "a=crypto:9 "));
	assert_non_null(strstr(first, key_of_answer(0)));
	call_end(f);
}

static void
a_new_key_is_installed_before_it_is_answered_with_a_new_one_of_ours(void **state)
{
	struct fixture *f = *state;
	struct session *s;
	char first[80];

	over_tls(f);
	s = call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	(void)snprintf(first, sizeof(first), "%s", key_of_answer(0));
	request_of(f, sdp_of(ONE_SECURE(KEY_B), 2), NULL);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	assert_int_equal(n_rekeys, 1);
	assert_int_equal(n_accepts, 1);		/* not yet */
	assert_int_equal(last_keys.theirs[0].key[0], 0xff);
	assert_int_equal(last_rekeyed, s->streams[0]->handle);
	run(f);
	assert_int_equal(n_accepts, 2);
	assert_int_equal(n_added, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/SAVP"));
	assert_int_equal(strlen(key_of_answer(0)), 40);
	assert_string_not_equal(key_of_answer(0), first);
	assert_int_equal(s->sdp_version, 2);
	assert_no_key_is_kept_in_text(s);
	assert_true(span_is_zero(span_of(s->streams[0]->keying->keys.theirs, sizeof(s->streams[0]->keying->keys.theirs))));
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX - 1);
	/* and back: a key is new whenever it is not the last one */
	reinvite(f, sdp_of(ONE_SECURE(KEY_A), 3), NULL);
	assert_int_equal(n_rekeys, 2);
	assert_int_equal(s->sdp_version, 3);
	assert_int_equal(sessions_counter_read(f->all, SESSION_REKEYS), 2);
	call_end(f);
}

static void
another_suite_is_a_new_key(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	reinvite(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_GCM("1")), 2), NULL);
	assert_int_equal(n_rekeys, 1);
	assert_int_equal(last_keys.ours.suite, SRTP_AEAD_AES_256_GCM);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/SAVP"));
	assert_non_null(strstr(accepted_sdp, "a=crypto:1 AEAD_AES_256_GCM inline:"));
	call_end(f);
}

static void
what_cannot_be_rekeyed_begins_anew_on_another_port(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	refuse_rekey = SRS_ERR_LIMIT;
	reinvite(f, sdp_of(ONE_SECURE(KEY_B), 2), NULL);
	assert_int_equal(n_accepts, 2);
	assert_int_equal(n_added, 2);
	assert_int_equal(live_streams, 1);
	assert_int_equal(last_keys.theirs[0].key[0], 0xff);
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 RTP/SAVP"));
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX - 1);
	call_end(f);
}

static void
a_rekey_that_fails_refuses_the_offer_and_the_session_goes_on(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	over_tls(f);
	s = call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	fail_rekey = SRS_ERR_NOMEM;
	reinvite(f, sdp_of(ONE_SECURE(KEY_B), 2), NULL);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(refusal.status, 500);
	assert_non_null(strstr(refusal_warning, "old one"));
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 1);
	assert_int_equal(sessions_counter_read(f->all, SESSION_REKEYS_FAILED), 1);
	fail_rekey = SRS_OK;	/* whichever key comes next is set anew */
	reinvite(f, sdp_of(ONE_SECURE(KEY_B), 3), NULL);
	assert_int_equal(n_rekeys, 2);
	assert_int_equal(n_accepts, 2);
	call_end(f);
}

static void
plain_and_secure_never_share_a_port(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/AVP", "1", ""), 1), NULL);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/AVP"));
	reinvite(f, sdp_of(ONE_SECURE(KEY_A), 2), NULL);
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 RTP/SAVP"));
	assert_int_equal(live_streams, 1);
	reinvite(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/AVP", "1", ""), 3), NULL);
	assert_non_null(strstr(accepted_sdp, " RTP/AVP 0\r\n"));
	assert_null(strstr(accepted_sdp, "m=audio 20001 "));	/* the fixture's ports do not rest: the first one is back */
	assert_int_equal(live_streams, 1);
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX);
	call_end(f);
}

static void
an_update_with_a_new_key_is_answered_once_it_is_installed(void **state)
{
	struct fixture *f = *state;
	const char *warning;
	char *sdp, before[128];

	over_tls(f);
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	(void)snprintf(before, sizeof(before), "%s", key_of_answer(0));
	request_of(f, sdp_of(ONE_SECURE(KEY_B), 2), NULL);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 200);
	assert_non_null(sdp);
	assert_int_equal(n_rekeys, 1);
	assert_non_null(strstr(sdp, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
	assert_null(strstr(sdp, before));
	session_text_wipe(sdp);
	/* one that cannot be taken says why, and moves nothing */
	request_of(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_80("1", KEY_A " KDR=3")), 3), NULL);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 488);
	assert_null(sdp);
	assert_non_null(strstr(warning, "No a=crypto line"));
	assert_int_equal(live_streams, 1);
	assert_int_equal(n_rekeys, 1);
	call_end(f);
}

static void
our_description_keeps_our_key_whatever_they_answer(void **state)
{
	struct fixture *f = *state;
	char first[TEXT_MAX];
	struct srtp_master ours;

	over_tls(f);
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	(void)snprintf(first, sizeof(first), "%s", accepted_sdp);
	ours = last_keys.ours;
	reinvite(f, NULL, NULL);
	assert_string_equal(accepted_sdp, first);
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(sdp_of(ONE_SECURE(KEY_A), 1)));
	run(f);
	assert_int_equal(n_rekeys, 0);
	reinvite(f, NULL, NULL);
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(sdp_of(ONE_SECURE(KEY_B), 2)));
	run(f);
	assert_int_equal(n_rekeys, 1);
	assert_int_equal(last_keys.theirs[0].key[0], 0xff);
	assert_memory_equal(&last_keys.ours, &ours, sizeof(ours));
	reinvite(f, NULL, NULL);
	assert_string_equal(accepted_sdp, first);
	/* a suite that we did not offer */
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1",
	                                                                          LINE_GCM("1")), 3)));
	run(f);
	assert_int_equal(n_rekeys, 1);
	assert_int_equal(live_streams, 1);
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX - 1);
	call_end(f);
}

static void
a_suite_that_the_engine_does_not_run_is_not_chosen(void **state)
{
	struct fixture *f = *state;
	struct session_floor floor = f->all->floor;

	missing_suite = SRTP_AEAD_AES_256_GCM;
	sessions_destroy(f->all);
	assert_int_equal(sessions_create(&f->all, &floor), SRS_OK);
	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_GCM("1") LINE_80("2", KEY_A)), 1), NULL);
	assert_non_null(strstr(accepted_sdp, "a=crypto:2 AES_CM_128_HMAC_SHA1_80 "));
	call_end(f);
}

static void
an_offer_that_finds_no_room_for_keys_is_503(void **state)
{
	struct fixture *f = *state;
	struct session_keying *all_free = f->all->free_keyings;

	over_tls(f);
	f->all->free_keyings = NULL;
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	assert_int_equal(refusal.status, 503);
	assert_null(f->dialog.user);
	f->all->free_keyings = all_free;
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX);
}

static void
refused_calls_give_their_keys_back(void **state)
{
	struct fixture *f = *state;

	over_tls(f);
	refuse_add = SRS_ERR_LIMIT;
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	assert_int_equal(refusal.status, 503);
	refuse_add = SRS_OK;
	fail_install = SRS_ERR_LIMIT;
	call_begin(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);
	fail_install = SRS_OK;
	request_of(f, sdp_of(ONE_SECURE(KEY_A), 1), NULL);	/* cancelled before its streams begin */
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	sessions_handlers()->on_ended(f->all, &f->dialog, DIALOG_END_CANCELLED);
	run(f);
	assert_int_equal(n_accepts, 0);
	assert_int_equal(free_keyings_are_clean(f->all), OFFER_MEDIA_MAX);
}

static void
rest_says_how_a_stream_is_protected(void **state)
{
	struct fixture *f = *state;
	char *json;

	over_tls(f);
	call_begin(f, sdp_of(SDP_HEAD SMLINE("4000", "RTP/SAVP", "1", LINE_GCM("1")) MLINE("4002", "sendonly", "2"), 1), NULL);
	json = rest_says(f, REST_ASK_SESSIONS);
	assert_non_null(strstr(json, "\"protection\":\"sdes\",\"suite\":\"AEAD_AES_256_GCM\""));
	assert_non_null(strstr(json, "\"protection\":\"none\",\"suite\":\"\""));
	assert_null(strstr(json, key_of_answer(0)));
	free(json);
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(theirs_goes_to_the_data_plane_and_ours_into_the_answer),
		CASE(the_order_of_suites_decides_and_each_m_line_has_its_own_key),
		CASE(several_keys_are_handed_on_with_their_mkis),
		CASE(an_m_line_without_a_usable_key_is_refused_never_downgraded),
		CASE(keys_over_unprotected_signalling_are_refused_until_they_are_allowed),
		CASE(srtp_can_be_switched_off),
		CASE(srtp_can_be_required_of_a_client),
		CASE(the_same_key_moves_nothing_and_is_answered_alike),
		CASE(a_new_key_is_installed_before_it_is_answered_with_a_new_one_of_ours),
		CASE(another_suite_is_a_new_key),
		CASE(what_cannot_be_rekeyed_begins_anew_on_another_port),
		CASE(a_rekey_that_fails_refuses_the_offer_and_the_session_goes_on),
		CASE(plain_and_secure_never_share_a_port),
		CASE(an_update_with_a_new_key_is_answered_once_it_is_installed),
		CASE(our_description_keeps_our_key_whatever_they_answer),
		CASE(a_suite_that_the_engine_does_not_run_is_not_chosen),
		CASE(an_offer_that_finds_no_room_for_keys_is_503),
		CASE(refused_calls_give_their_keys_back),
		CASE(rest_says_how_a_stream_is_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
