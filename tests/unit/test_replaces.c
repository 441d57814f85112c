/* Replaces: the header, and what SIP says to an INVITE that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/sip/replaces.h"
#include "sip_peer.h"

/* ---- the header ---- */

static void
the_header_names_call_and_tags_in_any_order(void **state)
{
	struct replaces r;

	assert_int_equal(replaces_parse(&r, "425928@bobster.example.org;to-tag=7743;from-tag=6472"), SRS_OK);
	assert_true(span_equal_nocase(r.call_id, "425928@bobster.example.org"));
	assert_true(span_equal_nocase(r.to_tag, "7743"));
	assert_true(span_equal_nocase(r.from_tag, "6472"));
	assert_false(r.early_only);
	assert_int_equal(replaces_parse(&r, " a:(b)<c>\"d\"@[::1] ; From-Tag = x ;early-only; other=\"a;to-tag=9\\\"\" ; TO-TAG=y "), SRS_OK);
	assert_true(span_equal_nocase(r.call_id, "a:(b)<c>\"d\"@[::1]"));
	assert_true(span_equal_nocase(r.to_tag, "y"));
	assert_true(r.early_only);
}

static void
a_malformed_header_is_refused_and_leaves_nothing(void **state)
{
	static const char *const bad[] = {
		"", ";to-tag=a;from-tag=b", "a@b", "a@b;to-tag=a", "a@b;from-tag=b", "a@b;to-tag=;from-tag=b",
		"a@b;to-tag=a;to-tag=c;from-tag=b", "a@b;to-tag=a;from-tag=b;from-tag=b", "a@b;to-tag=a;from-tag=b,c@d;to-tag=a;from-tag=b",
		"a b;to-tag=a;from-tag=b", "a@b;to-tag=a;from-tag=b;", "a@b;to-tag=\"a\";from-tag=b", "a@b;to-tag=a;from-tag=b;x=\"y",
		"a@b;to-tag=a;from-tag=b;=", "a@b;to-tag=a;from-tag=b x", "a@b;to-tag;from-tag=b",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct replaces r = { .early_only = true };

		if (replaces_parse(&r, bad[i]) != SRS_ERR_INVALID)
			fail_msg("taken: \"%s\"", bad[i]);
		assert_true(span_is_zero(span_of(&r, sizeof(r))));
	}
}

static void
ended_dialogs_are_known_for_a_while_in_a_table_of_fixed_size(void **state)
{
	struct replaces_ended e = { 0 };

	assert_int_equal(replaces_ended_init(&e, 100, 1), SRS_OK);	/* 64 ms */
	assert_false(replaces_ended_has(&e, 0x123456789));
	replaces_ended_add(&e, 0x123456789);
	assert_true(replaces_ended_has(&e, 0x123456789));
	assert_false(replaces_ended_has(&e, 0x923456789));	/* the same row */
	for (uint64_t i = 0; i < 100000; i++)
		replaces_ended_add(&e, i);
	assert_true(replaces_ended_has(&e, 99999));
	usleep(70000);
	assert_false(replaces_ended_has(&e, 99999));
	replaces_ended_release(&e);
}

/* ---- over the wire ---- */

struct scene {
	struct peer p;
	int fd;
	char tag[64];		/* of the first call */
	unsigned int n;
};

static void
scene_start(struct scene *c, enum config_replaces who)
{
	struct peer_request r = { .method = "INVITE", .branch = "first", .cseq = 1 };

	peer_start(&c->p);
	c->p.config.sip.replaces = who;
	c->fd = r.fd = peer_socket(&c->p.udp, SOCK_DGRAM);
	c->n = 0;
	peer_request(&r);
	assert_non_null(strstr(peer_final(&c->p, c->fd), " 200 "));
	peer_to_tag(c->p.received, c->tag);
	r.method = "ACK";
	r.branch = "firstack";
	r.to_tag = c->tag;
	peer_request(&r);
	peer_turn(&c->p, 5);
	assert_int_equal(c->p.n_confirmed, 1);
}

static void
scene_stop(struct scene *c)
{
	close(c->fd);
	peer_stop(&c->p);
}

