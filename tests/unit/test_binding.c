/* Which stream goes on in which m-line: label, then mid, then place (docs/rfc-coverage.md SDP-05). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controlplane/sdp/binding.h"

static struct offer offer;
static int of_mline[OFFER_MEDIA_MAX];

static void
offer_of(unsigned int n, const char *const labels[], const char *const mids[])
{
	memset(&offer, 0, sizeof(offer));
	offer.n_media = n;
	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(offer.media[i].label, OFFER_TEXT_MAX, "%s", labels[i]);
		(void)snprintf(offer.media[i].mid, OFFER_TEXT_MAX, "%s", mids != NULL ? mids[i] : "");
	}
}

static void
swapped_m_lines_keep_their_streams_by_label(void **state)
{
	const struct binding_stream streams[] = { { "a", "", 0 }, { "b", "", 1 } };

	offer_of(2, (const char *[]){ "b", "a" }, NULL);
	binding_match(&offer, streams, 2, of_mline);
	assert_int_equal(of_mline[0], 1);
	assert_int_equal(of_mline[1], 0);
}

static void
a_label_that_is_gone_is_a_stream_that_ended(void **state)
{
	const struct binding_stream streams[] = { { "a", "", 0 }, { "b", "", 1 } };

	offer_of(1, (const char *[]){ "b" }, NULL);
	binding_match(&offer, streams, 2, of_mline);
	assert_int_equal(of_mline[0], 1);
}

static void
another_label_in_the_same_place_is_another_stream(void **state)
{
	const struct binding_stream streams[] = { { "a", "", 0 } };

	offer_of(1, (const char *[]){ "c" }, NULL);
	binding_match(&offer, streams, 1, of_mline);
	assert_int_equal(of_mline[0], BINDING_NONE);
}

static void
without_labels_the_mid_decides_then_the_place(void **state)
{
	const struct binding_stream streams[] = { { "", "x", 0 }, { "", "y", 1 }, { "", "", 2 } };

	offer_of(3, (const char *[]){ "", "", "" }, (const char *[]){ "y", "x", "" });
	binding_match(&offer, streams, 3, of_mline);
	assert_int_equal(of_mline[0], 1);
	assert_int_equal(of_mline[1], 0);
	assert_int_equal(of_mline[2], 2);
}

static void
a_label_that_is_left_out_later_keeps_its_place(void **state)
{
	const struct binding_stream streams[] = { { "a", "", 0 }, { "b", "", 1 } };

	offer_of(2, (const char *[]){ "", "" }, NULL);
	binding_match(&offer, streams, 2, of_mline);
	assert_int_equal(of_mline[0], 0);
	assert_int_equal(of_mline[1], 1);
}

static void
a_stream_is_bound_once(void **state)
{
	const struct binding_stream streams[] = { { "a", "", 0 } };

	offer_of(2, (const char *[]){ "a", "a" }, NULL);
	binding_match(&offer, streams, 1, of_mline);
	assert_int_equal(of_mline[0], 0);
	assert_int_equal(of_mline[1], BINDING_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swapped_m_lines_keep_their_streams_by_label),
		cmocka_unit_test(a_label_that_is_gone_is_a_stream_that_ended),
		cmocka_unit_test(another_label_in_the_same_place_is_another_stream),
		cmocka_unit_test(without_labels_the_mid_decides_then_the_place),
		cmocka_unit_test(a_label_that_is_left_out_later_keeps_its_place),
		cmocka_unit_test(a_stream_is_bound_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
