/* The simulator's reading of an SDP answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bench/src/answer.h"

static void
attributes_belong_to_their_m_line_and_the_session_fills_in(void **state)
{
	static struct answer a;

	answer_read(&a, "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
	                "a=fingerprint:sha-256 AA:BB\r\na=setup:passive\r\n"
	                "m=audio 16384 RTP/AVP 0\r\na=recvonly\r\na=label:1\r\na=rtcp-mux\r\n"
	                "m=audio 16386 RTP/SAVP 0\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\na=label:2\r\na=rtcp:16400\r\n"
	                "a=setup:active\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\na=crypto:2 X inline:d\r\n"
	                "m=audio 0 RTP/SAVPF 0\r\n");
	assert_int_equal(a.n_media, 3);
	assert_string_equal(a.media[0].address, "192.0.2.1");
	assert_int_equal(a.media[0].port, 16384);
	assert_string_equal(a.media[0].profile, "RTP/AVP");
	assert_true(a.media[0].recvonly);
	assert_true(a.media[0].rtcp_mux);
	assert_false(a.media[0].sends);
	assert_int_equal(a.media[0].label, 1);
	assert_string_equal(a.media[0].setup, "passive");
	assert_string_equal(a.media[0].fingerprint, "sha-256 AA:BB");
	assert_string_equal(a.media[1].address, "2001:db8::1");
	assert_true(a.media[1].inactive);
	assert_int_equal(a.media[1].rtcp_port, 16400);
	assert_int_equal(a.media[1].n_crypto, 2);
	assert_string_equal(a.media[1].crypto[0], "1 AES_CM_128_HMAC_SHA1_80 inline:abc");
	assert_string_equal(a.media[1].setup, "active");
	assert_int_equal(a.media[2].port, 0);
	assert_true(a.media[2].sends); /* no direction at all */
}

static void
more_lines_than_there_is_room_for_are_counted(void **state)
{
	static struct answer a;
	static char sdp[8192];

	strcpy(sdp, "v=0\r\n");
	for (int i = 0; i < ANSWER_MEDIA_MAX + 3; i++)
		strcat(sdp, "m=audio 9 RTP/AVP 0\r\na=crypto:1 A inline:x\r\na=crypto:2 A inline:x\r\na=crypto:3 A inline:x\r\n"
		            "a=crypto:4 A inline:x\r\na=crypto:5 A inline:x\r\n");
	answer_read(&a, sdp);
	assert_int_equal(a.n_media, ANSWER_MEDIA_MAX + 3);
	assert_int_equal(a.media[ANSWER_MEDIA_MAX - 1].n_crypto, 5);
	answer_read(&a, "");
	assert_int_equal(a.n_media, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_belong_to_their_m_line_and_the_session_fills_in),
		cmocka_unit_test(more_lines_than_there_is_room_for_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
