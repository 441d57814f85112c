/* Recording metadata: RFC 7865, its dialects, partial documents, and what hostile XML gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/metadata/metadata.h"

#define RFC_ROOT "<recording xmlns='urn:ietf:params:xml:ns:recording:1'>"

static char why[256];

static const char *
source_root(void)
{
	const char *root = getenv("CAPSTAN_SOURCE");

	return root ? root : ".";
}

static struct span
file_read(const char *path)
{
	static char bytes[METADATA_BYTES_MAX];
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL)
		fail_msg("%s cannot be read", path);
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return span_of(bytes, len);
}

static struct span
vector_read(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/vectors/metadata/%s", source_root(), name);
	return file_read(path);
}

static struct metadata *
parse(struct span bytes)
{
	struct metadata *m = NULL;

	if (metadata_parse(&m, bytes, why, sizeof(why)) != SRS_OK)
		fail_msg("not parsed: %s", why);
	return m;
}

static struct metadata *
parse_text(const char *text)
{
	return parse(span_of_text(text));
}

static enum srs_err
refusal(const char *text)
{
	struct metadata *m = NULL;
	enum srs_err err = metadata_parse(&m, span_of_text(text), why, sizeof(why));

	metadata_free(m);
	return err;
}

static const struct metadata_deviation *
find_deviation(const struct metadata *m, const char *part_of_rule)
{
	for (unsigned int i = 0; i < m->n_deviations; i++)
		if (strstr(m->deviations[i].rule, part_of_rule))
			return &m->deviations[i];
	return NULL;
}

static void
assert_deviation(const struct metadata *m, unsigned int line, const char *path, const char *part_of_rule)
{
	const struct metadata_deviation *d = find_deviation(m, part_of_rule);

	if (d == NULL) {
		fail_msg("no deviation says \"%s\"", part_of_rule);
		return;
	}
	assert_int_equal(d->line, line);
	assert_string_equal(d->path, path);
}

/* ---- RFC 7865 ---- */

static void
complete_document_is_read_whole_and_without_deviation(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));

	assert_int_equal(m->n_deviations, 0);
	assert_int_equal(m->dialect, METADATA_RFC7865);
	assert_false(m->partial);
	assert_int_equal(m->n_groups, 1);
	assert_int_equal(m->groups[0].associated.wall_ns, 1772359200000000000);
	assert_int_equal(m->n_sessions, 1);
	assert_string_equal(m->sessions[0].group_ref, m->groups[0].id);
	assert_string_equal(m->sessions[0].sip_session_id,
			    "0123456789abcdef0123456789abcdef;remote=fedcba9876543210fedcba9876543210");
	assert_string_equal(m->sessions[0].reason,
			    "Q.850;cause=16;text=\"normal \\\"clearing\\\"\", SIP;text=\"second\"");
	assert_int_equal(m->sessions[0].start.wall_ns, 1772359200250000000);
	assert_string_equal(m->sessions[0].associated.text, "2026-03-01T10:00:01Z");
	assert_int_equal(m->n_participants, 2);
	assert_int_equal(m->participants[0].n_names, 2);
	assert_string_equal(m->participants[0].names[0].aor, "sip:ada@harbour.example");
	assert_string_equal(m->participants[0].names[0].name, "Ada & crew");
	assert_string_equal(m->participants[0].names[0].lang, "en");
	assert_string_equal(m->participants[0].names[1].aor, "tel:+15550100");
	assert_string_equal(m->participants[1].names[0].name, "Bo <the> pilot");
	assert_int_equal(m->n_streams, 2);
	assert_string_equal(m->streams[1].label, "2");
	assert_int_equal(m->n_participant_sessions, 2);
	assert_string_equal(m->participant_sessions[0].params, "audio=true;mobility=fixed");
	assert_int_equal(m->n_participant_streams, 2);
	assert_int_equal(m->participant_streams[0].n_send, 1);
	assert_string_equal(m->participant_streams[0].recv[0], m->streams[1].id);
	metadata_free(m);
}

static void
extension_elements_are_kept_verbatim_and_stand_alone(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));

	assert_string_equal(m->participants[0].extension,
			    "<x:desk xmlns:x=\"urn:example:harbour\" n=\"7\"><x:inner/></x:desk>");
	assert_string_equal(m->groups[0].extension,
			    "<x:queue xmlns:x=\"urn:example:harbour\">pilots</x:queue>");
	assert_string_equal(m->extension, "<x:note xmlns:x=\"urn:example:harbour\">whole</x:note>");
	metadata_free(m);
}

static void
labels_lead_to_senders_and_session(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));
	const struct metadata_participant *out[4];

	assert_int_equal(metadata_senders(m, "1", out, 4), 1);
	assert_ptr_equal(out[0], &m->participants[0]);
	assert_int_equal(metadata_senders(m, "2", out, 4), 1);
	assert_ptr_equal(out[0], &m->participants[1]);
	assert_int_equal(metadata_senders(m, "3", out, 4), 0);
	assert_int_equal(metadata_senders(m, "1", out, 0), 0);
	assert_ptr_equal(metadata_session_of(m, "2"), &m->sessions[0]);
	assert_null(metadata_session_of(m, "3"));
	metadata_free(m);
}

