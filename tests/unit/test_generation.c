/* Rekeying: overlap, what stays, what ends, and that every packet is in one generation's totals. */
#include "lcore_fixture.h"
#include "libsrtp2_sender.h"

#define SSRC 0x1234

static void
one_to(struct fx *fx, struct sender *snd, uint16_t udp_port, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[SENDER_PACKET_MAX], frame[SENDER_PACKET_MAX + 64];
	size_t len = sender_rtp(snd, ssrc, seq, packet);
	struct rte_mbuf *m = mbuf_of(fx, frame, px_udp(frame, PX_SOURCE, 5004, udp_port, packet, len));

	burst_of(fx, &m, 1);
}

static void
one(struct fx *fx, struct sender *snd, uint32_t ssrc, uint16_t seq)
{
	one_to(fx, snd, 20000, ssrc, seq);
}

static void
many(struct fx *fx, struct sender *const snd[], const uint16_t seq[], uint16_t n)
{
	struct rte_mbuf *m[BURST_MAX];

	for (uint16_t i = 0; i < n; i++) {
		uint8_t packet[SENDER_PACKET_MAX], frame[SENDER_PACKET_MAX + 64];
		size_t len = sender_rtp(snd[i], SSRC, seq[i], packet);

		m[i] = mbuf_of(fx, frame, px_udp(frame, PX_SOURCE, 5004, 20000, packet, len));
	}
	burst_of(fx, m, n);
}

static uint64_t
recorded(const struct fx *fx)
{
	return fx->lc->counters.verdicts[RX_RECORDED];
}

/* The grace time is over. */
static void
grace_over(struct fx *fx)
{
	for (struct keyset *ks = fx->streams.slots[1].keys; ks != NULL; ks = ks->next)
		if (ks->retire_tsc != 0)
			ks->retire_tsc = 1;
	fx->lc->housekeeping_tsc = 0;
	turn(fx);
}

static unsigned int
n_keysets(const struct stream *s)
{
	unsigned int n = 0;

	for (const struct keyset *ks = s->keys; ks != NULL; ks = ks->next)
		n++;
	return n;
}

/* The totals that wait for the seal; nothing recorded when there are none. */
static struct reel_seal_stream
row_of(const struct fx *fx, uint16_t generation)
{
	for (const struct totals *t = fx->rec.totals; t != NULL; t = t->next)
		if (t->row.generation == generation)
			return t->row;
	return (struct reel_seal_stream){ .recorded = 0 };
}

