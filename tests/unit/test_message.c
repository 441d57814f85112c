/* SIP messages as real clients and torture sets write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/message.h"
#include "controlplane/sip/response.h"

#define FILE_BYTES_MAX 262144

static int
setup_parser(void **state)
{
	return parser_init() == OSIP_SUCCESS ? 0 : -1;
}

static void
parse(struct message *m, const char *text)
{
	assert_int_equal(message_parse(m, span_of_text(text), true), SRS_OK);
}

static void
sloppy_header_block_is_read_and_the_body_left_alone(void **state)
{
	struct message m;

	parse(&m, "INVITE sip:srs@host SIP/2.0\n"
	          "v:SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa ,\n"
	          "  SIP/2.0/TCP 192.0.2.2\n"
	          "f:\"A, B\" <sip:a@x>;tag=ft\n"
	          "TO :  <sip:b@y>\n"
	          "i:id@host\n"
	          "cseq: 0007   INVITE\n"
	          "m: <sip:a@192.0.2.1;+sip.src\n"
	          "c:multipart/mixed;\n"
	          "\tboundary=\"x\"\n"
	          "Require: a,\n"
	          "require: SIPREC\n"
	          "l: 11\n"
	          "\n"
	          "--x\n\n\r\n--x--surplus");
	assert_int_equal(m.refusal, 0);
	assert_string_equal(m.call_id, "id@host");
	assert_int_equal(m.cseq, 7);
	assert_string_equal(m.from_tag, "ft");
	assert_string_equal(m.to_tag, "");
	assert_string_equal(m.branch, "z9hG4bKa");
	assert_string_equal(m.via->port, "5070");
	assert_string_equal(m.via_rest, "SIP/2.0/TCP 192.0.2.2");
	assert_string_equal(message_value(&m, "Content-Type"), "multipart/mixed;  boundary=\"x\"");
	assert_true(message_lists(&m, "Require", "siprec"));
	assert_false(message_lists(&m, "Require", "sip"));
	assert_true(message_contact_has(message_value(&m, "Contact"), "+sip.src"));
	assert_int_equal(m.body.len, 11);
	assert_memory_equal(m.body.bytes, "--x\n\n\r\n--x-", 11);
	message_release(&m);
}

static void
contact_parameters_are_found_inside_and_outside_the_uri(void **state)
{
	static const struct {
		const char *contact;
		bool sip_src, src;
	} rows[] = {
		{ "<sip:a@b>;+sip.src", true, false },
		{ "<sip:a@b>; +SIP.SRC ;expires=3", true, false },
		{ "<sip:a@b;transport=udp;+sip.src>", true, false },
		{ "<sip:a@b;+sip.src", true, false },
		{ "\"x;+sip.src\" <sip:a@b>", false, false },
		{ "<sip:a;+sip.src@b>", false, false },
		{ "<sip:b:5060;transport=udp>;src", false, true },
		{ "<sip:b>;srcx;+sip.srcx", false, false },
		{ "sip:a@b;+sip.src", true, false },
		{ "<sip:a@b>, <sip:c@d>;+sip.src", false, false },
		{ "<sip:a@b>;+sip.src=\"y\"", true, false },
		{ ";", false, false },
		{ "", false, false },
		{ "*", false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (message_contact_has(rows[i].contact, "+sip.src") != rows[i].sip_src ||
		    message_contact_has(rows[i].contact, "src") != rows[i].src)
			fail_msg("%s", rows[i].contact);
	}
}

#define HEAD "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"
#define REST "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"

static void
faults_are_refused_when_an_answer_can_be_formed(void **state)
{
	static const struct {
		const char *text;
		enum srs_err err;
		unsigned int refusal;
	} rows[] = {
		{ HEAD REST "\r\n", SRS_OK, 0 },
		{ "\r\n\r\n" HEAD REST "\r\n", SRS_OK, 0 },
		{ HEAD REST, SRS_OK, 400 },
		{ HEAD REST "Content-Length: 5\r\n\r\nabcd", SRS_OK, 400 },
		{ HEAD REST "Content-Length: -5\r\n\r\nabcd", SRS_OK, 400 },
		{ HEAD REST "Content-Length: 1\r\nl: 2\r\n\r\nabcd", SRS_OK, 400 },
		{ HEAD REST "Content-Length: 2\r\nl: 2\r\n\r\nabcd", SRS_OK, 0 },
		{ HEAD REST "From: <sip:a@b>;tag=1\r\n\r\n", SRS_OK, 400 },
		{ HEAD REST "no colon\r\n\r\n", SRS_OK, 400 },
		{ HEAD REST "bad name: x\r\n\r\n", SRS_OK, 400 },
		{ "OPTIONS  sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 400 },
		{ "OPTIONS <sip:b@c> SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 400 },
		{ "OPTIONS sip:b@c SIP/2.1\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 505 },
		{ "OPTIONS sip:b@c HTTP/1.1\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_ERR_INVALID, 0 },
		{ "OPTIONS sip:b@c SIP/2.0\r\n" REST "\r\n", SRS_ERR_INVALID, 0 },
		{ HEAD "From: <sip:a@b>\r\nTo: <sip:b@c>\r\nCSeq: 1 OPTIONS\r\n\r\n", SRS_OK, 400 },
		{ HEAD "From: <sip:a@b>\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 4294967296 OPTIONS\r\n\r\n", SRS_OK, 400 },
		{ HEAD "CSeq: 1 OPTIONS\r\n\r\n", SRS_OK, 400 },
		{ HEAD "\r\n", SRS_OK, 400 },
		{ "OPTIONS sip:2001:db8::10 SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 400 },
		{ "OPTIONS sip:a@2001:db8::10;x=y SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 400 },
		{ "OPTIONS sip:a:b@[2001:db8::10]:5060 SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 0 },
		{ "OPTIONS sip:a;b:c:d@1.2.3.4:5060 SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 0 },
		{ "OPTIONS urn:a:b:c SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" REST "\r\n", SRS_OK, 0 },
		{ "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 OPTIONS\r\n\r\n", SRS_ERR_INVALID, 0 },
		{ HEAD REST "Subject: \"a\\\"\r\n\r\n", SRS_OK, 0 },
		{ "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;;,;,,\r\n" REST "\r\n", SRS_OK, 400 },
		{ "SIP/2.0 200 \r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" REST "\r\n", SRS_OK, 0 },
		{ "SIP/2.0 700 No\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" REST "\r\n", SRS_ERR_INVALID, 0 },
		{ "SIP/2.0 200\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" REST "\r\n", SRS_OK, 0 },
		{ "", SRS_ERR_INVALID, 0 },
		{ "\r\n", SRS_ERR_INVALID, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message m;
		enum srs_err err = message_parse(&m, span_of_text(rows[i].text), true);

		if (err != rows[i].err || (err == SRS_OK && m.refusal != rows[i].refusal))
			fail_msg("row %zu: err %s, refusal %u (%s)", i, srs_err_name(err), m.refusal,
			         m.why == NULL ? "" : m.why);
		message_release(&m);
	}
}

static void
header_lines_are_bounded(void **state)
{
	static char text[80000] = HEAD REST;
	struct message m;

	for (int i = 0; i < 300; i++)
		strcat(text, "X: y\r\n");
	strcat(text, "\r\n");
	parse(&m, text);
	assert_int_equal(m.refusal, 400);
	message_release(&m);
	memset(text + strlen(HEAD REST), 'x', 70000);
	strcpy(text + 70000, "\r\n\r\n");
	assert_int_equal(message_parse(&m, span_of_text(text), true), SRS_ERR_LIMIT);
	message_release(&m);
}

static void
nul_in_a_header_is_refused(void **state)
{
	static const char text[] = HEAD REST "Subject: a\0b\r\n\r\n";
	struct message m;

	assert_int_equal(message_parse(&m, span_of(text, sizeof(text) - 1), true), SRS_OK);
	assert_int_equal(m.refusal, 400);
	message_release(&m);
}

static void
framing_is_the_same_however_the_bytes_arrive(void **state)
{
	static const char *const texts[] = {
		HEAD REST "Content-Length: 4\r\n\r\nbody",
		"A\n\r\nx", "A\r\nl:3\r\n\nabc", "A\nl: 0\n\n", HEAD REST "\r\n\r\n", "A\r\nl: 1\r\n l: 2\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct message_framer whole = { 0 }, slow = { 0 };
		enum message_framing all = message_frame(&whole, span_of_text(texts[i]), 4096), how = MESSAGE_PARTIAL;

		for (size_t n = 1; n <= strlen(texts[i]) && how == MESSAGE_PARTIAL; n++)
			how = message_frame(&slow, span_of(texts[i], n), 4096);
		assert_int_equal(how, all);
		assert_int_equal(slow.head_len, whole.head_len);
		assert_int_equal(slow.len, whole.len);
	}
}

/* ---- files that others made: run in a checkout that has them ---- */