static void
json_equals_the_golden_file(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));
	char *json = metadata_to_json(m);
	struct span golden = vector_read("complete.json");

	assert_non_null(json);
	if (golden.len != strlen(json) + 1 || memcmp(golden.bytes, json, strlen(json)) != 0)
		fail_msg("the JSON is\n%s", json);
	free(json);
	metadata_free(m);
}

static void
labels_without_partner_are_deviations(void **state)
{
	static const char *const labels[] = { "1", "9", "" };
	struct metadata *m = parse(vector_read("complete.xml"));
	char *json;

	metadata_check_labels(m, labels, 3);
	assert_int_equal(m->n_deviations, 2);
	assert_deviation(m, 0, "/sdp/m[2]", "no stream names");
	assert_deviation(m, 30, "/recording/stream[2]", "no m-line has");
	json = metadata_deviations_json(m);
	assert_string_equal(json, "[{\"line\":0,\"path\":\"/sdp/m[2]\",\"rule\":\"label of an m-line that no "
				  "stream names (RFC 7865 §6.7)\"},"
				  "{\"line\":30,\"path\":\"/recording/stream[2]\","
				  "\"rule\":\"stream whose label no m-line has (RFC 7865 §6.7)\"}]");
	free(json);
	metadata_free(m);
}

/* ---- dialects ---- */

static void
draft_dialect_puts_associations_into_participants(void **state)
{
	struct metadata *m = parse(vector_read("draft.xml"));
	const struct metadata_participant *out[2];

	assert_int_equal(m->dialect, METADATA_RECORDING);
	assert_int_equal(m->n_participants, 1);
	assert_int_equal(m->n_streams, 2);
	assert_string_equal(m->sessions[0].associated.text, "2026-03-01T10:00:00");
	assert_int_equal(m->sessions[0].associated.wall_ns, 1772359200000000000);
	assert_non_null(strstr(m->sessions[0].extension, "<number>7</number>"));
	assert_string_equal(m->participant_sessions[0].session, "s-1");
	assert_string_equal(m->participant_sessions[0].participant, "p-1");
	assert_string_equal(m->streams[0].mode, "separate");
	assert_int_equal(metadata_senders(m, "16777227", out, 2), 1);
	assert_string_equal(out[0]->id, "p-1");
	assert_int_equal(metadata_senders(m, "16777228", out, 2), 0);
	assert_string_equal(metadata_session_of(m, "16777227")->id, "s-1");

	assert_deviation(m, 2, "/recording", "namespace or root of a draft");
	assert_deviation(m, 3, "/recording/dataMode", "other case");
	assert_deviation(m, 4, "/recording/session", "names the id attribute");
	assert_deviation(m, 5, "/recording/session/associate-time", "sessionrecordingassoc");
	assert_deviation(m, 10, "/recording/participant/send", "participantstreamassoc");
	assert_deviation(m, 11, "/recording/participant/associate-time", "before the year 2000");
	assert_deviation(m, 13, "/recording/stream[1]/mode", "no mode");
	assert_deviation(m, 14, "/recording/stream[2]", "refers to a session");
	assert_non_null(find_deviation(m, "missing or empty"));
	assert_non_null(find_deviation(m, "without a zone"));
	assert_non_null(find_deviation(m, "no UUID in base64"));
	metadata_free(m);
}

static void
recording_metadata_of_the_siprec_draft_is_read(void **state)
{
	struct metadata *m = parse(vector_read("broad.xml"));
	const struct metadata_participant *out[4];

	assert_int_equal(m->dialect, METADATA_SIPREC);
	assert_int_equal(m->n_participants, 2);
	assert_string_equal(m->participants[1].names[0].aor, "sip:b@harbour.example");
	assert_string_equal(m->sessions[0].group_ref, m->groups[0].id);
	assert_string_equal(m->streams[0].mode, "mixed");
	assert_int_equal(metadata_senders(m, "1", out, 4), 2);
	assert_non_null(strstr(m->extension, "<requestor>SRC</requestor>"));
	assert_non_null(strstr(m->groups[0].extension, "sip:a@harbour.example"));
	assert_null(find_deviation(m, "refers to"));
	metadata_free(m);
}

static void
participant_that_stops_sending_in_the_siprec_draft_is_former(void **state)
{
	struct metadata *m = parse(vector_read("broad.xml"));
	const struct metadata_participant *out[4];
	struct metadata *update = parse_text(
	    "<recording_metadata xmlns='urn:ietf:params:xml:ns:siprec'><dataMode>partial</dataMode>"
	    "<participant id='urn:uuid:00000000-0000-4000-8000-000000000004'"
	    " session='urn:uuid:00000000-0000-4000-8000-000000000003'/></recording_metadata>");

	assert_int_equal(metadata_apply(&m, update), SRS_OK);
	assert_int_equal(m->n_participants, 2);
	assert_string_equal(m->participants[0].names[0].aor, "sip:a@harbour.example");
	assert_int_equal(metadata_senders(m, "1", out, 4), 1);
	assert_string_equal(out[0]->names[0].aor, "sip:b@harbour.example");
	metadata_free(m);
}

