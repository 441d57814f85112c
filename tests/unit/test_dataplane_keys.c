/* Keys through the data plane's door: SRTP in, sealed totals by generation out, and a pool that is whole again. */
#include "plane_fixture.h"

#include "dataplane/dataplane_state.h"
#include "libsrtp2_sender.h"

#define SSRC 77

static const char *const few[] = { "limits.sessions_max=16", "limits.stall_ms_max=200", NULL };

static void
send_rtp(struct px *px, struct sender *snd, uint16_t port, uint16_t seq)
{
	uint8_t packet[SENDER_PACKET_MAX], frame[SENDER_PACKET_MAX + 64];
	size_t len = sender_rtp(snd, SSRC, seq, packet);

	px_inject(px, frame, px_udp(frame, PX_SOURCE, 5004, port, packet, len));
}

static struct stream_spec
secure_spec(uint32_t recording, uint8_t number, uint16_t port, const struct stream_keys *keys)
{
	struct stream_spec spec = px_spec(recording, number, port);

	spec.secure = true;
	spec.keys = keys;
	return spec;
}

static struct stream_keys
keys_of(const struct sender *snd)
{
	return (struct stream_keys){ .theirs = { snd->master }, .n_theirs = 1 };
}

static enum srs_err
rekey(struct px *px, uint32_t stream, const struct stream_keys *keys)
{
	enum srs_err err = dataplane_stream_rekey(px->dp, stream, keys, ++px->cookie);

	if (!err)
		assert_int_equal(px_wait(px, EVENT_STREAM_REKEYED, px->cookie)->stream, stream);
	return err;
}

static void
a_rekeyed_stream_is_sealed_with_the_totals_of_both_generations(void **state)
{
	struct stream_keys first, second;
	struct sender a, b;
	uint64_t rows[2] = { 0 };
	uint32_t recording, stream;
	struct stream_spec spec;
	struct px px;

	px_start(&px, few);
	sender_make(&a, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	sender_make(&b, SRTP_AEAD_AES_128_GCM, 2, "");
	first = keys_of(&a);
	second = keys_of(&b);
	recording = px_recording(&px, 1);
	spec = secure_spec(recording, 1, 20000, &first);
	stream = px_stream(&px, &spec);
	for (uint16_t seq = 0; seq < 20; seq++)
		send_rtp(&px, &a, 20000, seq);
	px_received(&px, 20);
	assert_int_equal(rekey(&px, stream, &first), SRS_OK);
	assert_int_equal(rekey(&px, stream, &second), SRS_OK);
	for (uint16_t seq = 20; seq < 50; seq++)
		send_rtp(&px, &b, 20000, seq);
	px_received(&px, 50);
	assert_int_equal(px_counter(&px, "rx_recorded"), 50);
	assert_int_equal(px_remove(&px, stream)->u.totals.recorded, 50);
	assert_int_equal(px.dp->keysets.n_free, px.dp->keysets.n);
	assert_int_equal(px.dp->n_keyed, 0);
	px_seal(&px, recording, "test");
	px_stop_and_read(&px);
	assert_int_equal(px.n_seals, 1);
	for (unsigned int i = 0; i < px.seals[0].seal.n_streams; i++)
		rows[px.seals[0].streams[i].generation] += px.seals[0].streams[i].recorded;
	assert_int_equal(rows[0], 20);
	assert_int_equal(rows[1], 30);
	for (unsigned int i = 0, seq = 0; i < px.n_frames; i++) {
		uint8_t plain[172];

		if (px.frames[i].frame.kind != REEL_FRAME_RTP)
			continue;
		px_rtp_packet(plain, SSRC, (uint16_t)seq++);
		assert_memory_equal(px.frames[i].frame.bytes.bytes, plain, sizeof(plain));
	}
	px_close(&px);
	sender_free(&a);
	sender_free(&b);
}

static void
suites_are_taken_that_the_engine_runs(void **state)
{
	static const char *const off[] = { "limits.sessions_max=16", "limits.stall_ms_max=200", "srtp.enabled=false", NULL };
	struct px px;
	uint32_t n_free;

	px_start(&px, few);
	n_free = px.dp->keysets.n_free;
	for (unsigned int i = 0; i <= SRTP_SUITES; i++) {
		struct srtp_master master = { .suite = (uint8_t)i };
		struct unprotect_ctx ctx = { 0 };
		bool runs = unprotect_ctx_init(&ctx, px.dp->engine, &master) == SRS_OK;

		unprotect_ctx_wipe(&ctx);
		assert_int_equal(dataplane_takes_suite(px.dp, (enum srtp_suite)i), runs);
		assert_false(runs && (i == SRTP_SUITE_NONE || i == SRTP_SUITES));
	}
	assert_true(dataplane_takes_suite(px.dp, SRTP_AES_CM_128_HMAC_SHA1_80));
	assert_int_equal(px.dp->keysets.n_free, n_free);
	px_close(&px);
	px_start(&px, off);
	assert_false(dataplane_takes_suite(px.dp, SRTP_AES_CM_128_HMAC_SHA1_80));
	px_close(&px);
}

static void
keys_where_they_do_not_belong_are_refused(void **state)
{
	static const char *const off[] = { "limits.sessions_max=4", "limits.stall_ms_max=200", "srtp.enabled=false", NULL };
	struct stream_keys keys = { .n_theirs = 1 };
	struct stream_spec spec;
	struct sender snd;
	uint32_t stream;
	struct px px;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	px_start(&px, few);
	spec = secure_spec(px_recording(&px, 1), 1, 20000, &keys);
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 1, &stream), SRS_ERR_UNSUPPORTED);	/* no suite */
	keys.n_theirs = SRTP_MASTERS_MAX + 1;
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 1, &stream), SRS_ERR_INVALID);
	keys = keys_of(&snd);
	spec.secure = false;
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 1, &stream), SRS_ERR_INVALID);
	assert_int_equal(px.dp->keysets.n_free, px.dp->keysets.n);
	spec.keys = NULL;
	stream = px_stream(&px, &spec);
	assert_int_equal(dataplane_stream_rekey(px.dp, stream, &keys, 1), SRS_ERR_STATE);
	assert_int_equal(dataplane_outstanding(px.dp), 0);
	px_close(&px);
	px_start(&px, off);
	spec = secure_spec(px_recording(&px, 1), 1, 20000, NULL);
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 1, &stream), SRS_ERR_UNSUPPORTED);
	assert_null(strstr(dataplane_describe(px.dp), "SRTP"));
	px_close(&px);
	sender_free(&snd);
}

