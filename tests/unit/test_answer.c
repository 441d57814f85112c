/* SDP answers: golden files of our own, the rules of RFC 3264 over every offer of the corpus, and struck-out secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/sdp/offer.h"
#include "controlplane/sdp/sdes.h"

static struct offer offer, answer;
static struct answer_media decided[OFFER_MEDIA_MAX];
static char text[OFFER_BYTES_MAX];
static const char *why;

static struct span
file_read(const char *path)
{
	static char bytes[OFFER_BYTES_MAX];
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL)
		fail_msg("%s cannot be read", path);
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return span_of(bytes, len);
}

static const char *
source_root(void)
{
	const char *root = getenv("CAPSTAN_SOURCE");

	return root ? root : ".";
}

#define FINGERPRINT "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
static struct sdes_line lines[OFFER_MEDIA_MAX][2];
static struct srtp_master ours[OFFER_MEDIA_MAX];

/* Our key of m-line `i` is 10 11 12 .., 20 21 22 .. and so on, in the suite that we like best. */
static void
take_keys(unsigned int i)
{
	static const enum srtp_suite order[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_256_CM_HMAC_SHA1_80,
		                                 SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32 };
	const struct offer_media *m = &offer.media[i];

	if (offer_media_keying(m) == OFFER_KEYING_DTLS) {
		decided[i].dtls.fingerprint = FINGERPRINT;
		decided[i].dtls.setup = m->dtls.setup == OFFER_SETUP_PASSIVE ? OFFER_SETUP_ACTIVE : OFFER_SETUP_PASSIVE;
	}
	if (offer_media_keying(m) != OFFER_KEYING_SDES || !sdes_choose(lines[i], m->crypto, m->n_crypto, order, 4, NULL, NULL))
		return;
	ours[i] = (struct srtp_master){ .suite = (uint8_t)lines[i][0].suite };
	for (unsigned int k = 0; k < SRTP_MASTER_KEY_MAX; k++)
		ours[i].key[k] = (uint8_t)(16 * (i + 1) + k);
	for (unsigned int k = 0; k < SRTP_MASTER_SALT_MAX; k++)
		ours[i].salt[k] = (uint8_t)(16 * (i + 1) + 32 + k);
	decided[i].sdes.tag = lines[i][0].tag;
	decided[i].sdes.ours = &ours[i];
}

/* Accept audio and refuse the rest, on ports counted from 16384. */
static size_t
write_answer(void)
{
	for (unsigned int i = 0; i < offer.n_media; i++) {
		decided[i] = (struct answer_media){
			.accepted = offer.media[i].kind == OFFER_AUDIO,
			.ip_version = 4,
			.ip = "198.51.100.4",
			.port = (uint16_t)(16384 + 2 * i),
			.rtcp_port = (uint16_t)(offer.media[i].rtcp_mux ? 0 : 16385 + 2 * i),
		};
		take_keys(i);
	}
	return answer_write(&offer, decided, "198.51.100.4", 4711, 1, text, sizeof(text));
}

static void
assert_golden(const char *name)
{
	char path[512];
	size_t len;
	struct span golden;

	snprintf(path, sizeof(path), "%s/tests/vectors/answer/%s.offer.sdp", source_root(), name);
	assert_int_equal(offer_parse(&offer, file_read(path), &why), SRS_OK);
	len = write_answer();
	snprintf(path, sizeof(path), "%s/tests/vectors/answer/%s.answer.sdp", source_root(), name);
	golden = file_read(path);
	if (!span_equal(golden, span_of(text, len)))
		fail_msg("%s: the answer is\n%.*s", path, (int)len, text);
}

static void
answers_equal_the_golden_files(void **state)
{
	assert_golden("two-labels");
	assert_golden("refusals");
	assert_golden("directions");
	assert_golden("srtp-mux");
	assert_golden("srtp-mixed");
	assert_golden("dtls");
	assert_golden("bundle-ice");
}

