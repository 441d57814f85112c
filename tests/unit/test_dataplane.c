/* The door to the data plane: what goes in as packets comes out as sealed frames, and every packet is accounted for. */
#include "plane_fixture.h"

#include <sys/mount.h>

static const char *const small[] = { "limits.sessions_max=16", "limits.stall_ms_max=1000", NULL };

/* Frames of one kind of one stream, in the order of the disk. */
static unsigned int
frames_of(const struct px *px, uint8_t id_byte, uint8_t kind, uint8_t stream, const struct px_frame *out[], unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < px->n_frames; i++) {
		const struct px_frame *f = &px->frames[i];

		if (f->frame.kind == kind && f->frame.stream == stream && f->recording[0] == id_byte && n < max)
			out[n++] = f;
	}
	return n;
}

static const struct reel_seal_stream *
row_of(const struct px *px, uint8_t id_byte, uint32_t part, uint8_t stream)
{
	for (unsigned int i = 0; i < px->n_seals; i++)
		if (px->seals[i].seal.recording[0] == id_byte && px->seals[i].seal.part == part)
			for (unsigned int k = 0; k < px->seals[i].seal.n_streams; k++)
				if (px->seals[i].streams[k].stream == stream)
					return &px->seals[i].streams[k];
	fail_msg("no totals of stream %u in part %u", stream, part);
	abort();	/* not reached */
}