/* 32 streams, so 4 spares and a reserve of 64. */
static void
when_the_spares_are_used_up_the_oldest_generations_end(void **state)
{
	uint32_t recording, streams[32], n_rekeys = 0;
	struct sender snd;
	struct px px;

	px_start(&px, few);
	assert_int_equal(px.dp->keysets.n, 100);
	sender_make(&snd, SRTP_AEAD_AES_128_GCM, 1, "");
	recording = px_recording(&px, 1);
	for (uint8_t i = 0; i < 32; i++) {
		struct stream_keys keys = keys_of(&snd);
		struct stream_spec spec = secure_spec(recording, i, (uint16_t)(20000 + 2 * i), &keys);

		keys.theirs[0].key[0] = i;
		streams[i] = px_stream(&px, &spec);
	}
	assert_int_equal(px.dp->keysets.n_free, 68);
	for (unsigned int i = 0; i < 4; i++) {
		struct stream_keys keys = keys_of(&snd);

		keys.theirs[0].key[0] = (uint8_t)(100 + i);
		assert_int_equal(rekey(&px, streams[i], &keys), SRS_OK);
	}
	dataplane_poll(px.dp, px_on_event, &px, 64);
	assert_int_equal(px.dp->keysets.n_free, 64);	/* nobody was hurried */
	for (unsigned int i = 4; i < 32; i++, n_rekeys++) {
		struct stream_keys keys = keys_of(&snd);

		keys.theirs[0].key[0] = (uint8_t)(100 + i);
		assert_int_equal(rekey(&px, streams[i], &keys), SRS_OK);
	}
	for (unsigned int ms = 0; px.dp->keysets.n_free < 64 && ms < 1000; ms++) {
		dataplane_poll(px.dp, px_on_event, &px, 64);
		px_rest();
	}
	assert_int_equal(px.dp->keysets.n_free, 64);	/* 28 of them ended: the oldest */
	assert_int_equal(px.dp->desk_streams[streams[0]].n_leaving, 0);
	assert_int_equal(px.dp->desk_streams[streams[31]].n_leaving, 1);
	for (unsigned int i = 0; i < 32; i++)
		px_remove(&px, streams[i]);
	assert_int_equal(px.dp->keysets.n_free, px.dp->keysets.n);
	assert_int_equal(px.dp->leaving_first, 0);
	px_seal(&px, recording, "test");
	px_close(&px);
	sender_free(&snd);
}

