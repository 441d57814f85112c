/* bench-sip: calls at a steady rate, whatever the server does (an open loop): INVITE with a 4 KiB body, 200, ACK, BYE,
 * 200. Latency is taken from the time at which a call was due, so that a server that stalls cannot hide it by slowing
 * the test down. Prints one JSON line. */
#include <arpa/inet.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "handshakes.h"
#include "prepared.h"
#include "wire.h"

#define T1_NS         500000000ull
#define LIFE_NS       (64 * T1_NS)	/* a call without an end by then has failed (RFC 3261 timers B and F) */
#define SWEEP_NS      20000000ull
#define STARTS_A_TURN 32u	/* then what came in has its turn */
#define CALLS_MAX     2000000u
#define WAIT_NS_MAX   20000000ull

enum call_state { CALL_UNBORN, CALL_INVITING, CALL_UP, CALL_ENDING, CALL_DONE, CALL_FAILED };

struct call {
	uint64_t due_ns;	/* when its INVITE was to go */
	uint64_t resend_ns;	/* UDP: when the request that waits goes again */
	uint64_t up_ns;
	uint32_t latency_us, interval_ms;
	enum call_state state;
	struct prepared_dialog dialog;
};

static struct {
	struct wire_spec wire;
	double rate, hold_s, handshake_s;
	unsigned int n_calls, at_once;
	bool pause;
} options = { .wire = { .n_connections = 8 }, .rate = 100, .n_calls = 1000, .at_once = 32 };

static struct {
	struct wire_set *wire;
	struct prepared_facts facts;
	struct prepared_invite invite;
	struct call *calls;
	uint32_t *held;		/* in the order in which they came up */
	unsigned int n_started, n_held, n_ended, n_over, first_open;
	unsigned int answered, failed, resent_invites, resent_byes, resent_oks, strays;
	uint64_t begun_ns, last_answer_ns, late_ns_max, sweep_ns;
	uint64_t byes_at_ns;	/* with --pause: none before */
	char why[256];
} run;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
usage(const char *what)
{
	fprintf(stderr,
	        "bench-sip: %s\n"
	        "usage: bench-sip [--transport udp|tcp|tls] [--rate R] [--calls N] [--hold S] [--connections N]\n"
	        "                 [--ca F] [--cert F] [--key F] [--tls-version V] [--pause] HOST PORT\n"
	        "       bench-sip --handshakes SECONDS [--at-once N] HOST PORT\n"
	        "--pause: when all calls are up print a line, and go on when a line comes on standard input.\n", what);
	exit(2);
}

static void
fail(struct call *c, const char *why, size_t len)
{
	c->state = CALL_FAILED;
	run.failed++;
	run.n_over++;
	if (run.why[0] == '\0') {
		snprintf(run.why, sizeof(run.why), "%.*s", (int)len, why);
		for (char *p = run.why; *p != '\0'; p++)
			if (*p == '"' || *p == '\\' || *p < ' ')
				*p = '\'';
	}
}

static void
wait_for_answer(struct call *c, uint64_t now)
{
	c->interval_ms = T1_NS / 1000000;
	c->resend_ns = now + T1_NS;
}

static void
send_invite(uint32_t number)
{
	static char message[PREPARED_MAX];

	prepared_invite_write(&run.invite, number, message);
	wire_send(run.wire, number, message, run.invite.len);
}

static void
send_request(uint32_t number, const char *method)
{
	static char message[PREPARED_MAX];
	size_t len = prepared_request_write(&run.facts, &run.calls[number].dialog, number, method, message);

	wire_send(run.wire, number, message, len);
}

static void
start_call(uint32_t number, uint64_t now)
{
	struct call *c = &run.calls[number];

	c->due_ns = run.begun_ns + (uint64_t)(number * 1e9 / options.rate);
	if (now - c->due_ns > run.late_ns_max)
		run.late_ns_max = now - c->due_ns;
	c->state = CALL_INVITING;
	send_invite(number);
	wait_for_answer(c, now);
}

static void
end_call(uint32_t number, uint64_t now)
{
	struct call *c = &run.calls[number];

	c->state = CALL_ENDING;
	send_request(number, "BYE");
	wait_for_answer(c, now);
}