/* @return status of a request with these header lines; %s in them is our tag of the first call */
static unsigned int
ask(struct scene *c, int fd, const char *method, const char *lines, const char *to_tag)
{
	char all[512], branch[32], call_id[32];
	struct peer_request r = { .method = method, .fd = fd, .branch = branch, .cseq = 1, .lines = all,
		                  .to_tag = to_tag, .call_id = to_tag == NULL ? call_id : NULL };
	const char *at = strstr(lines, "%s");

	snprintf(all, sizeof(all), "%.*s%s%s", at == NULL ? (int)strlen(lines) : (int)(at - lines), lines,
	         at == NULL ? "" : c->tag, at == NULL ? "" : at + 2);
	snprintf(branch, sizeof(branch), "b%u", ++c->n);
	snprintf(call_id, sizeof(call_id), "new-%u", c->n);
	if (to_tag != NULL)
		r.cseq = 1 + c->n;
	peer_request(&r);
	return (unsigned int)strtoul(peer_final(&c->p, fd) + 8, NULL, 10);
}

#define NAMED "Replaces: call-1@src;to-tag=%s;from-tag=srctag"

static void
a_named_dialog_reaches_the_session_layer(void **state)
{
	struct scene c;
	struct dialog *first;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	first = c.p.dialog;
	assert_int_equal(ask(&c, c.fd, "INVITE", "Require: replaces\r\n" NAMED "\r\n", NULL), 200);
	assert_non_null(strstr(c.p.received, "Supported: siprec, replaces"));
	assert_ptr_equal(c.p.replaced, first);
	assert_int_equal(ask(&c, c.fd, "INVITE", "", NULL), 200);
	assert_null(c.p.replaced);
	scene_stop(&c);
}

static void
what_matches_no_dialog_is_481(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: call-1@src;to-tag=%s;from-tag=other\r\n", NULL), 481);
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: call-1@src;to-tag=srctag;from-tag=%s\r\n", NULL), 481);
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: call-0@src;to-tag=%s;from-tag=srctag\r\n", NULL), 481);
	assert_non_null(strstr(c.p.received, "Warning: 399"));
	assert_int_equal(c.p.n_invites, 1);
	c.p.answer = PEER_LATER;	/* one that we did not begin, and have not accepted (RFC 3891 §3) */
	{
		struct peer_request r = { .method = "INVITE", .fd = c.fd, .branch = "early", .cseq = 1, .call_id = "early@src" };

		peer_request(&r);
		peer_turn(&c.p, 5);
		assert_int_equal(c.p.n_invites, 2);
		peer_receive(&c.p, c.fd, 50);	/* 100 */
		snprintf(c.tag, sizeof(c.tag), "%s", dialog_local_tag(c.p.dialog));
	}
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: early@src;to-tag=%s;from-tag=srctag\r\n", NULL), 481);
	scene_stop(&c);
}

static void
several_or_malformed_or_out_of_place_is_400(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED "\r\nReplaces: call-2@src;to-tag=a;from-tag=b\r\n", NULL), 400);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED ", call-2@src;to-tag=a;from-tag=b\r\n", NULL), 400);
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: call-1@src;to-tag=%s\r\n", NULL), 400);
	assert_int_equal(ask(&c, c.fd, "OPTIONS", NAMED "\r\n", NULL), 400);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED "\r\n", c.tag), 400);
	assert_int_equal(ask(&c, c.fd, "UPDATE", NAMED "\r\n", c.tag), 400);
	assert_int_equal(c.p.n_invites, 1);
	assert_int_equal(c.p.n_reinvites, 0);
	scene_stop(&c);
}

static void
early_only_for_a_confirmed_dialog_is_486(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED ";early-only\r\n", NULL), 486);
	assert_int_equal(c.p.n_invites, 1);
	scene_stop(&c);
}

static void
a_dialog_that_ended_is_603_for_64_t1(void **state)
{
	struct scene c;
	int again;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	assert_int_equal(ask(&c, c.fd, "BYE", "", c.tag), 200);
	assert_int_equal(c.p.n_ended, 1);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED "\r\n", NULL), 603);
	peer_turn(&c.p, 64 * PEER_T1_MS + 50);
	again = peer_socket(&c.p.udp, SOCK_DGRAM);	/* the 603 was sent again and again to the old one */
	assert_int_equal(ask(&c, again, "INVITE", NAMED "\r\n", NULL), 481);
	close(again);
	scene_stop(&c);
}

