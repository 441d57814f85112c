/* Bodies of SIP messages, as the RFCs write them and as SRCs do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "controlplane/sdp/body.h"

#define SDP "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
#define XML "<recording xmlns='urn:ietf:params:xml:ns:recording:1'/>"

static struct body body;
static const char *why;

static enum srs_err
split(const char *type, const char *text)
{
	return body_split(&body, type, "", span_of_text(text), &why);
}

static void
assert_part(const struct body_part *part, const char *text)
{
	assert_non_null(part);
	assert_int_equal(part->bytes.len, strlen(text));
	assert_memory_equal(part->bytes.bytes, text, part->bytes.len);
}

static void
sdp_and_metadata_are_found_in_any_order(void **state)
{
	assert_int_equal(split("multipart/mixed;boundary=\"b 1\"",
			       "--b 1\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n"
			       "--b 1\r\nContent-Type: application/rs-metadata+xml\r\n"
			       "Content-Disposition: recording-session\r\n\r\n" XML "\r\n--b 1--\r\n"),
			 SRS_OK);
	assert_int_equal(body.n_parts, 2);
	assert_part(body.sdp, SDP);
	assert_part(body.metadata, XML);
	assert_true(span_equal(body.metadata->disposition, span_of_text("recording-session")));

	assert_int_equal(
	    split("Multipart/Mixed; charset=x; Boundary = b",
		  "--b\r\ncontent-type:application/rs-metadata\r\nContent-Length:9\r\n\r\n" XML "\r\n"
		  "--b\r\nContent-Type:application/SDP;charset=utf-8\r\n\r\n" SDP "\r\n--b--  \t\r\n\r\n"),
	    SRS_OK);
	assert_part(body.sdp, SDP);
	assert_part(body.metadata, XML);
	assert_int_equal(body.sdp->content_type.len, strlen("application/SDP"));
}

static void
bare_lf_preamble_and_epilogue_are_tolerated(void **state)
{
	assert_int_equal(split("multipart/mixed;boundary=b",
			       "preamble\n--bb\n--b\nContent-Type: application/sdp\n\nv=0\n\n--b\n"
			       "Content-Type: application/rs-metadata+xml\n\n" XML
			       "\n--b--\n--b\nepilogue\n"),
			 SRS_OK);
	assert_int_equal(body.n_parts, 2);
	assert_part(body.sdp, "v=0\n");
	assert_part(body.metadata, XML);
}

static void
body_without_closing_boundary_gives_what_it_has(void **state)
{
	assert_int_equal(split("multipart/mixed;boundary=b",
			       "--b\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b\r\n"
			       "Content-Type: application/rs-metadata+xml\r\n\r\n<recording"),
			 SRS_OK);
	assert_part(body.sdp, SDP);
	assert_part(body.metadata, "<recording");
}

static void
nested_multipart_is_split_to_depth_three(void **state)
{
	const char *three = "--a\r\nContent-Type: multipart/mixed;boundary=ab\r\n\r\n"
			    "--ab\r\nContent-Type: multipart/alternative;\r\n boundary=\"abc\"\r\n\r\n"
			    "--abc\r\n\r\nplain text\r\n--abc\r\nContent-Type: application/sdp\r\n\r\n" SDP
			    "\r\n--abc--\r\n--ab--\r\n--a--";
	const char *four = "--a\nContent-Type: multipart/mixed;boundary=b\n\n--b\n"
			   "Content-Type: multipart/mixed;boundary=c\n\n--c\n"
			   "Content-Type: multipart/mixed;boundary=d\n\n--d\n\nx\n--d--\n--c--\n--b--\n--a--";

	assert_int_equal(split("multipart/mixed;boundary=a", three), SRS_OK);
	assert_int_equal(body.n_parts, 2);
	assert_part(body.sdp, SDP);
	assert_int_equal(split("multipart/mixed;boundary=a", four), SRS_ERR_LIMIT);
}

static void
unknown_part_matters_without_sdp_or_when_it_says_so(void **state)
{
	const char *implied = "--b\r\nContent-Type: application/sdp\r\n\r\n" SDP
			      "\r\n--b\r\nContent-Type: application/gtd\r\n\r\nx\r\n--b--";
	const char *explicit =
	    "--b\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b\r\nContent-Type: application/gtd\r\n"
	    "Content-Disposition: signal ; handling=\"Required\"\r\n\r\nx\r\n--b--";
	const char *alone = "--b\r\nContent-Type: application/gtd\r\n\r\nx\r\n--b--";
	const char *optional = "--b\r\nContent-Type: application/gtd\r\n"
			       "Content-Disposition: signal;handling=optional\r\n\r\nx\r\n--b--";

	assert_int_equal(split("multipart/mixed;boundary=b", implied), SRS_OK);
	assert_false(body.parts[1].handling_required);
	assert_int_equal(split("multipart/mixed;boundary=b", explicit), SRS_ERR_UNSUPPORTED);
	assert_int_equal(split("multipart/mixed;boundary=b", alone), SRS_ERR_UNSUPPORTED);
	assert_int_equal(split("multipart/mixed;boundary=b", optional), SRS_OK);
	assert_int_equal(split("text/plain", "x"), SRS_ERR_UNSUPPORTED);
	assert_int_equal(body_split(&body, "text/plain", "render;handling=optional", span_of_text("x"), &why),
			 SRS_OK);
}

static void
handling_required_on_what_we_know_is_no_refusal(void **state)
{
	assert_int_equal(
	    body_split(&body, "application/sdp", "session;handling=required", span_of_text(SDP), &why),
	    SRS_OK);
	assert_true(body.sdp->handling_required);
	assert_true(span_equal(body.sdp->disposition, span_of_text("session")));
}

static void
encoded_parts_are_not_read_as_plain_ones(void **state)
{
	assert_int_equal(
	    split("multipart/mixed;boundary=b",
		  "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		  "dj0wDQo=\r\n--b--"),
	    SRS_ERR_UNSUPPORTED);
	assert_null(body.sdp);
	assert_int_equal(
	    split("multipart/mixed;boundary=b",
		  "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n" SDP
		  "\r\n--b--"),
	    SRS_OK);
	assert_non_null(body.sdp);
}

static void
early_session_description_is_not_the_session(void **state)
{
	assert_int_equal(
	    split("multipart/mixed;boundary=b",
		  "--b\r\nContent-Type: application/sdp\r\nContent-Disposition: early-session\r\n\r\n"
		  "v=0\r\n\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b--"),
	    SRS_OK);
	assert_part(body.sdp, SDP);
}

static void
plain_bodies_need_no_parts(void **state)
{
	assert_int_equal(split(" application/sdp ; charset=utf-8", SDP), SRS_OK);
	assert_part(body.sdp, SDP);
	assert_null(body.metadata);
	assert_int_equal(split("application/rs-metadata-request", "<requestsnapshot/>"), SRS_OK);
	assert_int_equal(body.parts[0].kind, BODY_METADATA_REQUEST);
	assert_int_equal(split("", ""), SRS_OK);
	assert_int_equal(body.n_parts, 0);
}

static void
broken_structure_is_refused_with_a_reason(void **state)
{
	assert_int_equal(split("", "x"), SRS_ERR_INVALID);
	assert_true(why[0] != '\0');
	assert_int_equal(split("multipart/mixed", "--b\r\n\r\nx\r\n--b--"), SRS_ERR_INVALID);
	assert_int_equal(split("multipart/mixed;boundary=\"\"", "--\r\n\r\nx\r\n----"), SRS_ERR_INVALID);
	assert_int_equal(split("multipart/mixed;boundary=c", "--b\r\n\r\nx\r\n--b--"), SRS_ERR_INVALID);
	assert_true(why[0] != '\0');
}

static void
bounds_are_named_refusals(void **state)
{
	char text[8192], type[512];
	size_t n = 0;

	for (unsigned int i = 0; i <= BODY_PARTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "--b\r\nContent-Type: application/sdp\r\n\r\n%u\r\n", i);
	snprintf(text + n, sizeof(text) - n, "--b--\r\n");
	assert_int_equal(split("multipart/mixed;boundary=b", text), SRS_ERR_LIMIT);
	assert_int_equal(body.n_parts, BODY_PARTS_MAX);

	n = (size_t)snprintf(text, sizeof(text), "--b\r\n");
	for (unsigned int i = 0; i <= BODY_HEADERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "X-%u: y\r\n", i);
	snprintf(text + n, sizeof(text) - n, "\r\nx\r\n--b--\r\n");
	assert_int_equal(split("multipart/mixed;boundary=b", text), SRS_ERR_LIMIT);

	snprintf(type, sizeof(type), "multipart/mixed;boundary=%0300d", 1);
	assert_int_equal(split(type, "--0\r\n"), SRS_ERR_LIMIT);
}

static void
every_prefix_of_a_body_is_safe(void **state)
{
	const char *text = "--b\r\nContent-Type: multipart/mixed; boundary=\"\\c\"\r\n folded: \"x\\\r\n\r\n"
			   "--c\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--c--\r\n--b--\r\n";

	for (size_t n = 0; n <= strlen(text); n++) {
		enum srs_err err =
		    body_split(&body, "multipart/mixed;boundary=b", "", span_of(text, n), &why);

		if (err == SRS_OK && body.sdp != NULL)
			assert_true(body.sdp->bytes.bytes + body.sdp->bytes.len <= (const uint8_t *)text + n);
	}
	assert_part(body.sdp, SDP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sdp_and_metadata_are_found_in_any_order),
		cmocka_unit_test(bare_lf_preamble_and_epilogue_are_tolerated),
		cmocka_unit_test(body_without_closing_boundary_gives_what_it_has),
		cmocka_unit_test(nested_multipart_is_split_to_depth_three),
		cmocka_unit_test(unknown_part_matters_without_sdp_or_when_it_says_so),
		cmocka_unit_test(handling_required_on_what_we_know_is_no_refusal),
		cmocka_unit_test(encoded_parts_are_not_read_as_plain_ones),
		cmocka_unit_test(early_session_description_is_not_the_session),
		cmocka_unit_test(plain_bodies_need_no_parts),
		cmocka_unit_test(broken_structure_is_refused_with_a_reason),
		cmocka_unit_test(bounds_are_named_refusals),
		cmocka_unit_test(every_prefix_of_a_body_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
