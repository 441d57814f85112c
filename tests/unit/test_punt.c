/* DTLS records to control and back: the source rule, the bounds, and the wire. */
#include "plane_fixture.h"

#include "dataplane/dataplane_state.h"

static const char *const few[] = { "limits.sessions_max=4", "limits.stall_ms_max=200", NULL };

struct heard {
	unsigned int n;
	uint64_t cookie;
	struct media_address source;
	size_t len;
	uint8_t bytes[STREAM_DATAGRAM_MAX];
};

static void
on_heard(void *ctx, const struct dataplane_event *e)
{
	struct heard *h = ctx;

	if (e->kind != EVENT_STREAM_PUNTED)
		return;
	h->n++;
	h->cookie = e->cookie;
	h->source = e->u.punted.source;
	h->len = e->u.punted.datagram.len;
	memcpy(h->bytes, e->u.punted.datagram.bytes, h->len);
}

static void
poll_heard(struct px *px, struct heard *h)
{
	while (dataplane_poll(px->dp, on_heard, h, 64) != 0)
		;
}

static size_t
record(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 3);
	bytes[0] = 22;
	return len;
}

static void
send_record(struct px *px, const char *source, uint16_t source_port, uint16_t port, size_t len)
{
	uint8_t bytes[1600], frame[1700];

	px_inject(px, frame, px_udp(frame, source, source_port, port, bytes, record(bytes, len)));
}

static struct stream_spec
dtls_spec(struct px *px, uint16_t port)
{
	struct stream_spec spec = px_spec(px_recording(px, (uint8_t)port), 1, port);

	spec.secure = spec.dtls = true;
	return spec;
}

/* Waits for a frame of ours. @return its length */
static size_t
sent_frame(struct px *px, uint8_t frame[2048])
{
	size_t len;

	for (unsigned int ms = 0; (len = port_sent(&px->dp->port, 0, frame, 2048)) == 0; ms++) {
		assert_true(ms < 5000);
		px_rest();
	}
	return len;
}

static void
sent_drop(struct px *px)
{
	uint8_t frame[2048];

	while (port_sent(&px->dp->port, 0, frame, sizeof(frame)) != 0)
		;
}

/* As its receiver would parse it: lengths and checksums too. */
static struct rx_packet
parsed(const char *receiver, uint8_t *frame, size_t len)
{
	static struct steer steer;
	struct rx_packet p;
	char text[64], why[200];
	char *texts[] = { text };

	snprintf(text, sizeof(text), "%s", receiver);
	assert_int_equal(steer_init(&steer, texts, 1, 1, why, sizeof(why)), SRS_OK);
	packet_parse(&steer, 0, frame, (uint32_t)len, PACKET_CHECKSUM_UNKNOWN, &p);
	return p;
}

static void
a_record_comes_with_its_source_and_the_answer_goes_back_there(void **state)
{
	static const struct media_address last = { .ip_version = 0 };
	struct heard h = { 0 };
	uint8_t frame[2048], bytes[STREAM_DATAGRAM_MAX];
	struct stream_spec spec;
	struct rx_packet p;
	uint32_t stream;
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	stream = px_stream(&px, &spec);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &last, span_of(bytes, 20)), SRS_ERR_STATE);
	send_record(&px, PX_SOURCE, 5004, 20000, 700);
	px_received(&px, 1);
	poll_heard(&px, &h);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.cookie, px.cookie);
	assert_int_equal(h.len, 700);
	assert_int_equal(h.source.udp_port, 5004);
	(void)record(bytes, 700);
	assert_memory_equal(h.bytes, bytes, 700);
	assert_int_equal(px_counter(&px, "rx_dtls"), 1);
	sent_drop(&px);
	for (unsigned int i = 0; i < 2; i++) {	/* the last one, and the same by name */
		assert_int_equal(dataplane_stream_send(px.dp, stream, i == 0 ? &last : &h.source, span_of(bytes, 1200)), SRS_OK);
		p = parsed(PX_SOURCE, frame, sent_frame(&px, frame));
		assert_int_equal(p.verdict, RX_PENDING);
		assert_int_equal(p.kind, PACKET_DTLS);
		assert_int_equal(p.source_port, 20000);
		assert_int_equal(p.udp_port, 5004);
		assert_int_equal(p.len, 1200);
		assert_memory_equal(p.bytes, bytes, 1200);
		assert_int_equal(frame[5], 1);	/* the MAC that px_udp() sends from */
	}
	dataplane_poll(px.dp, on_heard, &h, 64);
	assert_int_equal(dataplane_outstanding(px.dp), 0);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &last, span_of(bytes, STREAM_DATAGRAM_MAX + 1)), SRS_ERR_LIMIT);
	px_close(&px);
}