static void
set_apart(struct sender *a, struct sender *b)
{
	sender_make(a, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(b, SRTP_AEAD_AES_256_GCM, 2, "");
}

static void
the_same_key_again_changes_nothing(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;
	struct stream *s, before;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	before = *s;
	rekey(fx, &a.master, 1, 1);
	assert_memory_equal(s, &before, sizeof(before));
	one(fx, &a, SSRC, 11);
	assert_int_equal(recorded(fx), 2);
	assert_int_equal(s->first.recorded, 2);
	sender_free(&a);
	sender_free(&b);
}

static void
old_and_new_packets_mix_in_a_burst_and_each_counts_with_its_own(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;
	struct sender *const order[] = { &a, &b, &a, &b, &b, &a };
	static const uint16_t seq[] = { 12, 13, 11, 14, 15, 10 };
	const struct ssrc *old;
	struct stream *s;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 9);
	rekey(fx, &b.master, 1, 0);
	assert_int_equal(s->keys->generation, 0);	/* until a packet proves the new one */
	many(fx, order, seq, 6);
	assert_int_equal(recorded(fx), 7);
	assert_int_equal(s->keys->generation, 1);
	assert_int_equal(s->first.generation, 1);
	assert_int_equal(s->first.recorded, 3);
	assert_int_equal(s->first.first_index, 13);
	old = stream_ssrc_under(s, SSRC, 0);
	assert_non_null(old);
	assert_int_equal(old->recorded, 4);
	assert_int_equal(ssrc_lost(old), 0);
	one(fx, &b, SSRC, 16);
	one(fx, &a, SSRC, 8);	/* late, within the grace */
	assert_int_equal(recorded(fx), 9);
	grace_over(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(n_keysets(s), 1);
	assert_null(stream_ssrc_under(s, SSRC, 0));
	assert_int_equal(row_of(fx, 0).recorded, 5);
	assert_int_equal(row_of(fx, 0).highest_index, 12);
	one(fx, &a, SSRC, 17);
	assert_int_equal(fx->lc->counters.verdicts[RX_DROP_AUTH], 1);
	sender_free(&a);
	sender_free(&b);
}

static void
the_roc_goes_on_or_begins_at_zero(void **state)
{
	struct fx *fx = *state;
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender a, b, c;
	struct stream *s;

	set_apart(&a, &b);
	sender_make(&c, SRTP_AES_CM_128_HMAC_SHA1_32, 3, "");
	s = stream_secure(fx, &a.master);
	(void)sender_rtp(&a, SSRC, 1, packet);
	sender_roc(&a, SSRC, 3);
	for (uint16_t seq = 2; seq < 5; seq++)
		one(fx, &a, SSRC, seq);
	assert_int_equal(s->first.highest >> 16, 3);
	rekey(fx, &b.master, 1, 0);
	(void)sender_rtp(&b, SSRC, 5, packet);
	sender_roc(&b, SSRC, 3);
	one(fx, &b, SSRC, 6);
	assert_int_equal(s->first.generation, 1);
	assert_int_equal(s->first.highest, 0x30006);
	rekey(fx, &c.master, 1, 0);
	s->join.paid_tsc = 0;
	one(fx, &c, SSRC, 7);	/* ROC 0 */
	assert_int_equal(s->first.generation, 2);
	assert_int_equal(s->first.highest, 7);
	sender_free(&a);
	sender_free(&b);
	sender_free(&c);
}

static void
what_was_lost_at_the_seam_is_counted_once_the_old_generation_ends(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;
	struct stream *s;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	one(fx, &a, SSRC, 11);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 15);
	one(fx, &a, SSRC, 13);	/* late: 12 and 14 are lost */
	grace_over(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(s->first.first_index, 14);
	assert_int_equal(stream_lost(s), 2);
	sender_free(&a);
	sender_free(&b);
}

static void
a_key_that_is_named_again_within_the_grace_goes_on_where_it_was(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;
	struct stream *s;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 11);
	assert_int_equal(s->keys->generation, 1);
	rekey(fx, &a.master, 1, 0);	/* control no longer knows that it is still there */
	assert_int_equal(retired(fx), 1);	/* so its copy comes back */
	assert_int_equal(n_keysets(s), 2);
	one(fx, &a, SSRC, 12);
	assert_int_equal(s->keys->generation, 0);
	assert_int_equal(s->first.recorded, 2);
	one(fx, &a, SSRC, 10);	/* its replay window is the same, too */
	assert_int_equal(s->first.duplicates, 1);
	grace_over(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(row_of(fx, 1).recorded, 1);
	sender_free(&a);
	sender_free(&b);
}

static void
without_a_packet_under_the_new_key_the_old_one_goes_on(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;
	struct stream *s;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	grace_over(fx);
	assert_int_equal(retired(fx), 0);
	assert_false(s->retiring);
	one(fx, &a, SSRC, 11);
	assert_int_equal(recorded(fx), 2);
	sender_free(&a);
	sender_free(&b);
}

static void
keys_wanted_elsewhere_end_at_once_the_active_one_too(void **state)
{
	struct fx *fx = *state;
	struct command *c;
	struct sender a, b;
	struct stream *s;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	c = post(fx, COMMAND_STREAM_HURRY);
	c->stream = s;
	assert_int_equal(turn(fx), 1);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(s->keys->generation, 1);
	assert_false(s->first.used);
	assert_int_equal(row_of(fx, 0).recorded, 1);
	one(fx, &a, SSRC, 11);
	assert_int_equal(fx->lc->counters.verdicts[RX_DROP_AUTH], 1);
	one(fx, &b, SSRC, 12);
	assert_int_equal(s->first.generation, 1);
	assert_int_equal(recorded(fx), 2);
	sender_free(&a);
	sender_free(&b);
}

static void
a_stream_holds_eight_generations_and_the_oldest_makes_room(void **state)
{
	struct fx *fx = *state;
	struct sender snd[12];
	struct stream *s;

	for (uint8_t i = 0; i < 12; i++)
		sender_make(&snd[i], SRTP_AES_CM_128_HMAC_SHA1_80, i, "");
	s = stream_secure(fx, &snd[0].master);
	one(fx, &snd[0], SSRC, 1);
	for (unsigned int i = 1; i < 12; i++)
		rekey(fx, &snd[i].master, 1, 0);
	assert_int_equal(n_keysets(s), STREAM_KEYSETS_MAX);
	assert_int_equal(retired(fx), 4);
	assert_int_equal(s->keys->generation, 0);
	one(fx, &snd[0], SSRC, 2);
	one(fx, &snd[11], SSRC, 3);
	assert_int_equal(recorded(fx), 3);
	assert_int_equal(s->keys->generation, 11);
	grace_over(fx);
	assert_int_equal(retired(fx), 7);
	assert_int_equal(n_keysets(s), 1);
	for (unsigned int i = 0; i < 12; i++)
		sender_free(&snd[i]);
}

static void
the_oldest_makes_room_where_their_numbers_wrap_too(void **state)
{
	struct fx *fx = *state;
	struct sender snd[STREAM_KEYSETS_MAX + 1];
	struct stream *s;

	for (uint8_t i = 0; i <= STREAM_KEYSETS_MAX; i++)
		sender_make(&snd[i], SRTP_AES_CM_128_HMAC_SHA1_80, i, "");
	fx->generation = UINT16_MAX - 3;
	s = stream_secure(fx, &snd[0].master);
	one(fx, &snd[0], SSRC, 1);
	for (unsigned int i = 1; i <= STREAM_KEYSETS_MAX; i++)
		rekey(fx, &snd[i].master, 1, 0);
	assert_int_equal(retired(fx), 1);
	for (const struct keyset *ks = s->keys; ks != NULL; ks = ks->next)
		assert_int_not_equal(ks->generation, UINT16_MAX - 2);	/* the first that was never used */
	for (unsigned int i = 0; i <= STREAM_KEYSETS_MAX; i++)
		sender_free(&snd[i]);
}

static void
a_generation_stays_while_there_is_no_room_for_its_totals(void **state)
{
	struct fx *fx = *state;
	struct sender a, b;

	set_apart(&a, &b);
	stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 11);
	fx->rec.n_totals = RECORDING_ENDED_MAX;
	grace_over(fx);
	assert_int_equal(retired(fx), 0);
	one(fx, &a, SSRC, 12);
	assert_int_equal(recorded(fx), 3);
	fx->rec.n_totals = 0;
	grace_over(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(fx->lc->counters.totals_dropped, 0);
	sender_free(&a);
	sender_free(&b);
}

static void
a_stream_that_leaves_in_its_grace_takes_all_its_keys_along(void **state)
{
	struct fx *fx = *state;
	struct command *c;
	struct sender a, b;
	struct stream *s;
	unsigned int n = 0;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 11);
	assert_true(s->retiring);
	c = post(fx, COMMAND_STREAM_REMOVE);
	c->stream = s;
	lcore_begin(fx->lc);
	lcore_housekeep(fx->lc);
	assert_ptr_equal(spsc_pop(fx->lc->events), c);
	for (struct keyset *next, *ks = c->u.totals.keys; ks != NULL; ks = next, n++) {
		next = ks->next;
		keyset_give(&fx->keysets, ks);
	}
	assert_int_equal(n, 2);
	assert_null(fx->lc->generations.first);
	assert_int_equal(row_of(fx, 0).recorded + row_of(fx, 1).recorded, 2);
	command_give(&fx->commands, c);
	sender_free(&a);
	sender_free(&b);
}