static void
every_packet_of_a_call_is_recorded_or_counted(void **state)
{
	const struct dataplane_event *removed;
	struct px px;
	struct stream_spec spec;
	uint32_t recording, a, b;
	const struct px_frame *frames[2048];
	const struct reel_seal_stream *row;
	static const uint8_t rtcp[8] = { 0x80, 201, 0, 1, 0, 0, 0, 0xaa };
	uint8_t frame[300], packet[172];
	char text[9000];
	uint64_t sent = 0;
	unsigned int n, at;

	px_start(&px, small);
	recording = px_recording(&px, 7);
	spec = px_spec(recording, 1, 20000);
	a = px_stream(&px, &spec);
	assert_int_equal(dataplane_stream_add(px.dp, &spec, 0, &b), SRS_ERR_STATE);	/* the port is in use */
	spec = px_spec(recording, 2, 20002);
	spec.rtcp_port = 20003;
	b = px_stream(&px, &spec);

	memset(text, 'x', sizeof(text));
	assert_int_equal(dataplane_note(px.dp, recording, REEL_FRAME_METADATA, 0, span_of(text, sizeof(text)), ++px.cookie), SRS_OK);
	assert_int_equal(px_wait(&px, EVENT_NOTE_WRITTEN, px.cookie)->err, SRS_OK);

	/* stream 1: 600 packets around a wrap of SEQ, five lost, three swapped pairs, four duplicates */
	for (unsigned int i = 0; i < 600; i++) {
		uint16_t seq = (uint16_t)(65300 + i);

		if (i % 100 == 50 && i > 100)
			continue;
		if (i == 20 || i == 320 || i == 420)
			seq++;
		else if (i == 21 || i == 321 || i == 421)
			seq--;
		px_rtp(&px, PX_SOURCE, 5004, 20000, 0xaa, seq);
		sent++;
		if (i % 150 == 10) {
			px_rtp(&px, PX_SOURCE, 5004, 20000, 0xaa, seq);
			sent++;
		}
	}
	/* stream 2: in order; a report on its own port, a muxed one */
	for (unsigned int i = 0; i < 100; i++, sent++)
		px_rtp(&px, PX_SOURCE, 6000, 20002, 0, (uint16_t)i);
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 6001, 20003, rtcp, sizeof(rtcp)));
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 6000, 20002, rtcp, sizeof(rtcp)));
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 5004, 20000, rtcp, sizeof(rtcp)));
	sent += 3;
	/* what is nobody's */
	px_rtp(&px, "198.18.1.11", 5004, 20000, 0xaa, 500);	/* foreign source */
	px_rtp(&px, PX_SOURCE, 5004, 20010, 0xaa, 500);		/* unknown port */
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 5004, 20000, "garbage!", 8));
	px_inject(&px, frame, px_udp(frame, PX_SOURCE, 6001, 20003, "\x80\xc9\x00\x09garb", 8));
	px_inject(&px, "short", 5);
	px_rtp_packet(packet, 0xaa, 400);
	n = (unsigned int)px_udp(frame, PX_SOURCE, 5004, 20000, packet, sizeof(packet));
	frame[100] ^= 1;
	px_inject(&px, frame, n);				/* checksum */
	sent += 6;
	px_received(&px, sent);
	assert_int_equal(px_counter(&px, "rx_drop_source"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_no_stream"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_not_rtp"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_rtcp"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_truncated"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_checksum"), 1);
	assert_int_equal(px_counter(&px, "rx_drop_duplicate"), 4);
	assert_int_equal(px_counter(&px, "rx_recorded"), 595 + 100);
	assert_int_equal(px_counter(&px, "rx_recorded_rtcp"), 3);

	assert_int_equal(dataplane_recording_seal(px.dp, recording, "bye", 0), SRS_ERR_STATE);	/* streams live */
	removed = px_remove(&px, a);
	assert_int_equal(removed->u.totals.recorded, 595);
	assert_int_equal(removed->u.totals.lost_upstream, 5);
	assert_int_equal(removed->u.totals.duplicates, 4);
	assert_int_equal(px_remove(&px, b)->u.totals.recorded, 100);
	px_rtp(&px, PX_SOURCE, 5004, 20000, 0xaa, 500);
	px_received(&px, ++sent);
	assert_int_equal(px_counter(&px, "rx_drop_no_stream"), 2);
	px_seal(&px, recording, "bye");
	assert_int_equal(dataplane_outstanding(px.dp), 0);
	px_stop_and_read(&px);

	/* bit by bit, in the order of arrival */
	n = frames_of(&px, 7, REEL_FRAME_RTP, 1, frames, 2048);
	assert_int_equal(n, 595);
	at = 0;
	for (unsigned int i = 0; i < 600; i++) {
		unsigned int k = i;

		if (i % 100 == 50 && i > 100)
			continue;
		if (i == 20 || i == 320 || i == 420)
			k++;
		else if (i == 21 || i == 321 || i == 421)
			k--;
		px_rtp_packet(packet, 0xaa, (uint16_t)(65300 + k));
		assert_int_equal(frames[at]->frame.bytes.len, 172);
		assert_memory_equal(frames[at]->frame.bytes.bytes, packet, 172);
		assert_int_equal(frames[at]->frame.seq_ext, 0x10000 + 65300 + k);	/* plain RTP starts at ROC 1 */
		at++;
	}
	assert_int_equal(frames_of(&px, 7, REEL_FRAME_RTP, 2, frames, 2048), 100);
	assert_int_equal(frames_of(&px, 7, REEL_FRAME_RTCP, 2, frames, 2048), 2);
	assert_memory_equal(frames[0]->frame.bytes.bytes, rtcp, sizeof(rtcp));
	assert_int_equal(frames_of(&px, 7, REEL_FRAME_RTCP, 1, frames, 2048), 1);
	assert_int_equal(frames_of(&px, 7, REEL_FRAME_MARK, 1, frames, 2048), 1);

	/* the document, in pieces */
	at = 0;
	n = frames_of(&px, 7, REEL_FRAME_METADATA, REEL_STREAM_NONE, frames, 2048);
	for (unsigned int i = 0; i < n; i++) {
		assert_memory_equal(frames[i]->frame.bytes.bytes, text + at, frames[i]->frame.bytes.len);
		at += (unsigned int)frames[i]->frame.bytes.len;
		assert_int_equal(frames[i]->frame.flags & REEL_FRAME_MORE, i + 1 < n ? REEL_FRAME_MORE : 0);
	}
	assert_int_equal(at, sizeof(text));

	/* the seal's arithmetic */
	assert_int_equal(px.n_seals, 1);
	assert_true(px.seals[0].seal.final);
	assert_string_equal(px.seals[0].seal.reason, "bye");
	assert_int_equal(px.seals[0].seal.n_chunks, px.n_chunks);
	assert_int_equal(px.seals[0].seal.n_frames, px.n_frames);
	row = row_of(&px, 7, 0, 1);
	assert_int_equal(row->ssrc, 0xaa);
	assert_int_equal(row->recorded, 595);
	assert_int_equal(row->duplicates, 4);
	assert_int_equal(row->rtcp, 1);
	assert_int_equal(row->highest_index - row->first_index + 1 - row->recorded, 5);
	row = row_of(&px, 7, 0, 2);
	assert_int_equal(row->ssrc, 0);
	assert_int_equal(row->recorded, 100);
	assert_int_equal(row->highest_index - row->first_index + 1, 100);
	px_close(&px);
}

static void
a_pause_is_a_counted_gap(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[64];
	const struct reel_seal_stream *row;
	struct reel_gap gap;
	uint32_t recording, stream;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 3, 20000);
	stream = px_stream(&px, &spec);
	for (uint16_t seq = 0; seq < 10; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 5, seq);
	px_received(&px, 10);
	assert_int_equal(dataplane_recording_pause(px.dp, recording, true, 0), SRS_OK);
	while (dataplane_outstanding(px.dp) != 0)
		dataplane_poll(px.dp, px_on_event, &px, 64);
	for (uint16_t seq = 10; seq < 30; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 5, seq);
	px_received(&px, 30);
	assert_int_equal(dataplane_recording_pause(px.dp, recording, false, 0), SRS_OK);
	while (dataplane_outstanding(px.dp) != 0)
		dataplane_poll(px.dp, px_on_event, &px, 64);
	for (uint16_t seq = 30; seq < 40; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 5, seq);
	px_received(&px, 40);
	/* the same by hold of one stream */
	spec.inactive = true;
	assert_int_equal(dataplane_stream_update(px.dp, stream, &spec, ++px.cookie), SRS_OK);
	px_wait(&px, EVENT_STREAM_UPDATED, px.cookie);
	px_rtp(&px, PX_SOURCE, 5004, 20000, 5, 40);
	px_received(&px, 41);
	assert_int_equal(px_counter(&px, "rx_drop_paused"), 21);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	row = row_of(&px, 1, 0, 3);
	assert_int_equal(row->recorded, 20);
	assert_int_equal(row->missing[REEL_REASON_PAUSED], 21);
	assert_int_equal(row->highest_index - row->first_index + 1, 41);
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_GAP, 3, frames, 64), 2);
	assert_int_equal(reel_gap_read(&gap, frames[0]->frame.bytes), SRS_OK);
	assert_int_equal(gap.reason, REEL_REASON_PAUSED);
	assert_int_equal(gap.n_frames, 20);
	assert_int_equal(reel_gap_read(&gap, frames[1]->frame.bytes), SRS_OK);
	assert_int_equal(gap.n_frames, 1);
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_MARK, REEL_STREAM_NONE, frames, 64), 2);
	px_close(&px);
}

