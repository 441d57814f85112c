/* DESCRIPTION documents: what a payload type means, who speaks, and what is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/tool/description.h"

static const char document[] =
        "{\"version\":2,\"call_id\":\"a@b\",\"src\":{\"address\":\"192.0.2.1:5060\",\"agent\":\"sbc\"},"
        "\"streams\":[{\"number\":0,\"label\":\"1\",\"address\":\"198.51.100.5\",\"port\":16384,"
        "\"codecs\":[{\"payload_type\":96,\"name\":\"OPUS\",\"clock_hz\":48000,\"channels\":2}],"
        "\"participants\":[\"p1\",\"p2\",\"nobody\"]}],"
        "\"participants\":[{\"id\":\"p1\",\"aor\":\"sip:a@x\",\"name\":\"Ann\"},{\"id\":\"p2\",\"aor\":\"sip:b@x\"}]}";

static void
names_codecs_and_speakers_are_found(void **state)
{
	struct description *d;
	const struct description_stream *s;

	assert_int_equal(description_read(&d, span_of_text(document), 7), SRS_OK);
	s = description_stream(d, 0);
	assert_non_null(s);
	assert_string_equal(s->label, "1");
	assert_int_equal(s->port, 16384);
	assert_string_equal(s->speaker, "Ann, sip:b@x");
	assert_string_equal(description_codec(d, 0, 96)->name, "OPUS");
	assert_int_equal(description_codec(d, 0, 96)->clock_hz, 48000);
	assert_null(description_stream(d, 1));
	description_free(d);
}

static void
static_types_need_no_description(void **state)
{
	assert_string_equal(description_codec(NULL, 0, 8)->name, "PCMA");
	assert_string_equal(description_codec(NULL, 0, 9)->name, "G722");
	assert_null(description_codec(NULL, 0, 97));
}

static void
what_is_not_json_is_refused(void **state)
{
	struct description *d;

	assert_int_equal(description_read(&d, span_of_text("{\"streams\":["), 0), SRS_ERR_INVALID);
	assert_int_equal(description_read(&d, span_of_text("[]"), 0), SRS_ERR_INVALID);
	assert_int_equal(description_read(&d, span_of_text(""), 0), SRS_ERR_INVALID);
}

static void
wrong_types_and_ranges_become_empty(void **state)
{
	struct description *d;

	assert_int_equal(description_read(&d, span_of_text("{\"streams\":[{\"number\":1e9,\"port\":-4,\"label\":7}]}"), 0), SRS_OK);
	assert_int_equal(d->streams[0].number, 0);
	assert_int_equal(d->streams[0].port, 0);
	assert_string_equal(d->streams[0].label, "");
	description_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_codecs_and_speakers_are_found),
		cmocka_unit_test(static_types_need_no_description),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(wrong_types_and_ranges_become_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
