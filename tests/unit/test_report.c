/* Our receiver reports: when, to whom, and what they say. A whole plane on rings, whose lcore this drives itself, so that
 * time is what the test says. */
#include "plane_fixture.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "dataplane/dataplane_state.h"
#include "lib/rtp.h"
#include "libsrtp2_sender.h"

#define SSRC 0x1234
#define PEER "198.18.1.10"

struct drive {
	struct px px;
	struct lcore *lc;
	uint64_t begin_tsc;
	double now_s;
	unsigned int n;		/* reports */
	uint8_t frame[2048];	/* of the last one */
	size_t len;
};

static void
turn_at(struct drive *d, double now_s)
{
	size_t len;
	uint8_t frame[2048];

	d->now_s = now_s;
	recorder_turn(&d->lc->recorder, d->begin_tsc + (uint64_t)(now_s * (double)rte_get_tsc_hz()));
	lcore_housekeep(d->lc);
	while ((len = port_sent(&d->px.dp->port, 0, frame, sizeof(frame))) != 0) {
		if (len < 60)
			continue;	/* announcements */
		memcpy(d->frame, frame, len);
		d->len = len;
		d->n++;
	}
	dataplane_poll(d->px.dp, px_on_event, &d->px, 64);
}

static struct drive *
drive_make(void)
{
	static const char *const few[] = { "limits.sessions_max=16", "limits.stall_ms_max=200", NULL };
	struct drive *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	px_start(&d->px, few);
	d->lc = d->px.dp->lcores[0];
	return d;
}

/* After the streams are there: from here on the lcore is ours. */
static void
take_over(struct drive *d)
{
	uint8_t frame[2048];

	lcore_stop(d->lc);
	while (port_sent(&d->px.dp->port, 0, frame, sizeof(frame)) != 0)
		;
	lcore_begin(d->lc);
	d->begin_tsc = d->lc->recorder.now_tsc;
}

static void
drive_free(struct drive *d)
{
	px_close(&d->px);
	free(d);
}

static void
hear(struct drive *d, double now_s, const char *source, uint16_t source_port, uint16_t port, const void *packet, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(d->px.dp->port.pool);

	assert_non_null(m);
	m->data_len = (uint16_t)px_udp(rte_pktmbuf_mtod(m, uint8_t *), source, source_port, port, packet, len);
	m->pkt_len = m->data_len;
	turn_at(d, now_s);
	lcore_burst(d->lc, &m, 1);
}

static void
hear_rtp(struct drive *d, double now_s, uint16_t port, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[172];

	px_rtp_packet(packet, ssrc, seq);
	hear(d, now_s, PEER, 5004, port, packet, sizeof(packet));
}

/* Until the next report. @return when it came */
static double
next_report(struct drive *d)
{
	unsigned int before = d->n;
	double give_up_s = d->now_s + 8;

	while (d->n == before) {
		assert_true(d->now_s < give_up_s);
		turn_at(d, d->now_s + 0.005);
	}
	assert_int_equal(d->n, before + 1);
	return d->now_s;
}

/* As its receiver parses it; `bytes` point into d->frame. */
static struct rx_packet
parsed(struct drive *d, const char *receiver)
{
	static struct steer steer;
	struct rx_packet p;
	char text[64], why[200];
	char *texts[] = { text };

	snprintf(text, sizeof(text), "%s", receiver);
	assert_int_equal(steer_init(&steer, texts, 1, 1, why, sizeof(why)), SRS_OK);
	packet_parse(&steer, 0, d->frame, (uint32_t)d->len, PACKET_CHECKSUM_UNKNOWN, &p);
	assert_int_equal(p.verdict, RX_PENDING);
	assert_int_equal(p.kind, PACKET_RTCP);
	return p;
}

struct block {
	uint32_t ssrc, highest, jitter, lsr, dlsr;
	int32_t lost;
	uint8_t fraction;
};

