/* capstan-src: places SIPREC calls against a recording server and says whether it behaved. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "options.h"
#include "transport.h"

#define TICK_MS      2
#define FDS_SPARE    64
#define WATCHED_MAX  64	/* media sockets looked at in one turn of epoll_wait() */

static struct options options;
static struct call_plan *plan;
static struct call *calls;
static unsigned int n_placed;	/* calls to place; as many again may replace them */
static unsigned int n_room, n_started;
static struct transport *transport;
static int media_poll_fd = -1;
static volatile sig_atomic_t interrupted;

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
on_signal(int signal_no)
{
	interrupted = signal_no;
}

static bool
transmit(const char *message, size_t len)
{
	return transport_send(transport, message, len);
}

/* Calls start their Call-ID with their number, so finding one is reading it. Those that replace others have numbers
 * behind all that are placed. */
static void
dispatch(void *ctx, const char *message)
{
	char id[128];
	unsigned long number;

	if (!call_header(message, "Call-ID", "i", id, sizeof(id)))
		return;
	number = strtoul(id, NULL, 10);
	if (number < n_room && calls[number].plan != NULL && strcmp(calls[number].id, id) == 0)
		call_receive(&calls[number], message, *(uint64_t *)ctx);
}

static void
succeed(struct call *c, uint64_t now)
{
	unsigned int number = n_placed + c->number;

	call_start(&calls[number], plan, number, c, now);
}

/* ---- media sockets ---- */

static bool
watch(int fd, unsigned int number, unsigned int stream_i, bool rtcp)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)number << 16 | stream_i << 1 | rtcp };

	return epoll_ctl(media_poll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
receive_media(void)
{
	struct epoll_event events[WATCHED_MAX];
	int n = epoll_wait(media_poll_fd, events, WATCHED_MAX, 0);

	for (int i = 0; i < n; i++) {
		uint64_t what = events[i].data.u64;

		call_on_media(&calls[what >> 16], (unsigned int)(what >> 1 & 0x7fff), (what & 1) != 0);
	}
}

/* ---- run ---- */

/* @return how many calls are over, of those that were begun */
static unsigned int
tick_calls(uint64_t now)
{
	unsigned int n_over = 0;

	for (unsigned int i = 0; i < n_room; i++) {
		if (calls[i].plan == NULL)
			continue;
		call_tick(&calls[i], now);
		n_over += call_is_over(&calls[i]);
	}
	return n_over;
}

static unsigned int
n_begun(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_room; i++)
		n += calls[i].plan != NULL;
	return n;
}

static bool
run(void)
{
	uint64_t begun = now_ms();
	unsigned int n_calls = n_placed;
	bool all_over = false;

	while (!all_over) {
		uint64_t now = now_ms();
		struct pollfd fds[2] = {
			{ .fd = transport_fd(transport), .events = (short)(POLLIN | (transport_has_more(transport) ? POLLOUT : 0)) },
			{ .fd = media_poll_fd, .events = POLLIN },
		};

		while (n_started < n_calls && !interrupted && (double)(now - begun) * options.rate / 1000.0 >= n_started) {
			call_start(&calls[n_started], plan, n_started, NULL, now);
			n_started++;
		}
		if (interrupted) {
			for (unsigned int i = 0; i < n_room; i++)
				if (calls[i].plan != NULL)
					call_hang_up(&calls[i], now);
			n_calls = n_started;
		}
		if (poll(fds, 2, TICK_MS) > 0) {
			now = now_ms();
			if (fds[0].revents & POLLOUT)
				transport_flush(transport);
			if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && !transport_receive(transport, dispatch, &now)) {
				fprintf(stderr, "capstan-src: the server closed the connection\n");
				return false;
			}
			if (fds[1].revents & POLLIN)
				receive_media();
		}
		all_over = tick_calls(now_ms()) == n_begun() && n_started == n_calls;
	}
	return true;
}