static void
on_answered(struct call *c, const struct prepared_response *r, uint64_t now)
{
	if (c->state != CALL_INVITING) {	/* our ACK was lost, or late */
		run.resent_oks++;
		send_request(r->number, "ACK");
		return;
	}
	if (r->tag_len >= sizeof(c->dialog.tag) || r->target_len >= sizeof(c->dialog.target) || r->tag_len == 0 ||
	    r->target_len == 0) {
		fail(c, "200 without a tag or a Contact", 30);
		return;
	}
	memcpy(c->dialog.tag, r->tag, r->tag_len);
	memcpy(c->dialog.target, r->target, r->target_len);
	c->latency_us = (uint32_t)((now - c->due_ns) / 1000);
	c->state = CALL_UP;
	c->up_ns = now;
	run.answered++;
	run.last_answer_ns = now;
	send_request(r->number, "ACK");
	if (options.hold_s == 0 && !options.pause)
		end_call(r->number, now);
	else
		run.held[run.n_held++] = r->number;
}

static void
on_message(void *ctx, const char *message, size_t len)
{
	uint64_t now = *(uint64_t *)ctx;
	struct prepared_response r;
	struct call *c;

	if (!prepared_response_read(&r, &run.facts, message, len) || r.number >= run.n_started) {
		run.strays++;
		return;
	}
	c = &run.calls[r.number];
	if (r.status < 200) {
		if (c->state == CALL_INVITING)
			c->resend_ns = c->due_ns + LIFE_NS; /* the server has it */
	} else if (r.to_invite && r.status < 300) {
		on_answered(c, &r, now);
	} else if (r.to_bye && r.status < 300 && c->state == CALL_ENDING) {
		c->state = CALL_DONE;
		run.n_over++;
	} else if ((r.to_invite && c->state == CALL_INVITING) || (r.to_bye && c->state == CALL_ENDING)) {
		char text[200];
		int n = snprintf(text, sizeof(text), "%s answered with %u %.*s", r.to_invite ? "INVITE" : "BYE", r.status,
		                 (int)r.warning_len, r.warning);

		fail(c, text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	}
}

/* What is lost goes again, and what never ends has failed. Calls before `first_open` are over. */
static void
sweep(uint64_t now)
{
	while (run.first_open < run.n_started && run.calls[run.first_open].state >= CALL_DONE)
		run.first_open++;
	for (unsigned int i = run.first_open; i < run.n_started; i++) {
		struct call *c = &run.calls[i];
		bool inviting = c->state == CALL_INVITING;

		if (!inviting && c->state != CALL_ENDING)
			continue;
		if (now > (inviting ? c->due_ns : c->up_ns + (uint64_t)(options.hold_s * 1e9)) + LIFE_NS && now > run.byes_at_ns + LIFE_NS) {
			const char *why = inviting ? "no answer to an INVITE within 32 s" : "no answer to a BYE within 32 s";

			fail(c, why, strlen(why));
		} else if (options.wire.transport == WIRE_UDP && now >= c->resend_ns) {
			if (inviting) {
				send_invite(i);
				run.resent_invites++;
			} else {
				send_request(i, "BYE");
				run.resent_byes++;
			}
			c->interval_ms *= 2;
			c->resend_ns = now + c->interval_ms * 1000000ull;
		}
	}
	run.sweep_ns = now + SWEEP_NS;
}

/* Everything that is due by now. @return when the next thing is */
static uint64_t
turn(uint64_t now)
{
	uint64_t next = now + WAIT_NS_MAX;

	for (unsigned int n = 0; run.n_started < options.n_calls; n++) {
		uint64_t due = run.begun_ns + (uint64_t)(run.n_started * 1e9 / options.rate);

		if (due > now || n == STARTS_A_TURN) {
			next = due < next ? due : next;
			break;
		}
		start_call(run.n_started++, now);
	}
	for (unsigned int n = 0; run.n_ended < run.n_held && !options.pause; n++) {
		uint32_t number = run.held[run.n_ended];
		uint64_t due = run.calls[number].up_ns + (uint64_t)(options.hold_s * 1e9);
		uint64_t paced = run.byes_at_ns == 0 ? 0 : run.byes_at_ns + (uint64_t)(run.n_ended * 1e9 / options.rate);

		due = due < paced ? paced : due;
		if (due > now || n == STARTS_A_TURN) {
			next = due < next ? due : next;
			break;
		}
		run.n_ended++;
		if (run.calls[number].state == CALL_UP)
			end_call(number, now);
	}
	if (now >= run.sweep_ns)
		sweep(now);
	wire_flush(run.wire);
	return next;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
up_for(void)
{
	return (double)(run.last_answer_ns - run.begun_ns) / 1e9;
}

/* Everybody is up: the one who watches says when to go on. */
static bool
pause_here(void)
{
	char line[16];

	printf("{\"up\": %u, \"failed\": %u, \"seconds\": %.3f}\n", run.answered, run.failed, up_for());
	fflush(stdout);
	for (;;) {	/* retransmissions and keep-alives go on meanwhile */
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		uint64_t now = now_ns();

		if (!wire_receive(run.wire, on_message, &now))
			return false;
		wire_flush(run.wire);
		if (poll(&p, 1, 10) > 0)
			break;
	}
	options.pause = false;
	run.byes_at_ns = now_ns();
	return fgets(line, sizeof(line), stdin) != NULL;
}

static void
report(void)
{
	uint32_t *us = malloc((run.answered + 1) * sizeof(*us));
	unsigned int n = 0;

	for (unsigned int i = 0; us != NULL && i < run.n_started; i++)
		if (run.calls[i].up_ns != 0)
			us[n++] = run.calls[i].latency_us;
	if (n != 0)
		qsort(us, n, sizeof(*us), by_size);
#define AT(share) (n == 0 ? 0.0 : us[(unsigned int)((n - 1) * (share))] / 1000.0)
	printf("{\"ok\": %s, \"calls\": %u, \"answered\": %u, \"failed\": %u, \"resent_invites\": %u, \"resent_byes\": %u, "
	       "\"resent_oks\": %u, \"strays\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f, ",
	       run.failed == 0 && run.answered == options.n_calls ? "true" : "false", run.n_started, run.answered, run.failed,
	       run.resent_invites, run.resent_byes, run.resent_oks, run.strays, AT(0.5), AT(0.99), AT(0.999), AT(1.0));
	printf("\"up_s\": %.3f, \"seconds\": %.3f, \"generator_late_ms_max\": %.3f, \"tls\": \"%s\", \"why\": \"%s\"}\n", up_for(),
	       (double)(now_ns() - run.begun_ns) / 1e9, (double)run.late_ns_max / 1e6, wire_cipher(run.wire), run.why);
	free(us);
}

static void
facts_make(void)
{
	const struct sockaddr_storage *a = wire_local(run.wire, 0);
	bool v6 = a->ss_family == AF_INET6;
	unsigned int port = ntohs(v6 ? ((const struct sockaddr_in6 *)a)->sin6_port : ((const struct sockaddr_in *)a)->sin_port);
	struct prepared_facts *f = &run.facts;
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		usage("no random bytes");
	snprintf(f->run, sizeof(f->run), "%08x", random);
	inet_ntop(a->ss_family, v6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
	                           : (const void *)&((const struct sockaddr_in *)a)->sin_addr, f->host, sizeof(f->host));
	snprintf(f->local, sizeof(f->local), v6 ? "[%s]:%u" : "%s:%u", f->host, port);
	snprintf(f->server, sizeof(f->server), strchr(options.wire.host, ':') != NULL ? "[%s]:%s" : "%s:%s", options.wire.host,
	         options.wire.port);
	f->family = v6 ? "IP6" : "IP4";
	f->transport = (const char *const[]){ "UDP", "TCP", "TLS" }[options.wire.transport];
	if (!prepared_invite_make(&run.invite, f))
		usage("the INVITE does not fit its room");
}

static int
run_calls(void)
{
	char why[160];
	bool connected = true;

	run.wire = wire_open(&options.wire, why, sizeof(why));
	if (run.wire == NULL)
		usage(why);
	facts_make();
	run.calls = calloc(options.n_calls, sizeof(*run.calls));
	run.held = calloc(options.n_calls, sizeof(*run.held));
	if (run.calls == NULL || run.held == NULL)
		usage("no memory for so many calls");
	memset(run.calls, 0, options.n_calls * sizeof(*run.calls));	/* present before the clock runs */
	run.begun_ns = now_ns() + 1000000;
	while (connected && run.n_over < options.n_calls) {
		uint64_t next = turn(now_ns()), now = now_ns();

		if (next > now)
			wire_wait(run.wire, next - now);
		now = now_ns();
		connected = wire_receive(run.wire, on_message, &now);
		if (options.pause && connected && run.answered + run.failed == options.n_calls)
			connected = pause_here();
	}
	if (!connected)
		snprintf(run.why, sizeof(run.why), "the server closed a connection");
	run.failed += connected ? 0 : 1;
	report();
	wire_close(run.wire);
	free(run.calls);
	free(run.held);
	return run.failed == 0 ? 0 : 1;
}

static int
run_handshakes(void)
{
	struct handshakes h;
	char why[160];

	options.wire.transport = WIRE_TLS;
	if (!handshakes_run(&h, &options.wire, options.at_once, options.handshake_s, why, sizeof(why)))
		usage(why);
	printf("{\"ok\": %s, \"handshakes\": %llu, \"failed\": %llu, \"handshakes_per_s\": %.0f, \"tls\": \"%s\", \"why\": \"%s\"}\n",
	       h.failed == 0 && h.done > 0 ? "true" : "false", (unsigned long long)h.done, (unsigned long long)h.failed,
	       (double)h.done * 1e9 / (double)h.ns, h.agreed, h.failed == 0 ? "" : "handshakes failed");
	return h.failed == 0 && h.done > 0 ? 0 : 1;
}

static double
number(const char *text, double low, double high)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= low && v <= high))
		usage("a number is out of range");
	return v;
}