/* RR with these blocks, then SDES with our CNAME. @return our SSRC */
static uint32_t
compound_read(const struct drive *d, const uint8_t *p, uint16_t len, struct block blocks[4], unsigned int n)
{
	const uint8_t *sdes = p + 8 + 24 * (size_t)n;
	uint32_t ssrc = 0;
	uint8_t type;

	assert_int_equal(rtp_rtcp_check(span_of(p, len), &type, &ssrc), SRS_OK);
	assert_int_equal(type, 201);
	assert_int_equal(p[0], 0x80 | n);
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *b = p + 8 + 24 * (size_t)i;

		blocks[i] = (struct block){ .ssrc = packet_u32(b), .fraction = b[4], .highest = packet_u32(b + 8),
			                    .lost = (int32_t)(packet_u32(b + 4) << 8) >> 8, .jitter = packet_u32(b + 12),
			                    .lsr = packet_u32(b + 16), .dlsr = packet_u32(b + 20) };
	}
	assert_int_equal(sdes[0], 0x81);
	assert_int_equal(sdes[1], 202);
	assert_int_equal(packet_u32(sdes + 4), ssrc);
	assert_int_equal(sdes[8], 1);
	assert_int_equal(sdes[9], REPORT_CNAME_SIZE);
	assert_memory_equal(sdes + 10, d->px.dp->cname, REPORT_CNAME_SIZE);
	assert_int_equal(sdes + 28 - p, len);
	return ssrc;
}

static struct stream_spec
reported(uint32_t recording, uint8_t number, uint16_t port)
{
	struct stream_spec spec = px_spec(recording, number, port);

	spec.report = true;
	return spec;
}

static void
a_report_says_what_was_heard_and_goes_to_where_it_came_from(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	uint8_t sr[SENDER_PACKET_MAX];
	struct block b[4];
	struct rx_packet p;
	uint32_t ssrc;
	double came_s;

	spec.rtcp_port = 20001;
	px_stream(&d->px, &spec);
	take_over(d);
	for (uint16_t i = 0; i < 50; i++) {	/* 1 s; 20 and 30 are lost, 40 comes twice */
		if (i != 20 && i != 30)
			hear_rtp(d, 0.02 * i, 20000, SSRC, (uint16_t)(65500 + i));
		if (i == 40)
			hear_rtp(d, 0.02 * i, 20000, SSRC, (uint16_t)(65500 + i));
	}
	assert_int_equal(d->n, 0);
	came_s = next_report(d);
	assert_true(came_s < 3.2);
	p = parsed(d, PEER);
	assert_int_equal(p.source_port, 20001);
	assert_int_equal(p.udp_port, 5005);	/* beside their RTP */
	assert_int_equal(d->frame[5], 1);	/* the MAC that px_udp() sends from */
	ssrc = compound_read(d, p.bytes, p.len, b, 1);
	assert_int_equal(b[0].ssrc, SSRC);
	assert_int_equal(b[0].highest, 65500 + 49);	/* one cycle */
	assert_int_equal(b[0].lost, 1);		/* RFC 3550 A.3: a duplicate counts as received */
	assert_int_equal(b[0].fraction, 1 * 256 / 50);
	assert_in_range(b[0].jitter, 0, 1);
	assert_int_equal(b[0].lsr, 0);
	assert_int_equal(b[0].dlsr, 0);

	hear(d, d->now_s + 0.1, PEER, 7777, 20001, sr, sender_report(sr, SSRC, 0x1122334455667788));
	for (uint16_t i = 50; i < 60; i++)
		hear_rtp(d, d->now_s + 0.02, 20000, SSRC, (uint16_t)(65500 + i));
	came_s = d->now_s - 0.2;
	came_s = next_report(d) - came_s;
	p = parsed(d, PEER);
	assert_int_equal(p.udp_port, 7777);	/* where their RTCP comes from */
	assert_int_equal(compound_read(d, p.bytes, p.len, b, 1), ssrc);
	assert_int_equal(b[0].lost, 1);
	assert_int_equal(b[0].fraction, 0);
	assert_int_equal(b[0].lsr, 0x33445566);
	assert_in_range(b[0].dlsr, (uint32_t)(came_s * 65536) - 1000, (uint32_t)(came_s * 65536) + 1000);

	next_report(d);	/* nothing new: an empty one keeps the session alive */
	p = parsed(d, PEER);
	compound_read(d, p.bytes, p.len, b, 0);
	assert_int_equal(px_counter(&d->px, "tx_reports"), 3);
	drive_free(d);
}

