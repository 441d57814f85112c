/* capstan-src: places SIPREC calls against a recording server and says whether it behaved. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

#define CALLS_MAX    20000
#define TEMPLATE_MAX 262144
#define TICK_MS      2
#define FDS_SPARE    64

static struct call_plan plan;
static struct call *calls;
static unsigned int n_calls = 1, n_started;
static double rate = 10.0;
static int sip_fd = -1;
static bool as_json;
static volatile sig_atomic_t interrupted;

/* TCP: bytes that did not go out yet, and those that are no whole message yet. */
static char *out_bytes;
static size_t out_len, out_room;
static char in_bytes[2 * CALL_MESSAGE_MAX + 1];
static size_t in_len;

static const char help[] =
        "Usage: capstan-src [options] HOST[:PORT]\n"
        "Places SIPREC calls (RFC 7866) against a recording server, with RTP, and checks how it behaves.\n\n"
        "  -t, --transport udp|tcp    SIP transport (udp)\n"
        "  -n, --calls N              how many calls (1)\n"
        "  -r, --rate R               new calls a second (10)\n"
        "  -d, --duration S           seconds a call lasts (until the longest source ends)\n"
        "  -p, --participants N       participants, one stream each (2)\n"
        "  -m, --mixed                one stream that all participants send into\n"
        "  -w, --wav FILE             8 kHz WAV for the next participant; repeat; reused in turn\n"
        "      --pcap FILE            RTP of a capture for the next participant, at its own pace\n"
        "  -c, --codec pcmu|pcma      of the WAV files and tones (pcmu)\n"
        "      --loss P               lose P percent of the packets (0)\n"
        "      --duplicate P          send P percent twice (0)\n"
        "      --reorder P            send P percent behind their successor (0)\n"
        "      --seed N               repeat a run exactly; printed when absent\n"
        "      --hold S1:S2           after S1 seconds hold for S2 seconds by re-INVITE\n"
        "      --metadata FILE        rs-metadata template: {{session_id}} {{call_id}} {{participant_id_1}}\n"
        "                             {{stream_id_1}} {{label_1}} ... are filled in\n"
        "      --no-metadata          SDP alone\n"
        "      --no-rtcp              send no RTCP; --no-rtcp-mux: do not offer to share the port\n"
        "      --no-bye               leave without BYE, as a crashed client does\n"
        "      --cancel               CANCEL each INVITE\n"
        "      --expect STATUS        the INVITE must be refused so: 503, or 4xx as 400\n"
        "      --local IP             address to send from (chosen by the route)\n"
        "  -j, --json                 one JSON document at the end\n"
        "  -v, --verbose              print every SIP message\n"
        "  -h, --help                 this page\n\n"
        "Exit status: 0 the server behaved in every call; 1 it did not (the first reason is printed);\n"
        "2 the command line or a file is wrong.\n\n"
        "Example: capstan-src --wav alice.wav --wav bob.wav 127.0.0.1:5060\n";

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static _Noreturn void
usage(const char *what)
{
	fprintf(stderr, "capstan-src: %s (see --help)\n", what);
	exit(2);
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
	if (!plan.tcp)
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
open_transport(const char *host, const char *port, const char *local)
{
	struct addrinfo hints = { .ai_socktype = plan.tcp ? SOCK_STREAM : SOCK_DGRAM }, *found;
	socklen_t len = sizeof(plan.local);
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
	if (plan.tcp)
		setsockopt(sip_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(sip_fd, F_SETFL, O_NONBLOCK);
	memcpy(&plan.peer, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	getsockname(sip_fd, (struct sockaddr *)&plan.local, &len);
	if (plan.local.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&plan.local)->sin6_addr, plan.local_ip, sizeof(plan.local_ip));
		plan.local_port = ntohs(((struct sockaddr_in6 *)&plan.local)->sin6_port);
	} else {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&plan.local)->sin_addr, plan.local_ip, sizeof(plan.local_ip));
		plan.local_port = ntohs(((struct sockaddr_in *)&plan.local)->sin_port);
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

/* ---- run ---- */

static bool
run(void)
{
	uint64_t begun = now_ms();
	unsigned int n_over = 0;

	while (n_over < n_calls) {
		uint64_t now = now_ms();
		struct pollfd fd = { .fd = sip_fd, .events = (short)(POLLIN | (out_len ? POLLOUT : 0)) };

		while (n_started < n_calls && !interrupted && (double)(now - begun) * rate / 1000.0 >= n_started) {
			call_start(&calls[n_started], &plan, n_started, now);
			n_started++;
		}
		if (interrupted) {
			for (unsigned int i = 0; i < n_started; i++)
				call_hang_up(&calls[i], now);
			n_calls = n_started;
		}
		if (poll(&fd, 1, TICK_MS) > 0) {
			if (fd.revents & POLLOUT)
				flush_stream();
			if (plan.tcp && fd.revents & (POLLIN | POLLHUP | POLLERR) && !receive_stream(now_ms())) {
				fprintf(stderr, "capstan-src: the server closed the connection\n");
				return false;
			}
			if (!plan.tcp && fd.revents & (POLLIN | POLLERR))
				receive_datagrams(now_ms());
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

static int
report(bool connected)
{
	unsigned int n_failed = 0, n_answered = 0;
	uint64_t made = 0, sent = 0, dropped = 0, duplicated = 0, reordered = 0, setup_max = 0;
	const char *first = NULL;

	for (unsigned int i = 0; i < n_started; i++) {
		const struct call *c = &calls[i];

		if (c->answered_ms != 0) {
			n_answered++;
			if (c->answered_ms - c->invited_ms > setup_max)
				setup_max = c->answered_ms - c->invited_ms;
		}
		if (c->failure[0] != '\0') {
			n_failed++;
			if (first == NULL)
				first = c->failure;
		}
		for (unsigned int k = 0; k < c->n_streams; k++) {
			made += c->streams[k].made;
			sent += c->streams[k].sent;
			dropped += c->streams[k].dropped;
			duplicated += c->streams[k].duplicated;
			reordered += c->streams[k].reordered;
		}
	}
	if (!connected && first == NULL)
		first = "the connection was lost";
	if (as_json)
		printf("{\"calls\":%u,\"answered\":%u,\"failed\":%u,\"packets_made\":%llu,\"packets_sent\":%llu,"
		       "\"dropped\":%llu,\"duplicated\":%llu,\"reordered\":%llu,\"setup_ms_max\":%llu,\"ok\":%s,"
		       "\"failure\":\"%s\"}\n",
		       n_started, n_answered, n_failed, (unsigned long long)made, (unsigned long long)sent,
		       (unsigned long long)dropped, (unsigned long long)duplicated, (unsigned long long)reordered,
		       (unsigned long long)setup_max, first == NULL ? "true" : "false", first != NULL ? first : "");
	else
		printf("%u calls, %u answered, %u failed; %llu RTP packets made, %llu sent, %llu lost on purpose, "
		       "%llu sent twice, %llu reordered; longest set-up %llu ms\n",
		       n_started, n_answered, n_failed, (unsigned long long)made, (unsigned long long)sent,
		       (unsigned long long)dropped, (unsigned long long)duplicated, (unsigned long long)reordered,
		       (unsigned long long)setup_max);
	if (first != NULL && !as_json)
		fprintf(stderr, "capstan-src: the server did not behave: %s\n", first);
	return first == NULL ? 0 : 1;
}

static char *
read_template(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = malloc(TEMPLATE_MAX + 1);
	size_t n;

	if (file == NULL || text == NULL) {
		fprintf(stderr, "capstan-src: --metadata %s: %s\n", path, strerror(errno));
		exit(2);
	}
	n = fread(text, 1, TEMPLATE_MAX, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static double
number(const char *text, double low, double high, const char *what)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || v < low || v > high) {
		fprintf(stderr, "capstan-src: %s takes a number from %g to %g, not \"%s\"\n", what, low, high, text);
		exit(2);
	}
	return v;
}

enum option_long {
	OPT_PCAP = 256, OPT_LOSS, OPT_DUPLICATE, OPT_REORDER, OPT_SEED, OPT_HOLD, OPT_METADATA, OPT_NO_METADATA,
	OPT_NO_RTCP, OPT_NO_RTCP_MUX, OPT_NO_BYE, OPT_CANCEL, OPT_EXPECT, OPT_LOCAL,
};

static const struct option options[] = {
	{ "transport", required_argument, NULL, 't' },
	{ "calls", required_argument, NULL, 'n' },
	{ "rate", required_argument, NULL, 'r' },
	{ "duration", required_argument, NULL, 'd' },
	{ "participants", required_argument, NULL, 'p' },
	{ "mixed", no_argument, NULL, 'm' },
	{ "wav", required_argument, NULL, 'w' },
	{ "pcap", required_argument, NULL, OPT_PCAP },
	{ "codec", required_argument, NULL, 'c' },
	{ "loss", required_argument, NULL, OPT_LOSS },
	{ "duplicate", required_argument, NULL, OPT_DUPLICATE },
	{ "reorder", required_argument, NULL, OPT_REORDER },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "metadata", required_argument, NULL, OPT_METADATA },
	{ "no-metadata", no_argument, NULL, OPT_NO_METADATA },
	{ "no-rtcp", no_argument, NULL, OPT_NO_RTCP },
	{ "no-rtcp-mux", no_argument, NULL, OPT_NO_RTCP_MUX },
	{ "no-bye", no_argument, NULL, OPT_NO_BYE },
	{ "cancel", no_argument, NULL, OPT_CANCEL },
	{ "expect", required_argument, NULL, OPT_EXPECT },
	{ "local", required_argument, NULL, OPT_LOCAL },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Media files wait until the codec is known. */
static struct {
	const char *path;
	bool pcap;
} files[CALL_STREAMS_MAX];
static unsigned int n_files;
static enum media_codec codec = MEDIA_PCMU;
static const char *local_ip;
static uint32_t seed;

static void
add_file(const char *path, bool pcap)
{
	if (n_files == CALL_STREAMS_MAX)
		usage("at most 8 --wav and --pcap");
	files[n_files].path = path;
	files[n_files++].pcap = pcap;
}

static void
take_option(int option, char *value)
{
	char *colon;

	switch (option) {
	case 't':
		if (strcmp(value, "udp") != 0 && strcmp(value, "tcp") != 0)
			usage("--transport takes udp or tcp");
		plan.tcp = strcmp(value, "tcp") == 0;
		break;
	case 'n':
		n_calls = (unsigned int)number(value, 1, CALLS_MAX, "--calls");
		break;
	case 'r':
		rate = number(value, 0.01, 100000, "--rate");
		break;
	case 'd':
		plan.duration_ms = (uint32_t)(1000 * number(value, 0.02, 864000, "--duration"));
		break;
	case 'p':
		plan.n_participants = (unsigned int)number(value, 1, CALL_STREAMS_MAX, "--participants");
		break;
	case 'm':
		plan.mixed = true;
		break;
	case 'w':
	case OPT_PCAP:
		add_file(value, option == OPT_PCAP);
		break;
	case 'c':
		if (strcmp(value, "pcmu") != 0 && strcmp(value, "pcma") != 0)
			usage("--codec takes pcmu or pcma");
		codec = strcmp(value, "pcmu") == 0 ? MEDIA_PCMU : MEDIA_PCMA;
		break;
	case OPT_LOSS:
		plan.faults.loss = number(value, 0, 100, "--loss") / 100;
		break;
	case OPT_DUPLICATE:
		plan.faults.duplicate = number(value, 0, 100, "--duplicate") / 100;
		break;
	case OPT_REORDER:
		plan.faults.reorder = number(value, 0, 100, "--reorder") / 100;
		break;
	case OPT_SEED:
		seed = (uint32_t)number(value, 1, 4294967295.0, "--seed");
		break;
	case OPT_HOLD:
		colon = strchr(value, ':');
		if (colon == NULL)
			usage("--hold takes S1:S2, two numbers of seconds");
		*colon = '\0';
		plan.hold_at_ms = (uint32_t)(1000 * number(value, 0.001, 86400, "--hold"));
		plan.hold_for_ms = (uint32_t)(1000 * number(colon + 1, 0.001, 86400, "--hold"));
		break;
	case OPT_METADATA:
		plan.metadata = read_template(value);
		break;
	case OPT_NO_METADATA:
		plan.metadata = NULL;
		break;
	case OPT_NO_RTCP:
		plan.rtcp = false;
		break;
	case OPT_NO_RTCP_MUX:
		plan.rtcp_mux = false;
		break;
	case OPT_NO_BYE:
		plan.no_bye = true;
		break;
	case OPT_CANCEL:
		plan.cancel = true;
		break;
	case OPT_EXPECT:
		plan.expect_status = (unsigned int)number(value, 300, 699, "--expect");
		break;
	case OPT_LOCAL:
		local_ip = value;
		break;
	case 'j':
		as_json = true;
		break;
	case 'v':
		plan.verbose = true;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		exit(2); /* getopt said why */
	}
}

static void
load_sources(struct media_source *sources)
{
	char why[512];

	for (unsigned int i = 0; i < n_files; i++) {
		bool ok = files[i].pcap ? media_load_pcap(&sources[i], files[i].path, why, sizeof(why))
		                        : media_load_wav(&sources[i], files[i].path, codec, why, sizeof(why));

		if (!ok) {
			fprintf(stderr, "capstan-src: %s\n", why);
			exit(2);
		}
		plan.sources[i] = &sources[i];
	}
	plan.n_sources = n_files;
	for (; plan.n_sources < plan.n_participants && n_files == 0; plan.n_sources++) {
		unsigned int ms = plan.duration_ms ? plan.duration_ms : 5000;

		if (!media_make_tone(&sources[plan.n_sources], codec, 300.0 + 100.0 * plan.n_sources, ms))
			usage("no memory for the tones");
		plan.sources[plan.n_sources] = &sources[plan.n_sources];
	}
}

static void
split_target(char *target, char **host, const char **port)
{
	char *colon;

	if (strncmp(target, "sip:", 4) == 0)
		target += 4;
	*port = "5060";
	*host = target;
	if (target[0] == '[' && (colon = strchr(target, ']')) != NULL) {
		*host = target + 1;
		*colon++ = '\0';
		if (*colon == ':')
			*port = colon + 1;
		snprintf(plan.server, sizeof(plan.server), "[%s]:%s", *host, *port);
		return;
	}
	colon = strrchr(target, ':');
	if (colon != NULL) {
		*colon = '\0';
		*port = colon + 1;
	}
	snprintf(plan.server, sizeof(plan.server), "%s:%s", *host, *port);
}

int
main(int argc, char **argv)
{
	static struct media_source sources[CALL_STREAMS_MAX];
	struct rlimit files_limit;
	const char *port;
	char *host;
	bool connected;
	int option, status;

	plan.n_participants = 2;
	plan.rtcp = plan.rtcp_mux = true;
	plan.metadata = "";
	plan.transmit = transmit;
	while ((option = getopt_long(argc, argv, "t:n:r:d:p:mw:c:jvh", options, NULL)) != -1)
		take_option(option, optarg);
	if (optind != argc - 1)
		usage("give the server as HOST or HOST:PORT");
	if (seed == 0) {
		seed = (uint32_t)time(NULL) ^ (uint32_t)getpid();
		fprintf(stderr, "capstan-src: --seed %u\n", seed);
	}
	plan.seed = &seed;
	load_sources(sources);
	split_target(argv[optind], &host, &port);
	open_transport(host, port, local_ip);

	getrlimit(RLIMIT_NOFILE, &files_limit);
	files_limit.rlim_cur = files_limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files_limit);
	if ((rlim_t)n_calls * plan.n_participants + FDS_SPARE > files_limit.rlim_cur)
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
	for (unsigned int i = 0; i < CALL_STREAMS_MAX; i++)
		media_free(&sources[i]);
	free(calls);
	free(out_bytes);
	return status;
}
