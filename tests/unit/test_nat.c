/* Which address is written for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "controlplane/nat.h"

static struct nat_address
address(const char *text)
{
	struct nat_address a = { .ip_version = strchr(text, ':') != NULL ? 6 : 4 };

	assert_int_equal(inet_pton(a.ip_version == 6 ? AF_INET6 : AF_INET, text, a.ip), 1);
	return a;
}

static struct sockaddr_storage
peer(const char *text)
{
	struct sockaddr_storage s = { 0 };
	struct nat_address a = address(text);

	s.ss_family = a.ip_version == 6 ? AF_INET6 : AF_INET;
	if (a.ip_version == 6)
		memcpy(&((struct sockaddr_in6 *)&s)->sin6_addr, a.ip, 16);
	else
		memcpy(&((struct sockaddr_in *)&s)->sin_addr, a.ip, 4);
	return s;
}

static void
private_is_what_others_may_have_too(void **state)
{
	static const char *const private[] = { "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.7.7", "100.64.0.1", "127.0.0.1",
		                               "169.254.1.1", "198.18.254.2", "198.19.255.255", "0.0.0.0", "fd00:ca57::2", "fe80::1", "::1" };
	static const char *const others[] = { "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.0.1", "100.63.255.255",
		                              "100.128.0.0", "198.17.0.1", "198.20.0.0", "203.0.113.9", "2001:db8::1", "fec0::1", "::2" };

	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
		struct nat_address a = address(private[i]);

		if (!nat_is_private(&a))
			fail_msg("%s", private[i]);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct nat_address a = address(others[i]);

		if (nat_is_private(&a))
			fail_msg("%s", others[i]);
	}
}

static void
what_was_found_is_for_those_beyond_the_nat(void **state)
{
	struct nat n = { 0 };
	struct nat_address own = address("10.0.0.5"), own6 = address("fd00::5"), open = address("198.51.100.1");
	struct nat_address found = address("203.0.113.9"), again = found;
	struct sockaddr_storage near = peer("10.9.9.9"), far = peer("198.51.100.7"), far6 = peer("2001:db8::9");

	assert_ptr_equal(nat_signalling(&n, &own, &far), &own);
	assert_ptr_equal(nat_signalling(NULL, &own, &far), &own);
	assert_true(nat_learn(&n, &found));
	assert_false(nat_learn(&n, &again));
	assert_memory_equal(nat_signalling(&n, &own, &far), &found, sizeof(found));
	assert_memory_equal(nat_media(&n, &own, true), &found, sizeof(found));
	assert_ptr_equal(nat_signalling(&n, &own, &near), &own);
	assert_ptr_equal(nat_media(&n, &own, false), &own);
	assert_ptr_equal(nat_signalling(&n, &open, &far), &open);	/* ours is as good */
	assert_ptr_equal(nat_signalling(&n, &own6, &far6), &own6);	/* nothing is known of that version */
	assert_ptr_equal(nat_media(&n, &own6, true), &own6);
	found = address("2001:db8::5");
	assert_true(nat_learn(&n, &found));
	assert_memory_equal(nat_signalling(&n, &own6, &far6), &found, sizeof(found));
	assert_memory_equal(nat_signalling(&n, &own, &far), &again, sizeof(again));
}

static void
what_is_configured_is_for_every_peer_in_sdp_and_for_those_beyond_in_contact(void **state)
{
	static char external[] = "203.0.113.7", automatic[] = "auto";
	struct config c = { .media.external_ip = external };
	struct nat_address own = address("10.0.0.5"), own6 = address("fd00::5"), want = address(external);
	struct sockaddr_storage near = peer("10.9.9.9"), far = peer("198.51.100.7");
	struct nat n;

	nat_init(&n, &c);
	assert_memory_equal(nat_media(&n, &own, false), &want, sizeof(want));
	assert_memory_equal(nat_signalling(&n, &own, &far), &want, sizeof(want));
	assert_ptr_equal(nat_signalling(&n, &own, &near), &own);
	assert_ptr_equal(nat_media(&n, &own6, true), &own6);
	c.media.external_ip = automatic;
	nat_init(&n, &c);
	assert_ptr_equal(nat_media(&n, &own, true), &own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_is_what_others_may_have_too),
		cmocka_unit_test(what_was_found_is_for_those_beyond_the_nat),
		cmocka_unit_test(what_is_configured_is_for_every_peer_in_sdp_and_for_those_beyond_in_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
