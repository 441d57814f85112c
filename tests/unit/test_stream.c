/* Sources and synchronisation sources of a stream: who is heard, who has to leave, and what the totals say. */
#include "plane_fixture.h"

#include "dataplane/stream.h"

static struct stream_pool pool;
static struct counters counters;

static int
set_up(void **state)
{
	struct stream_spec spec = { .number = 2, .udp_port = 20000, .source = { .ip_version = 4, .ip = { 198, 18, 1, 10 } } };
	struct stream *s = aligned_alloc(64, sizeof(*s));

	memset(&counters, 0, sizeof(counters));
	if (s == NULL || stream_pool_create(&pool, 2, 2) != SRS_OK)
		return -1;
	stream_init(s, 1, 0, &spec);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	stream_pool_destroy(&pool);
	return 0;
}

static enum stream_source
check(struct stream *s, const uint8_t ip[4], uint16_t port, uint16_t seq, enum packet_kind kind)
{
	uint8_t packet[172];
	const struct rx_packet p = { .kind = (uint8_t)kind, .ip_version = 4, .source_ip = ip, .source_port = port,
		                     .bytes = packet, .len = sizeof(packet) };

	px_rtp_packet(packet, 1, seq);
	return stream_source_check(s, &p, 1, &pool, &counters);
}

static const uint8_t offered[4] = { 198, 18, 1, 10 }, other[4] = { 198, 18, 1, 11 };

static void
the_offers_address_is_heard_from_any_port_and_no_other(void **state)
{
	struct stream *s = *state;

	assert_int_equal(check(s, offered, 5004, 1, PACKET_RTP), STREAM_SOURCE_OK);
	assert_int_equal(check(s, offered, 5006, 1, PACKET_RTP), STREAM_SOURCE_OK);
	assert_int_equal(check(s, other, 5004, 1, PACKET_RTP), STREAM_SOURCE_OTHER);
}

static void
an_update_brings_its_clock(void **state)
{
	struct stream *s = *state;
	struct stream_spec spec = { .number = 2, .latch = true, .clock_hz = 48000 };

	stream_update(s, &spec, &pool, &counters);
	assert_int_equal(s->report.clock_hz, 48000);
}

static void
latch_takes_two_in_sequence_and_then_one_port(void **state)
{
	struct stream *s = *state;
	struct stream_spec spec = { .number = 2, .latch = true };

	stream_init(s, 1, 0, &spec);
	assert_int_equal(check(s, offered, 5004, 7, PACKET_RTCP), STREAM_SOURCE_OTHER);
	assert_int_equal(check(s, offered, 5004, 7, PACKET_RTP), STREAM_SOURCE_HELD);
	assert_int_equal(check(s, other, 5004, 8, PACKET_RTP), STREAM_SOURCE_HELD);	/* begins anew */
	assert_int_equal(check(s, offered, 5004, 9, PACKET_RTP), STREAM_SOURCE_HELD);
	assert_int_equal(check(s, offered, 5004, 11, PACKET_RTP), STREAM_SOURCE_HELD);	/* not in sequence */
	assert_int_equal(counters.held_dropped, 3);
	assert_int_equal(check(s, offered, 5004, 12, PACKET_RTP), STREAM_SOURCE_LATCHED);
	assert_int_equal(s->hold->seq, 11);
	stream_hold_drop(s, &pool);
	assert_int_equal(check(s, offered, 5006, 13, PACKET_RTP), STREAM_SOURCE_OTHER);
	assert_int_equal(check(s, offered, 5005, 13, PACKET_RTCP), STREAM_SOURCE_OK);
	stream_update(s, &spec, &pool, &counters);	/* a re-offer keeps it */
	assert_int_equal(check(s, offered, 5004, 14, PACKET_RTP), STREAM_SOURCE_OK);
}

