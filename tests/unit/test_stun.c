/* STUN: messages against the vectors of RFC 5769, and the client against a server socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/stun.h"

static const uint8_t vector_id[STUN_ID_SIZE] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

/* RFC 5769 §2.2: SOFTWARE, XOR-MAPPED-ADDRESS 192.0.2.1:32853, MESSAGE-INTEGRITY, FINGERPRINT */
static const uint8_t vector4[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20,
	0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
	0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0,
	0x6b, 0xe7, 0xd7,
	0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};
/* RFC 5769 §2.3: the same with [2001:db8:1234:5678:11:2233:4455:6677]:32853 */
static const uint8_t vector6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20,
	0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe,
	0xd2, 0xb9, 0xd9,
	0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf,
	0xe3, 0xed, 0x41,
	0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

static void
the_rfcs_responses_are_read(void **state)
{
	struct stun_response r;
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(stun_response_read(&r, span_of(vector4, sizeof(vector4)), vector_id), SRS_OK);
	assert_string_equal(inet_ntop(AF_INET, r.address.ip, text, sizeof(text)), "192.0.2.1");
	assert_int_equal(r.port, 32853);
	assert_int_equal(stun_response_read(&r, span_of(vector6, sizeof(vector6)), vector_id), SRS_OK);
	assert_string_equal(inet_ntop(AF_INET6, r.address.ip, text, sizeof(text)), "2001:db8:1234:5678:11:2233:4455:6677");
	assert_int_equal(r.port, 32853);
	assert_int_equal(r.address.ip_version, 6);
}

/* No single bit changes what is read: the message is dropped or, where the bit hid the fingerprint, says the same. Every
 * cut is told. */