static void
handmade_attribute_style_is_read(void **state)
{
	struct metadata *m = parse(vector_read("handmade.xml"));
	const struct metadata_participant *out[2];

	assert_int_equal(m->dialect, METADATA_HANDMADE);
	assert_int_equal(m->n_sessions, 1);
	assert_string_equal(m->sessions[0].id, "call-7");
	assert_null(find_deviation(m, "refers to"));
	assert_int_equal(m->n_participants, 2);
	assert_string_equal(m->participants[0].names[0].aor, "sip:ada@harbour.example");
	assert_string_equal(m->participants[0].names[0].name, "Ada at desk");
	assert_string_equal(m->participants[1].names[0].name, "Bo");
	assert_string_equal(m->streams[0].label, "1");
	assert_string_equal(m->streams[0].id, "a1");
	assert_int_equal(metadata_senders(m, "1", out, 2), 1);
	assert_ptr_equal(metadata_session_of(m, "1"), &m->sessions[0]);
	metadata_free(m);
}

static void
right_names_without_a_namespace_are_read(void **state)
{
	struct metadata *m = parse_text(
	    "<recording><session session_id='a'/><x:foreign/><x:stream stream_id='b'/></recording>");

	assert_int_equal(m->dialect, METADATA_NO_NAMESPACE);
	assert_int_equal(m->n_sessions, 1);
	assert_int_equal(m->n_streams, 1); /* a prefix that nobody declared is no namespace */
	assert_deviation(m, 1, "/recording", "no namespace");
	metadata_free(m);
}

static void
element_order_and_surroundings_do_not_matter(void **state)
{
	struct metadata *m = parse_text(
	    "\r\n <?xml version='1.0'?>\r\n" RFC_ROOT
	    "<participantstreamassoc participant_id='p'><send>s</send></participantstreamassoc>"
	    "<sessionrecordingassoc session_id='c'><associate-time>x</associate-time>"
	    "</sessionrecordingassoc><stream stream_id='s' session_id='c'><label>1</label></stream>"
	    "<participant participant_id='p'/><session session_id='c'/></recording>\r\n--x--\r\n");
	const struct metadata_participant *out[1];

	assert_int_equal(m->n_sessions, 1);
	assert_true(m->sessions[0].declared);
	assert_string_equal(m->sessions[0].associated.text, "x");
	assert_int_equal(m->sessions[0].associated.wall_ns, 0);
	assert_int_equal(metadata_senders(m, "1", out, 1), 1);
	assert_null(find_deviation(m, "refers to"));
	assert_non_null(find_deviation(m, "xs:dateTime"));
	assert_deviation(m, 1, "", "blanks before");
	assert_deviation(m, 3, "", "behind the root");
	metadata_free(m);
}

static void
dangling_references_of_a_complete_document_are_warnings(void **state)
{
	struct metadata *m =
	    parse_text(RFC_ROOT "<session session_id='c'><group-ref>g</group-ref></session>\n"
				"<participantsessionassoc participant_id='p' session_id='d'/>\n"
				"<participantstreamassoc participant_id='q'><send>s</send>"
				"</participantstreamassoc></recording>");

	assert_deviation(m, 1, "/recording/session/group-ref", "refers to a group");
	assert_deviation(m, 2, "/recording/participantsessionassoc", "refers to a session");
	assert_non_null(find_deviation(m, "refers to a participant"));
	assert_deviation(m, 3, "/recording/participantstreamassoc/send", "refers to a stream");
	assert_int_equal(metadata_apply(&(struct metadata *){ NULL }, m), SRS_OK);
	metadata_free(m);
}

static void
times_are_read_with_and_without_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t wall_ns;
	} rows[] = {
		{ "2000-02-29T23:59:59.999999999Z", 951868799999999999 },
		{ "2020-02-13T03:35:19.008Z", 1581564919008000000 },
		{ "2020-02-13T03:35:19.0081234567899+02:30", 1581555919008123456 },
		{ "2020-02-13t03:35:19z", 1581564919000000000 },
		{ "2020-02-13 03:35:19", 1581564919000000000 },
		{ "2020-12-31T24:00:00Z", 1609459200000000000 },
		{ "1969-12-31T23:59:59-00:00", -1000000000 },
		{ "2021-02-29T00:00:00Z", 0 },
		{ "2020-13-01T00:00:00Z", 0 },
		{ "2020-01-01T24:00:01Z", 0 },
		{ "2020-01-01T00:60:00Z", 0 },
		{ "2020-01-01T00:00:00+15:00", 0 },
		{ "2020-01-01T00:00:00Zx", 0 },
		{ "9999-01-01T00:00:00Z", 0 },
		{ "2020-01-01", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct metadata *m;

		snprintf(text, sizeof(text),
			 RFC_ROOT "<session session_id='a'><stop-time>%s</stop-time></session></recording>",
			 rows[i].text);
		m = parse_text(text);
		assert_string_equal(m->sessions[0].stop.text, rows[i].text);
		assert_int_equal(m->sessions[0].stop.wall_ns, rows[i].wall_ns);
		metadata_free(m);
	}
}

/* ---- partial documents ---- */

#define PARTIAL RFC_ROOT "<datamode>partial</datamode>"

