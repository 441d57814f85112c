/* The resolver against dnsmasq, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/resolver.h"

#define TURN_MS  10
#define TURNS    500

extern char **environ;

struct dns {
	struct reactor *reactor;
	struct resolver *resolver;
	struct timer pause;
	pid_t server;
	char servers[32];
};

static void
pause_over(void *ctx)
{
	struct dns *d = ctx;

	reactor_stop(d->reactor);
}

static void
turn(struct dns *d)
{
	assert_int_equal(timer_arm(d->reactor, &d->pause, TURN_MS), SRS_OK);
	reactor_run(d->reactor);
}

static uint16_t
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static int
set_up(void **state)
{
	struct dns *d = calloc(1, sizeof(*d));
	char port[16], why[256];
	uint16_t number = free_port();
	const char *argv[] = {
		"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-daemon",
		"--pid-file=", "--user=", "--bind-interfaces", "--listen-address=127.0.0.1", port, "--local=/example/",
		"--host-record=plain.example,192.0.2.10,300",
		"--host-record=six.example,2001:db8::10,300",
		"--host-record=a.example,192.0.2.1,300", "--host-record=b.example,192.0.2.2,300",
		"--srv-host=_sip._tcp.srv.example,b.example,5070,20,0",
		"--srv-host=_sip._tcp.srv.example,a.example,5080,10,0",
		"--srv-host=_sip._tcp.holes.example,nothing.example,5080,10,0",
		"--srv-host=_sip._tcp.holes.example,b.example,5071,20,0",
		"--naptr-record=chosen.example,20,10,s,SIP+D2U,,_sip._udp.chosen.example",
		"--naptr-record=chosen.example,10,20,s,SIPS+D2T,,_sips._tcp.chosen.example",
		"--naptr-record=chosen.example,10,10,s,SIP+D2X,,_sip._sctp.chosen.example",
		"--srv-host=_sips._tcp.chosen.example,a.example,5099,10,0",
		"--srv-host=_sip._udp.chosen.example,b.example,5060,10,0",
		NULL
	};

	if (d == NULL)
		return -1;
	*state = d;
	snprintf(port, sizeof(port), "--port=%u", number);
	snprintf(d->servers, sizeof(d->servers), "127.0.0.1:%u", number);
	if (posix_spawnp(&d->server, "dnsmasq", NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0) {
		d->server = 0;
		return 0;	/* each test says that it is skipped */
	}
	usleep(200000);
	if (reactor_create(&d->reactor) || resolver_create(&d->resolver, d->reactor, d->servers, why, sizeof(why)))
		return -1;
	timer_init(&d->pause, pause_over, d);
	return 0;
}

static int
tear_down(void **state)
{
	struct dns *d = *state;

	resolver_destroy(d->resolver);
	if (d->reactor != NULL)
		timer_release(&d->pause);
	reactor_destroy(d->reactor);
	if (d->server > 0) {
		kill(d->server, SIGTERM);
		waitpid(d->server, NULL, 0);
	}
	free(d);
	return 0;
}

static bool
look(struct dns *d, const struct resolver_question *q, struct resolver_answer *a)
{
	for (int i = 0; i < TURNS; i++) {
		if (resolver_look(d->resolver, q, a))
			return true;
		turn(d);
	}
	return false;
}

static void
assert_leads(struct dns *d, struct resolver_question q, enum config_transport transport, const char *where)
{
	struct resolver_answer a;
	char text[CONN_ADDRESS_TEXT_MAX];

	assert_true(look(d, &q, &a));
	assert_int_equal(a.transport, transport);
	assert_string_equal(conn_address_text(&a.address, text), where);
}

#define REQUIRE_SERVER(d) do { if ((d)->server == 0) skip(); } while (0)

/* RFC 3263 §4.2: a port in the URI leaves nothing to SRV. */
static void
a_port_means_an_address_record(void **state)
{
	struct dns *d = *state;

	REQUIRE_SERVER(d);
	assert_leads(d, (struct resolver_question){ .host = "plain.example", .port = 5062, .transport = CONFIG_TCP }, CONFIG_TCP,
	             "192.0.2.10:5062");
	assert_leads(d, (struct resolver_question){ .host = "srv.example.", .port = 0, .transport_known = true,
	                                            .transport = CONFIG_TCP }, CONFIG_TCP, "192.0.2.1:5080");
	assert_leads(d, (struct resolver_question){ .host = "six.example", .port = 5062, .transport = CONFIG_TCP }, CONFIG_TCP,
	             "[2001:db8::10]:5062");
}

