/* Packets of secure streams that need more than the batch: first ones, late joins, other SSRCs, forgeries. The sender is
 * libsrtp2; what is recorded must be the RTP that it protected. */
#include "lcore_fixture.h"
#include "libsrtp2_sender.h"

#include "dataplane/join.h"

#define SSRC 0x1234

struct burst {
	struct fx *fx;
	struct rte_mbuf *m[BURST_MAX];
	uint16_t n;
};

static void
add(struct burst *b, const char *source, uint16_t source_port, const uint8_t *packet, size_t len)
{
	uint8_t frame[SENDER_PACKET_MAX + 64];

	b->m[b->n++] = mbuf_of(b->fx, frame, px_udp(frame, source, source_port, 20000, packet, len));
}

static void
add_rtp(struct burst *b, struct sender *snd, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[SENDER_PACKET_MAX];
	size_t len = sender_rtp(snd, ssrc, seq, packet);

	add(b, PX_SOURCE, 5004, packet, len);
}

static void
run(struct burst *b)
{
	burst_of(b->fx, b->m, b->n);
	b->n = 0;
}

static void
one(struct fx *fx, struct sender *snd, uint32_t ssrc, uint16_t seq)
{
	struct burst b = { .fx = fx };

	add_rtp(&b, snd, ssrc, seq);
	run(&b);
}

static uint64_t
verdicts(const struct fx *fx, enum rx_verdict v)
{
	return fx->lc->counters.verdicts[v];
}

static const enum srtp_suite suites[] = { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32, SRTP_AEAD_AES_128_GCM,
	                                  SRTP_AEAD_AES_256_GCM };

/* RTP frames of the open chunk. */
static unsigned int
recorded_frames(struct fx *fx, uint32_t ssrc, uint16_t first_seq)
{
	struct reel_frame f;
	unsigned int n = 0;
	size_t at = 0;

	while (reel_frame_next(&f, span_of(fx->rec.body, fx->rec.used), fx->rec.first_wall_ns, &at) == SRS_OK) {
		uint8_t plain[172];

		if (f.kind != REEL_FRAME_RTP)
			continue;
		px_rtp_packet(plain, ssrc, (uint16_t)(first_seq + n));
		assert_int_equal(f.bytes.len, sizeof(plain));
		assert_memory_equal(f.bytes.bytes, plain, sizeof(plain));
		n++;
	}
	return n;
}

static void
first_packets_in_one_burst_are_recorded_decrypted_and_in_order(void **state)
{
	struct fx *fx = *state;

	for (unsigned int i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		struct burst b = { .fx = fx };
		struct sender snd;
		struct stream *s;
		struct command *c;

		sender_make(&snd, suites[i], (uint8_t)i, "");
		s = stream_secure(fx, &snd.master);
		for (uint16_t seq = 65530; seq != 10; seq++)	/* the ROC turns within the burst */
			add_rtp(&b, &snd, SSRC, seq);
		run(&b);
		assert_int_equal(s->first.recorded, 16);
		assert_true(s->first.used);
		assert_int_equal(s->first.highest, 0x10009);
		assert_int_equal(recorded_frames(fx, SSRC, 65530), 16);
		for (uint16_t seq = 10; seq != 12; seq++)
			add_rtp(&b, &snd, SSRC, seq);	/* with a context: the batch */
		add_rtp(&b, &snd, SSRC, 11);
		run(&b);
		assert_int_equal(s->first.recorded, 18);
		assert_int_equal(s->first.duplicates, 1);
		c = post(fx, COMMAND_STREAM_REMOVE);
		c->stream = s;
		recording_close(&fx->lc->recorder, &fx->rec);
		assert_int_equal(turn(fx), 1);
		sender_free(&snd);
	}
	assert_int_equal(verdicts(fx, RX_RECORDED), 18 * 4);
	assert_int_equal(verdicts(fx, RX_DROP_AUTH), 0);
}

