#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX        20000
#define TEMPLATE_MAX     262144
#define LIBSRTP2_STREAMS 20	/* up to here a run is small */
#define ALL_PROFILES     "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32"

static const char help[] =
        "Usage: capstan-src [options] HOST[:PORT]\n"
        "Places SIPREC calls (RFC 7866) against a recording server, with RTP, and checks how it behaves.\n\n"
        "  -t, --transport udp|tcp|tls  SIP transport (udp)\n"
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
        "      --metadata FILE        rs-metadata template: {{session_id}} {{call_id}} {{participant_id_1}}\n"
        "                             {{stream_id_1}} {{label_1}} ... are filled in\n"
        "      --no-metadata          SDP alone\n"
        "      --no-rtcp              send no RTCP; --no-rtcp-mux: do not offer to share the port\n"
        "      --no-bye               leave without BYE, as a crashed client does\n"
        "      --cancel               CANCEL each INVITE\n"
        "      --expect STATUS        the INVITE must be refused so: 503, or 4xx as 400\n"
        "      --local IP             address to send from (chosen by the route)\n\n"
        "TLS:\n"
        "      --ca FILE              who may have signed the server's certificate (it is not checked)\n"
        "      --cert FILE, --key FILE  our certificate and its key, for mutual TLS\n"
        "      --server-name NAME     asked for, and checked with --ca (HOST)\n"
        "      --tls-version 1.2|1.3  that one alone\n\n"
        "In mid-call, S seconds after the start; each may be repeated:\n"
        "      --hold S1:S2           after S1 seconds hold for S2 seconds\n"
        "      --reinvite-at S        the same offer and metadata again\n"
        "      --metadata-at S        partial metadata: a participant has another name\n"
        "      --add-at S             one more stream and participant; --remove-at S: the last one goes\n"
        "      --update               changes go by UPDATE where the server allows it (re-INVITE)\n"
        "      --replace-at S         a second dialog replaces the first (RFC 3891)\n"
        "      --replaces TEXT        the INVITE has this Replaces header\n"
        "      --session-expires N[:uac|uas]  session timer of N seconds (RFC 4028), and who is to refresh\n"
        "      --min-se N             Min-SE of N seconds\n"
        "      --refresh auto|update|reinvite|never  how we refresh (auto: UPDATE where allowed)\n"
        "      --no-snapshot          metadata requests of the server are not taken\n\n"
        "SRTP:\n"
        "      --srtp SUITE           by SDES, RTP/SAVP: AES_CM_128_HMAC_SHA1_80, ..._32, AES_192_CM_HMAC_SHA1_80,\n"
        "                             AES_256_CM_..., AEAD_AES_128_GCM, AEAD_AES_256_GCM; repeat, preferred first\n"
        "      --srtp-engine E        libsrtp2 (for small runs) or ipsec-mb (for load)\n"
        "      --mki N                packets carry an MKI of N bytes; --lifetime TEXT: as 2^31\n"
        "      --keys N               N inline keys in a line, used one after the other; needs --mki\n"
        "      --savpf                RTP/SAVPF, with --dtls UDP/TLS/RTP/SAVPF\n"
        "      --mixed-profiles       the first m-line in clear, the second protected, and so on\n"
        "      --dtls[=PROFILES]      by DTLS; OpenSSL's names with colons (all four)\n"
        "      --setup ROLE           a=setup of the offer: actpass, active, passive (actpass)\n"
        "      --wrong-fingerprint    offer one that our certificate does not have\n"
        "      --seq N, --roc N       first sequence number (random) and rollover counter (0)\n"
        "      --rekey-at S           after S seconds other keys; --rekey-same: the same ones again;\n"
        "                             --rekey-keeps-roc: the rollover counter goes on under the new key\n"
        "      --ssrc-change-at S     after S seconds go on under another SSRC\n"
        "      --bad-tags P           send P percent also with a broken bit\n"
        "      --replays P            send one of the last 200 packets again behind P percent\n"
        "      --forge N              N forged packets from the same address over the live streams of all calls\n\n"
        "  -j, --json                 one JSON document at the end\n"
        "  -v, --verbose              print every SIP message\n"
        "  -h, --help                 this page\n\n"
        "Exit status: 0 the server behaved in every call; 1 it did not (the first reason is printed);\n"
        "2 the command line or a file is wrong.\n\n"
        "Example: capstan-src --wav alice.wav --wav bob.wav 127.0.0.1:5060\n";