static void
parts_follow_on_and_a_stream_moves_to_another_recording(void **state)
{
	struct px px;
	struct stream_spec spec;
	struct part_key key;
	const struct px_frame *frames[256];
	const struct reel_seal_stream *row;
	uint8_t id[REEL_ID_SIZE];
	uint32_t one, two, stream;

	px_start(&px, small);
	one = px_recording(&px, 1);
	two = px_recording(&px, 2);
	spec = px_spec(one, 0, 20000);
	stream = px_stream(&px, &spec);
	for (uint16_t seq = 0; seq < 60; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
	px_received(&px, 60);
	memset(id, 1, sizeof(id));
	px_key(&px, &key, id, 1);
	assert_int_equal(dataplane_part_start(px.dp, one, &key, true, ++px.cookie), SRS_OK);
	assert_int_equal(dataplane_part_start(px.dp, one, &key, false, 0), SRS_ERR_STATE);	/* one at a time */
	assert_int_equal(px_wait(&px, EVENT_PART_STARTED, px.cookie)->err, SRS_OK);
	for (uint16_t seq = 62; seq < 100; seq++)	/* two lost at the seam */
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
	px_received(&px, 98);
	assert_int_equal(dataplane_stream_bind(px.dp, stream, two, 4, ++px.cookie), SRS_OK);
	px_wait(&px, EVENT_STREAM_BOUND, px.cookie);
	for (uint16_t seq = 100; seq < 110; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
	px_received(&px, 108);
	px_seal(&px, one, "moved");
	px_remove(&px, stream);
	px_seal(&px, two, "bye");
	px_stop_and_read(&px);

	assert_int_equal(px.n_seals, 3);
	row = row_of(&px, 1, 0, 0);
	assert_int_equal(row->recorded, 60);
	assert_int_equal(row->highest_index - row->first_index + 1, 60);
	row = row_of(&px, 1, 1, 0);
	assert_int_equal(row->recorded, 38);
	assert_int_equal(row->highest_index - row->first_index + 1, 40);
	row = row_of(&px, 2, 0, 4);
	assert_int_equal(row->recorded, 10);
	assert_int_equal(row->highest_index - row->first_index + 1, 10);
	/* a mark in each part gives the full index */
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_MARK, 0, frames, 256), 2);
	assert_int_equal(frames[0]->part, 0);
	assert_int_equal(frames[1]->part, 1);
	assert_int_equal(frames_of(&px, 2, REEL_FRAME_MARK, 4, frames, 256), 1);
	/* the new part was asked for with a seam: once, and in it */
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_MARK, REEL_STREAM_NONE, frames, 256), 1);
	assert_int_equal(frames[0]->part, 1);
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_RTP, 0, frames, 256), 98);
	px_close(&px);
}

