/* SDP offers: what RFC 8866 and 3264 say, and what SRCs leave out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/sdp/offer.h"

#define HEAD "v=0\r\no=src 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static struct offer offer;
static const char *why;

static enum srs_err
parse(const char *text)
{
	return offer_parse(&offer, span_of_text(text), &why);
}

static bool
has_deviation(unsigned int line, const char *part_of_rule)
{
	for (unsigned int i = 0; i < offer.n_deviations; i++)
		if (offer.deviations[i].line == line && strstr(offer.deviations[i].rule, part_of_rule))
			return true;
	return false;
}

static void
two_labelled_streams_are_read(void **state)
{
	const struct offer_media *m;

	assert_int_equal(parse(HEAD
			       "a=sendonly\r\n"
			       "m=audio 49170 RTP/AVP 0 111 101\r\n"
			       "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1; stereo=0\r\n"
			       "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
			       "a=label:one\r\na=mid:a1\r\na=ptime:20\r\na=rtcp:49200 IN IP4 192.0.2.1\r\n"
			       "m=audio 49172 RTP/SAVP 8\r\nc=IN IP6 2001:db8::7\r\na=label:two\r\n"
			       "a=inactive\r\na=rtcp-mux\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"),
			 SRS_OK);
	assert_int_equal(offer.n_deviations, 0);
	assert_string_equal(offer.session_id, "77");
	assert_int_equal(offer.version, 3);
	assert_int_equal(offer.n_media, 2);
	m = &offer.media[0];
	assert_int_equal(m->kind, OFFER_AUDIO);
	assert_int_equal(m->profile, OFFER_RTP_AVP);
	assert_int_equal(m->port, 49170);
	assert_int_equal(m->n_ports, 1);
	assert_int_equal(m->address.ip_version, 4);
	assert_memory_equal(m->address.ip, "\xc0\x00\x02\x01", 4);
	assert_int_equal(m->direction, OFFER_SENDONLY);
	assert_string_equal(m->label, "one");
	assert_string_equal(m->mid, "a1");
	assert_int_equal(m->ptime_ms, 20);
	assert_int_equal(m->rtcp_port, 49200);
	assert_string_equal(m->formats, "0 111 101");
	assert_int_equal(m->n_codecs, 3);
	assert_string_equal(m->codecs[0].name, "PCMU");
	assert_string_equal(m->codecs[1].name, "opus");
	assert_int_equal(m->codecs[1].clock_hz, 48000);
	assert_int_equal(m->codecs[1].channels, 2);
	assert_string_equal(m->codecs[1].fmtp, "useinbandfec=1; stereo=0");
	assert_string_equal(m->codecs[2].fmtp, "0-15");
	m = &offer.media[1];
	assert_int_equal(m->profile, OFFER_RTP_SAVP);
	assert_int_equal(m->address.ip_version, 6);
	assert_int_equal(m->address.ip[15], 7);
	assert_int_equal(m->direction, OFFER_INACTIVE);
	assert_true(m->rtcp_mux);
	assert_true(m->has_crypto);
	assert_false(m->has_fingerprint);
	assert_string_equal(m->codecs[0].name, "PCMA");
}

static void
crypto_lines_are_handed_on_unread(void **state)
{
	const struct offer_media *m;

	assert_int_equal(parse(HEAD
			       "a=crypto:9 S inline:session\r\n"
			       "m=audio 4000 RTP/SAVP 0\r\na=label:1\r\na=crypto:1 A inline:one\r\na=crypto: 2 B inline:two \r\n"
			       "m=audio 4002 RTP/SAVPF 0\r\na=label:2\r\n"
			       "m=audio 4004 RTP/AVP 0\r\na=label:3\r\na=crypto:1 A inline:plain\r\n"
			       "m=audio 4006 RTP/AVPF 0\r\na=label:4\r\n"),
			 SRS_OK);
	m = offer.media;
	assert_int_equal(m[0].n_crypto, 2);
	assert_int_equal(m[0].crypto[1].line, 10);
	assert_true(span_equal(m[0].crypto[0].value, span_of_text("1 A inline:one")));
	assert_true(span_equal(m[0].crypto[1].value, span_of_text("2 B inline:two")));
	assert_int_equal(offer_media_keying(&m[0]), OFFER_KEYING_SDES);
	/* session-level: for who has none, with a note */
	assert_int_equal(m[1].n_crypto, 1);
	assert_true(span_equal(m[1].crypto[0].value, span_of_text("9 S inline:session")));
	assert_int_equal(offer_media_keying(&m[1]), OFFER_KEYING_SDES);
	assert_true(has_deviation(6, "session level"));
	assert_true(m[2].has_crypto);
	assert_int_equal(m[2].n_crypto, 0);
	assert_int_equal(offer_media_keying(&m[2]), OFFER_KEYING_NONE);
	assert_true(has_deviation(15, "profile is not SAVP"));
	assert_int_equal(m[3].n_crypto, 0);
	assert_false(m[3].has_crypto);
}