static void
only_the_permitted_source_is_heard_and_media_does_not_notice(void **state)
{
	struct heard h = { 0 };
	struct stream_spec spec, plain;
	struct stream *s, before;
	uint32_t stream;
	uint8_t frame[256];
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	stream = px_stream(&px, &spec);
	spec = dtls_spec(&px, 20002);
	spec.latch = true;
	s = &px.dp->streams.slots[px_stream(&px, &spec)];
	before = *s;
	plain = px_spec(spec.recording, 2, 20004);
	px_stream(&px, &plain);
	send_record(&px, "198.18.1.66", 1, 20000, 100);	/* not the offer's address */
	send_record(&px, "198.18.1.66", 1, 20002, 100);	/* anybody, while nobody proved himself */
	send_record(&px, PX_SOURCE, 5004, 20004, 100);	/* not asked for */
	send_record(&px, PX_SOURCE, 5004, 20000, 12);	/* no record */
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 5004, 20000, "\0\1\0\0\x21\x12\xa4\x42 a transaction", 22));
	px_received(&px, 5);
	poll_heard(&px, &h);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.source.ip[3], 66);
	assert_int_equal(px_counter(&px, "rx_drop_source"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_not_rtp"), 2);
	assert_int_equal(px_counter(&px, "rx_drop_stun"), 1);
	before.punt_paid_tsc = s->punt_paid_tsc;
	assert_memory_equal(s, &before, sizeof(before));
	assert_int_equal(dataplane_stream_remove(px.dp, stream, 1), SRS_OK);
	px_close(&px);
}

static void
a_flood_is_cut_at_the_slots_bucket(void **state)
{
	struct heard h = { 0 };
	struct stream_spec spec;
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	px_stream(&px, &spec);
	spec.udp_port = 20002;
	spec.number = 2;
	px_stream(&px, &spec);
	for (unsigned int i = 0; i < 200; i++)
		send_record(&px, PX_SOURCE, 5004, 20000, 100);
	px_received(&px, 200);
	poll_heard(&px, &h);
	assert_in_range(h.n, PUNT_BURST, PUNT_BURST + 40);	/* 50 a second */
	assert_int_equal(px_counter(&px, "rx_drop_dtls_rate"), 200 - h.n);
	send_record(&px, PX_SOURCE, 5004, 20002, 100);	/* the other stream's is whole */
	send_record(&px, PX_SOURCE, 5004, 20002, STREAM_DATAGRAM_MAX + 1);
	px_received(&px, 202);
	h.n = 0;
	poll_heard(&px, &h);
	assert_int_equal(h.n, 1);
	px_close(&px);
}

static void
buffers_come_back_and_a_removed_streams_records_go_nowhere(void **state)
{
	struct heard h = { 0 };
	struct stream_spec spec;
	uint32_t stream;
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	stream = px_stream(&px, &spec);
	for (unsigned int i = 0; i < 3 * PUNTS_MAX; i++) {
		px.dp->streams.slots[stream].punt_paid_tsc = 0;	/* as if seconds had passed */
		send_record(&px, PX_SOURCE, 5004, 20000, 50);
		px_received(&px, i + 1);
		if (i % 100 == 0)
			poll_heard(&px, &h);
	}
	poll_heard(&px, &h);
	assert_int_equal(h.n, px_counter(&px, "rx_dtls"));
	assert_true(h.n > PUNTS_MAX);
	px.dp->streams.slots[stream].punt_paid_tsc = 0;
	send_record(&px, PX_SOURCE, 5004, 20000, 50);
	px_received(&px, 3 * PUNTS_MAX + 1);
	assert_int_equal(dataplane_stream_remove(px.dp, stream, 1), SRS_OK);
	h.n = 0;
	for (unsigned int i = 0; i < 50; i++) {
		poll_heard(&px, &h);
		px_rest();
	}
	assert_int_equal(h.n, 0);
	assert_int_equal(spsc_len(px.dp->lcores[0]->punts.empty), PUNTS_MAX);
	px_close(&px);
}

/* A client speaks first: nobody has been heard, so somebody has to be asked for. */
static void
who_was_never_heard_is_asked_for_on_the_wire(void **state)
{
	struct media_address to = { .ip_version = 4, .udp_port = 6000 };
	uint8_t frame[2048], bytes[100], reply[64] = { 0 };
	struct stream_spec spec;
	struct rx_packet p;
	uint32_t stream;
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	stream = px_stream(&px, &spec);
	inet_pton(AF_INET, "198.18.254.9", to.ip);
	(void)record(bytes, sizeof(bytes));
	sent_drop(&px);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &to, span_of(bytes, sizeof(bytes))), SRS_OK);
	assert_int_equal(sent_frame(&px, frame), 42);
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff", 6);
	assert_memory_equal(frame + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	assert_memory_equal(frame + 38, to.ip, 4);
	assert_int_equal(px_counter(&px, "tx_dtls_nowhere"), 1);
	memcpy(reply, frame, 42);	/* the answer: sender and target change places */
	reply[5] = 0x77;
	memcpy(reply + 6, "\2\0\0\0\0\x42", 6);
	reply[21] = 2;
	memcpy(reply + 22, "\2\0\0\0\0\x42", 6);
	memcpy(reply + 28, to.ip, 4);
	memcpy(reply + 32, frame + 22, 10);
	px_inject(&px, reply, 42);
	px_received(&px, 1);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &to, span_of(bytes, sizeof(bytes))), SRS_OK);
	p = parsed("198.18.254.9", frame, sent_frame(&px, frame));
	assert_int_equal(p.verdict, RX_PENDING);
	assert_int_equal(p.udp_port, 6000);
	assert_memory_equal(frame, "\2\0\0\0\0\x42", 6);
	assert_int_equal(px_counter(&px, "tx_dtls"), 1);
	to.ip_version = 6;
	assert_int_equal(dataplane_stream_send(px.dp, stream, &to, span_of(bytes, sizeof(bytes))), SRS_ERR_INVALID);
	px_close(&px);
}