/* The packet that waits for its source to prove itself is no way around a pause, nor around a client's hold. */
static void
what_was_held_in_a_pause_does_not_come_behind_it(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[16];
	uint32_t recording, streams[2];
	unsigned int n = 0;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	for (uint8_t i = 0; i < 2; i++) {
		spec = px_spec(recording, i, (uint16_t)(20000 + 2 * i));
		spec.latch = true;
		spec.inactive = i == 1;
		streams[i] = px_stream(&px, &spec);
	}
	assert_int_equal(dataplane_recording_pause(px.dp, recording, true, 0), SRS_OK);
	px_rtp(&px, PX_SOURCE, 5004, 20000, 9, 10);
	px_rtp(&px, PX_SOURCE, 5006, 20002, 9, 10);
	px_received(&px, 2);
	assert_int_equal(px_counter(&px, "rx_held"), 2);
	assert_int_equal(dataplane_recording_pause(px.dp, recording, false, 0), SRS_OK);
	spec.inactive = false;
	assert_int_equal(dataplane_stream_update(px.dp, streams[1], &spec, ++px.cookie), SRS_OK);
	px_wait(&px, EVENT_STREAM_UPDATED, px.cookie);
	for (uint16_t seq = 11; seq < 14; seq++) {
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
		px_rtp(&px, PX_SOURCE, 5006, 20002, 9, seq);
	}
	px_received(&px, 8);
	px_remove(&px, streams[0]);
	px_remove(&px, streams[1]);
	px_seal(&px, recording, "bye");
	assert_int_equal(px_counter(&px, "held_dropped"), 2);
	assert_int_equal(px_counter(&px, "held_recorded"), 2);
	px_stop_and_read(&px);
	for (uint8_t i = 0; i < 2; i++) {
		n = frames_of(&px, 1, REEL_FRAME_RTP, i, frames, 16);
		assert_int_equal(n, 3);
		for (unsigned int k = 0; k < n; k++)
			assert_int_equal(frames[k]->frame.bytes.bytes[3], 11 + k);
	}
	px_close(&px);
}

