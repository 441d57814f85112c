/* The self-test's other side: what it says when a packet does not come, and that nobody else's packet passes. */
#include "plane_fixture.h"

#include "dataplane/lcore.h"
#include "dataplane/selftest.h"

static void
only_the_packet_with_this_starts_number_is_ours(void **state)
{
	struct selftest one, two;
	struct rx_packet p = { .udp_port = SELFTEST_PORT, .len = SELFTEST_SIZE, .bytes = one.packet };

	assert_int_equal(selftest_init(&one), SRS_OK);
	assert_int_equal(selftest_init(&two), SRS_OK);
	assert_true(selftest_is(&one, &p));
	assert_false(selftest_is(&two, &p));
	p.udp_port++;
	assert_false(selftest_is(&one, &p));
	p.udp_port--;
	p.len--;
	assert_false(selftest_is(&one, &p));
}

/* Two queues; the second one's address is on this host's loop interface, so that no lcore ever gets the packet. */
static enum srs_err
run(uint64_t misrouted, char *why, size_t why_len)
{
	char first[] = "127.0.0.1", second[] = "127.0.0.2";
	char *const addresses[] = { first, second };
	struct lcore *lcores[2] = { aligned_alloc(64, (sizeof(struct lcore) + 63) & ~63ul),
		                    aligned_alloc(64, (sizeof(struct lcore) + 63) & ~63ul) };
	struct port port = { .profile = CONFIG_PROFILE_TAP, .n_queues = 2 };
	struct selftest t;
	struct steer steer;
	enum srs_err err;

	for (unsigned int i = 0; i < 2; i++) {
		assert_non_null(lcores[i]);
		memset(lcores[i], 0, sizeof(*lcores[i]));
	}
	lcores[0]->counters.verdicts[RX_SELFTEST] = 1;
	lcores[0]->counters.verdicts[RX_DROP_MISROUTED] = misrouted;
	assert_int_equal(steer_init(&steer, addresses, 2, 2, why, why_len), SRS_OK);
	assert_int_equal(selftest_init(&t), SRS_OK);
	err = selftest_run(&t, &port, &steer, lcores, "capstan0", why, why_len);
	for (unsigned int i = 0; i < 2; i++)
		free(lcores[i]);
	return err;
}

static void
a_packet_that_does_not_come_is_a_sentence_with_a_remedy(void **state)
{
	char why[512] = "";

	assert_int_equal(run(0, why, sizeof(why)), SRS_ERR_STATE);
	assert_non_null(strstr(why, "127.0.0.2"));
	assert_non_null(strstr(why, "ip route get 127.0.0.2"));
}

static void
a_packet_at_another_queue_is_named_as_that(void **state)
{
	char why[512] = "";

	assert_int_equal(run(1, why, sizeof(why)), SRS_ERR_STATE);
	assert_non_null(strstr(why, "to another one"));
	assert_non_null(strstr(why, "127.0.0.2"));
	assert_non_null(strstr(why, "queue 1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_packet_with_this_starts_number_is_ours),
		cmocka_unit_test(a_packet_that_does_not_come_is_a_sentence_with_a_remedy),
		cmocka_unit_test(a_packet_at_another_queue_is_named_as_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