/* a=rtcp: the port that they name for it, until they were heard; and the new one, when they move it. @rfc 3605 §2.1 */
static void
a_report_goes_where_they_want_rtcp(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	uint32_t stream;

	spec.rtcp_port = 20001;
	spec.rtcp_to = 4321;
	stream = px_stream(&d->px, &spec);
	spec.rtcp_to = 4323;
	take_over(d);
	hear_rtp(d, 0.1, 20000, SSRC, 1);
	next_report(d);
	assert_int_equal(parsed(d, PEER).udp_port, 4321);
	assert_int_equal(dataplane_stream_update(d->px.dp, stream, &spec, 1), SRS_OK);
	next_report(d);
	assert_int_equal(parsed(d, PEER).udp_port, 4323);
	drive_free(d);
}

static void
reports_come_each_five_seconds_on_average_and_never_in_step(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	double last_s, first_s, shortest_s = 100, longest_s = 0;

	px_stream(&d->px, &spec);
	take_over(d);
	hear_rtp(d, 0, 20000, SSRC, 1);
	first_s = last_s = next_report(d);
	for (unsigned int i = 0; i < 400; i++) {
		double came_s = next_report(d), interval_s = came_s - last_s;

		shortest_s = interval_s < shortest_s ? interval_s : shortest_s;
		longest_s = interval_s > longest_s ? interval_s : longest_s;
		last_s = came_s;
	}
	assert_true(shortest_s > 2.0 && shortest_s < 3.2);
	assert_true(longest_s > 5.9 && longest_s < 6.3);
	assert_true((last_s - first_s) / 400 > 4.6 && (last_s - first_s) / 400 < 5.4);
	drive_free(d);
}

/* A.8 by the letter, in floating point. */
static void
jitter_is_that_of_rfc_3550(void **state)
{
	static const double late_s[8] = { 0, 0.004, 0.001, 0.007, 0.002, 0.009, 0.003, 0.005 };
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	double jitter = 0, before = 0;
	struct block b[4];
	struct rx_packet p;
	struct stream *s;
	unsigned int n = 0;

	spec.clock_hz = 16000;	/* px_rtp_packet() counts 160 a packet: 10 ms */
	s = &d->px.dp->streams.slots[px_stream(&d->px, &spec)];
	take_over(d);
	for (uint16_t i = 0; d->n == 0; i++) {
		double transit = 16000 * late_s[i % 8];

		turn_at(d, 0.01 * i + late_s[i % 8]);
		if (d->n != 0)
			break;
		if (s->report.sampling) {
			if (n++ != 0)
				jitter += ((transit > before ? transit - before : before - transit) - jitter) / 16;
			before = transit;
		}
		hear_rtp(d, d->now_s, 20000, SSRC, i);
	}
	assert_in_range(n, 25, 40);	/* a third of a second */
	p = parsed(d, PEER);
	compound_read(d, p.bytes, p.len, b, 1);
	assert_true(jitter > 20);
	assert_in_range(b[0].jitter, (uint32_t)jitter - 1, (uint32_t)jitter + 1);
	drive_free(d);
}

static void
nothing_is_sent_before_a_packet_came_nor_after_the_stream_left(void **state)
{
	struct drive *d = drive_make();
	uint32_t recording = px_recording(&d->px, 1);
	struct stream_spec spec = reported(recording, 1, 20000), silent = px_spec(recording, 2, 20002);
	struct rx_packet p;
	uint32_t stream;

	stream = px_stream(&d->px, &spec);
	px_stream(&d->px, &silent);
	take_over(d);
	hear_rtp(d, 0.1, 20002, SSRC, 1);	/* nobody wants one there */
	while (d->now_s < 20)
		turn_at(d, d->now_s + 0.01);
	assert_int_equal(d->n, 0);
	hear_rtp(d, 20, 20000, SSRC, 1);
	next_report(d);
	p = parsed(d, PEER);
	assert_int_equal(p.source_port, 20000);
	assert_int_equal(p.udp_port, 5004);	/* muxed */
	assert_int_equal(dataplane_stream_remove(d->px.dp, stream, 1), SRS_OK);
	while (d->now_s < 60)
		turn_at(d, d->now_s + 0.01);
	assert_int_equal(d->n, 1);
	for (unsigned int i = 0; i < REPORT_WHEEL_SLOTS; i++)
		assert_null(d->lc->reports.wheel[i]);
	drive_free(d);
}