/* Our BYE is still unanswered. */
static void
a_dialog_that_is_ending_is_603(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	dialog_end(c.p.dialog, 200, "enough");
	peer_receive(&c.p, c.fd, 100);
	assert_memory_equal(c.p.received, "BYE ", 4);
	{
		char all[256], text[32768];
		struct peer_request r = { .method = "INVITE", .fd = c.fd, .branch = "late", .cseq = 1, .lines = all, .call_id = "late@src" };
		unsigned int status = 0;

		snprintf(all, sizeof(all), "Replaces: call-1@src;to-tag=%s;from-tag=srctag\r\n", c.tag);
		peer_send(c.fd, peer_request_text(&r, text, sizeof(text)));
		while (status < 200) {	/* BYEs are sent again meanwhile */
			peer_receive(&c.p, c.fd, 500);
			assert_int_not_equal(c.p.received[0], '\0');
			status = strncmp(c.p.received, "SIP/2.0 ", 8) == 0 ? (unsigned int)strtoul(c.p.received + 8, NULL, 10) : 0;
		}
		assert_int_equal(status, 603);
	}
	scene_stop(&c);
}

/* As strictly as the original: without TLS that is the host it came from (RFC 3891 §8). */
static void
another_host_may_not_replace(void **state)
{
	struct scene c;
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), again;

	scene_start(&c, CONFIG_REPLACES_SOURCE);
	assert_int_equal(bind(fd, (const struct sockaddr *)&other, sizeof(other)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&c.p.udp, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(ask(&c, fd, "INVITE", NAMED "\r\n", NULL), 403);
	assert_non_null(strstr(c.p.received, "sip.replaces"));
	again = peer_socket(&c.p.udp, SOCK_DGRAM);	/* the host, another port: the client began anew */
	assert_int_equal(ask(&c, again, "INVITE", NAMED "\r\n", NULL), 200);
	close(again);
	again = peer_socket(&c.p.tcp, SOCK_STREAM);
	{
		struct peer_request r = { .method = "INVITE", .fd = again, .tcp = true, .branch = "tcp", .cseq = 1, .call_id = "tcp@src" };

		peer_request(&r);
		assert_non_null(strstr(peer_final(&c.p, again), " 200 "));
		peer_to_tag(c.p.received, c.tag);
	}
	/* a datagram's source is forged more easily than a connection's */
	assert_int_equal(ask(&c, c.fd, "INVITE", "Replaces: tcp@src;to-tag=%s;from-tag=srctag\r\n", NULL), 403);
	close(again);
	close(fd);
	scene_stop(&c);
}

static void
with_identity_asked_for_a_host_is_not_enough(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_IDENTITY);
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED "\r\n", NULL), 403);
	scene_stop(&c);
}

static void
switched_off_it_is_neither_offered_nor_read(void **state)
{
	struct scene c;

	scene_start(&c, CONFIG_REPLACES_OFF);
	assert_int_equal(ask(&c, c.fd, "INVITE", "Require: replaces\r\n" NAMED "\r\n", NULL), 420);
	assert_non_null(strstr(c.p.received, "Unsupported: replaces"));
	assert_int_equal(ask(&c, c.fd, "INVITE", NAMED "\r\n", NULL), 200);
	assert_null(strstr(c.p.received, "replaces"));
	assert_null(c.p.replaced);
	scene_stop(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_names_call_and_tags_in_any_order),
		cmocka_unit_test(a_malformed_header_is_refused_and_leaves_nothing),
		cmocka_unit_test(ended_dialogs_are_known_for_a_while_in_a_table_of_fixed_size),
		cmocka_unit_test(a_named_dialog_reaches_the_session_layer),
		cmocka_unit_test(what_matches_no_dialog_is_481),
		cmocka_unit_test(several_or_malformed_or_out_of_place_is_400),
		cmocka_unit_test(early_only_for_a_confirmed_dialog_is_486),
		cmocka_unit_test(a_dialog_that_ended_is_603_for_64_t1),
		cmocka_unit_test(a_dialog_that_is_ending_is_603),
		cmocka_unit_test(another_host_may_not_replace),
		cmocka_unit_test(with_identity_asked_for_a_host_is_not_enough),
		cmocka_unit_test(switched_off_it_is_neither_offered_nor_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