static unsigned int
run_file(const char *path, unsigned int *n_refused, unsigned int *n_dropped)
{
	static uint8_t bytes[FILE_BYTES_MAX];
	FILE *f = fopen(path, "rb");
	size_t len;

	assert_non_null(f);
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (int datagram = 0; datagram < 2; datagram++) {
		struct conn_path from = { .remote.ss_family = AF_INET, .local.ss_family = AF_INET };
		struct message m;

		if (message_parse(&m, span_of(bytes, len), datagram) == SRS_OK && m.status == 0) {
			char *head = response_head(&m, &from, "tag");

			assert_non_null(head);
			free(head);
			*n_refused += m.refusal != 0;
		} else {
			*n_dropped += m.status == 0;
		}
		message_release(&m);
	}
	return 1;
}

static unsigned int
run_folder(const char *folder, const char *suffix, unsigned int *n_refused, unsigned int *n_dropped)
{
	const char *source = getenv("CAPSTAN_SOURCE");
	char path[1024];
	unsigned int n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/../shared/corpus/%s", source == NULL ? "." : source, folder);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name), s = strlen(suffix);

		if (len <= s || strcmp(e->d_name + len - s, suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/../shared/corpus/%s/%s", source, folder, e->d_name);
		n += run_file(path, n_refused, n_dropped);
	}
	closedir(d);
	return n;
}

static void
torture_messages_are_answered_or_dropped(void **state)
{
	unsigned int refused = 0, dropped = 0;
	unsigned int n = run_folder("torture", ".dat", &refused, &dropped) + run_folder("torture", ".sip", &refused, &dropped) +
	                 run_folder("torture", ".bin", &refused, &dropped);

	if (n == 0) {
		print_message("skipped: no torture corpus beside the source\n");
		skip();
	}
	print_message("%u torture files: %u refused, %u dropped (each as datagram and as stream)\n", n, refused, dropped);
}

static void
messages_of_real_clients_are_read(void **state)
{
	unsigned int refused = 0, dropped = 0;
	unsigned int n = run_folder("sip", ".sip", &refused, &dropped);

	if (n == 0) {
		print_message("skipped: no message corpus beside the source\n");
		skip();
	}
	print_message("%u messages: %u refused, %u dropped\n", n, refused, dropped);
	assert_int_equal(dropped, 2);	/* one file, both ways: a template without Via, From, To, Call-ID, CSeq */
}

/* RFC 3261 §18.2.2, RFC 3581 §4: to the port of sent-by, or of the source; never to a third party. */
static void
response_goes_to_sent_by_or_to_the_source(void **state)
{
	static const struct { enum config_transport over; const char *via; uint16_t port; } rows[] = {
		{ CONFIG_UDP, "UDP 192.0.2.1:5070", 5070 }, { CONFIG_UDP, "UDP 192.0.2.1", 5060 },
		{ CONFIG_UDP, "UDP 192.0.2.1:5070;rport", 40000 }, { CONFIG_UDP, "UDP 192.0.2.1:5070;maddr=203.0.113.9", 5070 },
		{ CONFIG_UDP, "UDP 192.0.2.1:0", 40000 }, { CONFIG_UDP, "UDP 192.0.2.1:70000", 40000 },
		{ CONFIG_UDP, "UDP 192.0.2.1:4294972366", 40000 }, { CONFIG_TCP, "TCP 192.0.2.1", 5060 },
		{ CONFIG_TCP, "TCP 192.0.2.1;rport", 5060 }, { CONFIG_TLS, "TLS 192.0.2.1", 5061 },
		{ CONFIG_TLS, "TLS 192.0.2.1:5071", 5071 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conn_path from = { .transport = rows[i].over }, to;
		struct message m;
		char text[512];

		assert_int_equal(conn_address_read(&from.remote, "198.51.100.1", 40000), SRS_OK);
		snprintf(text, sizeof(text), "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/%s;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
		         "To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", rows[i].via);
		parse(&m, text);
		response_path(&m, &from, &to);
		if (conn_port(&to.remote) != rows[i].port || !conn_same_host(&to.remote, &from.remote))
			fail_msg("%s: to port %u", rows[i].via, conn_port(&to.remote));
		message_release(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sloppy_header_block_is_read_and_the_body_left_alone),
		cmocka_unit_test(contact_parameters_are_found_inside_and_outside_the_uri),
		cmocka_unit_test(faults_are_refused_when_an_answer_can_be_formed),
		cmocka_unit_test(header_lines_are_bounded),
		cmocka_unit_test(nul_in_a_header_is_refused),
		cmocka_unit_test(framing_is_the_same_however_the_bytes_arrive),
		cmocka_unit_test(torture_messages_are_answered_or_dropped),
		cmocka_unit_test(response_goes_to_sent_by_or_to_the_source),
		cmocka_unit_test(messages_of_real_clients_are_read),
	};

	return cmocka_run_group_tests(tests, setup_parser, NULL);
}
