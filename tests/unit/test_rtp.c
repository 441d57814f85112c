/* RTP and RTCP headers: every field, and every length that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/rtp.h"

static void
plain_header_comes_back(void **state)
{
	const uint8_t packet[] = { 0x80, 0x88, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 'a', 'b' };
	struct rtp_header h;

	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_OK);
	assert_int_equal(h.payload_type, 8);
	assert_true(h.marker);
	assert_int_equal(h.seq, 0x1234);
	assert_int_equal(h.timestamp, 0x01020304);
	assert_int_equal(h.ssrc, 0x05060708);
	assert_true(span_equal(h.payload, span_of_text("ab")));
	assert_int_equal(rtp_header_read(&h, span_of(packet, 12)), SRS_OK); /* no payload is legal */
	assert_int_equal(h.payload.len, 0);
}

static void
sources_extension_and_padding_are_cut_away(void **state)
{
	const uint8_t packet[] = { 0xb2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9,	/* P, X, CC=2 */
		                   1, 1, 1, 1, 2, 2, 2, 2,			/* CSRC */
		                   0xbe, 0xde, 0, 1, 3, 3, 3, 3,		/* extension of one word */
		                   'x', 'y', 'z', 0, 0, 3 };
	struct rtp_header h;

	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_OK);
	assert_int_equal(h.n_csrc, 2);
	assert_true(h.extension);
	assert_true(h.padding);
	assert_true(span_equal(h.payload, span_of_text("xyz")));
	for (size_t len = 0; len < 28; len++)
		assert_int_equal(rtp_header_read(&h, span_of(packet, len)), SRS_ERR_INVALID);
}

static void
lengths_that_lie_are_refused(void **state)
{
	uint8_t packet[20] = { 0xa0 };
	struct rtp_header h;

	packet[19] = 8; /* all of it is padding */
	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_OK);
	assert_int_equal(h.payload.len, 0);
	packet[19] = 9;
	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_ERR_INVALID);
	packet[19] = 0; /* the count counts itself */
	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_ERR_INVALID);
	assert_int_equal(rtp_header_read(&h, span_of(packet, 12)), SRS_ERR_INVALID);
	packet[0] = 0x90; /* an extension longer than the packet */
	packet[14] = 0xff;
	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_ERR_INVALID);
	packet[0] = 0x40; /* version 1 */
	assert_int_equal(rtp_header_read(&h, span_of(packet, sizeof(packet))), SRS_ERR_INVALID);
	assert_int_equal(rtp_header_read(&h, span_of(NULL, 0)), SRS_ERR_INVALID);
}

static void
rtcp_is_told_from_rtp_on_one_port(void **state)
{
	const uint8_t sr[] = { 0x80, 200 }, pcmu_marked[] = { 0x80, 0x80 }, dynamic[] = { 0x80, 96 }, app[] = { 0x80, 204 };

	assert_true(rtp_is_rtcp(sr));
	assert_true(rtp_is_rtcp(app));
	assert_false(rtp_is_rtcp(pcmu_marked));
	assert_false(rtp_is_rtcp(dynamic));
}

/* RR without blocks, then SR, then BYE. */
static const uint8_t compound[] = {
	0x80, 201, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd,
	0x80, 200, 0, 6, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 0, 0, 0, 160, 0, 0, 0, 1, 0, 0, 0, 2,
	0x81, 203, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd,
};

static void
compound_packet_is_checked_to_its_end(void **state)
{
	uint8_t bytes[sizeof(compound)], type;
	uint32_t ssrc;

	assert_int_equal(rtp_rtcp_check(span_of(compound, sizeof(compound)), &type, &ssrc), SRS_OK);
	assert_int_equal(type, 201);
	assert_int_equal(ssrc, 0xaabbccdd);
	for (size_t len = 0; len < sizeof(compound); len++)
		assert_int_equal(rtp_rtcp_check(span_of(compound, len), &type, &ssrc),
		                 len == 8 || len == 36 ? SRS_OK : SRS_ERR_INVALID);
	memcpy(bytes, compound, sizeof(bytes));
	bytes[8] = 0xa0; /* padding, but not in the last part */
	assert_int_equal(rtp_rtcp_check(span_of(bytes, sizeof(bytes)), &type, &ssrc), SRS_ERR_INVALID);
	bytes[8] = 0x80;
	bytes[37] = 100; /* no RTCP type */
	assert_int_equal(rtp_rtcp_check(span_of(bytes, sizeof(bytes)), &type, &ssrc), SRS_ERR_INVALID);
}