static void
crypto_lines_have_a_bound(void **state)
{
	char text[2048] = HEAD "m=audio 4000 RTP/SAVP 0\r\na=label:1\r\n";

	for (unsigned int i = 0; i < OFFER_CRYPTO_MAX + 2; i++)
		strcat(text, "a=crypto:1 A inline:x\r\n");
	assert_int_equal(parse(text), SRS_OK);
	assert_int_equal(offer.media[0].n_crypto, OFFER_CRYPTO_MAX);
	assert_true(has_deviation(8 + OFFER_CRYPTO_MAX, "more than 16"));
}

#define SHA1_BYTES "00:01:02:03:04:05:06:07:08:09:0a:0B:0c:0D:0e:0F:10:11:12:fe"

static void
fingerprint_and_setup_are_read_at_both_levels(void **state)
{
	const struct offer_dtls *d;

	assert_int_equal(parse(HEAD
			       "a=fingerprint:SHA-1 " SHA1_BYTES "\r\na=setup:actpass\r\na=tls-id:abc3de65cddef001be82\r\n"
			       "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=label:1\r\n"
			       "m=audio 4002 UDP/TLS/RTP/SAVP 0\r\na=label:2\r\na=setup:PASSIVE\r\na=tls-id:abc3de65cddef001be83\r\na=fingerprint:sha-256 "
			       SHA1_BYTES ":00:01:02:03:04:05:06:07:08:09:0a:0b\r\na=fingerprint:sha-1 " SHA1_BYTES "\r\n"
			       "m=audio 4004 RTP/SAVPF 0\r\na=label:3\r\na=setup:holdconn\r\n"
			       "m=audio 4006 UDP/TLS/RTP/SAVP 0\r\na=label:4\r\na=setup:active\r\na=crypto:1 A inline:x\r\n"),
			 SRS_OK);
	d = &offer.media[0].dtls;
	assert_int_equal(offer_media_keying(&offer.media[0]), OFFER_KEYING_DTLS);
	assert_true(offer.media[0].has_fingerprint);
	assert_int_equal(d->setup, OFFER_SETUP_ACTPASS);
	assert_int_equal(d->n_fingerprints, 1);
	assert_string_equal(d->fingerprints[0].hash, "sha-1");
	assert_int_equal(d->fingerprints[0].len, 20);
	assert_memory_equal(d->fingerprints[0].bytes, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\376", 20);
	d = &offer.media[1].dtls;
	assert_int_equal(d->setup, OFFER_SETUP_PASSIVE);
	assert_string_equal(d->tls_id, "abc3de65cddef001be83");
	assert_string_equal(offer.media[0].dtls.tls_id, "");	/* RFC 8842 §4: not at session level */
	assert_int_equal(d->n_fingerprints, 2);	/* its own alone */
	assert_string_equal(d->fingerprints[0].hash, "sha-256");
	assert_int_equal(d->fingerprints[0].len, 32);
	assert_int_equal(d->fingerprints[0].bytes[31], 0x0b);
	/* RFC 5763 with the profile names of before: a fingerprint and no key */
	assert_int_equal(offer_media_keying(&offer.media[2]), OFFER_KEYING_DTLS);
	assert_int_equal(offer.media[2].dtls.setup, OFFER_SETUP_HOLDCONN);
	assert_int_equal(offer_media_keying(&offer.media[3]), OFFER_KEYING_DTLS);
	assert_int_equal(offer.media[3].dtls.setup, OFFER_SETUP_ACTIVE);
	assert_int_equal(offer.media[3].n_crypto, 0);
}

static void
fingerprint_that_proves_nothing_is_left_out(void **state)
{
	static const char *const bad[] = {
		"md5 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f", "sha-3 " SHA1_BYTES, "sha-1", "sha-1 ",
		"sha-1 " SHA1_BYTES ":00", "sha-1 00:01", "sha-256 " SHA1_BYTES,
		"sha-1 00:01:02:03:04:05:06:07:08:09:0a:0B:0c:0D:0e:0F:10:11:12:fg",
		"sha-1 00-01-02-03-04-05-06-07-08-09-0a-0B-0c-0D-0e-0F-10-11-12-fe", "",
	};
	char text[512];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), HEAD "m=audio 4000 RTP/SAVP 0\r\na=label:1\r\na=fingerprint:%s\r\n", bad[i]);
		assert_int_equal(parse(text), SRS_OK);
		assert_true(offer.media[0].has_fingerprint);
		if (offer.media[0].dtls.n_fingerprints != 0)
			fail_msg("taken: %s", bad[i]);
		assert_true(has_deviation(8, "RFC 8122"));
		assert_int_equal(offer_media_keying(&offer.media[0]), OFFER_KEYING_SDES);
	}
	assert_int_equal(parse(HEAD "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=label:1\r\na=setup:both\r\n"), SRS_OK);
	assert_int_equal(offer.media[0].dtls.setup, OFFER_SETUP_NONE);
	assert_true(has_deviation(8, "RFC 4145"));
	(void)snprintf(text, sizeof(text), HEAD "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=label:1\r\na=tls-id:%0256u\r\n", 7);
	assert_int_equal(parse(text), SRS_OK);
	assert_string_equal(offer.media[0].dtls.tls_id, "");
	assert_true(has_deviation(8, "RFC 8842"));
}