static void
before_a_key_nothing_is_recorded_and_nothing_begins(void **state)
{
	struct fx *fx = *state;
	struct stream *s = stream_secure(fx, NULL);
	struct sender snd;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	one(fx, &snd, SSRC, 1);
	assert_int_equal(verdicts(fx, RX_DROP_NO_KEY), 1);
	assert_false(s->first.used);
	rekey(fx, &snd.master, 1, 0);
	one(fx, &snd, SSRC, 2);
	assert_int_equal(verdicts(fx, RX_RECORDED), 1);
	assert_false(s->keys->pending);
	rtp_burst(fx, 1, 1);	/* plain RTP on a secure stream */
	assert_int_equal(verdicts(fx, RX_DROP_AUTH), 1);
	sender_free(&snd);
}

static void
a_late_join_at_roc_7_is_found_within_four_packets(void **state)
{
	struct fx *fx = *state;

	for (unsigned int i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		uint64_t recorded = verdicts(fx, RX_RECORDED), refused = verdicts(fx, RX_DROP_AUTH);
		uint8_t packet[SENDER_PACKET_MAX];
		struct sender snd;
		struct command *c;
		struct stream *s;

		sender_make(&snd, suites[i], 1, "");
		s = stream_secure(fx, &snd.master);
		(void)sender_rtp(&snd, SSRC, 100, packet);
		sender_roc(&snd, SSRC, 7);
		for (uint16_t seq = 101; seq < 110; seq++)
			one(fx, &snd, SSRC, seq);
		assert_int_equal(s->first.highest >> 16, 7);
		assert_true(s->first.recorded >= 6);
		assert_int_equal(verdicts(fx, RX_RECORDED) - recorded + verdicts(fx, RX_DROP_AUTH) - refused, 9);
		assert_int_equal(s->first.first_index, 0x70000 + 110 - s->first.recorded);
		c = post(fx, COMMAND_STREAM_REMOVE);
		c->stream = s;
		assert_int_equal(turn(fx), 1);
		sender_free(&snd);
	}
}

static void
the_search_reaches_its_last_roc_and_begins_again(void **state)
{
	struct fx *fx = *state;
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender snd;
	struct stream *s;

	sender_make(&snd, SRTP_AEAD_AES_128_GCM, 1, "");
	s = stream_secure(fx, &snd.master);
	s->join.cursor = 100;	/* spent on what somebody else sent */
	(void)sender_rtp(&snd, SSRC, 100, packet);
	sender_roc(&snd, SSRC, 40);
	for (uint16_t seq = 101; seq < 400 && !s->first.used; seq++) {
		s->join.paid_tsc = 0;	/* as if a second had passed */
		one(fx, &snd, SSRC, seq);
	}
	assert_true(s->first.used);
	assert_int_equal(s->first.highest >> 16, 40);
	sender_free(&snd);
}

static void
forgeries_buy_no_more_than_ten_tries_a_second(void **state)
{
	struct fx *fx = *state;
	struct sender snd, stranger;
	uint64_t begin_tsc, seconds;
	struct stream *s;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(&stranger, SRTP_AES_CM_128_HMAC_SHA1_80, 2, "");
	s = stream_secure(fx, &snd.master);
	lcore_begin(fx->lc);
	begin_tsc = fx->lc->recorder.now_tsc;
	for (uint16_t seq = 0; seq < 1000; seq++)
		one(fx, &stranger, SSRC, seq);
	seconds = (fx->lc->recorder.now_tsc - begin_tsc) / fx->clock.tsc_hz + 1;
	assert_true(seconds < 30);
	/* ROC 0 was each packet's own try */
	assert_in_range(s->join.cursor, JOIN_EXTRA_HZ, (1 + seconds) * JOIN_EXTRA_HZ);
	assert_int_equal(verdicts(fx, RX_DROP_AUTH), 1000);
	sender_free(&snd);
	sender_free(&stranger);
}