/* Who reads one part alone has to see why nothing is in it. */
static void
a_part_that_begins_in_a_pause_says_so(void **state)
{
	struct px px;
	struct stream_spec spec;
	struct part_key key;
	const struct px_frame *frames[16];
	struct reel_mark mark;
	uint8_t id[REEL_ID_SIZE];
	uint32_t recording, stream;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	assert_int_equal(dataplane_recording_pause(px.dp, recording, true, 0), SRS_OK);
	for (uint16_t seq = 0; seq < 5; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
	px_received(&px, 5);
	memset(id, 1, sizeof(id));
	px_key(&px, &key, id, 1);
	assert_int_equal(dataplane_part_start(px.dp, recording, &key, true, ++px.cookie), SRS_OK);
	assert_int_equal(px_wait(&px, EVENT_PART_STARTED, px.cookie)->err, SRS_OK);
	assert_int_equal(dataplane_recording_pause(px.dp, recording, false, 0), SRS_OK);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	/* in each part, in the second one behind the seam */
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_MARK, REEL_STREAM_NONE, frames, 16), 4);
	for (unsigned int i = 0; i < 4; i++) {
		static const uint8_t kinds[] = { REEL_MARK_PAUSED, REEL_MARK_SEAM, REEL_MARK_PAUSED, REEL_MARK_RESUMED };
		static const uint32_t parts[] = { 0, 1, 1, 1 };

		assert_int_equal(reel_mark_read(&mark, frames[i]->frame.bytes), SRS_OK);
		assert_int_equal(mark.kind, kinds[i]);
		assert_int_equal(frames[i]->part, parts[i]);
	}
	assert_int_equal(row_of(&px, 1, 0, 0)->missing[REEL_REASON_PAUSED], 5);
	px_close(&px);
}

/* The seal is asked for before the stream has left: its totals stand in it all the same. */
static void
a_seal_that_follows_a_move_at_once_has_the_totals(void **state)
{
	struct px px;
	struct stream_spec spec;
	uint32_t one, two, stream;

	px_start(&px, small);
	one = px_recording(&px, 1);
	two = px_recording(&px, 2);
	spec = px_spec(one, 0, 20000);
	stream = px_stream(&px, &spec);
	for (uint16_t seq = 0; seq < 20; seq++)
		px_rtp(&px, PX_SOURCE, 5004, 20000, 9, seq);
	px_received(&px, 20);
	assert_int_equal(dataplane_stream_bind(px.dp, stream, two, 4, ++px.cookie), SRS_OK);
	px_seal(&px, one, "moved");
	px_wait(&px, EVENT_STREAM_BOUND, px.cookie - 1);
	assert_int_equal(px_counter(&px, "totals_dropped"), 0);
	px_remove(&px, stream);
	px_seal(&px, two, "bye");
	px_stop_and_read(&px);
	assert_int_equal(row_of(&px, 1, 0, 0)->recorded, 20);
	px_close(&px);
}

static void
a_latched_source_is_recorded_from_its_first_packet(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[64];
	uint32_t recording, stream;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	spec.latch = true;
	stream = px_stream(&px, &spec);
	px_rtp(&px, "198.18.9.9", 4000, 20000, 77, 1000);	/* one stray packet is not a source */
	for (uint16_t seq = 0; seq < 10; seq++)
		px_rtp(&px, "198.18.1.20", 5004, 20000, 9, seq);
	px_rtp(&px, "198.18.9.9", 4000, 20000, 77, 1001);	/* too late */
	px_rtp(&px, "198.18.1.20", 5006, 20000, 9, 10);		/* another port */
	px_received(&px, 13);
	assert_int_equal(px_counter(&px, "rx_held"), 2);
	assert_int_equal(px_counter(&px, "held_recorded"), 1);
	assert_int_equal(px_counter(&px, "held_dropped"), 1);
	assert_int_equal(px_counter(&px, "rx_recorded"), 9);
	assert_int_equal(px_counter(&px, "rx_drop_source"), 2);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_RTP, 0, frames, 64), 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(frames[i]->frame.seq_ext, 0x10000 + i);
	assert_int_equal(row_of(&px, 1, 0, 0)->recorded, 10);
	px_close(&px);
}