static void
totals_go_on_through_parts_and_sources_stand_side_by_side(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	struct stream *s;
	struct block b[4];
	struct rx_packet p;

	s = &d->px.dp->streams.slots[px_stream(&d->px, &spec)];
	take_over(d);
	for (uint16_t i = 0; i < 20; i++)
		if (i != 5)
			hear_rtp(d, 0.01 * i, 20000, SSRC, i);
	ssrc_next_part(&s->first);
	for (uint16_t i = 20; i < 40; i++)
		if (i != 30)
			hear_rtp(d, 0.01 * i, 20000, SSRC, i);
	hear_rtp(d, 0.5, 20000, SSRC + 1, 1000);
	next_report(d);
	p = parsed(d, PEER);
	compound_read(d, p.bytes, p.len, b, 2);
	assert_int_equal(b[0].lost, 2);
	assert_int_equal(b[0].highest, 39);
	assert_int_equal(b[1].ssrc, SSRC + 1);
	assert_int_equal(b[1].lost, 0);
	assert_int_equal(b[1].highest, 1000);
	drive_free(d);
}

static void
ipv6_reports_sum_up(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	uint8_t f[300] = { 0 }, *ip = f + 14, *udp = ip + 40;
	struct rte_mbuf *m;
	struct rx_packet p;
	struct block b[4];
	uint16_t sum;

	spec.address_i = 1;
	inet_pton(AF_INET6, "fd00:ca57::99", spec.source.ip);
	spec.source.ip_version = 6;
	px_stream(&d->px, &spec);
	take_over(d);
	memcpy(f, "\2\0\0\0\0\1\2\0\0\0\0\x43\x86\xdd", 14);
	ip[0] = 0x60;
	px_put(ip + 4, 8 + 172, 2);
	ip[6] = 17;
	ip[7] = 64;
	memcpy(ip + 8, spec.source.ip, 16);
	inet_pton(AF_INET6, "fd00:ca57::2", ip + 24);
	px_put(udp, 6000, 2);
	px_put(udp + 2, 20000, 2);
	px_put(udp + 4, 8 + 172, 2);
	px_rtp_packet(udp + 8, SSRC, 7);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(6, ip + 8, 17, 180) + packet_sum(udp, 180));
	memcpy(udp + 6, &sum, 2);
	m = rte_pktmbuf_alloc(d->px.dp->port.pool);
	assert_non_null(m);
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), f, 234);
	m->data_len = 234;
	m->pkt_len = 234;
	lcore_burst(d->lc, &m, 1);
	next_report(d);
	p = parsed(d, "fd00:ca57::99");
	assert_int_equal(p.udp_port, 6000);
	assert_memory_equal(d->frame, "\2\0\0\0\0\x43", 6);
	compound_read(d, p.bytes, p.len, b, 1);
	drive_free(d);
}

/* ---- SRTCP ---- */

static void
receiver_make(srtp_t *session, const struct srtp_master *master)
{
	unsigned char joined[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX];
	const struct srtp_suite_shape *shape = srtp_suite_shape(master->suite);
	srtp_policy_t policy;

	memset(&policy, 0, sizeof(policy));
	sender_policy(&policy.rtp, &policy.rtcp, master->suite);
	memcpy(joined, master->key, shape->key_len);
	memcpy(joined + shape->key_len, master->salt, shape->salt_len);
	policy.ssrc.type = ssrc_any_inbound;
	policy.key = joined;
	policy.window_size = 128;
	assert_int_equal(srtp_create(session, &policy), srtp_err_status_ok);
}