/* Another stream, on a slot and a port of its own, that has just gone on to other keys. */
static void
retire_beside(struct fx *fx, struct stream *s, struct sender *a, struct sender *b)
{
	struct stream_spec spec = px_spec(0, 2, 20002);
	uint8_t ids[1][KEYSET_ID_SIZE];
	struct command *c = post(fx, COMMAND_STREAM_ADD);

	spec.secure = true;
	c->stream = s;
	stream_init(s, 2, 0, &spec);
	s->keys = keyset_of(fx, &a->master);
	assert_int_equal(turn(fx), 1);
	keyset_id(&b->master, ids[0]);
	generation_rekey(&fx->lc->generations, &fx->lc->recorder, s, ids, 1, keyset_of(fx, &b->master));
	one_to(fx, b, 20002, SSRC, 1);
	assert_int_equal(s->keys->next->named, false);
	s->keys->next->retire_tsc = 1;
}

static void
keys_that_ended_early_do_not_hold_up_those_of_other_streams(void **state)
{
	struct fx *fx = *state;
	struct stream *s, *beside = &fx->streams.slots[2];
	struct sender a, b;
	struct command *c;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 11);
	assert_true(s->retiring);
	c = post(fx, COMMAND_STREAM_HURRY);
	c->stream = s;
	assert_int_equal(turn(fx), 1);
	assert_int_equal(retired(fx), 1);
	retire_beside(fx, beside, &a, &b);
	fx->lc->housekeeping_tsc = 0;
	turn(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(n_keysets(beside), 1);
	assert_false(s->retiring);
	sender_free(&a);
	sender_free(&b);
}