static void
more_sources_than_a_stream_keeps_push_out_the_oldest(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[64];
	uint32_t recording, stream;
	unsigned int gone = 0;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	for (uint32_t ssrc = 0; ssrc < 6; ssrc++)
		for (uint16_t seq = 0; seq < 3; seq++) {
			px_rtp(&px, PX_SOURCE, 5004, 20000, ssrc, seq);
			px_received(&px, ssrc * 3 + seq + 1u);	/* a turn of its own: a burst keeps what it met */
		}
	assert_int_equal(px_counter(&px, "ssrc_evicted"), 2);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	assert_int_equal(px.seals[0].seal.n_streams, 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(px.seals[0].streams[i].recorded, 3);
	for (unsigned int i = frames_of(&px, 1, REEL_FRAME_MARK, 0, frames, 64); i-- > 0;) {
		struct reel_mark mark;

		assert_int_equal(reel_mark_read(&mark, frames[i]->frame.bytes), SRS_OK);
		gone += mark.kind == REEL_MARK_SSRC_GONE;
	}
	assert_int_equal(gone, 2);
	px_close(&px);
}

static void
a_source_that_begins_anew_has_lost_nothing(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[64];
	static const uint16_t runs[] = { 100, 20100, 300 };	/* far ahead, then back */
	uint32_t recording, stream;
	unsigned int begun = 0;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	for (unsigned int i = 0; i < 3; i++)
		for (uint16_t k = 0; k < 10; k++)
			px_rtp(&px, PX_SOURCE, 5004, 20000, 5, (uint16_t)(runs[i] + k));
	px_received(&px, 30);
	assert_int_equal(px_counter(&px, "ssrc_restarted"), 2);
	assert_int_equal(px_counter(&px, "rx_drop_late"), 1);	/* back: the second in its row proves it */
	assert_int_equal(px_remove(&px, stream)->u.totals.lost_upstream, 0);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	assert_int_equal(px.seals[0].seal.n_streams, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct reel_seal_stream *row = &px.seals[0].streams[i];

		assert_int_equal(row->highest_index + 1 - row->first_index, row->recorded);
		assert_int_equal(row->recorded, row->generation == 2 ? 9 : 10);
	}
	for (unsigned int i = frames_of(&px, 1, REEL_FRAME_MARK, 0, frames, 64); i-- > 0;) {
		struct reel_mark mark;

		assert_int_equal(reel_mark_read(&mark, frames[i]->frame.bytes), SRS_OK);
		begun += mark.kind == REEL_MARK_SSRC;
	}
	assert_int_equal(begun, 3);
	px_close(&px);
}

static void
a_source_that_says_goodbye_is_marked_and_may_come_back(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct px_frame *frames[64];
	static const uint8_t bye[] = { 0x80, 201, 0, 1, 0, 0, 0, 5, 0x82, 203, 0, 2, 0, 0, 0, 5, 0, 0, 0, 77 };
	static const enum reel_mark_kind want[] = { REEL_MARK_SSRC, REEL_MARK_SSRC_GONE, REEL_MARK_SSRC };
	uint8_t frame[100];
	uint32_t recording, stream;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	px_rtp(&px, PX_SOURCE, 5004, 20000, 5, 1);
	for (unsigned int i = 0; i < 2; i++)	/* said twice, marked once */
		px_inject(&px, frame, px_udp(frame, PX_SOURCE, 5005, 20000, bye, sizeof(bye)));
	px_rtp(&px, PX_SOURCE, 5004, 20000, 5, 2);
	px_received(&px, 4);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	assert_int_equal(frames_of(&px, 1, REEL_FRAME_MARK, 0, frames, 64), 3);
	for (unsigned int i = 0; i < 3; i++) {
		struct reel_mark mark;

		assert_int_equal(reel_mark_read(&mark, frames[i]->frame.bytes), SRS_OK);
		assert_int_equal(mark.kind, want[i]);
		assert_int_equal(mark.ssrc, 5);
	}
	assert_int_equal(row_of(&px, 1, 0, 0)->recorded, 2);
	assert_int_equal(row_of(&px, 1, 0, 0)->rtcp, 2);
	px_close(&px);
}

static void
the_self_test_saw_one_packet_in_each_queue(void **state)
{
	static const char *const two[] = { "limits.sessions_max=4", "limits.stall_ms_max=200", "media.lcores=2", NULL };
	struct px px;
	uint64_t seen;

	px_start(&px, two);
	seen = px_counter(&px, "rx_selftest");
	assert_in_range(seen, 2, 100);	/* on a busy machine it is sent more than once */
	assert_int_equal(px_counter(&px, "rx_drop_misrouted"), 0);
	/* another's packet to that port is not ours */
	px_rtp(&px, PX_SOURCE, 9, 9, 5, 1);
	px_received(&px, 1);
	assert_int_equal(px_counter(&px, "rx_selftest"), seen);
	assert_int_equal(px_counter(&px, "rx_drop_no_stream"), 1);
	px_close(&px);
}

/* Send `n` more packets of the stream, in order. */
static void
send_in_order(struct px *px, uint64_t *sent, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		px_rtp(px, PX_SOURCE, 5004, 20000, 5, (uint16_t)(*sent)++);
	px_received(px, *sent);
}

/* A device of 3 MiB takes one segment of 2 MiB and no second one. */
static void
a_full_disk_is_a_marked_gap_and_recording_goes_on_when_there_is_room(void **state)
{
	static char device[] = "/tmp/plane-full-XXXXXX", devices[64];
	static const char *const flags[] = { "limits.sessions_max=4", "limits.stall_ms_max=1000", devices, NULL };
	const struct reel_seal_stream *row;
	struct px px;
	struct stream_spec spec;
	struct dataplane_room room;
	uint64_t sent = 0, full, gaps = 0, rtp = 0, behind;
	uint32_t recording, stream;

	assert_non_null(mkdtemp(device));
	if (mount("tmpfs", device, "tmpfs", 0, "size=3m") != 0) {
		assert_int_equal(rmdir(device), 0);
		print_message("skipped: a small file system cannot be mounted here\n");
		skip();
	}
	snprintf(devices, sizeof(devices), "storage.devices=%s", device);
	px_start(&px, flags);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	while (px_counter(&px, "rx_drop_disk_full") == 0 && sent < 40000)
		send_in_order(&px, &sent, 500);
	send_in_order(&px, &sent, 100);
	full = px_counter(&px, "rx_drop_disk_full");
	assert_true(full > 100);
	dataplane_room(px.dp, &room);
	assert_false(room.storage_ok);	/* admission closes */
	assert_int_equal(mount("tmpfs", device, "tmpfs", MS_REMOUNT, "size=32m"), 0);
	for (unsigned int ms = 0; px_counter(&px, "rx_drop_disk_full") == full && ms < 10000; ms++) {
		uint64_t recorded = px_counter(&px, "rx_recorded");

		send_in_order(&px, &sent, 1);
		if (px_counter(&px, "rx_recorded") > recorded)
			break;
		full = px_counter(&px, "rx_drop_disk_full");
		px_rest();
	}
	send_in_order(&px, &sent, 100);
	assert_int_equal(px_counter(&px, "rx_drop_disk_full"), full);
	px_remove(&px, stream);
	px_seal(&px, recording, "bye");
	snprintf(px.dir, sizeof(px.dir), "%s", device);
	px_stop_and_read(&px);
	for (unsigned int i = 0; i < px.n_frames; i++) {
		const struct reel_frame *f = &px.frames[i].frame;
		struct reel_gap gap;

		rtp += f->kind == REEL_FRAME_RTP;
		if (f->kind != REEL_FRAME_GAP)
			continue;
		assert_int_equal(reel_gap_read(&gap, f->bytes), SRS_OK);
		if (gap.reason == REEL_REASON_DISK_FULL)
			gaps += gap.n_frames;
		else	/* a writer that had no CPU for a while */
			assert_int_equal(gap.reason, REEL_REASON_NO_CHUNK);
	}
	row = row_of(&px, 1, 0, 0);
	behind = row->missing[REEL_REASON_NO_CHUNK];
	assert_int_equal(gaps, full);
	assert_int_equal(row->missing[REEL_REASON_DISK_FULL], full);
	assert_int_equal(row->recorded + full + behind, sent);
	assert_int_equal(rtp, row->recorded);	/* what was handed over waited for room */
	assert_int_equal(umount2(device, MNT_DETACH), 0);
	px_close(&px);
}

/* A peer that changes its SSRC with each packet fills the seal's rows, not the books: what is recorded stands in a
 * row, the rest is counted. */
static void
a_flood_of_sources_leaves_the_totals_whole(void **state)
{
	struct px px;
	struct stream_spec spec;
	const struct dataplane_event *e;
	uint32_t recording, stream;

	px_start(&px, small);
	recording = px_recording(&px, 1);
	spec = px_spec(recording, 0, 20000);
	stream = px_stream(&px, &spec);
	for (uint32_t i = 0; i < 1100; i++) {
		px_rtp(&px, PX_SOURCE, 5004, 20000, 1000 + i, 7);
		if (i % 4 == 3)
			px_received(&px, i + 1);
	}
	assert_int_equal(px_counter(&px, "totals_dropped"), 0);
	assert_true(px_counter(&px, "rx_drop_ssrc") > 0);
	assert_int_equal(px_counter(&px, "rx_drop_ssrc") + px_counter(&px, "rx_recorded"), 1100);
	e = px_remove(&px, stream);
	assert_int_equal(e->u.totals.recorded, px_counter(&px, "rx_recorded"));
	assert_int_equal(px_counter(&px, "totals_dropped"), 0);
	assert_int_equal(dataplane_recording_seal(px.dp, recording, "bye", ++px.cookie), SRS_OK);
	e = px_wait(&px, EVENT_RECORDING_SEALED, px.cookie);
	assert_int_equal(e->u.sealed.n_streams, px_counter(&px, "rx_recorded"));	/* one packet a source */
	px_close(&px);
}

static void
recordings_beyond_the_limit_are_refused(void **state)
{
	static const char *const two[] = { "limits.sessions_max=1", "limits.recordings_max=2", "limits.stall_ms_max=200", NULL };
	struct px px;
	struct recording_spec spec = { .lcore_i = 0 };
	struct dataplane_room room;
	uint32_t recording;

	px_start(&px, two);
	px_recording(&px, 1);
	recording = px_recording(&px, 2);
	px_key(&px, &spec.key, spec.id, 0);
	assert_int_equal(dataplane_recording_open(px.dp, &spec, 0, &recording), SRS_ERR_LIMIT);
	dataplane_room(px.dp, &room);
	assert_int_equal(room.sessions_free, 0);
	assert_true(room.storage_ok);
	px_seal(&px, 0, "bye");
	dataplane_room(px.dp, &room);
	assert_int_equal(room.sessions_free, 1);
	px_close(&px);	/* recording 1 is still open: the next start would seal it as interrupted */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: the EAL starts once, with the memory that two queues need */
		cmocka_unit_test(the_self_test_saw_one_packet_in_each_queue),
		cmocka_unit_test(every_packet_of_a_call_is_recorded_or_counted),
		cmocka_unit_test(a_pause_is_a_counted_gap),
		cmocka_unit_test(parts_follow_on_and_a_stream_moves_to_another_recording),
		cmocka_unit_test(a_part_that_begins_in_a_pause_says_so),
		cmocka_unit_test(what_was_held_in_a_pause_does_not_come_behind_it),
		cmocka_unit_test(a_seal_that_follows_a_move_at_once_has_the_totals),
		cmocka_unit_test(a_latched_source_is_recorded_from_its_first_packet),
		cmocka_unit_test(more_sources_than_a_stream_keeps_push_out_the_oldest),
		cmocka_unit_test(a_source_that_begins_anew_has_lost_nothing),
		cmocka_unit_test(a_source_that_says_goodbye_is_marked_and_may_come_back),
		cmocka_unit_test(a_full_disk_is_a_marked_gap_and_recording_goes_on_when_there_is_room),
		cmocka_unit_test(a_flood_of_sources_leaves_the_totals_whole),
		cmocka_unit_test(recordings_beyond_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
