/* Token buckets of sources: rate and burst, each address its own, and a table that flooders cannot use up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/sip/source_limit.h"

#define NS_PER_S UINT64_C(1000000000)
#define T0       (1000 * NS_PER_S)
#define RATE     10
#define BURST_S  3

static struct sockaddr_storage
address4(uint32_t host, uint16_t port)
{
	struct sockaddr_storage a = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&a;

	in->sin_addr.s_addr = htonl(host);
	in->sin_port = htons(port);
	return a;
}

static struct sockaddr_storage
address6(const char *text)
{
	struct sockaddr_storage a = { .ss_family = AF_INET6 };

	assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&a)->sin6_addr), 1);
	return a;
}

/* How many of `n` requests at this moment are taken, refused, dropped. */
static void
ask(struct source_limit *l, const struct sockaddr_storage *a, unsigned int n, uint64_t now, unsigned int got[3])
{
	memset(got, 0, 3 * sizeof(got[0]));
	while (n-- != 0)
		got[source_limit_ask(l, a, RATE, BURST_S, now)]++;
}

static void
a_burst_is_taken_as_much_again_refused_and_the_rest_dropped(void **state)
{
	struct sockaddr_storage a = address4(0xc0000201, 5060);
	struct source_limit *l;
	unsigned int got[3];

	assert_int_equal(source_limit_create(&l, 64), SRS_OK);
	ask(l, &a, 100, T0, got);
	assert_int_equal(got[SOURCE_TAKE], RATE * BURST_S);
	assert_int_equal(got[SOURCE_REFUSE], RATE * BURST_S);
	assert_int_equal(got[SOURCE_DROP], 100 - 2 * RATE * BURST_S);
	source_limit_destroy(l);
}

static void
what_was_used_up_comes_back_at_the_rate_and_no_further_than_the_burst(void **state)
{
	struct sockaddr_storage a = address4(0xc0000201, 5060);
	struct source_limit *l;
	unsigned int got[3];

	assert_int_equal(source_limit_create(&l, 64), SRS_OK);
	ask(l, &a, 200, T0, got);
	ask(l, &a, 100, T0 + NS_PER_S, got);
	assert_int_equal(got[SOURCE_TAKE], RATE);
	assert_int_equal(got[SOURCE_REFUSE], RATE);
	ask(l, &a, 1, T0 + NS_PER_S + NS_PER_S / RATE - 1, got);
	assert_int_equal(got[SOURCE_TAKE], 0);
	ask(l, &a, 1, T0 + NS_PER_S + NS_PER_S / RATE, got);
	assert_int_equal(got[SOURCE_TAKE], 1);
	ask(l, &a, 1000, T0 + 3600 * NS_PER_S, got);
	assert_int_equal(got[SOURCE_TAKE], RATE * BURST_S);
	source_limit_destroy(l);
}

static void
each_address_has_its_own_whatever_its_port(void **state)
{
	struct sockaddr_storage flood = address4(0xc0000201, 5060), port = address4(0xc0000201, 5061), other = address4(0xc0000202, 5060);
	struct sockaddr_storage mapped = address6("::ffff:192.0.2.1");
	struct source_limit *l;
	unsigned int got[3];

	assert_int_equal(source_limit_create(&l, 64), SRS_OK);
	ask(l, &flood, 1000, T0, got);
	ask(l, &port, 1, T0, got);
	assert_int_equal(got[SOURCE_DROP], 1);
	ask(l, &mapped, 1, T0, got);
	assert_int_equal(got[SOURCE_DROP], 1);
	ask(l, &other, RATE * BURST_S, T0, got);
	assert_int_equal(got[SOURCE_TAKE], RATE * BURST_S);
	source_limit_destroy(l);
}

static void
an_ipv6_network_is_one_source(void **state)
{
	struct sockaddr_storage one = address6("2001:db8:0:1::1"), same = address6("2001:db8:0:1:ffff::9"), other = address6("2001:db8:0:2::1");
	struct source_limit *l;
	unsigned int got[3];

	assert_int_equal(source_limit_create(&l, 64), SRS_OK);
	ask(l, &one, 1000, T0, got);
	ask(l, &same, 1, T0, got);
	assert_int_equal(got[SOURCE_DROP], 1);
	ask(l, &other, 1, T0, got);
	assert_int_equal(got[SOURCE_TAKE], 1);
	source_limit_destroy(l);
}

/* More sources than there is room for: the one that goes on asking keeps its place, whoever comes. */
static void
a_flood_of_addresses_frees_no_flooder(void **state)
{
	struct sockaddr_storage flood = address4(0xc0000201, 5060);
	struct source_limit *l;
	unsigned int got[3], n_taken = 0;

	assert_int_equal(source_limit_create(&l, 8), SRS_OK);	/* one set */
	ask(l, &flood, 1000, T0, got);
	for (uint32_t i = 0; i < 10000; i++) {
		struct sockaddr_storage passer = address4(0x0a000000 + i, 5060);

		ask(l, &passer, 1, T0 + i, got);
		assert_int_equal(got[SOURCE_TAKE], 1);
		ask(l, &flood, 1, T0 + i, got);
		n_taken += got[SOURCE_TAKE];
	}
	assert_int_equal(n_taken, 0);
	source_limit_destroy(l);
	source_limit_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_taken_as_much_again_refused_and_the_rest_dropped),
		cmocka_unit_test(what_was_used_up_comes_back_at_the_rate_and_no_further_than_the_burst),
		cmocka_unit_test(each_address_has_its_own_whatever_its_port),
		cmocka_unit_test(an_ipv6_network_is_one_source),
		cmocka_unit_test(a_flood_of_addresses_frees_no_flooder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