static void
partial_update_merges_by_id(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));
	const struct metadata_participant *out[4];

	/* a third participant takes over stream 2; the second leaves it */
	assert_int_equal(
	    metadata_apply(
		&m,
		parse_text(
		    PARTIAL
		    "<participant participant_id='cy'><nameID aor='sip:cy@harbour.example'/></participant>"
		    "<participantsessionassoc participant_id='MDEyMzQ1Njc4OTo7PD0+Pw==' "
		    "session_id='EBESExQVFhcYGRobHB0eHw=='>"
		    "<disassociate-time>2026-03-01T10:05:00Z</disassociate-time></participantsessionassoc>"
		    "<participantstreamassoc participant_id='MDEyMzQ1Njc4OTo7PD0+Pw=='>"
		    "<disassociate-time>2026-03-01T10:05:00Z</disassociate-time></participantstreamassoc>"
		    "<participantstreamassoc "
		    "participant_id='cy'><send>UFFSU1RVVldYWVpbXF1eXw==</send></participantstreamassoc>"
		    "</recording>")),
	    SRS_OK);
	assert_false(m->partial);
	assert_int_equal(m->n_participants, 3);
	assert_int_equal(m->n_streams, 2);
	assert_int_equal(m->n_participant_sessions, 2);
	assert_string_equal(m->participant_sessions[1].disassociated.text, "2026-03-01T10:05:00Z");
	assert_string_equal(m->participant_sessions[1].associated.text, "2026-03-01T10:00:02Z");
	assert_int_equal(metadata_senders(m, "2", out, 4), 2);
	assert_string_equal(out[0]->id, "cy"); /* who sends now comes first */
	assert_string_equal(out[1]->id, "MDEyMzQ1Njc4OTo7PD0+Pw==");

	/* the second comes back, and renames itself */
	assert_int_equal(
	    metadata_apply(
		&m,
		parse_text(PARTIAL
			   "<participant participant_id='MDEyMzQ1Njc4OTo7PD0+Pw=='><nameID "
			   "aor='sip:bo2@harbour.example'/></participant>"
			   "<participantsessionassoc participant_id='MDEyMzQ1Njc4OTo7PD0+Pw==' "
			   "session_id='EBESExQVFhcYGRobHB0eHw=='>"
			   "<associate-time>2026-03-01T10:09:00Z</associate-time></participantsessionassoc>"
			   "<session "
			   "session_id='EBESExQVFhcYGRobHB0eHw=='><stop-time>2026-03-01T10:10:00Z</"
			   "stop-time></session>"
			   "</recording>")),
	    SRS_OK);
	assert_string_equal(m->participant_sessions[1].associated.text, "2026-03-01T10:09:00Z");
	assert_string_equal(m->participant_sessions[1].disassociated.text, "");
	assert_string_equal(m->participants[1].names[0].aor, "sip:bo2@harbour.example");
	assert_int_equal(m->participants[1].n_names, 1);
	assert_string_equal(m->sessions[0].stop.text, "2026-03-01T10:10:00Z");
	assert_string_equal(m->sessions[0].group_ref, m->groups[0].id);
	metadata_free(m);
}

static void
stream_association_replaces_what_is_now_and_keeps_what_was(void **state)
{
	struct metadata *m = parse_text(
	    RFC_ROOT "<session session_id='c'/><participant participant_id='p'/>"
		     "<stream stream_id='a' session_id='c'><label>1</label></stream>"
		     "<stream stream_id='b' session_id='c'><label>2</label></stream>"
		     "<participantstreamassoc "
		     "participant_id='p'><send>a</send><send>b</send><associate-time>t0</associate-time>"
		     "</participantstreamassoc></recording>");
	const struct metadata_participant *out[2];

	/* one of two streams ends */
	assert_int_equal(
	    metadata_apply(
		&m, parse_text(PARTIAL
			       "<participantstreamassoc "
			       "participant_id='p'><send>a</send><disassociate-time>t1</disassociate-time>"
			       "</participantstreamassoc></recording>")),
	    SRS_OK);
	assert_int_equal(m->n_participant_streams, 2);
	assert_int_equal(m->participant_streams[0].n_send, 1);
	assert_string_equal(m->participant_streams[0].send[0], "b");
	assert_string_equal(m->participant_streams[1].send[0], "a");
	assert_string_equal(m->participant_streams[1].associated.text, "t0");
	assert_string_equal(m->participant_streams[1].disassociated.text, "t1");
	/* hold: nothing is sent any more */
	assert_int_equal(
	    metadata_apply(&m,
			   parse_text(PARTIAL "<participantstreamassoc participant_id='p'/></recording>")),
	    SRS_OK);
	assert_int_equal(m->n_participant_streams, 2);
	assert_int_equal(metadata_senders(m, "2", out, 2), 0);
	assert_int_equal(metadata_senders(m, "1", out, 2), 1); /* once */
	metadata_free(m);
}

static void
partial_that_refers_to_the_unknown_leaves_the_state(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));
	char *before = metadata_to_json(m), *after;
	struct metadata *none = NULL;
	static const char *const dangling[] = {
		PARTIAL "<stream stream_id='x' session_id='nobody'/></recording>",
		PARTIAL "<participantstreamassoc participant_id='nobody'/></recording>",
		PARTIAL "<participantstreamassoc "
			"participant_id='ICEiIyQlJicoKSorLC0uLw=='><send>x</send></participantstreamassoc></"
			"recording>",
		PARTIAL "<participantsessionassoc participant_id='ICEiIyQlJicoKSorLC0uLw==' "
			"session_id='x'/></recording>",
		PARTIAL "<sessionrecordingassoc session_id='x'/></recording>",
	};

	for (size_t i = 0; i < sizeof(dangling) / sizeof(dangling[0]); i++) {
		assert_int_equal(metadata_apply(&m, parse_text(dangling[i])), SRS_ERR_STATE);
		assert_int_equal(metadata_apply(&none, parse_text(dangling[i])), SRS_ERR_STATE);
	}
	assert_null(none);
	after = metadata_to_json(m);
	assert_string_equal(before, after);
	free(before);
	free(after);
	metadata_free(m);
}

