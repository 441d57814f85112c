/* capstan-src: places SIPREC calls against a recording server and says whether it behaved. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
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

#define TICK_MS      2
#define FDS_SPARE    64
#define WATCHED_MAX  64	/* media sockets looked at in one turn of epoll_wait() */

static struct options options;
static struct call_plan *plan;
static struct call *calls;
static unsigned int n_calls, n_started;
static int sip_fd = -1, media_poll_fd = -1;
static volatile sig_atomic_t interrupted;

/* TCP: bytes that did not go out yet, and those that are no whole message yet. */
static char *out_bytes;
static size_t out_len, out_room;
static char in_bytes[2 * CALL_MESSAGE_MAX + 1];
static size_t in_len;

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

/* ---- transport ---- */

static bool
flush_stream(void)
{
	while (out_len > 0) {
		ssize_t n = send(sip_fd, out_bytes, out_len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		memmove(out_bytes, out_bytes + n, out_len - (size_t)n);
		out_len -= (size_t)n;
	}
	return true;
}

static bool
transmit(const char *message, size_t len)
{
	if (!plan->tcp)
		return send(sip_fd, message, len, 0) == (ssize_t)len;
	if (out_len + len > out_room) {
		size_t room = (out_len + len) * 2;
		char *bytes = realloc(out_bytes, room);

		if (bytes == NULL)
			return false;
		out_bytes = bytes;
		out_room = room;
	}
	memcpy(out_bytes + out_len, message, len);
	out_len += len;
	return flush_stream();
}

static void
open_transport(void)
{
	const char *host = options.host, *port = options.port, *local = options.local_ip;
	struct addrinfo hints = { .ai_socktype = plan->tcp ? SOCK_STREAM : SOCK_DGRAM }, *found;
	socklen_t len = sizeof(plan->local);
	int one = 1, size = 4 << 20;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		usage("the host is not known; give HOST or HOST:PORT, IPv6 as [::1]:5060");
	sip_fd = socket(found->ai_family, found->ai_socktype, 0);
	if (local != NULL) {
		struct addrinfo *bound, fixed = { .ai_flags = AI_NUMERICHOST, .ai_socktype = found->ai_socktype };

		if (getaddrinfo(local, "0", &fixed, &bound) != 0 ||
		    bind(sip_fd, bound->ai_addr, bound->ai_addrlen) != 0)
			usage("--local: no such address on this host");
		freeaddrinfo(bound);
	}
	setsockopt(sip_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (connect(sip_fd, found->ai_addr, found->ai_addrlen) != 0) {
		fprintf(stderr, "capstan-src: cannot reach %s port %s: %s; is the recorder running?\n", host, port,
		        strerror(errno));
		exit(1);
	}
	if (plan->tcp)
		setsockopt(sip_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(sip_fd, F_SETFL, O_NONBLOCK);
	memcpy(&plan->peer, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	getsockname(sip_fd, (struct sockaddr *)&plan->local, &len);
	if (plan->local.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&plan->local)->sin6_addr, plan->local_ip, sizeof(plan->local_ip));
		plan->local_port = ntohs(((struct sockaddr_in6 *)&plan->local)->sin6_port);
	} else {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&plan->local)->sin_addr, plan->local_ip, sizeof(plan->local_ip));
		plan->local_port = ntohs(((struct sockaddr_in *)&plan->local)->sin_port);
	}
}

/* Calls start their Call-ID with their number, so finding one is reading it. */
static void
dispatch(const char *message, uint64_t now)
{
	char id[128];
	unsigned long number;

	if (!call_header(message, "Call-ID", "i", id, sizeof(id)))
		return;
	number = strtoul(id, NULL, 10);
	if (number < n_started && strcmp(calls[number].id, id) == 0)
		call_receive(&calls[number], message, now);
}

static void
receive_datagrams(uint64_t now)
{
	static char message[CALL_MESSAGE_MAX + 1];
	ssize_t n;

	while ((n = recv(sip_fd, message, CALL_MESSAGE_MAX, 0)) > 0) {
		message[n] = '\0';
		dispatch(message, now);
	}
}

