#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/sip/conn_source.h"

static struct sockaddr_storage
address(const char *text, unsigned int low)
{
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a;
	struct sockaddr_in *in4 = (struct sockaddr_in *)&a;

	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		a.ss_family = AF_INET;
		in4->sin_port = htons((uint16_t)low);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		a.ss_family = AF_INET6;
		in6->sin6_addr.s6_addr[15] = (uint8_t)low;
	}
	return a;
}

static void
connections_of_an_address_are_counted_whatever_their_port(void **state)
{
	struct sockaddr_storage a = address("192.0.2.1", 1), a2 = address("192.0.2.1", 2), b = address("192.0.2.2", 1);
	struct conn_sources *s;
	struct conn_source *one, *other;

	assert_int_equal(conn_sources_create(&s, 4), SRS_OK);
	one = conn_source_take(s, &a);
	assert_ptr_equal(conn_source_take(s, &a2), one);
	assert_int_equal(one->n_open, 2);
	other = conn_source_take(s, &b);
	assert_ptr_not_equal(one, other);
	assert_int_equal(other->n_open, 1);
	conn_source_give(s, one);
	assert_int_equal(one->n_open, 1);
	conn_source_give(s, one);
	assert_int_equal(conn_source_take(s, &a)->n_open, 1);	/* anew */
	conn_sources_destroy(s);
}

/* A host chooses the lower half of its IPv6 address as it likes. */
static void
an_ipv6_network_counts_as_one(void **state)
{
	struct conn_sources *s;
	struct conn_source *last = NULL;

	assert_int_equal(conn_sources_create(&s, 300), SRS_OK);
	for (unsigned int i = 0; i < 200; i++) {
		struct sockaddr_storage a = address("2001:db8:0:1::", i);

		last = conn_source_take(s, &a);
	}
	assert_int_equal(last->n_open, 200);
	conn_sources_destroy(s);
}

static void
table_is_bounded_and_every_place_comes_back(void **state)
{
	struct conn_source *taken[64];
	struct conn_sources *s;
	char text[32];

	assert_int_equal(conn_sources_create(&s, 64), SRS_OK);
	for (unsigned int round = 0; round < 3; round++) {
		struct sockaddr_storage more = address("198.51.100.9", 1);

		for (unsigned int i = 0; i < 64; i++) {
			struct sockaddr_storage a;

			snprintf(text, sizeof(text), "10.%u.0.%u", round, i);
			a = address(text, 1);
			taken[i] = conn_source_take(s, &a);
			assert_non_null(taken[i]);
			assert_int_equal(taken[i]->n_open, 1);
		}
		assert_null(conn_source_take(s, &more));
		for (unsigned int i = 0; i < 64; i++)
			conn_source_give(s, taken[(i * 37 + round) % 64]);
	}
	conn_source_give(s, NULL);
	conn_sources_destroy(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_of_an_address_are_counted_whatever_their_port),
		cmocka_unit_test(an_ipv6_network_counts_as_one),
		cmocka_unit_test(table_is_bounded_and_every_place_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