static void
static_payload_types_need_no_rtpmap(void **state)
{
	assert_int_equal(parse(HEAD "m=audio 4000 RTP/AVP 9 18 10 34 96\na=label:1\n"), SRS_OK);
	assert_int_equal(offer.media[0].n_codecs, 5);
	assert_string_equal(offer.media[0].codecs[0].name, "G722");
	assert_int_equal(offer.media[0].codecs[0].clock_hz, 8000);
	assert_string_equal(offer.media[0].codecs[1].name, "G729");
	assert_int_equal(offer.media[0].codecs[2].channels, 2);
	assert_int_equal(offer.media[0].codecs[3].clock_hz, 90000);
	assert_string_equal(offer.media[0].codecs[4].name, "");
}

static void
missing_lines_are_deviations_not_errors(void **state)
{
	assert_int_equal(parse("m=audio 4000 RTP/AVP 0\n"), SRS_OK);
	assert_int_equal(offer.media[0].address.ip_version, 0);
	assert_int_equal(offer.media[0].direction, OFFER_SENDRECV);
	assert_true(has_deviation(0, "v= is missing"));
	assert_true(has_deviation(0, "o= is missing"));
	assert_true(has_deviation(0, "t= is missing"));
	assert_true(has_deviation(1, "no c="));
	assert_true(has_deviation(1, "without a=label"));
}