static void
our_own_hold_and_rtcp_port_are_written(void **state)
{
	assert_int_equal(offer_parse(&offer, span_of_text("v=0\nm=audio 4000 RTP/AVP 0\na=sendonly\n"), &why),
			 SRS_OK);
	write_answer();
	decided[0].inactive = true;
	decided[0].rtcp_port = 20001;
	answer_write(&offer, decided, "2001:db8::4", 4711, 2, text, sizeof(text));
	assert_non_null(strstr(text, "a=inactive\r\n"));
	assert_null(strstr(text, "a=recvonly"));
	assert_non_null(strstr(text, "a=rtcp:20001\r\n"));
	assert_non_null(strstr(text, "o=capstan 4711 2 IN IP6 2001:db8::4\r\n"));
}

/* RFC 4568 §5.1.2: whatever was decided, SAVP is not answered without a key, nor AVP with one. */
static void
profile_and_key_go_together_or_the_m_line_is_refused(void **state)
{
	static const struct srtp_master master = { .suite = SRTP_AES_CM_128_HMAC_SHA1_80 };
	static const char *const profiles[] = { "RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF" };
	char sdp[256];

	for (unsigned int i = 0; i < 5; i++) {
		for (unsigned int with = 0; with < 3; with++) {	/* nothing, a=crypto, a=fingerprint */
			unsigned int wanted = i == 0 ? 0 : i < 3 ? 1 : 2;

			(void)snprintf(sdp, sizeof(sdp), "v=0\nm=audio 4000 %s 0\n", profiles[i]);
			assert_int_equal(offer_parse(&offer, span_of_text(sdp), &why), SRS_OK);
			write_answer();
			decided[0].sdes.tag = "7";
			decided[0].sdes.ours = with == 1 ? &master : NULL;
			decided[0].dtls.fingerprint = with == 2 ? FINGERPRINT : NULL;
			decided[0].dtls.setup = OFFER_SETUP_PASSIVE;
			decided[0].dtls.tls_id = "0123456789abcdef0123";
			assert_true(answer_write(&offer, decided, "198.51.100.4", 1, 1, text, sizeof(text)) > 0);
			(void)snprintf(sdp, sizeof(sdp), "m=audio %u %s 0\r\n", with == wanted ? 16384 : 0, profiles[i]);
			assert_non_null(strstr(text, sdp));
			assert_int_equal(strstr(text, "a=crypto:7 ") != NULL, with == wanted && with == 1);
			assert_int_equal(strstr(text, "a=setup:passive\r\n") != NULL, with == wanted && with == 2);
			assert_int_equal(strstr(text, "a=tls-id:0123456789abcdef0123\r\n") != NULL, with == wanted && with == 2);
		}
	}
}

static void
buffer_too_small_gives_zero(void **state)
{
	size_t len;

	assert_int_equal(offer_parse(&offer, span_of_text("v=0\nm=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
							  "inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\n"), &why),
			 SRS_OK);
	len = write_answer();
	assert_true(len > 0);
	for (size_t max = 0; max <= len; max++)
		assert_int_equal(answer_write(&offer, decided, "198.51.100.4", 4711, 1, text, max), 0);
	assert_int_equal(answer_write(&offer, decided, "198.51.100.4", 4711, 1, text, len + 1), len);
}

