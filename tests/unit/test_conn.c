/* Streams and datagrams as hostile peers send them, through the whole stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/sip/conn.h"
#include "sip_peer.h"

static int
setup(void **state)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -1;
	peer_start(p);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	peer_stop(*state);
	free(*state);
	return 0;
}

static void
assert_starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("wanted %s, got: %.300s", with, text);
}

static const char *
options_text(int fd, const char *branch, const char *body, char *out, size_t out_len)
{
	struct peer_request r = { .method = "OPTIONS", .fd = fd, .tcp = true, .branch = branch, .call_id = branch,
		                  .cseq = 1, .body = body, .lines = body[0] == '\0' ? "" : "Content-Type: application/sdp\r\n" };

	return peer_request_text(&r, out, out_len);
}

static unsigned int
n_responses(const char *text)
{
	unsigned int n = 0;

	for (const char *at = text; (at = strstr(at, "SIP/2.0 200 ")) != NULL; at++)
		n++;
	return n;
}

/* Until the peer closes; false when it does not within a second. */
static bool
is_closed(struct peer *p, int fd)
{
	for (int i = 0; i < 1000; i++) {
		ssize_t n = recv(fd, p->received, sizeof(p->received), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		peer_turn(p, 1);
	}
	return false;
}

static void
message_is_framed_byte_by_byte(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);
	char text[4096];
	size_t len = strlen(options_text(fd, "slow", "v=0\r\n\r\n\r\nv=1\r\n", text, sizeof(text)));

	for (size_t i = 0; i < len; i++) {
		assert_int_equal(sip_counter_read(p->sip, SIP_REQUESTS), 0);
		assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
		peer_turn(p, 0);
	}
	assert_starts(peer_receive(p, fd, 200), "SIP/2.0 200 ");
	assert_int_equal(sip_counter_read(p->sip, SIP_REQUESTS), 1);
	close(fd);
}

static void
messages_in_one_segment_are_all_answered(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);
	char text[16384] = "\r\n", one[4096];
	unsigned int n = 0;

	for (int i = 0; i < 5; i++) {
		char branch[8];

		snprintf(branch, sizeof(branch), "m%d", i);
		strcat(text, options_text(fd, branch, i % 2 ? "v=0\r\n" : "", one, sizeof(one)));
	}
	peer_send(fd, text);
	for (int i = 0; i < 20 && n < 5; i++)
		n += n_responses(peer_receive(p, fd, 20));
	assert_int_equal(n, 5);
	close(fd);
}

static void
double_crlf_is_answered_by_one(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);

	peer_send(fd, "\r\n");
	assert_string_equal(peer_receive(p, fd, 20), "");
	peer_send(fd, "\r\n");
	assert_string_equal(peer_receive(p, fd, 200), "\r\n");
	close(fd);
}

/* Else each would cost a record of TLS. */
static void
pings_that_come_together_are_answered_together(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);
	char pings[4001];

	for (size_t i = 0; i + 1 < sizeof(pings); i++)
		pings[i] = "\r\n"[i % 2];
	pings[sizeof(pings) - 1] = '\0';
	peer_send(fd, pings);
	assert_string_equal(peer_receive(p, fd, 200), "\r\n");
	assert_string_equal(peer_receive(p, fd, 50), "");
	close(fd);
}

static void
missing_content_length_on_a_stream_gets_400_and_the_end(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);

	peer_send(fd, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
	              "To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n");
	assert_starts(peer_receive(p, fd, 200), "SIP/2.0 400 ");
	assert_true(is_closed(p, fd));
	close(fd);
}

static void
folded_content_length_frames_a_message(void **state)
{
	struct peer *p = *state;
	static const char *const lines[] = { "Content-Length:\r\n 4", "l :\r\n\t4\r\n ", "Content-Length: 4\x0b", "Content-Length:\n 4" };
	int fd = peer_socket(&p->tcp, SOCK_STREAM);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKf%zu\r\n"
		         "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: f%zu\r\nCSeq: 1 OPTIONS\r\n"
		         "Content-Type: text/plain\r\n%s\r\n\r\nbody", i, i, lines[i]);
		peer_send(fd, text);
		assert_starts(peer_receive(p, fd, 200), "SIP/2.0 200 ");
	}
	assert_int_equal(sip_counter_read(p->sip, SIP_REQUESTS), sizeof(lines) / sizeof(lines[0]));
	close(fd);
}