_Noreturn void
usage(const char *what)
{
	fprintf(stderr, "capstan-src: %s (see --help)\n", what);
	exit(2);
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
	OPT_SRTP, OPT_SRTP_ENGINE, OPT_KEYS, OPT_MKI, OPT_LIFETIME, OPT_SAVPF, OPT_MIXED_PROFILES, OPT_DTLS, OPT_SETUP,
	OPT_WRONG_FINGERPRINT, OPT_SEQ, OPT_ROC, OPT_REKEY_AT, OPT_REKEY_SAME, OPT_REKEY_KEEPS_ROC, OPT_SSRC_CHANGE_AT,
	OPT_BAD_TAGS, OPT_REPLAYS, OPT_FORGE,
	OPT_CA, OPT_CERT, OPT_KEY, OPT_SERVER_NAME, OPT_TLS_VERSION,
	OPT_REINVITE_AT, OPT_METADATA_AT, OPT_ADD_AT, OPT_REMOVE_AT, OPT_UPDATE, OPT_REPLACE_AT, OPT_REPLACES,
	OPT_SESSION_EXPIRES, OPT_MIN_SE, OPT_REFRESH, OPT_NO_SNAPSHOT,
};

static const struct option long_options[] = {
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
	{ "srtp", required_argument, NULL, OPT_SRTP },
	{ "srtp-engine", required_argument, NULL, OPT_SRTP_ENGINE },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "mki", required_argument, NULL, OPT_MKI },
	{ "lifetime", required_argument, NULL, OPT_LIFETIME },
	{ "savpf", no_argument, NULL, OPT_SAVPF },
	{ "mixed-profiles", no_argument, NULL, OPT_MIXED_PROFILES },
	{ "dtls", optional_argument, NULL, OPT_DTLS },
	{ "setup", required_argument, NULL, OPT_SETUP },
	{ "wrong-fingerprint", no_argument, NULL, OPT_WRONG_FINGERPRINT },
	{ "seq", required_argument, NULL, OPT_SEQ },
	{ "roc", required_argument, NULL, OPT_ROC },
	{ "rekey-at", required_argument, NULL, OPT_REKEY_AT },
	{ "rekey-same", no_argument, NULL, OPT_REKEY_SAME },
	{ "rekey-keeps-roc", no_argument, NULL, OPT_REKEY_KEEPS_ROC },
	{ "ssrc-change-at", required_argument, NULL, OPT_SSRC_CHANGE_AT },
	{ "bad-tags", required_argument, NULL, OPT_BAD_TAGS },
	{ "replays", required_argument, NULL, OPT_REPLAYS },
	{ "forge", required_argument, NULL, OPT_FORGE },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "server-name", required_argument, NULL, OPT_SERVER_NAME },
	{ "tls-version", required_argument, NULL, OPT_TLS_VERSION },
	{ "reinvite-at", required_argument, NULL, OPT_REINVITE_AT },
	{ "metadata-at", required_argument, NULL, OPT_METADATA_AT },
	{ "add-at", required_argument, NULL, OPT_ADD_AT },
	{ "remove-at", required_argument, NULL, OPT_REMOVE_AT },
	{ "update", no_argument, NULL, OPT_UPDATE },
	{ "replace-at", required_argument, NULL, OPT_REPLACE_AT },
	{ "replaces", required_argument, NULL, OPT_REPLACES },
	{ "session-expires", required_argument, NULL, OPT_SESSION_EXPIRES },
	{ "min-se", required_argument, NULL, OPT_MIN_SE },
	{ "refresh", required_argument, NULL, OPT_REFRESH },
	{ "no-snapshot", no_argument, NULL, OPT_NO_SNAPSHOT },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
add_file(struct options *o, const char *path, bool pcap)
{
	if (o->n_files == CALL_STREAMS_MAX)
		usage("at most 8 --wav and --pcap");
	o->files[o->n_files].path = path;
	o->files[o->n_files++].pcap = pcap;
}

static void
add_suite(struct secure_plan *s, const char *name)
{
	s->kind = SECURE_SDES;
	if (s->n_suites == SECURE_LINES_MAX)
		usage("at most 8 --srtp");
	if (!protect_suite_by_name(name, &s->suites[s->n_suites++]))
		usage("--srtp takes AES_CM_128_HMAC_SHA1_80 or _32, AES_192_CM_HMAC_SHA1_80 or _32, AES_256_CM_HMAC_SHA1_80 "
		      "or _32, AEAD_AES_128_GCM, AEAD_AES_256_GCM");
}