/* Static types need no a=rtpmap, and get one from us: the answer may be many times its offer. */
static void
no_answer_is_longer_than_was_foretold(void **state)
{
	static const char every_type[] = "0 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 25 26 28 31 32 33 34";
	static char sdp[OFFER_BYTES_MAX], out[4 * OFFER_BYTES_MAX];
	static const char *const profiles[] = { "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVP" };
	size_t len;

	for (unsigned int k = 0; k < 3; k++) {
		len = (size_t)snprintf(sdp, sizeof(sdp), "v=0\n");
		for (unsigned int i = 0; i < OFFER_MEDIA_MAX; i++) {
			len += (size_t)snprintf(sdp + len, sizeof(sdp) - len, "m=audio 65535 %s %s\na=ptime:65535\na=label:%063u\n"
			                        "a=crypto:123456789 AES_256_CM_HMAC_SHA1_80 inline:%s\na=setup:active\n"
			                        "a=fingerprint:" FINGERPRINT "\na=rtcp-mux\n", profiles[k], every_type, i,
			                        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NQ==");
		}
		assert_true(len < sizeof(sdp));
		assert_int_equal(offer_parse(&offer, span_of(sdp, len), &why), SRS_OK);
		write_answer();
		for (unsigned int i = 0; i < offer.n_media; i++) {
			assert_true(k != 1 || decided[i].sdes.ours != NULL);
			(void)snprintf(decided[i].ip, sizeof(decided[i].ip), "2001:0db8:1111:2222:3333:4444:5555:6666");
			decided[i].ip_version = 6;
			decided[i].port = 60000;
			decided[i].rtcp_port = 65535;
			decided[i].dtls.tls_id = "123456789012345678901234567890123456";
		}
		len = answer_write(&offer, decided, "2001:0db8:1111:2222:3333:4444:5555:6666", UINT64_MAX, UINT64_MAX, out, sizeof(out));
		assert_true(len > 0);
		assert_true(len <= answer_size_max(&offer));
		assert_true(answer_size_max(&offer) < 2 * len);		/* nor refused without need */
	}
}

/* RFC 3264 §6 and §6.1, RFC 7866 §7.2, read from our answer by our own parser. */
static void
assert_answers(const char *name)
{
	static struct offer kept;
	size_t len = write_answer();

	if (len == 0)
		fail_msg("%s: no answer", name);
	assert_true(len <= answer_size_max(&offer));
	memcpy(&kept, &offer, sizeof(kept));
	assert_int_equal(offer_parse(&answer, span_of(text, len), &why), SRS_OK);
	assert_int_equal(answer.n_media, kept.n_media);
	for (unsigned int i = 0; i < kept.n_media; i++) {
		const struct offer_media *o = &kept.media[i], *a = &answer.media[i];

		assert_string_equal(a->kind_text, o->kind_text);
		assert_string_equal(a->profile_text, o->profile_text);
		assert_string_equal(a->label, o->label);
		if (!decided[i].accepted || o->port == 0 ||
		    (offer_media_keying(o) == OFFER_KEYING_SDES && decided[i].sdes.ours == NULL)) {
			assert_int_equal(a->port, 0);
			continue;
		}
		assert_int_equal(a->port, decided[i].port);
		assert_string_equal(a->formats, o->formats);
		assert_int_equal(a->n_codecs, o->n_codecs);
		for (unsigned int c = 0; c < o->n_codecs; c++) {
			assert_int_equal(a->codecs[c].payload_type, o->codecs[c].payload_type);
			assert_string_equal(a->codecs[c].name, o->codecs[c].name);
			assert_int_equal(a->codecs[c].clock_hz, o->codecs[c].clock_hz);
			assert_string_equal(a->codecs[c].fmtp, o->codecs[c].fmtp);
		}
		assert_true(a->direction == OFFER_RECVONLY || a->direction == OFFER_INACTIVE);
		assert_int_equal(a->direction == OFFER_INACTIVE,
				 o->direction == OFFER_INACTIVE || o->direction == OFFER_RECVONLY);
		assert_true(!a->rtcp_mux || o->rtcp_mux);
		assert_int_equal(a->n_crypto, offer_media_keying(o) == OFFER_KEYING_SDES);
		assert_int_equal(a->has_fingerprint, offer_media_keying(o) == OFFER_KEYING_DTLS);
	}
	assert_null(strstr(text, "sendrecv"));
	assert_null(strstr(text, "sendonly"));
}

static void
every_offer_of_the_corpus_is_answered_by_the_rules(void **state)
{
	char folder[512], path[1024];
	unsigned int n = 0, n_refused = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/../shared/corpus/sdp", source_root());
	dir = opendir(folder);
	if (dir == NULL) {
		print_message("not tried: no corpus at %s\n", folder);
		skip();
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		n++;
		if (offer_parse(&offer, file_read(path), &why) == SRS_OK) {
			assert_answers(entry->d_name);
		} else {
			n_refused++;
			print_message("%s: %s\n", entry->d_name, why);
			/* the one file without an m-line */
			assert_non_null(strstr(entry->d_name, "sofia-message-1.sdp"));
		}
	}
	closedir(dir);
	print_message("%u offers, %u refused\n", n, n_refused);
	assert_true(n >= 75);
}

static void
assert_struck(const char *before, const char *after, unsigned int n)
{
	char bytes[512];
	size_t len = strlen(before);

	assert_int_equal(len, strlen(after));
	memcpy(bytes, before, len + 1);
	assert_int_equal(offer_redact(bytes, len), n);
	assert_string_equal(bytes, after);
	assert_int_equal(offer_redact(bytes, len), 0); /* nothing is left to strike */
}

static void
keys_and_credentials_are_struck_out_in_place(void **state)
{
	assert_struck("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4 WSH=64\r\na=label:1\r\n",
		      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***************** WSH=64\r\na=label:1\r\n",
		      1);
	assert_struck("A=CRYPTO:2 X INLINE:a;inline:b inline:c\n",
		      "A=CRYPTO:2 X INLINE:********** inline:*\n", 2);
	assert_struck("a=crypto:1 inline:key", "a=crypto:1 inline:***", 1);
	assert_struck("a=crypto:1 suite inline: key x", "a=crypto:1 suite inline: *** x", 1);
	assert_struck("a=crypto:1 suite other:key more\nx", "a=crypto:1 suite ********* ****\nx", 1);
	assert_struck("x inline:abc y", "x inline:*** y", 1);
	assert_struck("a=ice-pwd:abc def\r\na=ice-ufrag:u\r\n", "a=ice-pwd:*** ***\r\na=ice-ufrag:u\r\n", 1);
	assert_struck("a=key-mgmt:mikey AQAF\nk=clear:pw\nbook=1\n",
		      "a=key-mgmt:***** ****\nk=********\nbook=1\n", 2);
	assert_struck("X: 1\r\nAuthorization : Digest a=\"b\",\r\n "
		      "response=\"c\"\r\nProxy-AUTHORIZATION:Basic eA==\r\nTo: y\r\n",
		      "X: 1\r\nAuthorization : ****** ******\r\n ************\r\nProxy-AUTHORIZATION:***** "
		      "****\r\nTo: y\r\n",
		      2);
	assert_struck("authorization is a word, inline too", "authorization is a word, inline too", 0);
	assert_struck("a=crypto:", "a=crypto:", 0);
	assert_struck("", "", 0);
}

static void
secrets_are_struck_inside_a_multipart_message(void **state)
{
	char bytes[] =
	    "INVITE sip:a SIP/2.0\nAuthorization: Digest x\n\n--b\nContent-Type: application/sdp\n\n"
	    "v=0\nm=audio 1 RTP/SAVP 0\na=crypto:1 S inline:AAAABBBB\n--b--\n\0a=ice-pwd:tail";

	assert_int_equal(offer_redact(bytes, sizeof(bytes) - 1), 3);
	assert_null(strstr(bytes, "Digest"));
	assert_null(strstr(bytes, "AAAABBBB"));
	assert_memory_equal(bytes + sizeof(bytes) - 5, "****", 4);
	assert_non_null(strstr(bytes, "\n--b--\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_equal_the_golden_files),
		cmocka_unit_test(our_own_hold_and_rtcp_port_are_written),
		cmocka_unit_test(profile_and_key_go_together_or_the_m_line_is_refused),
		cmocka_unit_test(buffer_too_small_gives_zero),
		cmocka_unit_test(no_answer_is_longer_than_was_foretold),
		cmocka_unit_test(every_offer_of_the_corpus_is_answered_by_the_rules),
		cmocka_unit_test(keys_and_credentials_are_struck_out_in_place),
		cmocka_unit_test(secrets_are_struck_inside_a_multipart_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