/* What all calls did together. */
struct totals {
	unsigned int failed, answered;
	uint64_t setup_ms_max;
	uint64_t made, sent, dropped, duplicated, reordered, unprotected;
	uint64_t bad_tags, replays, forged, forged_rtcp, forged_dtls, rekeys, ssrc_changes, handshakes;
	uint64_t reports_sent, reports_received, reports_bad;
	uint64_t updates, reinvites, refreshes_sent, refreshes_received, snapshots, server_offers, replaced, ended_by_server;
	int64_t lost_reported;
	const char *first_failure, *suite;
};

static void
add_stream(struct totals *t, const struct media_stream *m)
{
	const struct wire *w = &m->wire;

	t->made += w->made;
	t->sent += w->sent;
	t->dropped += w->dropped;
	t->duplicated += w->duplicated;
	t->reordered += w->reordered;
	t->unprotected += w->unprotected;
	t->bad_tags += w->bad_tags;
	t->replays += w->replays;
	t->forged += w->forged;
	t->forged_rtcp += w->forged_rtcp;
	t->forged_dtls += w->forged_dtls;
	t->ssrc_changes += m->ssrc_changes;
	t->reports_sent += w->reports_sent;
	t->reports_received += m->reports_received;
	t->reports_bad += m->reports_bad;
	for (unsigned int i = 0; i < m->n_sources && i < MEDIA_SOURCES_MAX; i++)
		t->lost_reported += m->sources[i].lost;
}

static void
add_call(struct totals *t, const struct call *c)
{
	if (c->answered_ms != 0) {
		t->answered++;
		if (c->answered_ms - c->invited_ms > t->setup_ms_max)
			t->setup_ms_max = c->answered_ms - c->invited_ms;
	}
	if (c->failure[0] != '\0') {
		t->failed++;
		if (t->first_failure == NULL)
			t->first_failure = c->failure;
	}
	if (c->suite != NULL)
		t->suite = c->suite;
	t->rekeys += c->rekeys;
	t->handshakes += c->handshakes;
	t->updates += c->updates;
	t->reinvites += c->reinvites;
	t->refreshes_sent += c->refreshes_sent;
	t->refreshes_received += c->refreshes_received;
	t->snapshots += c->snapshots;
	t->server_offers += c->server_offers;
	t->replaced += c->replaced;
	t->ended_by_server += c->ended_by_server;
	for (unsigned int i = 0; i < c->n_streams; i++)
		add_stream(t, &c->streams[i]);
}

#define LL(x) (unsigned long long)(x)

static void
print_json(const struct totals *t)
{
	printf("{\"calls\":%u,\"answered\":%u,\"failed\":%u,\"packets_made\":%llu,\"packets_sent\":%llu,"
	       "\"dropped\":%llu,\"duplicated\":%llu,\"reordered\":%llu,\"setup_ms_max\":%llu,",
	       n_begun(), t->answered, t->failed, LL(t->made), LL(t->sent), LL(t->dropped), LL(t->duplicated),
	       LL(t->reordered), LL(t->setup_ms_max));
	printf("\"suite\":\"%s\",\"handshakes\":%llu,\"bad_tags\":%llu,\"replays\":%llu,\"forged\":%llu,"
	       "\"forged_rtcp\":%llu,\"forged_dtls\":%llu,\"rekeys\":%llu,\"ssrc_changes\":%llu,",
	       t->suite != NULL ? t->suite : "", LL(t->handshakes), LL(t->bad_tags), LL(t->replays), LL(t->forged),
	       LL(t->forged_rtcp), LL(t->forged_dtls), LL(t->rekeys), LL(t->ssrc_changes));
	printf("\"tls\":\"%s\",\"reinvites\":%llu,\"updates\":%llu,\"refreshes_sent\":%llu,\"refreshes_received\":%llu,"
	       "\"server_offers\":%llu,\"snapshots\":%llu,\"replaced\":%llu,\"ended_by_server\":%llu,",
	       transport_agreed(transport), LL(t->reinvites), LL(t->updates), LL(t->refreshes_sent), LL(t->refreshes_received),
	       LL(t->server_offers), LL(t->snapshots), LL(t->replaced), LL(t->ended_by_server));
	printf("\"reports_sent\":%llu,\"reports_received\":%llu,\"reports_bad\":%llu,\"lost_reported\":%lld,"
	       "\"ok\":%s,\"failure\":\"%s\"}\n",
	       LL(t->reports_sent), LL(t->reports_received), LL(t->reports_bad), (long long)t->lost_reported,
	       t->first_failure == NULL ? "true" : "false", t->first_failure != NULL ? t->first_failure : "");
}