/* The last report, opened by libsrtp2. */
static void
opened(struct drive *d, srtp_t receiver, struct block b[4], unsigned int n)
{
	struct rx_packet p = parsed(d, PEER);
	int len = p.len;

	assert_int_equal(srtp_unprotect_rtcp(receiver, p.bytes, &len), srtp_err_status_ok);
	compound_read(d, p.bytes, (uint16_t)len, b, n);
}

static void
secure_reports_are_protected_with_our_key_and_an_index_that_never_repeats(void **state)
{
	static const enum srtp_suite suites[] = { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32,
		                                  SRTP_AEAD_AES_256_GCM };

	for (unsigned int i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		struct drive *d = drive_make();
		struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
		struct sender theirs, ours, next;
		struct stream_keys keys = { .n_theirs = 1 };
		uint8_t packet[SENDER_PACKET_MAX];
		srtp_t receiver, receiver_next;
		struct block b[4];
		struct stream *s;
		uint32_t stream;
		size_t len;

		sender_make(&theirs, suites[i], 1, "");
		sender_make(&ours, suites[i], 2, "");
		sender_make(&next, suites[i], 3, "");
		keys.theirs[0] = theirs.master;
		keys.ours = ours.master;
		spec.secure = true;
		spec.keys = &keys;
		stream = px_stream(&d->px, &spec);
		s = &d->px.dp->streams.slots[stream];
		receiver_make(&receiver, &ours.master);
		receiver_make(&receiver_next, &next.master);
		take_over(d);
		len = sender_rtp(&theirs, SSRC, 5, packet);
		packet[20] ^= 1;
		hear(d, 0, PEER, 5004, 20000, packet, len);	/* forged: nobody to report to */
		while (d->now_s < 8)
			turn_at(d, d->now_s + 0.01);
		assert_int_equal(d->n, 0);
		for (uint16_t k = 0; k < 3; k++) {
			len = sender_rtp(&theirs, SSRC, (uint16_t)(6 + k), packet);
			hear(d, d->now_s + 0.01, PEER, 5004, 20000, packet, len);
			next_report(d);
			opened(d, receiver, b, 1);	/* a replayed index would be refused */
			assert_int_equal(b[0].ssrc, SSRC);
		}
		assert_int_equal(s->report.index, 3);
		keys.ours = next.master;
		assert_int_equal(dataplane_stream_rekey(d->px.dp, stream, &keys, 77), SRS_OK);
		turn_at(d, d->now_s + 0.01);
		dataplane_poll(d->px.dp, px_on_event, &d->px, 64);
		assert_int_equal(d->px.dp->keysets.n - d->px.dp->keysets.n_free, 1);	/* its carrier came back */
		next_report(d);
		opened(d, receiver_next, b, 0);
		assert_int_equal(s->report.index, 4);
		s->report.index = SRTCP_INDEX_MAX;	/* used up */
		while (d->now_s < 60)
			turn_at(d, d->now_s + 0.01);
		assert_int_equal(d->n, 4);
		srtp_dealloc(receiver);
		srtp_dealloc(receiver_next);
		sender_free(&theirs);
		sender_free(&ours);
		sender_free(&next);
		drive_free(d);
	}
}