static void
complete_document_replaces_the_state(void **state)
{
	struct metadata *m = parse(vector_read("complete.xml"));

	assert_int_equal(metadata_apply(&m, parse_text(RFC_ROOT "<session session_id='n'/></recording>")),
			 SRS_OK);
	assert_int_equal(m->n_sessions, 1);
	assert_string_equal(m->sessions[0].id, "n");
	assert_int_equal(m->n_participants, 0);
	metadata_free(m);
}

static void
merge_beyond_the_bound_leaves_the_state(void **state)
{
	struct metadata *m = NULL;
	enum srs_err err = SRS_OK;
	unsigned int rounds = 0;

	while (err == SRS_OK && rounds < 1000) {
		char text[256];

		snprintf(text, sizeof(text), PARTIAL "<session session_id='s%u'/></recording>", rounds);
		err = metadata_apply(&m, parse_text(text));
		rounds++;
	}
	assert_int_equal(err, SRS_ERR_LIMIT);
	assert_int_equal(m->n_sessions, METADATA_ITEMS_MAX);
	metadata_free(m);
}

/* ---- hostile input ---- */

static double
milliseconds(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e3 + (double)(now.tv_nsec - from->tv_nsec) / 1e6;
}

static void
assert_refused_fast(const char *text, size_t len, enum srs_err expected)
{
	struct metadata *m = NULL;
	struct timespec from;
	double ms, best = 1e9;

	for (unsigned int i = 0; i < 3; i++) { /* the best of three: the machine may be busy elsewhere */
		clock_gettime(CLOCK_MONOTONIC, &from);
		assert_int_equal(metadata_parse(&m, span_of(text, len), why, sizeof(why)), expected);
		ms = milliseconds(&from);
		best = ms < best ? ms : best;
	}
	assert_true(why[0] != '\0');
	if (best > 10)
		fail_msg("%.1f ms to refuse: %s", best, why);
}

static void
bombs_entities_and_attribute_floods_are_refused_at_once(void **state)
{
	size_t max = 4 << 20, n;
	char *text = malloc(max);
	const char *bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 "
			   "'&lol;&lol;&lol;&lol;'>]>" RFC_ROOT "&lol2;</recording>";
	const char *file = "<!doctype r SYSTEM 'file:///etc/passwd'>" RFC_ROOT "</recording>";

	assert_refused_fast(bomb, strlen(bomb), SRS_ERR_LIMIT);
	assert_refused_fast(file, strlen(file), SRS_ERR_LIMIT);

	n = (size_t)snprintf(text, max, "<recording");
	for (unsigned int i = 0; i < 100000; i++)
		n += (size_t)snprintf(text + n, max - n, " a%u=''", i);
	n += (size_t)snprintf(text + n, max - n, "/>");
	assert_refused_fast(text, n, SRS_ERR_LIMIT);		      /* by size */
	assert_refused_fast(text, METADATA_BYTES_MAX, SRS_ERR_LIMIT); /* by attributes */

	n = 0;
	for (unsigned int i = 0; i < 40000; i++)
		n += (size_t)snprintf(text + n, max - n, "<a>");
	assert_refused_fast(text, n, SRS_ERR_LIMIT);

	n = (size_t)snprintf(text, max, RFC_ROOT);
	for (unsigned int i = 0; i < 5000; i++)
		n += (size_t)snprintf(text + n, max - n, "<a/>");
	assert_refused_fast(text, n, SRS_ERR_LIMIT);
	free(text);
}

static void
largest_documents_within_the_bounds_are_quick(void **state)
{
	size_t max = METADATA_BYTES_MAX, n;
	char *text = malloc(max + 64);
	struct metadata *m;
	struct timespec from;

	/* many small foreign elements, each with a deviation-worthy sibling, under a root with many namespaces */
	n = (size_t)snprintf(text, max, "<recording xmlns='urn:ietf:params:xml:ns:recording:1'");
	for (unsigned int i = 0; i < 63; i++)
		n += (size_t)snprintf(text + n, max - n, " xmlns:n%u='urn:example:%u'", i, i);
	n += (size_t)snprintf(text + n, max - n, ">");
	for (unsigned int i = 0; i < METADATA_ELEMENTS_MAX - 1; i++)
		n += (size_t)snprintf(text + n, max - n, "<n0:a n1:b='' n2:b='' n3:b=''>x</n0:a>");
	n += (size_t)snprintf(text + n, max - n, "</recording>");
	clock_gettime(CLOCK_MONOTONIC, &from);
	m = parse(span_of(text, n));
	print_message("%zu bytes of foreign elements: %.1f ms\n", n, milliseconds(&from));
	assert_true(milliseconds(&from) < 500);
	assert_true(strlen(m->extension) < 2 * METADATA_BYTES_MAX);
	metadata_free(m);

	/* one long namespace name, used by many elements */
	n = (size_t)snprintf(text, max, RFC_ROOT "<b xmlns:y='");
	memset(text + n, 'y', 100000);
	n += 100000;
	n += (size_t)snprintf(text + n, max - n, "'/><session session_id='s' xmlns:y='");
	memset(text + n, 'z', 100000);
	n += 100000;
	n += (size_t)snprintf(text + n, max - n, "'>");
	for (unsigned int i = 0; i < 4000; i++)
		n += (size_t)snprintf(text + n, max - n, "<y:a/>");
	n += (size_t)snprintf(text + n, max - n, "</session></recording>");
	clock_gettime(CLOCK_MONOTONIC, &from);
	m = parse(span_of(text, n));
	print_message("%zu bytes with a long namespace: %.1f ms\n", n, milliseconds(&from));
	assert_true(milliseconds(&from) < 500);
	assert_true(strlen(m->sessions[0].extension) < 4 * METADATA_BYTES_MAX);
	assert_non_null(find_deviation(m, "256 KiB"));
	metadata_free(m);
	free(text);
}