/* What framing and parsing understand differently must not be answered without a status. */
static void
length_that_is_no_number_gets_400_and_the_end(void **state)
{
	struct peer *p = *state;
	static const char *const lengths[] = { "", "+0", "-1", "4 4", "0x4", "4\r\nl: 5", "4\x0b" "4" };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int fd = peer_socket(&p->tcp, SOCK_STREAM);
		char text[1024];

		snprintf(text, sizeof(text), "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKn%zu\r\n"
		         "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: n%zu\r\nCSeq: 1 OPTIONS\r\n"
		         "Content-Type: text/plain\r\nContent-Length: %s\r\n\r\nbody", i, i, lengths[i]);
		peer_send(fd, text);
		assert_starts(peer_receive(p, fd, 200), "SIP/2.0 400 ");
		assert_true(is_closed(p, fd));
		close(fd);
	}
}

static void
too_large_a_message_gets_413_and_the_end(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);

	peer_send(fd, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
	              "To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 99999999999999999999\r\n\r\nmore");
	assert_starts(peer_receive(p, fd, 200), "SIP/2.0 413 ");
	assert_true(is_closed(p, fd));
	close(fd);
}

static void
endless_header_block_ends_the_connection(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->tcp, SOCK_STREAM);
	char line[1024];

	memset(line, 'x', sizeof(line) - 1);
	line[0] = '\n';
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0)
			break;
		peer_turn(p, 1);
	}
	assert_true(is_closed(p, fd));
	assert_int_equal(sip_counter_read(p->sip, SIP_REQUESTS), 0);
	assert_int_equal(sip_counter_read(p->sip, SIP_MALFORMED), 1);
	close(fd);
}

static void
connections_over_the_bound_are_refused_and_counted(void **state)
{
	struct peer *p = *state;
	int fds[5];
	char text[4096];

	for (int i = 0; i < 5; i++) {
		fds[i] = peer_socket(&p->tcp, SOCK_STREAM);
		peer_turn(p, 2);
	}
	assert_true(is_closed(p, fds[4]));
	assert_int_equal(sip_counter_read(p->sip, SIP_CONNECTIONS), 4);
	assert_int_equal(sip_counter_read(p->sip, SIP_CONN_REFUSED), 1);
	close(fds[0]);
	close(fds[4]);
	peer_turn(p, 5);
	fds[0] = peer_socket(&p->tcp, SOCK_STREAM);	/* room again */
	peer_send(fds[0], options_text(fds[0], "again", "", text, sizeof(text)));
	assert_starts(peer_receive(p, fds[0], 200), "SIP/2.0 200 ");
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

/* The client's connection is gone when the answer is ready: it goes to a new one, to the Via's sent-by. */
static void
response_opens_a_connection_to_sent_by_when_the_old_one_is_gone(void **state)
{
	struct peer *p = *state;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, again;
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[1024];

	assert_int_equal(bind(listening, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listening, 1), 0);
	p->answer = PEER_LATER;
	fd = peer_socket(&p->tcp, SOCK_STREAM);
	snprintf(text, sizeof(text), "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:%u;branch=z9hG4bKx\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1>\r\n"
	         "Content-Length: 0\r\n\r\n", peer_port(listening));
	peer_send(fd, text);
	assert_starts(peer_receive(p, fd, 200), "SIP/2.0 100 ");
	close(fd);
	peer_turn(p, 5);
	dialog_accept(p->dialog, PEER_SDP);
	peer_turn(p, 5);
	again = accept(listening, NULL, NULL);
	assert_true(again >= 0);
	assert_starts(peer_receive(p, again, 200), "SIP/2.0 200 ");
	close(again);
	close(listening);
}

static void
keep_alives_on_udp_are_silent(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->udp, SOCK_DGRAM);

	peer_send(fd, "\r\n\r\n");
	assert_int_equal(send(fd, "\0\0\0\0", 4, 0), 4);
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_string_equal(peer_receive(p, fd, 10), "");
	assert_int_equal(sip_counter_read(p->sip, SIP_MALFORMED), 0);
	close(fd);
}

static void
surplus_octets_of_a_datagram_are_dropped(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->udp, SOCK_DGRAM);
	struct peer_request r = { .method = "INVITE", .fd = fd, .branch = "x", .cseq = 1, .body = "v=0\r\n",
		                  .lines = "Content-Type: application/sdp\r\n" };
	char text[4096];

	peer_request_text(&r, text, sizeof(text));
	strcat(text, "surplus");
	peer_send(fd, text);
	assert_starts(peer_final(p, fd), "SIP/2.0 200 ");
	assert_int_equal(p->body_len, 5);
	close(fd);
}