/* Which of the words; ends the program with `what` when it is none. */
static unsigned int
word_of(const char *value, const char *const words[], const char *what)
{
	for (unsigned int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	usage(what);
}

/* Kept in order of time; of two at the same time the first one named is the first. */
static void
add_change(struct call_plan *p, double at_s, enum call_change_kind kind)
{
	uint32_t at_ms = (uint32_t)(1000 * at_s);
	unsigned int i = p->n_changes;

	if (p->n_changes == CALL_CHANGES_MAX)
		usage("at most 32 changes in mid-call");
	for (; i > 0 && p->changes[i - 1].at_ms > at_ms; i--)
		p->changes[i] = p->changes[i - 1];
	p->changes[i] = (struct call_change){ .at_ms = at_ms, .kind = kind };
	p->n_changes++;
}

static bool
has_change(const struct call_plan *p, enum call_change_kind kind)
{
	for (unsigned int i = 0; i < p->n_changes; i++)
		if (p->changes[i].kind == kind)
			return true;
	return false;
}

static void
take_hold(struct call_plan *p, char *value)
{
	char *colon = strchr(value, ':');
	double begin;

	if (colon == NULL)
		usage("--hold takes S1:S2, two numbers of seconds");
	*colon = '\0';
	begin = number(value, 0.001, 86400, "--hold");
	add_change(p, begin, CALL_HOLD);
	add_change(p, begin + number(colon + 1, 0.001, 86400, "--hold"), CALL_RESUME);
}

static void
take_session_expires(struct call_plan *p, char *value)
{
	static const char *const words[] = { "", "uac", "uas", NULL };
	char *colon = strchr(value, ':');

	if (colon != NULL) {
		*colon = '\0';
		p->refresher = (enum call_refresher)word_of(colon + 1, words, "--session-expires takes N, N:uac or N:uas");
	}
	p->session_expires_s = (uint32_t)number(value, 1, 86400, "--session-expires");
}

static double
seconds(const char *value, const char *what)
{
	return number(value, 0.001, 86400, what);
}

static void
take_dialog_option(struct options *o, int option, char *value)
{
	static const char *const refreshes[] = { "auto", "update", "reinvite", "never", NULL };
	static const char *const versions[] = { "1.2", "1.3", NULL };
	struct call_plan *p = &o->plan;

	switch (option) {
	case OPT_CA:
		o->transport.ca = value;
		break;
	case OPT_CERT:
		o->transport.certificate = value;
		break;
	case OPT_KEY:
		o->transport.key = value;
		break;
	case OPT_SERVER_NAME:
		o->transport.server_name = value;
		break;
	case OPT_TLS_VERSION:
		o->transport.tls_version = versions[word_of(value, versions, "--tls-version takes 1.2 or 1.3")];
		break;
	case OPT_REINVITE_AT:
		add_change(p, seconds(value, "--reinvite-at"), CALL_REFRESH);
		break;
	case OPT_METADATA_AT:
		add_change(p, seconds(value, "--metadata-at"), CALL_METADATA);
		break;
	case OPT_ADD_AT:
		add_change(p, seconds(value, "--add-at"), CALL_ADD);
		break;
	case OPT_REMOVE_AT:
		add_change(p, seconds(value, "--remove-at"), CALL_REMOVE);
		break;
	case OPT_REPLACE_AT:
		add_change(p, seconds(value, "--replace-at"), CALL_REPLACE);
		o->replaces = true;
		break;
	case OPT_REPLACES:
		p->replaces = value;
		break;
	case OPT_UPDATE:
		p->by_update = true;
		break;
	case OPT_SESSION_EXPIRES:
		take_session_expires(p, value);
		break;
	case OPT_MIN_SE:
		p->min_se_s = (uint32_t)number(value, 1, 86400, "--min-se");
		break;
	case OPT_REFRESH:
		p->refresh = (enum call_refresh)word_of(value, refreshes, "--refresh takes auto, update, reinvite or never");
		break;
	case OPT_NO_SNAPSHOT:
		p->no_snapshot = true;
		break;
	default:
		abort(); /* long_options names one that nobody takes */
	}
}

static void
take_srtp_option(struct options *o, int option, char *value)
{
	struct call_plan *p = &o->plan;
	struct secure_plan *s = &p->secure;

	switch (option) {
	case OPT_SRTP:
		add_suite(s, value);
		break;
	case OPT_SRTP_ENGINE:
		if (strcmp(value, "libsrtp2") != 0 && strcmp(value, "ipsec-mb") != 0)
			usage("--srtp-engine takes libsrtp2 or ipsec-mb");
		s->engine = strcmp(value, "libsrtp2") == 0 ? PROTECT_LIBSRTP2 : PROTECT_IPSEC_MB;
		o->engine_given = true;
		break;
	case OPT_KEYS:
		s->n_keys = (unsigned int)number(value, 1, SDES_KEYS_MAX, "--keys");
		break;
	case OPT_MKI:
		s->mki_len = (uint8_t)number(value, 1, 8, "--mki");
		break;
	case OPT_LIFETIME:
		s->lifetime = value;
		break;
	case OPT_SAVPF:
		s->feedback = true;
		break;
	case OPT_MIXED_PROFILES:
		s->mixed_profiles = true;
		break;
	case OPT_DTLS:
		o->profiles = value != NULL ? value : ALL_PROFILES;
		break;
	case OPT_SETUP:
		if (strcmp(value, "actpass") != 0 && strcmp(value, "active") != 0 && strcmp(value, "passive") != 0)
			usage("--setup takes actpass, active or passive");
		s->setup = value;
		break;
	case OPT_WRONG_FINGERPRINT:
		s->wrong_fingerprint = true;
		break;
	case OPT_SEQ:
		p->start.seq = (int)number(value, 0, 65535, "--seq");
		break;
	case OPT_ROC:
		p->start.roc = s->roc = (uint32_t)number(value, 0, 4294967295.0, "--roc");
		break;
	case OPT_REKEY_AT:
		add_change(p, seconds(value, "--rekey-at"), CALL_REKEY);
		break;
	case OPT_REKEY_SAME:
		p->rekey_same = true;
		break;
	case OPT_REKEY_KEEPS_ROC:
		p->rekey_keeps_roc = true;
		break;
	case OPT_SSRC_CHANGE_AT:
		p->ssrc_change_at_ms = (uint32_t)(1000 * number(value, 0.001, 86400, "--ssrc-change-at"));
		break;
	case OPT_BAD_TAGS:
		p->faults.bad_tags = number(value, 0, 100, "--bad-tags") / 100;
		break;
	case OPT_REPLAYS:
		p->faults.replays = number(value, 0, 100, "--replays") / 100;
		break;
	case OPT_FORGE:
		o->forge = (uint64_t)number(value, 1, 1e9, "--forge");
		break;
	default:
		take_dialog_option(o, option, value);
	}
}

static void
take_option(struct options *o, int option, char *value)
{
	static const char *const transports[] = { "udp", "tcp", "tls", NULL };
	struct call_plan *p = &o->plan;

	switch (option) {
	case 't':
		p->transport = (enum call_transport)word_of(value, transports, "--transport takes udp, tcp or tls");
		break;
	case 'n':
		o->n_calls = (unsigned int)number(value, 1, CALLS_MAX, "--calls");
		break;
	case 'r':
		o->rate = number(value, 0.01, 100000, "--rate");
		break;
	case 'd':
		p->duration_ms = (uint32_t)(1000 * number(value, 0.02, 864000, "--duration"));
		break;
	case 'p':
		p->n_participants = (unsigned int)number(value, 1, CALL_STREAMS_MAX, "--participants");
		break;
	case 'm':
		p->mixed = true;
		break;
	case 'w':
	case OPT_PCAP:
		add_file(o, value, option == OPT_PCAP);
		break;
	case 'c':
		if (strcmp(value, "pcmu") != 0 && strcmp(value, "pcma") != 0)
			usage("--codec takes pcmu or pcma");
		o->codec = strcmp(value, "pcmu") == 0 ? MEDIA_PCMU : MEDIA_PCMA;
		break;
	case OPT_LOSS:
		p->faults.loss = number(value, 0, 100, "--loss") / 100;
		break;
	case OPT_DUPLICATE:
		p->faults.duplicate = number(value, 0, 100, "--duplicate") / 100;
		break;
	case OPT_REORDER:
		p->faults.reorder = number(value, 0, 100, "--reorder") / 100;
		break;
	case OPT_SEED:
		o->seed = (uint32_t)number(value, 1, 4294967295.0, "--seed");
		break;
	case OPT_HOLD:
		take_hold(p, value);
		break;
	case OPT_METADATA:
		p->metadata = read_template(value);
		break;
	case OPT_NO_METADATA:
		p->metadata = NULL;
		break;
	case OPT_NO_RTCP:
		p->rtcp = false;
		break;
	case OPT_NO_RTCP_MUX:
		p->rtcp_mux = false;
		break;
	case OPT_NO_BYE:
		p->no_bye = true;
		break;
	case OPT_CANCEL:
		p->cancel = true;
		break;
	case OPT_EXPECT:
		p->expect_status = (unsigned int)number(value, 300, 699, "--expect");
		break;
	case OPT_LOCAL:
		o->transport.local_ip = value;
		break;
	case 'j':
		o->as_json = true;
		break;
	case 'v':
		p->verbose = true;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	case '?':
		exit(2); /* getopt said why */
	default:
		take_srtp_option(o, option, value);
	}
}

static void
load_sources(struct options *o)
{
	struct call_plan *p = &o->plan;
	unsigned int n_tones = p->n_participants;	/* one for each, those that come later included */
	char why[512];

	for (unsigned int i = 0; i < p->n_changes; i++)
		n_tones += p->changes[i].kind == CALL_ADD && n_tones < CALL_STREAMS_MAX;
	for (unsigned int i = 0; i < o->n_files; i++) {
		struct media_source *s = &o->sources[i];
		bool ok = o->files[i].pcap ? media_load_pcap(s, o->files[i].path, why, sizeof(why))
		                           : media_load_wav(s, o->files[i].path, o->codec, why, sizeof(why));

		if (!ok) {
			fprintf(stderr, "capstan-src: %s\n", why);
			exit(2);
		}
		p->sources[i] = s;
	}
	p->n_sources = o->n_files;
	for (; p->n_sources < n_tones && o->n_files == 0; p->n_sources++) {
		unsigned int ms = p->duration_ms ? p->duration_ms : 5000;

		if (!media_make_tone(&o->sources[p->n_sources], o->codec, 300.0 + 100.0 * p->n_sources, ms))
			usage("no memory for the tones");
		p->sources[p->n_sources] = &o->sources[p->n_sources];
	}
	p->length_ms = p->duration_ms;
	for (unsigned int i = 0; i < p->n_sources && p->duration_ms == 0; i++)
		if (media_source_ms(p->sources[i]) > p->length_ms)
			p->length_ms = media_source_ms(p->sources[i]);
}

/* What makes no sense together. */
static void
check_srtp(struct options *o)
{
	struct call_plan *p = &o->plan;
	struct secure_plan *s = &p->secure;
	bool sdes = s->kind == SECURE_SDES, dtls = o->profiles != NULL;

	if (sdes && dtls)
		usage("--srtp or --dtls, not both");
	if (!sdes && !dtls &&
	    (s->feedback || s->mixed_profiles || s->roc != 0 || has_change(p, CALL_REKEY) || p->faults.bad_tags > 0 ||
	     p->faults.replays > 0 || o->forge != 0))
		usage("--savpf, --mixed-profiles, --roc, --rekey-at, --bad-tags, --replays and --forge need --srtp or --dtls");
	if (!sdes && (s->mki_len != 0 || s->lifetime != NULL))
		usage("--mki and --lifetime need --srtp");
	if (s->n_keys > 1 && s->mki_len == 0)
		usage("--keys needs --mki, which tells them apart");
	if (dtls && has_change(p, CALL_REKEY) && !p->rekey_same)
		usage("another key under DTLS is another handshake: --rekey-at needs --srtp, or --rekey-same");
	if (dtls && !p->rtcp_mux)
		usage("--dtls needs rtcp-mux");
	if (!dtls && (s->setup != NULL || s->wrong_fingerprint))
		usage("--setup and --wrong-fingerprint need --dtls");
	if (s->mixed_profiles && (p->mixed || p->n_participants < 2))
		usage("--mixed-profiles needs two streams");
}

/* An engine by the size of the run where none was asked for. */
static void
choose_engine(struct options *o)
{
	struct secure_plan *s = &o->plan.secure;
	uint64_t n_streams = (uint64_t)o->n_calls * o->plan.n_participants;

	if (!o->engine_given)
		s->engine = n_streams <= LIBSRTP2_STREAMS ? PROTECT_LIBSRTP2 : PROTECT_IPSEC_MB;
	for (unsigned int i = 0; i < s->n_suites; i++) {
		const struct protect_keys keys = { .suite = s->suites[i], .mki_len = s->mki_len };

		if (o->engine_given && !protect_engine_has(s->engine, &keys))
			fprintf(stderr, "capstan-src: %s by ipsec-mb: libsrtp2 differs from the RFC there\n",
			        protect_shape(keys.suite)->name);
	}
}

static void
prepare_srtp(struct options *o)
{
	struct secure_plan *s = &o->plan.secure;

	check_srtp(o);
	if (o->profiles != NULL) {
		s->kind = SECURE_DTLS;
		if (s->setup == NULL)
			s->setup = "actpass";
		o->identity = dtls_identity_create(o->profiles);
		if (o->identity == NULL)
			usage("--dtls takes SRTP_AES128_CM_SHA1_80, SRTP_AES128_CM_SHA1_32, SRTP_AEAD_AES_128_GCM and "
			      "SRTP_AEAD_AES_256_GCM with colons between");
		s->identity = o->identity;
		s->hello_len = (uint16_t)dtls_hello(o->identity, s->hello, sizeof(s->hello));
	}
	o->plan.forge = (o->forge + o->n_calls - 1) / o->n_calls;
	choose_engine(o);
}

/* What makes no sense together, of dialogs. */
static void
check_dialog(const struct options *o)
{
	const struct call_plan *p = &o->plan;
	const struct transport_spec *t = &o->transport;
	unsigned int n_streams = p->mixed ? 1 : p->n_participants;

	if ((t->certificate == NULL) != (t->key == NULL))
		usage("--cert and --key go together");
	if (p->transport != CALL_TLS && (t->ca != NULL || t->certificate != NULL || t->server_name != NULL || t->tls_version != NULL))
		usage("--ca, --cert, --key, --server-name and --tls-version need --transport tls");
	for (unsigned int i = 0; i < p->n_changes; i++)
		n_streams += p->changes[i].kind == CALL_ADD;
	if (n_streams > CALL_STREAMS_MAX || (p->mixed && has_change(p, CALL_ADD)))
		usage("--add-at: at most 8 streams, and none with --mixed");
	if (has_change(p, CALL_METADATA) && p->metadata == NULL)
		usage("--metadata-at and --no-metadata exclude each other");
	if (p->session_expires_s == 0 && (p->min_se_s != 0 || p->refresh != CALL_REFRESH_AUTO))
		usage("--min-se and --refresh need --session-expires");
	if (o->replaces && p->replaces != NULL)
		usage("--replace-at and --replaces exclude each other");
}

static void
split_target(struct options *o, char *target)
{
	struct call_plan *p = &o->plan;
	char *colon;

	if (strncmp(target, "sip:", 4) == 0)
		target += 4;
	o->transport.kind = p->transport;
	o->transport.port = p->transport == CALL_TLS ? "5061" : "5060";
	o->transport.host = target;
	if (target[0] == '[' && (colon = strchr(target, ']')) != NULL) {
		o->transport.host = target + 1;
		*colon++ = '\0';
		if (*colon == ':')
			o->transport.port = colon + 1;
		snprintf(p->server, sizeof(p->server), "[%s]:%s", o->transport.host, o->transport.port);
		return;
	}
	colon = strrchr(target, ':');
	if (colon != NULL) {
		*colon = '\0';
		o->transport.port = colon + 1;
	}
	snprintf(p->server, sizeof(p->server), "%s:%s", o->transport.host, o->transport.port);
}

void
options_read(struct options *o, int argc, char **argv)
{
	int option;

	memset(o, 0, sizeof(*o));
	o->n_calls = 1;
	o->rate = 10.0;
	o->codec = MEDIA_PCMU;
	o->plan.n_participants = 2;
	o->plan.rtcp = o->plan.rtcp_mux = true;
	o->plan.metadata = "";
	o->plan.start.seq = -1;
	o->plan.secure.n_keys = 1;
	while ((option = getopt_long(argc, argv, "t:n:r:d:p:mw:c:jvh", long_options, NULL)) != -1)
		take_option(o, option, optarg);
	if (optind != argc - 1)
		usage("give the server as HOST or HOST:PORT");
	if (o->seed == 0) {
		o->seed = (uint32_t)time(NULL) ^ (uint32_t)getpid();
		fprintf(stderr, "capstan-src: --seed %u\n", o->seed);
	}
	o->plan.seed = &o->seed;
	check_dialog(o);
	prepare_srtp(o);
	load_sources(o);
	split_target(o, argv[optind]);
}

void
options_free(struct options *o)
{
	for (unsigned int i = 0; i < CALL_STREAMS_MAX; i++)
		media_free(&o->sources[i]);
	dtls_identity_destroy(o->identity);
	memset(o, 0, sizeof(*o));
}