static void
what_is_not_xml_is_refused_with_its_line(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"\n\nx",
		"<",
		"<recording",
		"<recording>",
		RFC_ROOT "\n<a></b></recording>",
		RFC_ROOT "<a b=c/></recording>",
		RFC_ROOT "<a b='<'/></recording>",
		RFC_ROOT "<a b='1' b='2'/></recording>",
		RFC_ROOT "&unknown;</recording>",
		RFC_ROOT "\x01</recording>",
		RFC_ROOT "\xff</recording>",
		RFC_ROOT "<!{CDATA{x</recording>",
		RFC_ROOT "<!-- -- --></recording>",
		RFC_ROOT "<![CDATA[</recording>",
		RFC_ROOT "<?pi </recording>",
		"<?xml version='1.0' encoding='utf-7'?>" RFC_ROOT "</recording>",
		"<?xml version='1.0' encoding='IBM037'?>" RFC_ROOT "</recording>",
		"</recording>",
		RFC_ROOT "<sip:a=b@c></recording>",
		"<requestsnapshot xmlns='urn:ietf:params:xml:ns:recording:1'/>",
	};
	static const char nul[] = "<recording>\0</recording>";
	struct metadata *m = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (refusal(texts[i]) != SRS_ERR_INVALID)
			fail_msg("not refused: %s", texts[i]);
		assert_true(strncmp(why, "line ", 5) == 0);
	}
	assert_int_equal(metadata_parse(&m, span_of(nul, sizeof(nul) - 1), why, sizeof(why)),
			 SRS_ERR_INVALID);
	assert_int_equal(refusal(RFC_ROOT "\n\n<a></b></recording>"), SRS_ERR_INVALID);
	assert_string_equal(why, "line 3: an end tag that does not match the tag opened in line 3");
}

static void
deviations_are_bounded_and_one_rule_does_not_fill_them(void **state)
{
	char *text = malloc(65536);
	size_t n = (size_t)snprintf(text, 65536, RFC_ROOT);
	struct metadata *m;

	for (unsigned int i = 0; i < 300; i++)
		n += (size_t)snprintf(text + n, 65536 - n, "<stream streamid='%u'><Label>%u</Label></stream>",
				      i, i);
	snprintf(text + n, 65536 - n, "</recording>");
	m = parse_text(text);
	assert_int_equal(m->n_streams, METADATA_ITEMS_MAX);
	assert_true(m->n_deviations <= 40);
	assert_non_null(find_deviation(m, "more than 256"));
	metadata_free(m);
	free(text);
}

static void
every_prefix_of_a_document_is_safe(void **state)
{
	struct span whole = vector_read("complete.xml");

	for (size_t n = 0; n < whole.len; n += 7) {
		char *exact = malloc(n ? n : 1);
		struct metadata *m = NULL;

		memcpy(exact, whole.bytes, n);
		if (metadata_parse(&m, span_of(exact, n), why, sizeof(why)) == SRS_OK)
			assert_true(n >= whole.len - 2); /* only the last line end is missing */
		metadata_free(m);
		free(exact);
	}
}

/* ---- files ---- */

static void
files_may_be_messages_and_lines_are_those_of_the_file(void **state)
{
	const char *message =
	    "INVITE sip:srs SIP/2.0\r\nContent-Type: multipart/mixed;\r\n boundary=b\r\nTo: x\r\n\r\n"
	    "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n"
	    "Content-Type: application/rs-metadata+xml\r\n\r\n" RFC_ROOT
	    "\r\n<dataMode>partial</dataMode>\r\n"
	    "</recording>\r\n--b--\r\n";
	const char *body = strstr(message, "--b\r\n");
	struct metadata *m = NULL;

	assert_int_equal(metadata_check_bytes(&m, span_of_text(message), why, sizeof(why)), SRS_OK);
	assert_true(m->partial);
	assert_deviation(m, 14, "/recording/dataMode", "other case");
	metadata_free(m);
	assert_int_equal(metadata_check_bytes(&m, span_of_text(body), why, sizeof(why)), SRS_OK);
	assert_deviation(m, 9, "/recording/dataMode", "other case");
	metadata_free(m);
	assert_int_equal(metadata_check_bytes(&m, span_of_text(RFC_ROOT "</recording>"), why, sizeof(why)),
			 SRS_OK);
	metadata_free(m);
	assert_int_equal(
	    metadata_check_bytes(&m, span_of_text("OPTIONS sip:x SIP/2.0\r\n\r\n"), why, sizeof(why)),
	    SRS_ERR_INVALID);
	assert_int_equal(
	    metadata_check_bytes(
		&m,
		span_of_text("INVITE sip:x SIP/2.0\r\nc: application/rs-metadata+xml\r\n\r\n" RFC_ROOT
			     "\n<a></recording>"),
		why, sizeof(why)),
	    SRS_ERR_INVALID);
	assert_string_equal(why, "line 5: an end tag that does not match the tag opened in line 5");
}

