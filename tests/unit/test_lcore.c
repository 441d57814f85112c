/* One lcore without its thread and without a writer: the test hands it bursts and turns, and looks at what comes out.
 * Its idle thread is looked at through a whole plane. */
#include "lcore_fixture.h"

static void
a_turn_runs_a_bounded_number_of_commands(void **state)
{
	struct fx *fx = *state;

	for (unsigned int i = 0; i < 40; i++)
		post(fx, COMMAND_RECORDING_OPEN);
	assert_int_equal(turn(fx), 16);
	assert_int_equal(turn(fx), 16);
	assert_int_equal(turn(fx), 8);
	assert_int_equal(turn(fx), 0);
}

static void
a_long_document_takes_several_turns_and_keeps_its_place(void **state)
{
	struct fx *fx = *state;
	uint8_t text[5 * NOTE_PIECE_SIZE] = { 0 };
	struct command *c = command_take(&fx->commands, COMMAND_NOTE);

	c->recording = &fx->rec;
	assert_int_equal(command_note_fill(&fx->commands, c, REEL_FRAME_METADATA, span_of(text, sizeof(text))), SRS_OK);
	assert_true(spsc_push(fx->lc->commands, c));
	post(fx, COMMAND_RECORDING_OPEN);
	assert_int_equal(turn(fx), 0);	/* two pieces of five */
	assert_int_equal(turn(fx), 0);
	assert_int_equal(turn(fx), 2);	/* the document, and what was posted after it */
	assert_int_equal(fx->lc->counters.frames_appended, 5);
}

static void
every_packet_of_a_burst_has_one_verdict_whatever_is_in_it(void **state)
{
	struct fx *fx = *state;
	const struct counters *c = &fx->lc->counters;
	uint8_t packet[172], frame[256];
	uint64_t r = 88172645463325252ull, given = 0;

	stream_install(fx);
	for (unsigned int turn_i = 0; turn_i < 300; turn_i++) {
		struct rte_mbuf *m[BURST_MAX];
		struct chunk *full;
		uint16_t n = (uint16_t)(1 + turn_i % BURST_MAX);

		for (uint16_t i = 0; i < n; i++) {
			size_t len;

			px_rtp_packet(packet, 5, (uint16_t)(given + i));
			len = px_udp(frame, PX_SOURCE, 5004, 20000, packet, sizeof(packet));
			for (unsigned int k = 0; k < i % 4; k++) {	/* up to three bytes are others */
				r ^= r << 13;
				r ^= r >> 7;
				r ^= r << 17;
				frame[r % 54] = (uint8_t)(r >> 32);
			}
			if (i % 16 == 3)
				len = r % (len + 1);
			m[i] = mbuf_of(fx, frame, len);
		}
		lcore_begin(fx->lc);
		lcore_burst(fx->lc, m, n);
		given += n;
		assert_int_equal(c->nic_received, given);
		assert_int_equal(counters_verdicts(c), given);
		while ((full = spsc_pop(fx->lc->recorder.full[0])) != NULL)
			assert_true(spsc_push(fx->lc->recorder.empty[0], full));
	}
	assert_true(c->verdicts[RX_RECORDED] > given / 8);
	assert_true(c->verdicts[RX_RECORDED] < given);
	assert_int_equal(rte_mempool_avail_count(fx->mbufs), 255);	/* and none was kept */
}

static void
without_a_chunk_packets_are_a_counted_gap_and_then_a_gap_frame(void **state)
{
	struct fx *fx = *state;
	const struct counters *c = &fx->lc->counters;
	struct reel_frame f;
	struct chunk *full;
	struct reel_gap gap = { 0 };
	uint64_t lost, recorded;
	size_t at = 0;

	stream_install(fx);
	for (uint16_t seq = 0; seq < 320; seq += 32)	/* more than eight chunks hold, and nobody takes them */
		rtp_burst(fx, seq, 32);
	lost = c->verdicts[RX_DROP_NO_CHUNK];
	recorded = c->verdicts[RX_RECORDED];
	assert_true(lost > 0);
	assert_int_equal(lost + recorded, 320);
	assert_int_equal(fx->streams.slots[1].first.missing[REEL_REASON_NO_CHUNK], lost);
	assert_int_equal(ssrc_lost(&fx->streams.slots[1].first), 0);	/* ours, not the network's */
	while ((full = spsc_pop(fx->lc->recorder.full[0])) != NULL)
		assert_true(spsc_push(fx->lc->recorder.empty[0], full));
	rtp_burst(fx, 320, 1);
	assert_int_equal(c->verdicts[RX_RECORDED], recorded + 1);
	while (reel_frame_next(&f, span_of(fx->rec.body, fx->rec.used), fx->rec.first_wall_ns, &at) == SRS_OK)
		if (f.kind == REEL_FRAME_GAP)
			assert_int_equal(reel_gap_read(&gap, f.bytes), SRS_OK);
	assert_int_equal(gap.n_frames, lost);
	assert_int_equal(gap.reason, REEL_REASON_NO_CHUNK);
}