static void
unspecified_address_is_noted_and_keeps_the_direction(void **state)
{
	assert_int_equal(parse(HEAD
			       "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=label:1\r\na=sendonly\r\n"
			       "m=audio 4002 RTP/AVP 0\r\nc=IN IP6 ::\r\na=label:2\r\n"),
			 SRS_OK);
	assert_true(offer.media[0].address.unspecified);
	assert_int_equal(offer.media[0].address.ip_version, 4);
	assert_int_equal(offer.media[0].direction, OFFER_SENDONLY);
	assert_true(offer.media[1].address.unspecified);
	assert_true(has_deviation(7, "unspecified"));
}

static void
lf_cr_and_crlf_all_end_lines(void **state)
{
	static const char *const ends[] = { "\r\n", "\n", "\r" };

	for (unsigned int i = 0; i < 3; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "v=0%so=- 1 2 IN IP4 192.0.2.1%ss=-%st=0 0%sm=audio 4000 RTP/AVP 0%sx", ends[i],
			 ends[i], ends[i], ends[i], ends[i]);
		assert_int_equal(parse(text), SRS_OK);
		assert_string_equal(offer.media[0].profile_text, "RTP/AVP");
		assert_string_equal(offer.media[0].formats, "0");
		assert_true(has_deviation(6, "type=value"));
	}
}