static void
print_text(const struct totals *t)
{
	printf("%u calls, %u answered, %u failed; %llu RTP packets made, %llu sent, %llu lost on purpose, "
	       "%llu sent twice, %llu reordered; %llu reports sent, %llu received; longest set-up %llu ms\n",
	       n_begun(), t->answered, t->failed, LL(t->made), LL(t->sent), LL(t->dropped), LL(t->duplicated),
	       LL(t->reordered), LL(t->reports_sent), LL(t->reports_received), LL(t->setup_ms_max));
	if (t->suite != NULL)
		printf("%s: %llu handshakes, %llu with a broken bit, %llu replays, %llu forged RTP, %llu RTCP and %llu DTLS, "
		       "%llu key changes, %llu SSRC changes\n",
		       t->suite, LL(t->handshakes), LL(t->bad_tags), LL(t->replays), LL(t->forged), LL(t->forged_rtcp),
		       LL(t->forged_dtls), LL(t->rekeys), LL(t->ssrc_changes));
	if (t->reinvites + t->updates + t->server_offers + t->refreshes_received + t->replaced + t->ended_by_server != 0)
		printf("%llu re-INVITEs, %llu UPDATEs, %llu refreshes sent, %llu received, %llu offers by the server, "
		       "%llu snapshots given, %llu calls replaced, %llu ended by the server\n",
		       LL(t->reinvites), LL(t->updates), LL(t->refreshes_sent), LL(t->refreshes_received), LL(t->server_offers),
		       LL(t->snapshots), LL(t->replaced), LL(t->ended_by_server));
}

static int
report(bool connected)
{
	struct totals t = { 0 };

	for (unsigned int i = 0; i < n_room; i++)
		if (calls[i].plan != NULL)
			add_call(&t, &calls[i]);
	if (!connected && t.first_failure == NULL)
		t.first_failure = "the connection was lost";
	if (t.unprotected != 0 && t.first_failure == NULL)
		t.first_failure = "packets could not be protected and were not sent";
	if (options.as_json) {
		print_json(&t);
	} else {
		print_text(&t);
		if (t.first_failure != NULL)
			fprintf(stderr, "capstan-src: the server did not behave: %s\n", t.first_failure);
	}
	return t.first_failure == NULL ? 0 : 1;
}

static void
raise_files_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if ((rlim_t)n_room * plan->n_participants * (plan->rtcp_mux ? 1 : 2) + FDS_SPARE > limit.rlim_cur)
		usage("more streams than open files allowed: raise it with ulimit -n");
}

static void
open_transport(void)
{
	char why[256];

	transport = transport_open(&options.transport, plan, why, sizeof(why));
	if (transport == NULL) {
		fprintf(stderr, "capstan-src: %s\n", why);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	bool connected;
	int status;

	options_read(&options, argc, argv);
	plan = &options.plan;
	plan->transmit = transmit;
	plan->watch = watch;
	plan->succeed = succeed;
	n_placed = options.n_calls;
	n_room = options.replaces ? 2 * n_placed : n_placed;
	media_poll_fd = epoll_create1(0);
	if (media_poll_fd < 0)
		usage("no epoll on this system");
	signal(SIGPIPE, SIG_IGN);
	open_transport();
	raise_files_limit();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	calls = calloc(n_room, sizeof(*calls));
	if (calls == NULL)
		usage("no memory for so many calls");
	connected = run();
	status = report(connected);
	for (unsigned int i = 0; i < n_room; i++)
		if (calls[i].plan != NULL)
			call_release(&calls[i]);
	transport_close(transport);
	options_free(&options);
	free(calls);
	return status;
}