static void
what_a_writer_refuses_is_counted_by_its_reason(void **state)
{
	struct fx *fx = *state;
	const struct counters *c = &fx->lc->counters;

	stream_install(fx);
	rtp_burst(fx, 0, 10);
	atomic_store(&fx->writer->refuses, REEL_REASON_WRITE_ERROR);
	rtp_burst(fx, 10, 5);
	atomic_store(&fx->writer->refuses, REEL_REASON_DISK_FULL);
	rtp_burst(fx, 15, 3);
	atomic_store(&fx->writer->refuses, REEL_REASON_NONE);
	rtp_burst(fx, 18, 1);
	assert_int_equal(c->verdicts[RX_RECORDED], 11);
	assert_int_equal(c->verdicts[RX_DROP_WRITE_ERROR], 5);
	assert_int_equal(c->verdicts[RX_DROP_DISK_FULL], 3);
	assert_int_equal(c->frames_appended, 11 + 1 + 2);	/* the SSRC's mark, two gaps */
}

/* The share of a CPU that the plane's one lcore takes while nothing comes. */
static double
idle_share(const char *sleep)
{
	const char *const flags[] = { "limits.sessions_max=4", "limits.stall_ms_max=200", sleep, NULL };
	const struct timespec rest = { .tv_nsec = 300000000 };
	struct timespec a, b, begin, end;
	clockid_t cpu;
	struct px px;

	px_start(&px, flags);
	assert_int_equal(pthread_getcpuclockid(px.dp->lcores[0]->thread, &cpu), 0);
	clock_gettime(cpu, &a);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	nanosleep(&rest, NULL);
	clock_gettime(cpu, &b);
	clock_gettime(CLOCK_MONOTONIC, &end);
	px_close(&px);
	return ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9) /
	       ((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
}

/* A machine that has no CPU for us shows nothing either way: then once more. */
static void
an_idle_lcore_leaves_the_cpu_to_others(void **state)
{
	bool shown = false;

	for (unsigned int i = 0; i < 10 && !shown; i++) {
		double rests = idle_share("media.idle_sleep_us=200"), polls = idle_share("media.idle_sleep_us=0");

		shown = rests < 0.3 && polls > rests;	/* as configured */
	}
	assert_true(shown);
}

/* A removal must not overtake packets that came before it and still wait in the queue. */
static void
commands_wait_while_bursts_are_full_but_not_for_ever(void **state)
{
	struct fx *fx = *state;

	stream_install(fx);
	lcore_begin(fx->lc);
	fx->lc->behind_tsc = fx->lc->recorder.now_tsc;
	post(fx, COMMAND_STREAM_REMOVE)->stream = &fx->streams.slots[1];
	assert_int_equal(turn(fx), 0);
	fx->lc->behind_tsc = fx->lc->recorder.now_tsc - fx->lc->spec.clock->tsc_hz;
	assert_int_equal(turn(fx), 1);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(a_turn_runs_a_bounded_number_of_commands),
		ROW(a_long_document_takes_several_turns_and_keeps_its_place),
		ROW(every_packet_of_a_burst_has_one_verdict_whatever_is_in_it),
		ROW(without_a_chunk_packets_are_a_counted_gap_and_then_a_gap_frame),
		ROW(what_a_writer_refuses_is_counted_by_its_reason),
		ROW(commands_wait_while_bursts_are_full_but_not_for_ever),
		cmocka_unit_test(an_idle_lcore_leaves_the_cpu_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