static void
the_fifth_ssrc_pushes_out_the_least_recent_but_none_of_this_turn(void **state)
{
	struct stream *s = *state;
	struct ssrc evicted;

	for (uint32_t i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = stream_ssrc(s, i, i + 1, &pool, &evicted);

		assert_non_null(x);
		assert_false(evicted.used);
		ssrc_expect(x, 0x10000, 1000);
	}
	assert_ptr_equal(stream_ssrc(s, 0, 9, &pool, &evicted), &s->first);	/* SSRC 0 is legal, and now recent */
	assert_non_null(stream_ssrc(s, 77, 10, &pool, &evicted));
	assert_true(evicted.used);
	assert_int_equal(evicted.ssrc, 1);
	assert_null(stream_ssrc_find(s, 77));	/* not before its first packet is authenticated */
	assert_ptr_equal(stream_ssrc(s, 77, 10, &pool, &evicted), s->more[0]);	/* but the burst finds it */
	for (uint32_t i = 100; i < 103; i++)
		assert_non_null(stream_ssrc(s, i, 10, &pool, &evicted));
	assert_null(stream_ssrc(s, 200, 10, &pool, &evicted));	/* all four were met in this turn */
	stream_release(s, &pool, &counters);
	assert_null(s->more[0]);
}

static void
totals_balance_with_loss_reorder_and_restart(void **state)
{
	struct stream *s = *state;
	struct ssrc *x = &s->first;
	struct reel_seal_stream row;

	assert_false(ssrc_totals(x, 2, &row));
	ssrc_expect(x, 100, 1000);
	ssrc_expect(x, 104, 1000);
	ssrc_expect(x, 99, 1000);	/* the first one came late */
	x->recorded = 2;
	x->missing[REEL_REASON_PAUSED] = 1;
	assert_int_equal(ssrc_lost(x), 3);
	assert_true(ssrc_totals(x, 2, &row));
	assert_int_equal(row.first_index, 99);
	assert_int_equal(row.highest_index, 104);
	ssrc_next_part(x);
	assert_int_equal(ssrc_lost(x), 0);
	assert_false(ssrc_totals(x, 2, &row));
	ssrc_expect(x, 107, 1000);
	x->recorded = 1;
	assert_int_equal(ssrc_lost(x), 2);	/* at the seam: 105, 106 */
	ssrc_restart(x);
	assert_int_equal(x->generation, 1);
	ssrc_expect(x, 0x30000, 1000);
	x->recorded = 1;
	assert_int_equal(ssrc_lost(x), 0);
}

static void
a_far_jump_is_a_loss_only_when_there_was_time_for_one(void **state)
{
	struct ssrc *x = &((struct stream *)*state)->first;
	const uint64_t second = 1000000000;

	for (uint64_t i = 0; i < 500; i++)
		ssrc_expect(x, 0x10000 + i, i * second / 50);	/* ten seconds of audio */
	assert_false(ssrc_jumped(x, x->highest + 2999));
	assert_true(ssrc_jumped(x, x->highest + 3000));
	/* 3,000 packets of 20 ms: a minute of silence is an outage, one second is not */
	assert_false(ssrc_restarted(x, x->highest + 3000, 70 * second, 60 * second));
	assert_true(ssrc_restarted(x, x->highest + 3000, 11 * second, second));
	assert_true(ssrc_restarted(x, x->highest + 20000, 70 * second, 60 * second));
	assert_true(ssrc_restarted(x, x->highest + 3000, 10 * second, 0));
	/* further than an index estimate goes */
	assert_true(ssrc_restarted(x, x->highest + 0x8001, 10000 * second, 9990 * second));
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(the_offers_address_is_heard_from_any_port_and_no_other),
		ROW(an_update_brings_its_clock),
		ROW(latch_takes_two_in_sequence_and_then_one_port),
		ROW(the_fifth_ssrc_pushes_out_the_least_recent_but_none_of_this_turn),
		ROW(totals_balance_with_loss_reorder_and_restart),
		ROW(a_far_jump_is_a_loss_only_when_there_was_time_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