/* Every ROC of the search comes up, the small ones soon again. */
static void
broken_packets_first_do_not_hide_a_small_roc(void **state)
{
	struct fx *fx = *state;

	for (uint32_t roc = 1; roc <= 4; roc++) {
		struct sender snd;
		struct command *c;
		struct stream *s;
		unsigned int n_true = 0;

		sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
		s = stream_secure(fx, &snd.master);
		for (uint16_t seq = 100; !s->first.used && n_true < 60; seq++) {
			uint8_t packet[SENDER_PACKET_MAX];
			size_t len = sender_rtp(&snd, SSRC, seq, packet);
			struct burst b = { .fx = fx };

			if (seq == 100) {	/* not sent: it only lets the sender know the SSRC */
				sender_roc(&snd, SSRC, roc);
				continue;
			}
			if (seq % 4 == 1) {	/* each fourth with a broken copy in front, the first one too */
				packet[40] ^= 1;
				add(&b, PX_SOURCE, 5004, packet, len);
				packet[40] ^= 1;
			}
			add(&b, PX_SOURCE, 5004, packet, len);
			run(&b);
			n_true++;
			s->join.paid_tsc -= s->join.paid_tsc == 0 ? 0 : fx->clock.tsc_hz / 50;	/* as if 20 ms had passed */
		}
		assert_true(s->first.used);
		assert_int_equal(s->first.highest >> 16, roc);
		c = post(fx, COMMAND_STREAM_REMOVE);
		c->stream = s;
		assert_int_equal(turn(fx), 1);
		sender_free(&snd);
	}
}