/* "2 participants, 2 streams" and "XML NOT WELL-FORMED" stand in the corpus's own index. */
static void
check_corpus_row(const char *folder, const char *row)
{
	char path[1024];
	const char *end = strchr(row, ' ');
	const char *counts = strstr(row, " participants, ");
	unsigned int n_participants, n_streams;
	struct metadata *m = NULL;
	enum srs_err err;

	snprintf(path, sizeof(path), "%s/%.*s", folder, (int)(end - row), row);
	assert_non_null(counts);
	n_streams = (unsigned int)atoi(counts + strlen(" participants, "));
	while (counts[-1] >= '0' && counts[-1] <= '9')
		counts--;
	n_participants = (unsigned int)atoi(counts);
	err = metadata_parse(&m, file_read(path), why, sizeof(why));
	if (strstr(row, "NOT WELL-FORMED") != NULL) {
		assert_int_equal(err, SRS_ERR_INVALID);
		print_message("%s: %s\n", path + strlen(folder), why);
		return;
	}
	if (err)
		fail_msg("%s: %s", path, why);
	if (m->n_participants != n_participants || m->n_streams != n_streams)
		fail_msg("%s: %u participants, %u streams", path, m->n_participants, m->n_streams);
	metadata_free(m);
}

static void
every_document_of_the_corpus_gives_what_its_index_says(void **state)
{
	char path[600], folder[512], line[4096];
	unsigned int n = 0;
	FILE *f;

	snprintf(folder, sizeof(folder), "%s/../shared/corpus", source_root());
	snprintf(path, sizeof(path), "%s/INDEX.md", folder);
	f = fopen(path, "r");
	if (f == NULL) {
		print_message("not tried: no corpus at %s\n", folder);
		skip();
	}
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "| metadata/", 11) == 0) {
			check_corpus_row(folder, line + 2);
			n++;
		}
	fclose(f);
	print_message("%u documents\n", n);
	assert_true(n >= 46);
}

static void
sendings_have_the_times_that_the_client_gave(void **state)
{
	struct metadata *m = parse_text(RFC_ROOT "<session session_id='cs'/><participant participant_id='p1'/><participant participant_id='p2'/>"
		"<stream stream_id='s1' session_id='cs'><label>1</label></stream><stream stream_id='s2' session_id='cs'><label>2</label></stream>"
		"<participantstreamassoc participant_id='p1'><send>s1</send><associate-time>1970-01-01T00:00:01Z</associate-time>"
		"</participantstreamassoc><participantstreamassoc participant_id='p2'><send>s1</send><recv>s2</recv>"
		"<disassociate-time>1970-01-01T00:00:02Z</disassociate-time></participantstreamassoc></recording>");
	struct metadata_sending sendings[4];

	assert_int_equal(metadata_sendings(m, "1", sendings, 4), 2);
	assert_string_equal(sendings[0].participant->id, "p1");
	assert_false(sendings[0].over);
	assert_int_equal(sendings[0].from_wall_ns, 1000000000);
	assert_int_equal(sendings[0].to_wall_ns, 0);
	assert_string_equal(sendings[1].participant->id, "p2");
	assert_true(sendings[1].over);
	assert_int_equal(sendings[1].to_wall_ns, 2000000000);
	assert_int_equal(metadata_sendings(m, "1", sendings, 1), 1);
	assert_int_equal(metadata_sendings(m, "2", sendings, 4), 0);
	metadata_free(m);
}

static void
thousands_of_calls_pass_through_one_state(void **state)
{
	struct metadata *m = parse_text(RFC_ROOT "<session session_id='cs-0'/><participant participant_id='p-0'/>"
	                                "<stream stream_id='s1' session_id='cs-0'><label>1</label></stream></recording>");
	char text[1024];

	for (unsigned int n = 1; n < 3000; n++) {
		(void)snprintf(text, sizeof(text), RFC_ROOT "<datamode>partial</datamode>"
		               "<group group_id='g-%u'/><session session_id='cs-%u'><stop-time>2026-01-01T00:00:00Z</stop-time></session>"
		               "<session session_id='cs-%u'><group-ref>g-%u</group-ref></session><participant participant_id='p-%u'/>"
		               "<stream stream_id='s1' session_id='cs-%u'/><participantsessionassoc participant_id='p-%u' session_id='cs-%u'/>"
		               "<participantstreamassoc participant_id='p-%u'><send>s1</send></participantstreamassoc></recording>",
		               n, n - 1, n, n, n, n, n, n, n);
		assert_int_equal(metadata_apply(&m, parse_text(text)), SRS_OK);
	}
	assert_string_equal(m->streams[0].session, "cs-2999");
	assert_string_equal(metadata_session_of(m, "1")->id, "cs-2999");
	assert_true(m->n_sessions <= METADATA_ITEMS_MAX);
	/* living ones are not forgotten for new ones */
	for (unsigned int n = 0; n < METADATA_ITEMS_MAX; n++) {
		enum srs_err err;

		(void)snprintf(text, sizeof(text), RFC_ROOT "<datamode>partial</datamode><session session_id='live-%u'/></recording>", n);
		err = metadata_apply(&m, parse_text(text));
		assert_int_equal(err, n + 1 < METADATA_ITEMS_MAX ? SRS_OK : SRS_ERR_LIMIT);
	}
	assert_int_equal(m->n_sessions, METADATA_ITEMS_MAX);
	assert_int_equal(metadata_apply(&m, parse_text(text)), SRS_ERR_LIMIT);
	assert_string_equal(metadata_session_of(m, "1")->id, "cs-2999");
	metadata_free(m);
}