static bool
receive_stream(uint64_t now)
{
	ssize_t n;

	while ((n = recv(sip_fd, in_bytes + in_len, sizeof(in_bytes) - 1 - in_len, 0)) > 0) {
		char *end;

		in_len += (size_t)n;
		in_bytes[in_len] = '\0';
		while ((end = strstr(in_bytes, "\r\n\r\n")) != NULL) {
			char length[32] = "0", saved;
			size_t whole;

			call_header(in_bytes, "Content-Length", "l", length, sizeof(length));
			whole = (size_t)(end - in_bytes) + 4 + strtoul(length, NULL, 10);
			if (whole > in_len)
				break;
			saved = in_bytes[whole];
			in_bytes[whole] = '\0';
			dispatch(in_bytes, now);
			in_bytes[whole] = saved;
			memmove(in_bytes, in_bytes + whole, in_len - whole + 1);
			in_len -= whole;
		}
	}
	return n < 0 && errno == EAGAIN;
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

static bool
run(void)
{
	uint64_t begun = now_ms();
	unsigned int n_over = 0;

	while (n_over < n_calls) {
		uint64_t now = now_ms();
		struct pollfd fds[2] = {
			{ .fd = sip_fd, .events = (short)(POLLIN | (out_len ? POLLOUT : 0)) },
			{ .fd = media_poll_fd, .events = POLLIN },
		};

		while (n_started < n_calls && !interrupted && (double)(now - begun) * options.rate / 1000.0 >= n_started) {
			call_start(&calls[n_started], plan, n_started, now);
			n_started++;
		}
		if (interrupted) {
			for (unsigned int i = 0; i < n_started; i++)
				call_hang_up(&calls[i], now);
			n_calls = n_started;
		}
		if (poll(fds, 2, TICK_MS) > 0) {
			if (fds[0].revents & POLLOUT)
				flush_stream();
			if (plan->tcp && fds[0].revents & (POLLIN | POLLHUP | POLLERR) && !receive_stream(now_ms())) {
				fprintf(stderr, "capstan-src: the server closed the connection\n");
				return false;
			}
			if (!plan->tcp && fds[0].revents & (POLLIN | POLLERR))
				receive_datagrams(now_ms());
			if (fds[1].revents & POLLIN)
				receive_media();
		}
		now = now_ms();
		n_over = 0;
		for (unsigned int i = 0; i < n_started; i++) {
			call_tick(&calls[i], now);
			n_over += call_is_over(&calls[i]);
		}
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
	for (unsigned int i = 0; i < c->n_streams; i++)
		add_stream(t, &c->streams[i]);
}

#define LL(x) (unsigned long long)(x)

static void
print_json(const struct totals *t)
{
	printf("{\"calls\":%u,\"answered\":%u,\"failed\":%u,\"packets_made\":%llu,\"packets_sent\":%llu,"
	       "\"dropped\":%llu,\"duplicated\":%llu,\"reordered\":%llu,\"setup_ms_max\":%llu,",
	       n_started, t->answered, t->failed, LL(t->made), LL(t->sent), LL(t->dropped), LL(t->duplicated),
	       LL(t->reordered), LL(t->setup_ms_max));
	printf("\"suite\":\"%s\",\"handshakes\":%llu,\"bad_tags\":%llu,\"replays\":%llu,\"forged\":%llu,"
	       "\"forged_rtcp\":%llu,\"forged_dtls\":%llu,\"rekeys\":%llu,\"ssrc_changes\":%llu,",
	       t->suite != NULL ? t->suite : "", LL(t->handshakes), LL(t->bad_tags), LL(t->replays), LL(t->forged),
	       LL(t->forged_rtcp), LL(t->forged_dtls), LL(t->rekeys), LL(t->ssrc_changes));
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
	       n_started, t->answered, t->failed, LL(t->made), LL(t->sent), LL(t->dropped), LL(t->duplicated),
	       LL(t->reordered), LL(t->reports_sent), LL(t->reports_received), LL(t->setup_ms_max));
	if (t->suite != NULL)
		printf("%s: %llu handshakes, %llu with a broken bit, %llu replays, %llu forged RTP, %llu RTCP and %llu DTLS, "
		       "%llu key changes, %llu SSRC changes\n",
		       t->suite, LL(t->handshakes), LL(t->bad_tags), LL(t->replays), LL(t->forged), LL(t->forged_rtcp),
		       LL(t->forged_dtls), LL(t->rekeys), LL(t->ssrc_changes));
}

static int
report(bool connected)
{
	struct totals t = { 0 };

	for (unsigned int i = 0; i < n_started; i++)
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

int
main(int argc, char **argv)
{
	struct rlimit files_limit;
	bool connected;
	int status;

	options_read(&options, argc, argv);
	plan = &options.plan;
	plan->transmit = transmit;
	plan->watch = watch;
	n_calls = options.n_calls;
	media_poll_fd = epoll_create1(0);
	if (media_poll_fd < 0)
		usage("no epoll on this system");
	open_transport();

	getrlimit(RLIMIT_NOFILE, &files_limit);
	files_limit.rlim_cur = files_limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files_limit);
	if ((rlim_t)n_calls * plan->n_participants * (plan->rtcp_mux ? 1 : 2) + FDS_SPARE > files_limit.rlim_cur)
		usage("more streams than open files allowed: raise it with ulimit -n");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	calls = calloc(n_calls, sizeof(*calls));
	if (calls == NULL)
		usage("no memory for so many calls");
	connected = run();
	status = report(connected);
	for (unsigned int i = 0; i < n_started; i++)
		call_release(&calls[i]);
	options_free(&options);
	free(calls);
	free(out_bytes);
	return status;
}