static void
unknown_media_and_profiles_are_kept_for_the_answer(void **state)
{
	assert_int_equal(
	    parse(
		HEAD
		"m=image 5000 udptl t38\r\na=T38FaxVersion:0\r\n"
		"m=video 5002 udp/tls/rtp/savpf 96\r\na=rtpmap:96 H264/90000\r\na=fingerprint:sha-256 AA\r\n"
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"),
	    SRS_OK);
	assert_int_equal(offer.n_media, 3);
	assert_int_equal(offer.media[0].kind, OFFER_OTHER);
	assert_string_equal(offer.media[0].kind_text, "image");
	assert_int_equal(offer.media[0].profile, OFFER_PROFILE_OTHER);
	assert_string_equal(offer.media[0].formats, "t38");
	assert_int_equal(offer.media[0].n_codecs, 0);
	assert_int_equal(offer.media[1].kind, OFFER_VIDEO);
	assert_int_equal(offer.media[1].profile, OFFER_DTLS_SAVPF);
	assert_true(offer.media[1].has_fingerprint);
	assert_string_equal(offer.media[1].profile_text, "udp/tls/rtp/savpf");
}

static void
session_level_fingerprint_and_direction_are_inherited(void **state)
{
	assert_int_equal(
	    parse(HEAD "a=inactive\na=fingerprint:sha-256 AA\nm=audio 1 RTP/SAVP 0\nm=audio 2 RTP/SAVP 0\n"
		       "a=sendonly\n"),
	    SRS_OK);
	assert_int_equal(offer.media[0].direction, OFFER_INACTIVE);
	assert_int_equal(offer.media[1].direction, OFFER_SENDONLY);
	assert_true(offer.media[0].has_fingerprint);
	assert_true(offer.media[1].has_fingerprint);
}

static void
nonsense_in_one_line_costs_that_line_only(void **state)
{
	assert_int_equal(
	    parse(HEAD "m=audio 99999/x RTP/AVP 0 abc 200 0\r\na=rtpmap:7 x/8000\r\na=rtpmap:0 PCMU\r\n"
		       "a=fmtp:0 \x01\r\na=label:has blank\r\na=rtcp:x\r\n"),
	    SRS_OK);
	assert_int_equal(offer.media[0].port, 0);
	assert_string_equal(offer.media[0].formats, "0");
	assert_string_equal(offer.media[0].codecs[0].name, "PCMU");
	assert_string_equal(offer.media[0].codecs[0].fmtp, "");
	assert_string_equal(offer.media[0].label, "");
	assert_true(has_deviation(6, "65535"));
	assert_true(has_deviation(6, "no payload type"));
	assert_true(has_deviation(6, "twice"));
	assert_true(has_deviation(7, "does not name"));
	assert_true(has_deviation(8, "clock rate"));
	assert_true(has_deviation(9, "fmtp"));
	assert_true(has_deviation(10, "label"));
	assert_true(has_deviation(11, "a=rtcp"));
}

static void
what_cannot_be_answered_is_refused(void **state)
{
	assert_int_equal(parse(""), SRS_ERR_INVALID);
	assert_string_equal(why, "no SDP");
	assert_int_equal(parse("<recording/>"), SRS_ERR_INVALID);
	assert_int_equal(parse(HEAD), SRS_ERR_INVALID);
	assert_string_equal(why, "SDP without an m-line");
	assert_int_equal(parse(HEAD "m=audio 4000\r\n"), SRS_ERR_INVALID);
	assert_int_equal(parse(HEAD "m=au\x01io 4000 RTP/AVP 0\r\n"), SRS_ERR_INVALID);
	assert_int_equal(parse(HEAD "m=averylongmediatype 4000 RTP/AVP 0\r\n"), SRS_ERR_INVALID);
}

static void
bounds_are_named_refusals(void **state)
{
	static char text[OFFER_BYTES_MAX + 2];
	size_t n = (size_t)snprintf(text, sizeof(text), HEAD);

	for (unsigned int i = 0; i < OFFER_MEDIA_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "m=audio 4000 RTP/AVP 0\r\na=label:%u\r\n",
				      i);
	assert_int_equal(parse(text), SRS_OK);
	assert_int_equal(offer.n_media, OFFER_MEDIA_MAX);
	snprintf(text + n, sizeof(text) - n, "m=audio 4000 RTP/AVP 0\r\n");
	assert_int_equal(parse(text), SRS_ERR_LIMIT);

	n = (size_t)snprintf(text, sizeof(text), HEAD "m=audio 4000 RTP/AVP");
	for (unsigned int i = 0; i < 128; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %u", i);
	assert_int_equal(parse(text), SRS_OK);
	assert_int_equal(offer.media[0].n_codecs, OFFER_CODECS_MAX);
	assert_true(has_deviation(6, "more formats"));

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse(text), SRS_ERR_LIMIT);
}

static void
every_prefix_of_an_offer_is_safe(void **state)
{
	const char *text = HEAD
	    "m=audio 49170/2 RTP/AVP 0 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 x\r\na=label:1\r\n";
	size_t len = strlen(text);

	for (size_t n = 0; n <= len; n++) {
		char *exact = malloc(n ? n : 1); /* so that a sanitizer sees each byte read too many */
		enum srs_err err;

		memcpy(exact, text, n);
		err = offer_parse(&offer, span_of(exact, n), &why);
		assert_true(err == SRS_OK || err == SRS_ERR_INVALID);
		free(exact);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_labelled_streams_are_read),
		cmocka_unit_test(crypto_lines_are_handed_on_unread),
		cmocka_unit_test(crypto_lines_have_a_bound),
		cmocka_unit_test(fingerprint_and_setup_are_read_at_both_levels),
		cmocka_unit_test(fingerprint_that_proves_nothing_is_left_out),
		cmocka_unit_test(static_payload_types_need_no_rtpmap),
		cmocka_unit_test(missing_lines_are_deviations_not_errors),
		cmocka_unit_test(unspecified_address_is_noted_and_keeps_the_direction),
		cmocka_unit_test(lf_cr_and_crlf_all_end_lines),
		cmocka_unit_test(unknown_media_and_profiles_are_kept_for_the_answer),
		cmocka_unit_test(session_level_fingerprint_and_direction_are_inherited),
		cmocka_unit_test(nonsense_in_one_line_costs_that_line_only),
		cmocka_unit_test(what_cannot_be_answered_is_refused),
		cmocka_unit_test(bounds_are_named_refusals),
		cmocka_unit_test(every_prefix_of_an_offer_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