static void
keys_that_are_named_again_do_not_hold_up_those_of_other_streams(void **state)
{
	struct fx *fx = *state;
	struct stream *s, *beside = &fx->streams.slots[2];
	struct sender a, b;

	set_apart(&a, &b);
	s = stream_secure(fx, &a.master);
	one(fx, &a, SSRC, 10);
	rekey(fx, &b.master, 1, 0);
	one(fx, &b, SSRC, 11);
	rekey(fx, &a.master, 1, 0);
	assert_int_equal(retired(fx), 1);
	retire_beside(fx, beside, &a, &b);
	fx->lc->housekeeping_tsc = 0;
	turn(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(n_keysets(beside), 1);
	one(fx, &a, SSRC, 12);	/* the first stream's other keys still retire in their time */
	grace_over(fx);
	assert_int_equal(retired(fx), 1);
	assert_int_equal(n_keysets(s), 1);
	sender_free(&a);
	sender_free(&b);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(the_same_key_again_changes_nothing),
		ROW(old_and_new_packets_mix_in_a_burst_and_each_counts_with_its_own),
		ROW(the_roc_goes_on_or_begins_at_zero),
		ROW(what_was_lost_at_the_seam_is_counted_once_the_old_generation_ends),
		ROW(a_key_that_is_named_again_within_the_grace_goes_on_where_it_was),
		ROW(without_a_packet_under_the_new_key_the_old_one_goes_on),
		ROW(keys_wanted_elsewhere_end_at_once_the_active_one_too),
		ROW(a_stream_holds_eight_generations_and_the_oldest_makes_room),
		ROW(the_oldest_makes_room_where_their_numbers_wrap_too),
		ROW(a_generation_stays_while_there_is_no_room_for_its_totals),
		ROW(a_stream_that_leaves_in_its_grace_takes_all_its_keys_along),
		ROW(keys_that_ended_early_do_not_hold_up_those_of_other_streams),
		ROW(keys_that_are_named_again_do_not_hold_up_those_of_other_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