/* A bit for each of cs-1, cs-2. */
static unsigned int
about(const struct metadata *state, const char *elements)
{
	char text[1024];
	struct metadata *m;
	unsigned int bits;

	(void)snprintf(text, sizeof(text), RFC_ROOT "<datamode>partial</datamode>%s</recording>", elements);
	m = parse_text(text);
	bits = (unsigned int)metadata_speaks_of(state, m, "cs-1", 127) |
	       (unsigned int)metadata_speaks_of(state, m, "cs-2", 127) << 1;
	metadata_free(m);
	return bits;
}

static void
a_partial_document_is_about_the_sessions_that_it_names(void **state)
{
	struct metadata *m = parse_text(RFC_ROOT
		"<group group_id='g'/><session session_id='cs-1'><group-ref>g</group-ref></session><session session_id='cs-2'/>"
		"<participant participant_id='p1'/><participant participant_id='p2'/><participant participant_id='p3'/>"
		"<stream stream_id='s1' session_id='cs-1'/><stream stream_id='s2' session_id='cs-2'/>"
		"<participantsessionassoc participant_id='p1' session_id='cs-1'/>"
		"<participantstreamassoc participant_id='p2'><send>s2</send></participantstreamassoc></recording>");

	assert_int_equal(about(m, "<session session_id='cs-1'><stop-time>2026-01-01T00:00:00Z</stop-time></session>"), 1);
	assert_int_equal(about(m, "<group group_id='g'/>"), 1);
	assert_int_equal(about(m, "<participant participant_id='p1'><nameID aor='sip:a@example.com'/></participant>"), 1);
	assert_int_equal(about(m, "<participant participant_id='p2'><nameID aor='sip:b@example.com'/></participant>"), 2);
	assert_int_equal(about(m, "<stream stream_id='s2'><label>9</label></stream>"), 2);
	assert_int_equal(about(m, "<participantstreamassoc participant_id='p3'><recv>s1</recv></participantstreamassoc>"), 1);
	assert_int_equal(about(m, "<session session_id='cs-3'/>"), 0);
	assert_int_equal(about(m, "<session session_id='cs-1'/><session session_id='cs-2'/>"), 3);
	/* of nothing that is known: about all */
	assert_int_equal(about(m, "<participant participant_id='p3'><nameID aor='sip:c@example.com'/></participant>"), 3);
	assert_int_equal(about(m, ""), 3);
	assert_int_equal(about(NULL, "<participant participant_id='p1'/>"), 3);
	metadata_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sendings_have_the_times_that_the_client_gave),
		cmocka_unit_test(thousands_of_calls_pass_through_one_state),
		cmocka_unit_test(a_partial_document_is_about_the_sessions_that_it_names),
		cmocka_unit_test(complete_document_is_read_whole_and_without_deviation),
		cmocka_unit_test(extension_elements_are_kept_verbatim_and_stand_alone),
		cmocka_unit_test(labels_lead_to_senders_and_session),
		cmocka_unit_test(json_equals_the_golden_file),
		cmocka_unit_test(labels_without_partner_are_deviations),
		cmocka_unit_test(draft_dialect_puts_associations_into_participants),
		cmocka_unit_test(recording_metadata_of_the_siprec_draft_is_read),
		cmocka_unit_test(participant_that_stops_sending_in_the_siprec_draft_is_former),
		cmocka_unit_test(handmade_attribute_style_is_read),
		cmocka_unit_test(right_names_without_a_namespace_are_read),
		cmocka_unit_test(element_order_and_surroundings_do_not_matter),
		cmocka_unit_test(dangling_references_of_a_complete_document_are_warnings),
		cmocka_unit_test(times_are_read_with_and_without_zone),
		cmocka_unit_test(partial_update_merges_by_id),
		cmocka_unit_test(stream_association_replaces_what_is_now_and_keeps_what_was),
		cmocka_unit_test(partial_that_refers_to_the_unknown_leaves_the_state),
		cmocka_unit_test(complete_document_replaces_the_state),
		cmocka_unit_test(merge_beyond_the_bound_leaves_the_state),
		cmocka_unit_test(bombs_entities_and_attribute_floods_are_refused_at_once),
		cmocka_unit_test(largest_documents_within_the_bounds_are_quick),
		cmocka_unit_test(what_is_not_xml_is_refused_with_its_line),
		cmocka_unit_test(deviations_are_bounded_and_one_rule_does_not_fill_them),
		cmocka_unit_test(every_prefix_of_a_document_is_safe),
		cmocka_unit_test(files_may_be_messages_and_lines_are_those_of_the_file),
		cmocka_unit_test(every_document_of_the_corpus_gives_what_its_index_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
