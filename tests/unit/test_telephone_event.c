#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/tool/telephone_event.h"

#define PACKETS_MAX 32

struct room {
	struct timeline timeline;
	struct timeline_source source;
	struct timeline_packet packets[PACKETS_MAX];
	uint8_t payloads[PACKETS_MAX][4];
	struct description description;
	struct description_stream stream;
};

static struct room *
room_make(void)
{
	struct room *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->stream.n_codecs = 2;
	r->stream.codecs[0] = (struct description_codec){ .payload_type = 0, .name = "PCMU", .clock_hz = 8000 };
	r->stream.codecs[1] = (struct description_codec){ .payload_type = 101, .name = "TELEPHONE-EVENT", .clock_hz = 8000 };
	r->description.streams = &r->stream;
	r->description.n_streams = 1;
	r->timeline.descriptions[0] = &r->description;
	r->timeline.n_descriptions = 1;
	r->source.packets = r->packets;
	r->timeline.sources = &r->source;
	r->timeline.n_sources = 1;
	return r;
}

static void
packet_add(struct room *r, uint32_t timestamp, uint8_t code, uint8_t end, uint16_t duration)
{
	size_t i = r->source.n_packets++;

	r->payloads[i][0] = code;
	r->payloads[i][1] = (uint8_t)(end | 10);
	r->payloads[i][2] = (uint8_t)(duration >> 8);
	r->payloads[i][3] = (uint8_t)duration;
	r->packets[i] = (struct timeline_packet){ .order = i, .timestamp = timestamp, .payload_type = 101, .description = 1,
		.payload = r->payloads[i], .len = 4, .place_ns = (int64_t)timestamp * 125000, .wall_ns = i };
}

/* RFC 4733 §2.5.1.4: the last packet is sent three times, and those before it repeat the event with growing durations. */
static void
a_key_that_many_packets_tell_of_is_one_event(void **state)
{
	struct room *r = room_make();
	struct telephone_event *e;
	size_t n;

	for (uint16_t d = 160; d <= 800; d = (uint16_t)(d + 160))
		packet_add(r, 8000, 5, 0, d);
	for (int i = 0; i < 3; i++)
		packet_add(r, 8000, 5, 0x80, 960);
	packet_add(r, 16000, 5, 0, 160);	/* pressed again */
	packet_add(r, 16000, 5, 0x80, 400);
	assert_int_equal(telephone_events(&e, &n, &r->timeline), SRS_OK);
	assert_int_equal(n, 2);
	assert_int_equal(e[0].code, 5);
	assert_true(e[0].ended);
	assert_int_equal(e[0].place_ns, 1000000000);
	assert_int_equal(e[0].duration_ns, 120000000);
	assert_int_equal(e[1].duration_ns, 50000000);
	free(e);
	free(r);
}

/* §2.5.1.3: longer than a duration field holds, an event goes on in segments. */
static void
segments_of_a_long_event_are_one(void **state)
{
	struct room *r = room_make();
	struct telephone_event *e;
	size_t n;

	packet_add(r, 8000, 11, 0, 0xffff);
	packet_add(r, 8000 + 0xffff, 11, 0, 800);
	packet_add(r, 8000 + 0xffff, 11, 0x80, 1600);
	packet_add(r, 8000 + 0xffff, 11, 0x80, 1600);
	assert_int_equal(telephone_events(&e, &n, &r->timeline), SRS_OK);
	assert_int_equal(n, 1);
	assert_int_equal(e[0].duration_ns, (UINT64_C(0xffff) + 1600) * 125000);
	assert_true(e[0].ended);
	free(e);
	free(r);
}

static void
lost_ends_short_packets_and_speech_are_told_apart(void **state)
{
	struct room *r = room_make();
	struct telephone_event *e;
	char number[4];
	size_t n;

	packet_add(r, 8000, 10, 0, 160);	/* its end is lost */
	packet_add(r, 9000, 12, 0x80, 320);	/* only its end is here */
	packet_add(r, 9500, 3, 0, 160);
	r->packets[2].len = 3;
	packet_add(r, 9600, 7, 0, 160);
	r->packets[3].payload_type = 0;
	assert_int_equal(telephone_events(&e, &n, &r->timeline), SRS_OK);
	assert_int_equal(n, 2);
	assert_false(e[0].ended);
	assert_string_equal(telephone_event_name(e[0].code, number), "*");
	assert_true(e[1].ended);
	assert_string_equal(telephone_event_name(e[1].code, number), "A");
	assert_string_equal(telephone_event_name(200, number), "200");
	free(e);
	free(r);
}

static void
a_recording_without_events_has_none(void **state)
{
	struct timeline t = { 0 };
	struct telephone_event *e;
	size_t n = 1;

	assert_int_equal(telephone_events(&e, &n, &t), SRS_OK);
	assert_int_equal(n, 0);
	assert_null(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_many_packets_tell_of_is_one_event),
		cmocka_unit_test(segments_of_a_long_event_are_one),
		cmocka_unit_test(lost_ends_short_packets_and_speech_are_told_apart),
		cmocka_unit_test(a_recording_without_events_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