static void
ipv6_neighbours_are_solicited_and_datagrams_sum_up(void **state)
{
	struct media_address to = { .ip_version = 6, .udp_port = 6000 };
	uint8_t frame[2048], bytes[101], reply[86] = { 0 }, *ip = reply + 14;
	struct stream_spec spec;
	struct rx_packet p;
	uint32_t stream;
	uint16_t sum;
	struct px px;

	px_start(&px, few);
	spec = dtls_spec(&px, 20000);
	spec.address_i = 1;
	inet_pton(AF_INET6, "fd00:ca57::99", to.ip);
	spec.source = to;
	spec.source.udp_port = 0;
	stream = px_stream(&px, &spec);
	(void)record(bytes, sizeof(bytes));
	sent_drop(&px);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &to, span_of(bytes, sizeof(bytes))), SRS_OK);
	assert_int_equal(sent_frame(&px, frame), 86);
	assert_memory_equal(frame, "\x33\x33\xff\0\0\x99", 6);
	assert_int_equal(frame[54], 135);
	assert_int_equal(packet_fold(packet_pseudo_sum(6, frame + 22, 58, 32) + packet_sum(frame + 54, 32)), 0xffff);
	memcpy(reply, "\2\0\0\0\0\1\2\0\0\0\0\x43\x86\xdd", 14);
	ip[0] = 0x60;
	ip[5] = 32;
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, to.ip, 16);
	memcpy(ip + 24, frame + 22, 16);
	ip[40] = 136;
	memcpy(ip + 48, to.ip, 16);
	memcpy(ip + 64, "\2\1\2\0\0\0\0\x43", 8);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(6, ip + 8, 58, 32) + packet_sum(ip + 40, 32));
	memcpy(ip + 42, &sum, 2);
	px_inject(&px, reply, sizeof(reply));
	px_received(&px, 1);
	assert_int_equal(dataplane_stream_send(px.dp, stream, &to, span_of(bytes, sizeof(bytes))), SRS_OK);
	p = parsed("fd00:ca57::99", frame, sent_frame(&px, frame));
	assert_int_equal(p.verdict, RX_PENDING);
	assert_int_equal(p.len, sizeof(bytes));
	assert_memory_equal(frame, "\2\0\0\0\0\x43", 6);
	px_close(&px);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_with_its_source_and_the_answer_goes_back_there),
		cmocka_unit_test(only_the_permitted_source_is_heard_and_media_does_not_notice),
		cmocka_unit_test(a_flood_is_cut_at_the_slots_bucket),
		cmocka_unit_test(buffers_come_back_and_a_removed_streams_records_go_nowhere),
		cmocka_unit_test(who_was_never_heard_is_asked_for_on_the_wire),
		cmocka_unit_test(ipv6_neighbours_are_solicited_and_datagrams_sum_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