static void
a_reserve_that_is_used_up_too_refuses(void **state)
{
	uint32_t recording, stream, n = 0;
	enum srs_err err = SRS_OK;
	struct stream_keys keys;
	struct sender snd;
	struct px px;

	px_start(&px, few);
	sender_make(&snd, SRTP_AEAD_AES_128_GCM, 1, "");
	recording = px_recording(&px, 1);
	keys = keys_of(&snd);
	struct stream_spec spec = secure_spec(recording, 1, 20000, &keys);
	stream = px_stream(&px, &spec);
	while (!err && n < 1000) {	/* nothing is polled: nothing comes back */
		keys.theirs[0].key[0] = (uint8_t)++n;
		keys.theirs[0].key[1] = (uint8_t)(n >> 8);
		err = dataplane_stream_rekey(px.dp, stream, &keys, 1000 + n);
	}
	assert_int_equal(err, SRS_ERR_LIMIT);
	assert_int_equal(n, 69);
	px_wait(&px, EVENT_STREAM_REKEYED, 1000 + n - 1);
	dataplane_poll(px.dp, px_on_event, &px, 64);
	assert_int_equal(rekey(&px, stream, &keys), SRS_OK);
	px_remove(&px, stream);
	assert_int_equal(px.dp->keysets.n_free, px.dp->keysets.n);
	assert_int_equal(dataplane_outstanding(px.dp), 0);
	px_seal(&px, recording, "test");
	px_close(&px);
	sender_free(&snd);
}

static void
keys_that_are_installed_stand_in_no_command(void **state)
{
	uint32_t stream;
	struct stream_keys keys;
	struct stream_spec spec;
	struct sender snd;
	struct px px;

	px_start(&px, few);
	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 9, "");
	keys = keys_of(&snd);
	spec = secure_spec(px_recording(&px, 1), 1, 20000, &keys);
	stream = px_stream(&px, &spec);
	assert_int_equal(dataplane_stream_update(px.dp, stream, &spec, ++px.cookie), SRS_OK);
	px_wait(&px, EVENT_STREAM_UPDATED, px.cookie);
	keys.theirs[0].key[0] ^= 1;
	assert_int_equal(rekey(&px, stream, &keys), SRS_OK);
	assert_null(memmem(px.dp->commands.command_memory.at, px.dp->commands.command_memory.len, keys.theirs[0].key + 1, 15));
	assert_null(memmem(px.dp->keysets.memory.at, px.dp->keysets.memory.len, keys.theirs[0].key + 1, 15));
	assert_null(memmem(px.dp->streams.slot_memory.at, px.dp->streams.slot_memory.len, keys.theirs[0].key + 1, 15));
	px_close(&px);
	sender_free(&snd);
}

static void
libsrtp2_takes_as_many_streams_as_it_may(void **state)
{
	static const char *const flags[] = { "limits.sessions_max=16", "limits.stall_ms_max=200", "srtp.engine=libsrtp2",
		                             "srtp.libsrtp2_streams_max=2", NULL };
	uint32_t recording, streams[2], late, other;
	struct stream_keys keys;
	struct stream_spec spec;
	struct sender snd;
	struct px px;

	px_start(&px, flags);
	assert_non_null(strstr(dataplane_describe(px.dp), "libsrtp2"));
	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	keys = keys_of(&snd);
	recording = px_recording(&px, 1);
	for (uint8_t i = 0; i < 2; i++) {
		spec = secure_spec(recording, i, (uint16_t)(20000 + 2 * i), &keys);
		streams[i] = px_stream(&px, &spec);
	}
	spec = secure_spec(recording, 2, 20004, &keys);
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 1, &other), SRS_ERR_LIMIT);
	spec.keys = NULL;	/* keys will come later */
	late = px_stream(&px, &spec);
	assert_int_equal(dataplane_stream_rekey(px.dp, late, &keys, 1), SRS_ERR_UNSUPPORTED);
	for (uint16_t seq = 0; seq < 10; seq++)
		send_rtp(&px, &snd, 20000, seq);
	send_rtp(&px, &snd, 20004, 10);
	px_received(&px, 11);
	assert_int_equal(px_counter(&px, "rx_recorded"), 10);
	assert_int_equal(px_counter(&px, "rx_drop_no_key"), 1);
	px_remove(&px, streams[1]);
	assert_int_equal(rekey(&px, late, &keys), SRS_OK);
	send_rtp(&px, &snd, 20004, 11);
	px_received(&px, 12);
	assert_int_equal(px_counter(&px, "rx_recorded"), 11);
	px_close(&px);
	sender_free(&snd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rekeyed_stream_is_sealed_with_the_totals_of_both_generations),
		cmocka_unit_test(suites_are_taken_that_the_engine_runs),
		cmocka_unit_test(keys_where_they_do_not_belong_are_refused),
		cmocka_unit_test(when_the_spares_are_used_up_the_oldest_generations_end),
		cmocka_unit_test(a_reserve_that_is_used_up_too_refuses),
		cmocka_unit_test(libsrtp2_takes_as_many_streams_as_it_may),
		cmocka_unit_test(keys_that_are_installed_stand_in_no_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