static void
largest_datagram_is_taken(void **state)
{
	struct peer *p = *state;
	int fd = peer_socket(&p->udp, SOCK_DGRAM);
	char *text = calloc(1, 65536);
	static char pad[60001];

	assert_non_null(text);
	memset(pad, ' ', sizeof(pad) - 1);
	snprintf(text, 65536, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx;rport\r\nSubject:%sx\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n", pad);
	peer_send(fd, text);
	free(text);
	assert_starts(peer_receive(p, fd, 300), "SIP/2.0 200 ");
	close(fd);
}

/* Behind 0.0.0.0 the reply must come from the very address that was asked: a connected socket hears no other. */
static void
reply_leaves_from_the_address_it_was_sent_to(void **state)
{
	struct peer *p = *state;
	struct peer any = { 0 };
	static char wildcard[] = "0.0.0.0";
	struct dialog_handlers handlers = { .on_door = peer_on_door };
	struct sockaddr_storage to;
	char why[256], text[4096];
	int fd;

	any.config = p->config;
	any.listen[0] = (struct config_listen){ CONFIG_UDP, wildcard, 0 };
	any.config.sip.listen = any.listen;
	any.config.sip.n_listen = 1;
	assert_int_equal(reactor_create(&any.reactor), SRS_OK);
	assert_int_equal(sip_create(&any.sip, any.reactor, &any.config, &handlers, &any, why, sizeof(why)), SRS_OK);
	assert_int_equal(conn_address_read(&to, "127.0.0.77", conn_port(sip_listener_address(any.sip, 0))), SRS_OK);
	fd = peer_socket(&to, SOCK_DGRAM);
	peer_send(fd, options_text(fd, "any", "", text, sizeof(text)));
	assert_starts(peer_receive(&any, fd, 300), "SIP/2.0 200 ");
	assert_non_null(strstr(any.received, "Contact: <sip:srs@127.0.0.77:"));
	close(fd);
	peer_stop(&any);
}

static void
taken_port_is_named_with_the_remedy(void **state)
{
	struct peer *p = *state;
	struct config config = p->config;
	struct config_listen listen = { CONFIG_UDP, p->listen[0].address, conn_port(&p->udp) };
	struct dialog_handlers handlers = { 0 };
	struct sip *sip;
	char why[256];

	config.sip.listen = &listen;
	config.sip.n_listen = 1;
	assert_int_equal(sip_create(&sip, p->reactor, &config, &handlers, NULL, why, sizeof(why)), SRS_ERR_IO);
	assert_non_null(strstr(why, "it is taken"));
}

static void
addresses_are_read_and_written_as_sip_does(void **state)
{
	struct sockaddr_storage a, b;
	char text[CONN_ADDRESS_TEXT_MAX];

	assert_int_equal(conn_address_read(&a, "[2001:db8::1]", 5060), SRS_OK);
	assert_string_equal(conn_address_text(&a, text), "[2001:db8::1]:5060");
	assert_string_equal(conn_host_text(&a, text), "2001:db8::1");
	assert_int_equal(conn_address_read(&b, "192.0.2.1", 1), SRS_OK);
	assert_string_equal(conn_address_text(&b, text), "192.0.2.1:1");
	assert_false(conn_same_host(&a, &b));
	assert_int_equal(conn_address_read(&b, "srs.example.com", 1), SRS_ERR_INVALID);
	assert_int_equal(conn_address_read(&b, "[::1", 1), SRS_ERR_INVALID);
	assert_int_equal(conn_address_read(&b, "", 1), SRS_ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_is_framed_byte_by_byte),
		TEST(messages_in_one_segment_are_all_answered),
		TEST(double_crlf_is_answered_by_one),
		TEST(pings_that_come_together_are_answered_together),
		TEST(missing_content_length_on_a_stream_gets_400_and_the_end),
		TEST(folded_content_length_frames_a_message),
		TEST(length_that_is_no_number_gets_400_and_the_end),
		TEST(too_large_a_message_gets_413_and_the_end),
		TEST(endless_header_block_ends_the_connection),
		TEST(connections_over_the_bound_are_refused_and_counted),
		TEST(response_opens_a_connection_to_sent_by_when_the_old_one_is_gone),
		TEST(keep_alives_on_udp_are_silent),
		TEST(surplus_octets_of_a_datagram_are_dropped),
		TEST(largest_datagram_is_taken),
		TEST(reply_leaves_from_the_address_it_was_sent_to),
		TEST(taken_port_is_named_with_the_remedy),
		cmocka_unit_test(addresses_are_read_and_written_as_sip_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