/* A sender changes keys while somebody sprays its stream; its rollover counter goes on, or begins anew. */
static void
new_keys_are_found_when_forgeries_spent_everything(void **state)
{
	struct fx *fx = *state;
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender first, goes_on, anew;
	struct burst b = { .fx = fx };
	struct stream *s;
	size_t len;

	sender_make(&first, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(&goes_on, SRTP_AEAD_AES_128_GCM, 2, "");
	sender_make(&anew, SRTP_AES_CM_128_HMAC_SHA1_80, 3, "");
	s = stream_secure(fx, &first.master);
	one(fx, &first, SSRC, 65535);
	one(fx, &first, SSRC, 0);
	fx->lc->spec.clock = &(struct clock){ .tsc_hz = 1ull << 60 };
	s->join.paid_tsc = UINT64_MAX / 4;	/* nothing to spend */
	rekey(fx, &goes_on.master, 1, 0);
	(void)sender_rtp(&goes_on, SSRC, 1, packet);
	sender_roc(&goes_on, SSRC, 1);
	one(fx, &goes_on, SSRC, 2);
	one(fx, &first, SSRC, 1);	/* was on the way */
	rekey(fx, &anew.master, 1, 0);
	one(fx, &anew, SSRC, 3);
	assert_int_equal(verdicts(fx, RX_RECORDED), 5);
	len = sender_rtcp(&anew, packet, sender_report(packet, SSRC, 1));
	add(&b, PX_SOURCE, 5004, packet, len);
	len = sender_rtcp(&goes_on, packet, sender_report(packet, SSRC, 2));
	add(&b, PX_SOURCE, 5004, packet, len);
	run(&b);
	assert_int_equal(verdicts(fx, RX_RECORDED_RTCP), 2);
	fx->lc->spec.clock = &fx->clock;
	sender_free(&first);
	sender_free(&goes_on);
	sender_free(&anew);
}

static void
after_silence_the_next_roc_is_tried_and_the_rest_of_the_burst_follows(void **state)
{
	struct fx *fx = *state;
	struct burst b = { .fx = fx };
	struct sender snd;
	struct stream *s;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	s = stream_secure(fx, &snd.master);
	one(fx, &snd, SSRC, 500);
	sender_roc(&snd, SSRC, 2);
	one(fx, &snd, SSRC, 501);	/* heard just now: not looked for */
	assert_int_equal(verdicts(fx, RX_DROP_AUTH), 1);
	s->last_tsc -= 2 * fx->clock.tsc_hz;
	for (uint16_t seq = 502; seq < 512; seq++)
		add_rtp(&b, &snd, SSRC, seq);
	run(&b);
	assert_int_equal(verdicts(fx, RX_RECORDED), 11);
	assert_int_equal(s->first.highest, 0x20000 + 511);
	assert_int_equal(ssrc_lost(&s->first), 0x20000 + 1);	/* what lies between was sent */
	sender_free(&snd);
}

static void
each_ssrc_has_its_own_roc_and_the_fifth_pushes_out_the_least_recent(void **state)
{
	struct fx *fx = *state;
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender snd;
	struct stream *s;

	sender_make(&snd, SRTP_AEAD_AES_256_GCM, 1, "");
	s = stream_secure(fx, &snd.master);
	for (uint32_t x = 0; x < 4; x++) {
		(void)sender_rtp(&snd, SSRC + x, 9, packet);
		if (x != 0)
			sender_roc(&snd, SSRC + x, x);
	}
	for (uint16_t seq = 10; seq < 20; seq++)
		for (uint32_t x = 0; x < 4; x++)
			one(fx, &snd, SSRC + x, seq);
	for (uint32_t x = 0; x < 4; x++) {
		const struct ssrc *c = stream_ssrc_under(s, SSRC + x, 0);

		assert_non_null(c);
		assert_int_equal(c->highest, (uint64_t)x << 16 | 19);
	}
	one(fx, &snd, SSRC, 20);
	assert_int_equal(fx->lc->counters.ssrc_evicted, 0);
	one(fx, &snd, SSRC + 9, 1);
	assert_int_equal(fx->lc->counters.ssrc_evicted, 1);
	assert_null(stream_ssrc_under(s, SSRC + 1, 0));
	assert_non_null(stream_ssrc_under(s, SSRC, 0));
	assert_non_null(stream_ssrc_under(s, SSRC + 9, 0));
	sender_free(&snd);
}

/* A burst of them from several SSRCs that nobody heard of, with contexts in the middle of it. */
static void
contexts_that_the_burst_counts_on_stay(void **state)
{
	struct fx *fx = *state;
	struct burst b = { .fx = fx };
	struct sender snd;
	struct stream *s;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	s = stream_secure(fx, &snd.master);
	for (uint32_t x = 0; x < 4; x++)
		one(fx, &snd, SSRC + x, 1);
	for (uint32_t x = 4; x < 8; x++)
		add_rtp(&b, &snd, SSRC + x, 1);	/* each wants a place */
	for (uint32_t x = 0; x < 4; x++)
		add_rtp(&b, &snd, SSRC + x, 2);
	run(&b);
	assert_int_equal(verdicts(fx, RX_DROP_SSRC), 4);
	assert_int_equal(verdicts(fx, RX_RECORDED), 8);
	assert_int_equal(s->first.recorded, 2);
	sender_free(&snd);
}

static void
a_hundred_thousand_forged_packets_change_nothing(void **state)
{
	struct fx *fx = *state;
	uint64_t r = 0x9e3779b97f4a7c15ull, sent = 0;
	struct stream *s, before;
	struct ssrc more[STREAM_SSRC_MAX - 1];
	struct keyset *keys_before;
	struct sender snd;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	s = stream_secure(fx, &snd.master);
	for (uint32_t x = 0; x < 3; x++)
		one(fx, &snd, SSRC + x, 1000);
	before = *s;
	memcpy(&more[0], s->more[0], sizeof(more[0]));
	memcpy(&more[1], s->more[1], sizeof(more[1]));
	keys_before = malloc(sizeof(*keys_before));
	assert_non_null(keys_before);
	memcpy(keys_before, s->keys, sizeof(*keys_before));
	while (sent < 100000) {
		struct burst b = { .fx = fx };

		for (unsigned int i = 0; i < BURST_MAX; i++, sent++) {
			uint8_t packet[SENDER_PACKET_MAX];
			size_t len = sender_rtp(&snd, SSRC + (uint32_t)(sent % 6), (uint16_t)(1001 + sent % 64), packet);

			r ^= r << 13;
			r ^= r >> 7;
			r ^= r << 17;
			if (sent % 3 == 0)
				packet[r % len] ^= (uint8_t)(1u << (r >> 32) % 8);	/* anywhere, the header too */
			else
				packet[len - 1 - r % 10] ^= (uint8_t)(1u << (r >> 32) % 8);
			if (sent % 5 == 0)
				len = 12 + r % (len - 12);
			add(&b, sent % 7 == 0 ? "198.18.1.11" : PX_SOURCE, (uint16_t)(5004 + sent % 2), packet, len);
		}
		run(&b);
	}
	assert_int_equal(verdicts(fx, RX_RECORDED), 3);
	assert_int_equal(counters_verdicts(&fx->lc->counters), 3 + sent);
	assert_int_equal(fx->lc->counters.ssrc_evicted, 0);
	assert_null(s->more[2]);
	before.drops = s->drops;	/* counted, and what the search may spend */
	before.join = s->join;
	assert_memory_equal(s, &before, sizeof(before));
	assert_memory_equal(s->more[0], &more[0], sizeof(more[0]));
	assert_memory_equal(s->more[1], &more[1], sizeof(more[1]));
	assert_memory_equal(s->keys, keys_before, sizeof(*keys_before));
	s->join.paid_tsc = 0;
	for (uint32_t x = 0; x < 3; x++)
		one(fx, &snd, SSRC + x, 1100);
	assert_int_equal(verdicts(fx, RX_RECORDED), 6);
	free(keys_before);
	sender_free(&snd);
}

static void
under_latch_the_first_packet_that_authenticates_names_the_source(void **state)
{
	struct fx *fx = *state;
	struct stream_spec spec = px_spec(0, 1, 20000);
	struct burst b = { .fx = fx };
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender snd;
	struct stream *s;
	size_t len;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	spec.secure = spec.latch = true;
	s = stream_install_as(fx, &spec, keyset_of(fx, &snd.master));
	for (uint16_t seq = 1; seq < 5; seq++) {	/* two in sequence prove nothing here */
		px_rtp_packet(packet, SSRC, seq);
		add(&b, "198.18.1.66", 4000, packet, 172);
	}
	len = sender_rtp(&snd, SSRC, 10, packet);
	add(&b, "198.18.1.77", 7000, packet, len);
	run(&b);
	assert_int_equal(verdicts(fx, RX_DROP_AUTH), 4);
	assert_int_equal(verdicts(fx, RX_RECORDED), 1);
	assert_int_equal(s->source_ip[3], 77);
	assert_int_equal(s->source_port, 7000);
	len = sender_rtp(&snd, SSRC, 11, packet);
	add(&b, "198.18.1.66", 4000, packet, len);	/* authentic, but from elsewhere */
	run(&b);
	assert_int_equal(verdicts(fx, RX_DROP_SOURCE), 1);
	sender_free(&snd);
}

static void
the_mki_names_the_key_without_a_try_of_another(void **state)
{
	struct fx *fx = *state;
	struct srtp_master both[2];
	struct sender a, b;
	struct stream *s;

	sender_make(&a, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "\1");
	sender_make(&b, SRTP_AES_CM_128_HMAC_SHA1_80, 2, "\2");
	both[0] = a.master;
	both[1] = b.master;
	s = stream_secure(fx, NULL);
	rekey(fx, both, 2, 0);
	fx->lc->spec.clock = &(struct clock){ .tsc_hz = 1ull << 60 };
	s->join.paid_tsc = UINT64_MAX / 4;	/* nothing to spend */
	one(fx, &b, SSRC, 1);
	one(fx, &a, SSRC, 2);
	one(fx, &b, SSRC, 3);
	one(fx, &b, SSRC, 4);
	fx->lc->spec.clock = &fx->clock;
	assert_int_equal(verdicts(fx, RX_RECORDED), 4);
	assert_int_equal(s->first.ssrc, SSRC);
	assert_int_equal(s->first.generation, s->keys->generation);
	sender_free(&a);
	sender_free(&b);
}

/* RTCP frames of the open chunk are these reports. */
static unsigned int
recorded_reports(struct fx *fx)
{
	struct reel_frame f;
	unsigned int n = 0;
	size_t at = 0;

	while (reel_frame_next(&f, span_of(fx->rec.body, fx->rec.used), fx->rec.first_wall_ns, &at) == SRS_OK) {
		uint8_t plain[SENDER_PACKET_MAX];
		size_t len = sender_report(plain, SSRC, 1000 + n);

		if (f.kind != REEL_FRAME_RTCP)
			continue;
		assert_int_equal(f.bytes.len, len);
		assert_memory_equal(f.bytes.bytes, plain, len);
		n++;
	}
	return n;
}

static void
rtcp_is_authenticated_decrypted_and_recorded_once(void **state)
{
	struct fx *fx = *state;

	for (unsigned int i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		uint8_t packets[3][SENDER_PACKET_MAX];
		struct burst b = { .fx = fx };
		struct sender snd;
		struct command *c;
		struct stream *s;
		size_t len[3];

		sender_make(&snd, suites[i], (uint8_t)i, i % 2 == 0 ? "" : "key");
		s = stream_secure(fx, &snd.master);
		one(fx, &snd, SSRC, 1);
		for (unsigned int k = 0; k < 3; k++)
			len[k] = sender_rtcp(&snd, packets[k], sender_report(packets[k], SSRC, 1000 + k));
		packets[2][len[2] - 15] ^= 4;	/* index, tag or MKI */
		add(&b, PX_SOURCE, 5004, packets[0], len[0]);
		add(&b, PX_SOURCE, 5004, packets[1], len[1]);
		add(&b, PX_SOURCE, 5004, packets[1], len[1]);
		add(&b, PX_SOURCE, 5004, packets[2], len[2]);
		len[0] = sender_report(packets[0], SSRC, 1);
		add(&b, PX_SOURCE, 5004, packets[0], len[0]);	/* in clear: nobody signed that */
		run(&b);
		assert_int_equal(recorded_reports(fx), 2);
		assert_int_equal(s->first.rtcp, 2);
		assert_int_equal(verdicts(fx, RX_DROP_DUPLICATE), i + 1);
		assert_int_equal(verdicts(fx, RX_DROP_AUTH_RTCP), 2 * (i + 1));
		c = post(fx, COMMAND_STREAM_REMOVE);
		c->stream = s;
		recording_close(&fx->lc->recorder, &fx->rec);
		assert_int_equal(turn(fx), 1);
		sender_free(&snd);
	}
}

static void
rtcp_under_new_keys_is_taken_and_under_none_refused(void **state)
{
	struct fx *fx = *state;
	uint8_t packet[SENDER_PACKET_MAX];
	struct burst b = { .fx = fx };
	struct sender first, second;
	struct stream *s = stream_secure(fx, NULL);
	size_t len;

	sender_make(&first, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(&second, SRTP_AEAD_AES_128_GCM, 2, "");
	len = sender_rtcp(&first, packet, sender_report(packet, SSRC, 1));
	add(&b, PX_SOURCE, 5004, packet, len);
	run(&b);
	assert_int_equal(verdicts(fx, RX_DROP_NO_KEY), 1);
	rekey(fx, &first.master, 1, 0);
	rekey(fx, &second.master, 1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct sender *snd = i == 0 ? &first : &second;

		len = sender_rtcp(snd, packet, sender_report(packet, SSRC, 2 + i));
		add(&b, PX_SOURCE, 5004, packet, len);
	}
	run(&b);
	assert_int_equal(verdicts(fx, RX_RECORDED_RTCP), 2);
	assert_int_equal(s->rtcp_early, 2);
	assert_true(s->keys->pending);	/* a report opens no generation */
	sender_free(&first);
	sender_free(&second);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(first_packets_in_one_burst_are_recorded_decrypted_and_in_order),
		ROW(before_a_key_nothing_is_recorded_and_nothing_begins),
		ROW(a_late_join_at_roc_7_is_found_within_four_packets),
		ROW(the_search_reaches_its_last_roc_and_begins_again),
		ROW(forgeries_buy_no_more_than_ten_tries_a_second),
		ROW(broken_packets_first_do_not_hide_a_small_roc),
		ROW(new_keys_are_found_when_forgeries_spent_everything),
		ROW(after_silence_the_next_roc_is_tried_and_the_rest_of_the_burst_follows),
		ROW(each_ssrc_has_its_own_roc_and_the_fifth_pushes_out_the_least_recent),
		ROW(contexts_that_the_burst_counts_on_stay),
		ROW(a_hundred_thousand_forged_packets_change_nothing),
		ROW(under_latch_the_first_packet_that_authenticates_names_the_source),
		ROW(rtcp_is_authenticated_decrypted_and_recorded_once),
		ROW(rtcp_under_new_keys_is_taken_and_under_none_refused),
		ROW(the_mki_names_the_key_without_a_try_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