static void
what_is_broken_is_dropped(void **state)
{
	uint8_t bytes[sizeof(vector4)], id[STUN_ID_SIZE];
	struct stun_response r;
	unsigned int n_dropped = 0;

	for (size_t bit = 0; bit < 8 * sizeof(vector4); bit++) {
		memcpy(bytes, vector4, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		if (stun_response_read(&r, span_of(bytes, sizeof(bytes)), vector_id) == SRS_OK) {
			if (memcmp(r.address.ip, "\xc0\x00\x02\x01", 4) != 0 || r.port != 32853)
				fail_msg("bit %zu", bit);
		} else {
			n_dropped++;
			assert_true(span_is_zero(span_of(&r, sizeof(r))));
		}
	}
	assert_true(n_dropped > 8 * sizeof(vector4) - 32);
	for (size_t len = 0; len < sizeof(vector4); len++)
		assert_int_equal(stun_response_read(&r, span_of(vector4, len), vector_id), SRS_ERR_INVALID);
	memcpy(id, vector_id, sizeof(id));
	id[11] ^= 1;
	assert_int_equal(stun_response_read(&r, span_of(vector4, sizeof(vector4)), id), SRS_ERR_INVALID);
}

/* header with the vector's id, then these attributes */
static enum srs_err
read_with(struct stun_response *r, uint16_t type, const uint8_t *attributes, size_t len)
{
	uint8_t bytes[256];

	memcpy(bytes, vector4, 20);
	bytes[0] = (uint8_t)(type >> 8);
	bytes[1] = (uint8_t)type;
	bytes[2] = (uint8_t)(len >> 8);
	bytes[3] = (uint8_t)len;
	if (len != 0)
		memcpy(bytes + 20, attributes, len);
	return stun_response_read(r, span_of(bytes, 20 + len), vector_id);
}

static void
attributes_that_must_be_understood_are(void **state)
{
	static const uint8_t error[] = { 0x00, 0x09, 0x00, 0x05, 0, 0, 4, 20, 'x', 0, 0, 0 };
	static const uint8_t bad_error[] = { 0x00, 0x09, 0x00, 0x04, 0, 0, 7, 0 };
	static const uint8_t mapped_and[] = { 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x77, 0, 0 };
	static const uint8_t twice[] = { 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
		                         0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xff, 0x12, 0xa6, 0x43 };
	static const uint8_t family3[] = { 0x00, 0x20, 0x00, 0x08, 0x00, 0x03, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43 };
	static const uint8_t plain[] = { 0x00, 0x01, 0x00, 0x08, 0x00, 0x01, 0x80, 0x55, 192, 0, 2, 1 };
	struct stun_response r;

	assert_int_equal(read_with(&r, 0x0111, error, sizeof(error)), SRS_OK);
	assert_int_equal(r.error, 420);
	assert_int_equal(r.address.ip_version, 0);
	assert_int_equal(read_with(&r, 0x0111, bad_error, sizeof(bad_error)), SRS_ERR_INVALID);
	assert_int_equal(read_with(&r, 0x0101, mapped_and, 12), SRS_OK);
	assert_int_equal(read_with(&r, 0x0101, mapped_and, 16), SRS_ERR_INVALID);
	assert_int_equal(read_with(&r, 0x0101, twice, sizeof(twice)), SRS_OK);
	assert_int_equal(r.address.ip[0], 192);
	assert_int_equal(read_with(&r, 0x0101, family3, sizeof(family3)), SRS_ERR_INVALID);
	assert_int_equal(read_with(&r, 0x0101, plain, sizeof(plain)), SRS_ERR_INVALID);	/* a NAT may have rewritten it */
	assert_int_equal(read_with(&r, 0x0101, NULL, 0), SRS_ERR_INVALID);
	assert_int_equal(read_with(&r, 0x0001, mapped_and, 12), SRS_ERR_INVALID);	/* a request */
	assert_int_equal(read_with(&r, 0x0011, mapped_and, 12), SRS_ERR_INVALID);	/* an indication */
}

/* ---- the client ---- */

struct scene {
	struct reactor *reactor;
	struct config config;
	char server[64];
	struct stun *stun;
	int fd;
	struct sockaddr_in client;
	uint8_t request[512];
	ssize_t request_len;
	unsigned int n_found;
	struct nat_address found;
};

static char no_servers[] = "";

static void
on_found(void *ctx, const struct nat_address *a)
{
	struct scene *c = ctx;

	c->n_found++;
	c->found = *a;
}

static void
scene_start(struct scene *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	char why[256] = "";

	memset(c, 0, sizeof(*c));
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(c->fd, (struct sockaddr *)&a, &len);
	snprintf(c->server, sizeof(c->server), "127.0.0.1:%u", ntohs(a.sin_port));
	c->config.stun.server = c->server;
	c->config.stun.refresh_s = 1;
	c->config.sip.dns_servers = no_servers;
	assert_int_equal(reactor_create(&c->reactor), SRS_OK);
	if (stun_create(&c->stun, c->reactor, &c->config, on_found, c, why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
}

static void
scene_stop(struct scene *c)
{
	stun_destroy(c->stun);
	reactor_destroy(c->reactor);
	close(c->fd);
}

static void
turn(struct scene *c, unsigned int ms)
{
	uint64_t until = reactor_mono_ns() + ms * UINT64_C(1000000);

	do {
		struct timeval pause = { .tv_usec = 1000 };

		event_base_loopexit(reactor_base(c->reactor), &pause);
		event_base_loop(reactor_base(c->reactor), EVLOOP_NO_EXIT_ON_EMPTY);
	} while (reactor_mono_ns() < until);
}

/* @return a request came within `ms` */
static bool
request_take(struct scene *c, unsigned int ms)
{
	uint64_t until = reactor_mono_ns() + ms * UINT64_C(1000000);

	do {
		socklen_t len = sizeof(c->client);

		turn(c, 1);
		c->request_len = recvfrom(c->fd, c->request, sizeof(c->request), MSG_DONTWAIT, (struct sockaddr *)&c->client, &len);
	} while (c->request_len < 0 && reactor_mono_ns() < until);
	return c->request_len >= 0;
}

static void
answer(struct scene *c, const uint8_t *id)
{
	uint8_t bytes[32];

	memcpy(bytes, vector4, 20);
	bytes[3] = 12;
	memcpy(bytes + 8, id, STUN_ID_SIZE);
	memcpy(bytes + 20, vector4 + 36, 12);
	assert_int_equal(sendto(c->fd, bytes, sizeof(bytes), 0, (const struct sockaddr *)&c->client, sizeof(c->client)), sizeof(bytes));
	turn(c, 20);
}

static void
says(const struct scene *c, const char *text)
{
	char *json = stun_json(c->stun, "");

	if (strstr(json, text) == NULL)
		fail_msg("%s is not in %s", text, json);
	free(json);
}

static void
the_request_is_whole_and_its_answer_is_told(void **state)
{
	struct scene c;
	uint8_t again[STUN_REQUEST_SIZE], first_id[STUN_ID_SIZE];

	scene_start(&c);
	says(&c, "\"state\":\"asking\"");
	assert_true(request_take(&c, 500));
	assert_int_equal(c.request_len, STUN_REQUEST_SIZE);
	assert_memory_equal(c.request, "\x00\x01\x00\x08\x21\x12\xa4\x42", 8);
	stun_request_write(c.request + 8, again);
	assert_memory_equal(c.request, again, sizeof(again));
	memcpy(first_id, c.request + 8, sizeof(first_id));
	answer(&c, c.request + 8);
	assert_int_equal(c.n_found, 1);
	assert_memory_equal(c.found.ip, "\xc0\x00\x02\x01", 4);
	says(&c, "\"state\":\"known\"");
	says(&c, "\"address\":\"192.0.2.1\"");
	says(&c, "\"age_s\":0");
	/* asked again, under another id; an old answer that comes late is nobody's */
	assert_true(request_take(&c, 2000));
	assert_memory_not_equal(c.request + 8, first_id, sizeof(first_id));
	answer(&c, first_id);
	assert_int_equal(c.n_found, 1);
	answer(&c, c.request + 8);
	assert_int_equal(c.n_found, 2);
	scene_stop(&c);
}

static void
a_lost_request_is_repeated_under_the_same_id(void **state)
{
	struct scene c;
	uint8_t id[STUN_ID_SIZE];
	uint64_t begun;

	scene_start(&c);
	assert_true(request_take(&c, 500));
	memcpy(id, c.request + 8, sizeof(id));
	begun = reactor_mono_ns();
	assert_true(request_take(&c, 2000));
	assert_true(reactor_mono_ns() - begun > UINT64_C(400000000));
	assert_memory_equal(c.request + 8, id, sizeof(id));
	begun = reactor_mono_ns();
	assert_true(request_take(&c, 3000));
	assert_true(reactor_mono_ns() - begun > UINT64_C(900000000));	/* doubled (RFC 8489 §6.2.1) */
	answer(&c, id);
	assert_int_equal(c.n_found, 1);
	scene_stop(&c);
}

static void
an_answer_from_elsewhere_or_with_another_id_is_dropped(void **state)
{
	struct scene c;
	uint8_t id[STUN_ID_SIZE];
	int server;

	scene_start(&c);
	assert_true(request_take(&c, 500));
	memcpy(id, c.request + 8, sizeof(id));
	id[0] ^= 1;
	answer(&c, id);
	assert_int_equal(c.n_found, 0);
	server = c.fd;
	c.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	answer(&c, c.request + 8);		/* from another port */
	assert_int_equal(c.n_found, 0);
	close(c.fd);
	c.fd = server;
	answer(&c, c.request + 8);
	assert_int_equal(c.n_found, 1);
	scene_stop(&c);
}

static void
an_error_of_the_server_is_told_and_what_was_found_stays(void **state)
{
	struct scene c;
	uint8_t bytes[28] = { 0x01, 0x11, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42, [20] = 0x00, 0x09, 0x00, 0x04, 0, 0, 4, 1 };

	scene_start(&c);
	assert_true(request_take(&c, 500));
	answer(&c, c.request + 8);
	assert_true(request_take(&c, 2000));
	memcpy(bytes + 8, c.request + 8, STUN_ID_SIZE);
	sendto(c.fd, bytes, sizeof(bytes), 0, (const struct sockaddr *)&c.client, sizeof(c.client));
	turn(&c, 20);
	says(&c, "\"state\":\"stale\"");
	says(&c, "error 401");
	says(&c, "192.0.2.1");
	assert_true(request_take(&c, 2000));	/* and it goes on */
	answer(&c, c.request + 8);
	says(&c, "\"state\":\"known\"");
	says(&c, "\"error\":\"\"");
	scene_stop(&c);
}

static void
the_server_is_named_in_every_usual_way(void **state)
{
	char *const good[] = { (char[]){ "192.0.2.1" }, (char[]){ "192.0.2.1:3479" }, (char[]){ "2001:db8::1" }, (char[]){ "[2001:db8::1]" },
		                      (char[]){ "[2001:db8::1]:3478" } };
	char *const bad[] = { (char[]){ ":3478" }, (char[]){ "192.0.2.1:" }, (char[]){ "192.0.2.1:0" }, (char[]){ "192.0.2.1:70000" },
		                     (char[]){ "[2001:db8::1" }, (char[]){ "[2001:db8::1]x" }, (char[]){ "stun:a b" }, (char[]){ "a/b:1" } };
	struct config config = { .stun.refresh_s = 60, .sip.dns_servers = no_servers };
	struct reactor *r;
	char why[256];

	assert_int_equal(reactor_create(&r), SRS_OK);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct stun *s;

		config.stun.server = good[i];
		if (stun_create(&s, r, &config, on_found, NULL, why, sizeof(why)) != SRS_OK)
			fail_msg("%s: %s", good[i], why);
		stun_destroy(s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct stun *s;

		config.stun.server = bad[i];
		if (stun_create(&s, r, &config, on_found, NULL, why, sizeof(why)) != SRS_ERR_INVALID)
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(why, "stun.server"));
	}
	reactor_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_responses_are_read),
		cmocka_unit_test(what_is_broken_is_dropped),
		cmocka_unit_test(attributes_that_must_be_understood_are),
		cmocka_unit_test(the_request_is_whole_and_its_answer_is_told),
		cmocka_unit_test(a_lost_request_is_repeated_under_the_same_id),
		cmocka_unit_test(an_answer_from_elsewhere_or_with_another_id_is_dropped),
		cmocka_unit_test(an_error_of_the_server_is_told_and_what_was_found_stays),
		cmocka_unit_test(the_server_is_named_in_every_usual_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