static void
a_packet_that_names_nobody_is_refused(void **state)
{
	const uint8_t bye[] = { 0x80, 203, 0, 0 };
	uint8_t type;
	uint32_t ssrc;

	assert_int_equal(rtp_rtcp_check(span_of(bye, sizeof(bye)), &type, &ssrc), SRS_ERR_INVALID);
}

static void
sender_report_is_found_wherever_it_stands(void **state)
{
	struct rtp_sender_report sr;
	uint8_t short_sr[] = { 0x80, 200, 0, 1, 1, 2, 3, 4 };

	assert_int_equal(rtp_sender_report_find(&sr, span_of(compound, sizeof(compound))), SRS_OK);
	assert_int_equal(sr.ssrc, 0x01020304);
	assert_int_equal(sr.ntp, 0x0a0b0c0d0e0f1011);
	assert_int_equal(sr.rtp_timestamp, 160);
	assert_int_equal(rtp_sender_report_find(&sr, span_of(compound, 8)), SRS_ERR_UNSUPPORTED);
	assert_int_equal(rtp_sender_report_find(&sr, span_of(compound, 12)), SRS_ERR_INVALID);
	assert_int_equal(rtp_sender_report_find(&sr, span_of(short_sr, sizeof(short_sr))), SRS_ERR_UNSUPPORTED);
}

static void
sources_that_leave_are_named_and_no_more_than_are_there(void **state)
{
	uint8_t bytes[] = { 0x80, 201, 0, 1, 0, 0, 0, 9,	/* an empty receiver report */
		            0x83, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 8 };	/* three, it says; there are two */
	uint32_t ssrc[4];

	assert_int_equal(rtp_bye_find(ssrc, 4, span_of(bytes, sizeof(bytes))), 2);
	assert_int_equal(ssrc[0], 9);
	assert_int_equal(ssrc[1], 8);
	assert_int_equal(rtp_bye_find(ssrc, 1, span_of(bytes, sizeof(bytes))), 1);
	assert_int_equal(rtp_bye_find(ssrc, 4, span_of(bytes, 8)), 0);
	assert_int_equal(rtp_bye_find(ssrc, 4, span_of(bytes, sizeof(bytes) - 1)), 0);
	assert_int_equal(rtp_bye_find(ssrc, 4, span_of(compound, sizeof(compound))), 1);
	assert_int_equal(ssrc[0], 0xaabbccdd);
}

static void
cnames_are_found_chunk_by_chunk(void **state)
{
	const uint8_t packet[] = {
		0x80, 201, 0, 1, 0, 0, 0, 9,				/* an empty receiver report */
		0x83, 202, 0, 10,					/* three chunks */
		0, 0, 0, 1, 1, 3, 'a', '@', 'b', 0, 0, 0,		/* ends in three zero bytes */
		0, 0, 0, 2, 2, 1, 'N', 1, 5, 'c', '@', 'd', '.', 'e', 0, 0,	/* NAME before it; one zero would do, a word is filled */
		0, 0, 0, 3, 2, 4, 'B', 'o', 'b', '!', 0, 0,		/* no CNAME */
	};
	struct rtp_cname names[4];
	uint8_t cut[sizeof(packet)];

	assert_int_equal(rtp_cnames_find(names, 4, span_of(packet, sizeof(packet))), 2);
	assert_int_equal(names[0].ssrc, 1);
	assert_true(span_equal(names[0].cname, span_of_text("a@b")));
	assert_int_equal(names[1].ssrc, 2);
	assert_true(span_equal(names[1].cname, span_of_text("c@d.e")));
	assert_int_equal(rtp_cnames_find(names, 1, span_of(packet, sizeof(packet))), 1);
	/* an item longer than the packet names nobody, nor does one cut off */
	memcpy(cut, packet, sizeof(packet));
	cut[17] = 200;
	assert_int_equal(rtp_cnames_find(names, 4, span_of(cut, sizeof(cut))), 0);
	for (size_t len = 0; len < sizeof(packet); len++)
		assert_int_equal(rtp_cnames_find(names, 4, span_of(packet, len)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_header_comes_back),
		cmocka_unit_test(sources_extension_and_padding_are_cut_away),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(rtcp_is_told_from_rtp_on_one_port),
		cmocka_unit_test(compound_packet_is_checked_to_its_end),
		cmocka_unit_test(a_packet_that_names_nobody_is_refused),
		cmocka_unit_test(sender_report_is_found_wherever_it_stands),
		cmocka_unit_test(cnames_are_found_chunk_by_chunk),
		cmocka_unit_test(sources_that_leave_are_named_and_no_more_than_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