static void
a_report_goes_on_through_a_change_of_keys(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	struct stream_keys keys = { .n_theirs = 1 };
	struct sender a, b, ours;
	uint8_t packet[SENDER_PACKET_MAX];
	struct block blocks[4];
	srtp_t receiver;
	uint32_t stream;

	sender_make(&a, SRTP_AEAD_AES_128_GCM, 1, "");
	sender_make(&b, SRTP_AES_CM_128_HMAC_SHA1_80, 2, "");
	sender_make(&ours, SRTP_AEAD_AES_128_GCM, 3, "");
	keys.theirs[0] = a.master;
	keys.ours = ours.master;
	spec.secure = true;
	spec.keys = &keys;
	stream = px_stream(&d->px, &spec);
	receiver_make(&receiver, &ours.master);
	take_over(d);
	for (uint16_t i = 0; i < 20; i++) {	/* 5 and 15 are lost */
		size_t len = sender_rtp(i < 10 ? &a : &b, SSRC, i, packet);

		if (i == 10) {
			keys.theirs[0] = b.master;
			assert_int_equal(dataplane_stream_rekey(d->px.dp, stream, &keys, 77), SRS_OK);
			turn_at(d, d->now_s + 0.01);
		}
		if (i % 10 != 5)
			hear(d, 0.02 * i, PEER, 5004, 20000, packet, len);
	}
	next_report(d);
	opened(d, receiver, blocks, 1);
	assert_int_equal(blocks[0].highest, 19);
	assert_int_equal(blocks[0].lost, 2);
	srtp_dealloc(receiver);
	sender_free(&a);
	sender_free(&b);
	sender_free(&ours);
	drive_free(d);
}

static void
a_secure_stream_without_our_key_sends_none(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	struct stream_keys keys = { .n_theirs = 1 };
	uint8_t packet[SENDER_PACKET_MAX];
	struct sender theirs;
	size_t len;

	sender_make(&theirs, SRTP_AEAD_AES_128_GCM, 1, "");
	keys.theirs[0] = theirs.master;
	spec.secure = true;
	spec.keys = &keys;
	px_stream(&d->px, &spec);
	take_over(d);
	len = sender_rtp(&theirs, SSRC, 5, packet);
	hear(d, 0, PEER, 5004, 20000, packet, len);
	while (d->now_s < 30)
		turn_at(d, d->now_s + 0.01);
	assert_int_equal(d->n, 0);
	assert_int_equal(px_counter(&d->px, "rx_recorded"), 1);
	sender_free(&theirs);
	drive_free(d);
}

static void
our_key_is_wiped_with_its_stream(void **state)
{
	struct drive *d = drive_make();
	struct stream_spec spec = reported(px_recording(&d->px, 1), 1, 20000);
	struct stream_keys keys = { .n_theirs = 1 };
	uint8_t cipher[16], auth[20];
	struct sender theirs, ours;
	const struct stream *s;
	uint32_t stream;

	sender_make(&theirs, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(&ours, SRTP_AES_CM_128_HMAC_SHA1_80, 2, "");
	keys.theirs[0] = theirs.master;
	keys.ours = ours.master;
	spec.secure = true;
	spec.keys = &keys;
	stream = px_stream(&d->px, &spec);
	s = &d->px.dp->streams.slots[stream];
	memcpy(cipher, s->report.ours.cipher, sizeof(cipher));
	memcpy(auth, s->report.ours.auth, sizeof(auth));
	px_remove(&d->px, stream);
	assert_null(memmem(d->px.dp->streams.slot_memory.at, d->px.dp->streams.slot_memory.len, cipher, sizeof(cipher)));
	assert_null(memmem(d->px.dp->streams.slot_memory.at, d->px.dp->streams.slot_memory.len, auth, sizeof(auth)));
	assert_null(memmem(d->px.dp->keysets.memory.at, d->px.dp->keysets.memory.len, auth, sizeof(auth)));
	sender_free(&theirs);
	sender_free(&ours);
	drive_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_says_what_was_heard_and_goes_to_where_it_came_from),
		cmocka_unit_test(a_report_goes_where_they_want_rtcp),
		cmocka_unit_test(reports_come_each_five_seconds_on_average_and_never_in_step),
		cmocka_unit_test(jitter_is_that_of_rfc_3550),
		cmocka_unit_test(nothing_is_sent_before_a_packet_came_nor_after_the_stream_left),
		cmocka_unit_test(totals_go_on_through_parts_and_sources_stand_side_by_side),
		cmocka_unit_test(ipv6_reports_sum_up),
		cmocka_unit_test(secure_reports_are_protected_with_our_key_and_an_index_that_never_repeats),
		cmocka_unit_test(a_report_goes_on_through_a_change_of_keys),
		cmocka_unit_test(a_secure_stream_without_our_key_sends_none),
		cmocka_unit_test(our_key_is_wiped_with_its_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