static void
take_option(int option, const char *value)
{
	switch (option) {
	case 't':
		if (strcmp(value, "udp") != 0 && strcmp(value, "tcp") != 0 && strcmp(value, "tls") != 0)
			usage("--transport takes udp, tcp or tls");
		options.wire.transport = value[0] == 'u' ? WIRE_UDP : value[1] == 'c' ? WIRE_TCP : WIRE_TLS;
		break;
	case 'r': options.rate = number(value, 0.1, 1e6); break;
	case 'n': options.n_calls = (unsigned int)number(value, 1, CALLS_MAX); break;
	case 'd': options.hold_s = number(value, 0, 3600); break;
	case 'c': options.wire.n_connections = (unsigned int)number(value, 1, 4096); break;
	case 'A': options.wire.ca = value; break;
	case 'C': options.wire.certificate = value; break;
	case 'K': options.wire.key = value; break;
	case 'V': options.wire.tls_version = value; break;
	case 'p': options.pause = true; break;
	case 'H': options.handshake_s = number(value, 0.1, 600); break;
	case 'a': options.at_once = (unsigned int)number(value, 1, 1024); break;
	default: usage("no such option");
	}
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "transport", required_argument, NULL, 't' }, { "rate", required_argument, NULL, 'r' },
		{ "calls", required_argument, NULL, 'n' },     { "hold", required_argument, NULL, 'd' },
		{ "connections", required_argument, NULL, 'c' }, { "ca", required_argument, NULL, 'A' },
		{ "cert", required_argument, NULL, 'C' },      { "key", required_argument, NULL, 'K' },
		{ "tls-version", required_argument, NULL, 'V' }, { "pause", no_argument, NULL, 'p' },
		{ "handshakes", required_argument, NULL, 'H' }, { "at-once", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		take_option(option, optarg);
	if (optind != argc - 2)
		usage("give HOST and PORT");
	if ((options.wire.certificate == NULL) != (options.wire.key == NULL))
		usage("--cert and --key go together");
	options.wire.host = argv[optind];
	options.wire.port = argv[optind + 1];
	prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	return options.handshake_s > 0 ? run_handshakes() : run_calls();
}