/* RFC 2782: the lowest priority first; the next one when that has no address. */
static void
srv_records_are_followed_by_priority(void **state)
{
	struct dns *d = *state;

	REQUIRE_SERVER(d);
	assert_leads(d, (struct resolver_question){ .host = "srv.example", .transport_known = true, .transport = CONFIG_TCP },
	             CONFIG_TCP, "192.0.2.1:5080");
	assert_leads(d, (struct resolver_question){ .host = "holes.example", .transport_known = true,
	                                            .transport = CONFIG_TCP }, CONFIG_TCP, "192.0.2.2:5071");
}

/* RFC 3263 §4.1: the first NAPTR whose service we speak decides the transport. */
static void
naptr_decides_the_transport(void **state)
{
	struct dns *d = *state;

	REQUIRE_SERVER(d);
	assert_leads(d, (struct resolver_question){ .host = "chosen.example", .transport = CONFIG_TCP }, CONFIG_TLS,
	             "192.0.2.1:5099");
}

/* Neither NAPTR nor SRV: the address, the port of the transport, and the peer's transport. */
static void
a_bare_name_goes_by_the_peers_transport(void **state)
{
	struct dns *d = *state;

	REQUIRE_SERVER(d);
	assert_leads(d, (struct resolver_question){ .host = "plain.example", .transport = CONFIG_TCP }, CONFIG_TCP,
	             "192.0.2.10:5060");
	assert_leads(d, (struct resolver_question){ .host = "plain.example", .transport_known = true, .transport = CONFIG_TLS },
	             CONFIG_TLS, "192.0.2.10:5061");
}

static void
a_known_name_is_not_asked_again_in_its_time(void **state)
{
	struct dns *d = *state;
	struct resolver_question q = { .host = "Plain.EXAMPLE", .port = 5060, .transport = CONFIG_TCP };
	struct resolver_answer a;
	uint64_t asked;

	REQUIRE_SERVER(d);
	assert_true(look(d, &q, &a));
	asked = resolver_n_asked(d->resolver);
	q.host = "plain.example";	/* case does not matter */
	assert_true(resolver_look(d->resolver, &q, &a));
	assert_int_equal(resolver_n_asked(d->resolver), asked);
	assert_int_equal(resolver_n_names(d->resolver), 1);
}

static void
a_name_that_leads_nowhere_is_let_rest(void **state)
{
	struct dns *d = *state;
	struct resolver_question q = { .host = "nothing.example", .port = 5060, .transport = CONFIG_TCP };
	struct resolver_answer a;
	uint64_t asked;

	REQUIRE_SERVER(d);
	for (int i = 0; i < 30; i++) {
		assert_false(resolver_look(d->resolver, &q, &a));
		turn(d);
	}
	asked = resolver_n_asked(d->resolver);
	assert_int_equal(asked, 1);
}

/* Peers choose the names: a flood of them pushes out the oldest, and holds no more than the bound. */
static void
names_are_bounded(void **state)
{
	struct dns *d = *state;
	struct resolver_answer a;
	char host[300];

	REQUIRE_SERVER(d);
	for (unsigned int i = 0; i < 3 * RESOLVER_NAMES_MAX; i++) {
		snprintf(host, sizeof(host), "n%u.example", i);
		assert_false(resolver_look(d->resolver, &(struct resolver_question){ .host = host, .port = 1 }, &a));
		if (i % 64 == 0)
			turn(d);
		assert_true(resolver_n_names(d->resolver) <= RESOLVER_NAMES_MAX);
	}
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_false(resolver_look(d->resolver, &(struct resolver_question){ .host = host, .port = 1 }, &a));
	/* destroyed while many are still being asked */
}

static void
servers_that_cannot_be_read_are_named(void **state)
{
	struct dns *d = *state;
	struct resolver *r;
	char why[256];

	REQUIRE_SERVER(d);
	assert_int_equal(resolver_create(&r, d->reactor, "not a server", why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "sip.dns_servers"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_port_means_an_address_record),
		TEST(srv_records_are_followed_by_priority),
		TEST(naptr_decides_the_transport),
		TEST(a_bare_name_goes_by_the_peers_transport),
		TEST(a_known_name_is_not_asked_again_in_its_time),
		TEST(a_name_that_leads_nowhere_is_let_rest),
		TEST(names_are_bounded),
		TEST(servers_that_cannot_be_read_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
