/* Profile pcap, whole: a file that this test writes is read when the streams are there, at the file's pace, to its
 * end, and every packet of it is recorded or counted. */
#include "plane_fixture.h"

#define N_PACKETS 150
#define PACKET_US 2000	/* 0.3 s in all */

static uint64_t
mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
pcap_packet(FILE *f, unsigned int i, const void *frame, size_t len)
{
	const uint32_t head[4] = { 1700000000, i * PACKET_US, (uint32_t)len, (uint32_t)len };

	assert_int_equal(fwrite(head, sizeof(head), 1, f), 1);
	assert_int_equal(fwrite(frame, len, 1, f), 1);
}

/* Two streams by turns, and every tenth packet is nobody's. */
static void
pcap_write(const char *path)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, snap_len, link;
	} head = { .magic = 0xa1b2c3d4, .major = 2, .minor = 4, .snap_len = 65535, .link = 1 };
	FILE *f = fopen(path, "wb");
	uint8_t frame[256], packet[172];

	assert_non_null(f);
	assert_int_equal(fwrite(&head, sizeof(head), 1, f), 1);
	for (unsigned int i = 0; i < N_PACKETS; i++) {
		uint16_t port = i % 10 == 9 ? 30000 : (uint16_t)(20000 + 2 * (i % 2));

		px_rtp_packet(packet, i % 2, (uint16_t)i);
		pcap_packet(f, i, frame, px_udp(frame, PX_SOURCE, 5004, port, packet, sizeof(packet)));
	}
	assert_int_equal(fclose(f), 0);
}

static void
a_file_is_read_to_its_end_when_the_streams_are_there(void **state)
{
	char path[] = "/tmp/replay-XXXXXX", device[64];
	const char *const flags[] = { "limits.sessions_max=4", "limits.stall_ms_max=200", "media.profile=pcap", device, NULL };
	int fd = mkstemp(path);
	struct stream_spec spec;
	uint32_t recording, stream[2];
	uint64_t begun_ms, first_ns = 0, last_ns = 0;
	struct px px;

	assert_true(fd >= 0);
	close(fd);
	pcap_write(path);
	snprintf(device, sizeof(device), "media.device=%s", path);
	px_start(&px, flags);
	recording = px_recording(&px, 1);
	for (unsigned int ms = 0; ms < 300; ms++)
		px_rest();
	assert_int_equal(px_counter(&px, "nic_received"), 0);	/* nobody is there to hear it */
	for (unsigned int i = 0; i < 2; i++) {
		spec = px_spec(recording, (uint8_t)i, (uint16_t)(20000 + 2 * i));
		stream[i] = px_stream(&px, &spec);
	}
	begun_ms = mono_ms();
	px_received(&px, N_PACKETS);
	assert_true(mono_ms() - begun_ms >= (N_PACKETS - 1) * PACKET_US / 1000);
	assert_int_equal(px_counter(&px, "rx_recorded"), N_PACKETS * 9 / 10);
	assert_int_equal(px_counter(&px, "rx_drop_no_stream"), N_PACKETS / 10);
	for (unsigned int i = 0; i < 2; i++)
		px_remove(&px, stream[i]);
	px_seal(&px, recording, "bye");
	px_stop_and_read(&px);
	/* the times of the recording spread as the file's do; how exactly is the machine's business */
	for (unsigned int i = 0; i < px.n_frames; i++) {
		if (px.frames[i].frame.kind != REEL_FRAME_RTP)
			continue;
		if (first_ns == 0)
			first_ns = px.frames[i].frame.wall_ns;
		last_ns = px.frames[i].frame.wall_ns;
	}
	assert_true(last_ns - first_ns >= (uint64_t)N_PACKETS * PACKET_US * 1000 / 2);
	px_close(&px);
	assert_int_equal(unlink(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_to_its_end_when_the_streams_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
