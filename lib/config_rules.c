/* Ranges and rules that need more than one value, and the arithmetic of ports and memory. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/config_fields.h"

/* What a chunk costs in a pool: the page and its head (docs/architecture.md). A body is less than the page. */
#define CHUNK_COST          (4096u + 64u)
#define CHUNK_BODY          3900u		  /* of REEL_BODY_MAX, less the frame that did not fit any more */
#define STREAM_COST         1536u		  /* slot, SSRC contexts, views */
#define KEYSET_COST         2048u		  /* of one SRTP key generation: expanded keys; what its m-line was agreed on */
#define ADDRESS_COST        (65536u * 4u)	  /* slot_of[] of one address */
#define DEVICE_COST         (72u * 1024 * 1024)	  /* 64 blocks of 1 MiB and the rings of one writer */
#define RECORDING_COST      (5u * 1024)		  /* keys and trees of two parts in each writer */
#define BASE_COST           (96u * 1024 * 1024)	  /* EAL, packet buffers, control plane */
#define NAME_MAX_INTERFACE  (IF_NAMESIZE - 1)

bool
config_number_parse(const struct config_field *field, const char *text, uint64_t *out)
{
	static const struct { const char *suffix; uint64_t us; } units[] = {
		{ "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000 }, { "d", 86400000000 },
	};
	uint64_t base = field->kind == CONFIG_TIME_US ? 1 : field->kind == CONFIG_TIME_MS ? 1000 : 1000000;
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > UINT32_MAX)
			return false;
	}
	if (at == text)
		return false;
	*out = value;
	if (*at == '\0')
		return true;
	if (field->kind != CONFIG_TIME_US && field->kind != CONFIG_TIME_MS && field->kind != CONFIG_TIME_S)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].suffix) == 0) {
			*out = value * units[i].us / base;
			return value * units[i].us % base == 0 && *out <= UINT32_MAX;
		}
	}
	return false;
}

bool
config_bool_parse(const char *text, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		*out = strcasecmp(text, yes[i]) == 0;
		if (*out || strcasecmp(text, no[i]) == 0)
			return true;
	}
	return false;
}

int
config_address_parse(const char *text, uint8_t *bytes)
{
	uint8_t room[16];

	if (inet_pton(AF_INET, text, room) == 1) {
		if (bytes != NULL)
			memcpy(bytes, room, 4);
		return 4;
	}
	if (inet_pton(AF_INET6, text, room) == 1) {
		if (bytes != NULL)
			memcpy(bytes, room, 16);
		return 6;
	}
	return 0;
}

static bool
address_is_unicast(int version, const uint8_t *bytes)
{
	static const uint8_t zero[16];

	if (version == 4)
		return bytes[0] != 0 && bytes[0] < 224;
	return memcmp(bytes, zero, sizeof(zero)) != 0 && bytes[0] != 0xff;
}

/* "198.18.254.1/24" */
static int
prefix_parse(const char *text, uint8_t *bytes, unsigned int *prefix_len)
{
	static const struct config_field number = { .kind = CONFIG_U32 };
	char address[64];
	size_t len = strcspn(text, "/");
	uint64_t prefix;
	int version;

	if (text[len] != '/' || len >= sizeof(address))
		return 0;
	snprintf(address, sizeof(address), "%.*s", (int)len, text);
	version = config_address_parse(address, bytes);
	if (version == 0 || !config_number_parse(&number, text + len + 1, &prefix) || prefix == 0 ||
	    prefix > (version == 4 ? 32u : 128u))
		return 0;
	*prefix_len = (unsigned int)prefix;
	return version;
}

static bool
prefix_holds(const uint8_t *network, unsigned int prefix_len, const uint8_t *address)
{
	unsigned int whole = prefix_len / 8, rest = prefix_len % 8;

	if (memcmp(network, address, whole) != 0)
		return false;
	return rest == 0 || ((network[whole] ^ address[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

bool
config_prefix_parse(const char *text, struct config_prefix *out)
{
	unsigned int bits;
	int version;

	memset(out, 0, sizeof(*out));
	if (strcasecmp(text, "all") == 0)
		return true;
	version = config_address_parse(text, out->ip);
	bits = version == 4 ? 32 : 128;
	if (version == 0)
		version = prefix_parse(text, out->ip, &bits);
	if (version == 0)
		return false;
	out->ip_version = (uint8_t)version;
	out->bits = (uint8_t)bits;
	for (unsigned int i = bits; i < (version == 4 ? 32u : 128u); i++) {
		if (out->ip[i / 8] & (0x80u >> i % 8))
			return false;
	}
	return true;
}

bool
config_prefixes_hold(const struct config_prefix *prefixes, unsigned int n, int ip_version, const uint8_t *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip_version == 6 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
		ip_version = 4;
		ip += sizeof(mapped);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (prefixes[i].ip_version == 0 ||
		    (prefixes[i].ip_version == ip_version && prefix_holds(prefixes[i].ip, prefixes[i].bits, ip)))
			return true;
	}
	return false;
}

/* ---- derived defaults ---- */

/* sip.listen as TLS_PORT and ENABLE_TLS leave it: without a TLS listener of its own it gets one when TLS is on, and
 * loses its own when that is off. */
static enum srs_err
derive_tls(struct config *c)
{
	struct config_listen *listen = calloc(c->sip.n_listen + 1, sizeof(*listen));
	unsigned int n = 0, n_tls = 0;

	if (listen == NULL)
		return SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < c->sip.n_listen; i++)
		n_tls += c->sip.listen[i].transport == CONFIG_TLS;
	c->tls.on = c->tls.enabled == CONFIG_TLS_ON ||
	            (c->tls.enabled == CONFIG_TLS_AUTO &&
	             (n_tls != 0 || (access(c->tls.certificate, F_OK) == 0 && access(c->tls.key, F_OK) == 0)));
	for (unsigned int i = 0; i < c->sip.n_listen; i++) {
		if (c->sip.listen[i].transport == CONFIG_TLS && !c->tls.on)
			free(c->sip.listen[i].address);
		else
			listen[n++] = c->sip.listen[i];
	}
	free(c->sip.listen);
	c->sip.listen = listen;
	c->sip.n_listen = n;
	if (!c->tls.on || n_tls != 0)
		return SRS_OK;
	listen[n] = (struct config_listen){ .transport = CONFIG_TLS, .address = strdup("0.0.0.0"), .port = c->tls.port };
	if (listen[n].address == NULL)
		return SRS_ERR_NOMEM;
	c->sip.n_listen++;
	return SRS_OK;
}

static enum srs_err
derive(struct config *c)
{
	char text[192];

	if (*c->node.name == '\0') {
		free(c->node.name);
		if (gethostname(text, sizeof(text)) != 0 || text[0] == '\0')
			snprintf(text, sizeof(text), "capstan");
		text[63] = '\0';
		c->node.name = strdup(text);
		if (c->node.name == NULL)
			return SRS_ERR_NOMEM;
	}
	if (strcmp(c->http.socket, "auto") == 0) {
		free(c->http.socket);
		snprintf(text, sizeof(text), "%s/api.sock", c->node.run_dir);
		c->http.socket = strdup(text);
		if (c->http.socket == NULL)
			return SRS_ERR_NOMEM;
	}
	if (c->limits.streams_max == 0)
		c->limits.streams_max = 2 * c->limits.sessions_max;
	if (c->limits.recordings_max == 0)
		c->limits.recordings_max = 2 * c->limits.sessions_max;
	if (c->media.lcores == 0)
		c->media.lcores = 1;
	if (c->sip.connections_per_source_max == 0)
		c->sip.connections_per_source_max = (c->sip.connections_max + 1) / 2;
	return derive_tls(c);
}

/* ---- rules: each is a sentence that begins with where the value came from ---- */

#define REFUSE(field, ...) refuse(d, CONFIG_FIELD_##field, why, why_len, __VA_ARGS__)

static enum srs_err __attribute__((format(printf, 5, 6)))
refuse(const struct config_draft *d, unsigned int field_i, char *why, size_t why_len, const char *rule, ...)
{
	const char *origin = d->settings[field_i].origin;
	char name[64];
	size_t origin_len = strlen(origin);
	va_list args;
	int n = snprintf(name, sizeof(name), "%s.%s", config_fields[field_i].section, config_fields[field_i].key);
	bool named = n > 0 && origin_len >= (size_t)n && strcmp(origin + origin_len - n, name) == 0;	/* YAML and flags are */

	n = snprintf(why, why_len, named ? "%s: " : "%s (%s): ", origin, name);
	if (n >= 0 && (size_t)n < why_len) {
		va_start(args, rule);
		vsnprintf(why + n, why_len - (size_t)n, rule, args);
		va_end(args);
	}
	return SRS_ERR_INVALID;
}

/* Of two settings that do not go together, the one that somebody wrote. */
static unsigned int
blame(const struct config_draft *d, unsigned int first, unsigned int second)
{
	return strcmp(d->settings[first].origin, CONFIG_ORIGIN_PRESET) == 0 ? second : first;
}

static enum srs_err
rules_node(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	for (const char *p = c->node.name; *p != '\0'; p++) {
		if (*p <= 0x20 || *p > 0x7e || *p == '"' || *p == '\\')
			return REFUSE(node_name, "'%s' may hold visible ASCII only, without quotes, backslash and blanks",
			              c->node.name);
	}
	return SRS_OK;
}

static const char *
transport_word(enum config_transport t)
{
	return t == CONFIG_UDP ? "udp" : t == CONFIG_TCP ? "tcp" : "tls";
}

static enum srs_err
rules_sip(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	if (c->sip.n_listen == 0)
		return REFUSE(sip_listen, "has only tls: listeners, and tls.enabled is false: add one with udp: or tcp:");
	if (c->sip.n_listen > CONFIG_LISTEN_MAX)
		return REFUSE(sip_listen, "has no room for the listener of TLS: at most %d", CONFIG_LISTEN_MAX);
	for (unsigned int i = 0; i < c->sip.n_listen; i++) {
		const struct config_listen *a = &c->sip.listen[i];

		for (unsigned int j = 0; j < i; j++) {
			const struct config_listen *b = &c->sip.listen[j];
			bool same_socket = (a->transport == CONFIG_UDP) == (b->transport == CONFIG_UDP);

			if (!same_socket || a->port != b->port || strcmp(a->address, b->address) != 0)
				continue;
			if (a->transport != b->transport)
				return refuse(d, blame(d, CONFIG_FIELD_tls_port, CONFIG_FIELD_sip_listen), why, why_len,
				              "%s port %u is a port of tcp and of tls; choose another for one of them",
				              a->address, a->port);
			return REFUSE(sip_listen, "%s %s port %u is there twice; keep one", transport_word(a->transport),
			              a->address, a->port);
		}
		if (a->transport != CONFIG_UDP && c->http.enabled && a->port == c->http.port &&
		    (strcmp(a->address, c->http.address) == 0 || strcmp(a->address, "0.0.0.0") == 0))
			return refuse(d, blame(d, CONFIG_FIELD_http_port, CONFIG_FIELD_sip_listen), why, why_len,
			              "%u is a port of SIP over %s and of http; choose another for one of them", c->http.port,
			              a->transport == CONFIG_TCP ? "TCP" : "TLS");
	}
	if (c->sip.message_bytes_max < c->sip.body_bytes_max + 4096)
		return REFUSE(sip_message_bytes_max,
		              "%u must exceed sip.body_bytes_max (%u) by 4096 for the headers; raise it to %u", c->sip.message_bytes_max, c->sip.body_bytes_max, c->sip.body_bytes_max + 4096);
	return SRS_OK;
}

static enum srs_err
rules_addresses(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	uint8_t bytes[CONFIG_ADDRESS_MAX][16], external_ip[16] = { 0 };
	int versions[CONFIG_ADDRESS_MAX], external;

	memset(bytes, 0, sizeof(bytes));
	for (unsigned int i = 0; i < c->media.n_addresses; i++) {
		versions[i] = config_address_parse(c->media.addresses[i], bytes[i]);
		if (versions[i] == 0 || !address_is_unicast(versions[i], bytes[i]))
			return REFUSE(media_addresses, "'%.60s' must be a numeric unicast IPv4 or IPv6 address without a prefix",
			              c->media.addresses[i]);
		for (unsigned int j = 0; j < i; j++) {
			if (versions[i] == versions[j] && memcmp(bytes[i], bytes[j], 16) == 0)
				return REFUSE(media_addresses, "%s is there twice; keep one", c->media.addresses[i]);
		}
	}
	if (c->media.lcores > c->media.n_addresses)
		return REFUSE(media_lcores,
		              "%u lcores need as many media.addresses, there are %u: an address belongs to one core", c->media.lcores, c->media.n_addresses);
	if (*c->media.gateway != '\0' && config_address_parse(c->media.gateway, NULL) == 0)
		return REFUSE(media_gateway, "'%s' must be a numeric address, or empty", c->media.gateway);
	external = strcmp(c->media.external_ip, "auto") == 0 ? 0 : config_address_parse(c->media.external_ip, external_ip);
	if (strcmp(c->media.external_ip, "auto") != 0 && (external == 0 || !address_is_unicast(external, external_ip)))
		return REFUSE(media_external_ip, "'%s' must be a numeric unicast address, or auto", c->media.external_ip);
	return SRS_OK;
}

/* On a tap the kernel's side and ours are two ends of one wire: other addresses, same network. */
static enum srs_err
rules_tap_family(const struct config *c, const struct config_draft *d, unsigned int field_i, const char *kernel,
                 int version, char *why, size_t why_len)
{
	uint8_t network[16], address[16];
	unsigned int prefix_len = 0;
	int found = *kernel != '\0' ? prefix_parse(kernel, network, &prefix_len) : 0;

	if (*kernel != '\0' && found != version)
		return refuse(d, field_i, why, why_len, "'%s' must be an IPv%d address with its prefix, like %s", kernel, version,
		              config_fields[field_i].preset);
	for (unsigned int i = 0; i < c->media.n_addresses; i++) {
		const char *ours = c->media.addresses[i];

		if (config_address_parse(ours, address) != version)
			continue;
		if (found == 0)
			return refuse(d, field_i, why, why_len, "is empty, but media.addresses has %s; set it, or take that address out",
			              ours);
		if (!prefix_holds(network, prefix_len, address) || memcmp(network, address, version == 4 ? 4 : 16) == 0)
			return refuse(d, blame(d, field_i, CONFIG_FIELD_media_addresses), why, why_len,
			              "the kernel's %s and our %s must be two addresses of one network on a tap", kernel, ours);
	}
	return SRS_OK;
}

static enum srs_err
rules_media(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	enum srs_err err = rules_addresses(c, d, why, why_len);

	if (err)
		return err;
	if (c->media.rtp_port_min % 2 != 0)
		return REFUSE(media_rtp_port_min, "%u must be even: RTP takes the even port of a pair; use %u",
		              c->media.rtp_port_min, c->media.rtp_port_min + 1);
	if (c->media.rtp_port_max <= c->media.rtp_port_min)
		return REFUSE(media_rtp_port_max, "%u must be above media.rtp_port_min (%u)", c->media.rtp_port_max,
		              c->media.rtp_port_min);
	if (c->media.profile == CONFIG_PROFILE_PCAP && access(c->media.device, R_OK) != 0)
		return REFUSE(media_device, "'%.200s' must be a readable pcap file, since media.profile is pcap",
		              c->media.device);
	if (c->media.profile != CONFIG_PROFILE_TAP)
		return SRS_OK;
	if (*c->media.device == '\0' || strlen(c->media.device) > NAME_MAX_INTERFACE ||
	    strpbrk(c->media.device, "/ ,:=") != NULL)
		return REFUSE(media_device, "'%.60s' must be an interface name of 1 to %d characters without / , : = and blanks",
		              c->media.device, NAME_MAX_INTERFACE);
	err = rules_tap_family(c, d, CONFIG_FIELD_media_kernel_address4, c->media.kernel_address4, 4, why, why_len);
	if (!err)
		err = rules_tap_family(c, d, CONFIG_FIELD_media_kernel_address6, c->media.kernel_address6, 6, why, why_len);
	return err;
}

static enum srs_err
rules_limits(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	if (c->limits.streams_max < c->limits.sessions_max)
		return REFUSE(limits_streams_max, "%u is less than limits.sessions_max (%u): each session has a stream",
		              c->limits.streams_max, c->limits.sessions_max);
	if (c->limits.recordings_max < c->limits.sessions_max)
		return REFUSE(limits_recordings_max, "%u is less than limits.sessions_max (%u): each session has a recording",
		              c->limits.recordings_max, c->limits.sessions_max);
	return SRS_OK;
}

static enum srs_err
rules_tls(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	if (c->tls.client_verify != CONFIG_VERIFY_NONE && *c->tls.client_ca == '\0')
		return REFUSE(tls_client_verify, "needs tls.client_ca: the PEM file of who signs the clients' certificates");
	return SRS_OK;
}

static enum srs_err
rules_session(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	if (c->session.expires_s != 0 && c->session.expires_s < c->session.min_se_s)
		return REFUSE(session_expires_s, "%u is less than session.min_se_s (%u); 0 asks for nothing",
		              c->session.expires_s, c->session.min_se_s);
	return SRS_OK;
}

static enum srs_err
rules_storage(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	for (unsigned int i = 0; i < c->storage.n_devices; i++) {
		const char *device = c->storage.devices[i];

		if (strlen(device) > 3900)
			return REFUSE(storage_devices, "a folder name is longer than 3900 characters");
		for (unsigned int j = 0; j < i; j++) {
			if (strcmp(device, c->storage.devices[j]) == 0)
				return REFUSE(storage_devices, "%.100s is there twice; a device has one writer", device);
		}
		for (const char *p = device; *p != '\0'; p++) {
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return REFUSE(storage_devices, "a folder name holds a control character");
		}
	}
	return SRS_OK;
}

static enum srs_err
rules_http(const struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	if (config_address_parse(c->http.address, NULL) == 0)
		return REFUSE(http_address, "'%s' must be a numeric address, like 127.0.0.1", c->http.address);
	if (strlen(c->http.socket) > 107)
		return REFUSE(http_socket, "'%s' is longer than the 107 characters of a socket's name; use a shorter path",
		              c->http.socket);
	return SRS_OK;
}

enum srs_err
config_rules_apply(struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	static enum srs_err (*const rules[])(const struct config *, const struct config_draft *, char *, size_t) = {
		rules_node, rules_sip, rules_media, rules_limits, rules_storage, rules_http,
		rules_tls, rules_session,
	};
	enum srs_err err = derive(c);

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && !err; i++)
		err = rules[i](c, d, why, why_len);
	return err;
}

/* ---- arithmetic ---- */

uint64_t
config_chunks_need(const struct config *c)
{
	uint64_t bytes_s = (uint64_t)c->limits.streams_max * c->limits.stream_kbit_s * 125;
	uint64_t by_rate = bytes_s * c->limits.stall_ms_max / 1000 / CHUNK_BODY + 1;
	uint64_t by_age = (uint64_t)c->limits.recordings_max * (c->limits.stall_ms_max / c->storage.chunk_age_ms);

	/* Quiet recordings give chunks away by age, half empty: whichever needs more. Beside that each recording has an
	 * open chunk, and one on its way. */
	return (by_rate > by_age ? by_rate : by_age) + 2 * (uint64_t)c->limits.recordings_max;
}

static uint64_t
meminfo_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t
memory_have(const struct config *c)
{
	char text[8192];
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t have;
	size_t n;

	if (f == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	have = meminfo_kib(text, "MemAvailable:") * 1024;
	if (!c->media.no_huge) /* free huge pages are not in MemAvailable */
		have += meminfo_kib(text, "HugePages_Free:") * meminfo_kib(text, "Hugepagesize:") * 1024;
	return have;
}

/* A call is IPv4 or IPv6, so the family with more addresses must hold all of them. */
static unsigned int
addresses_of_a_family(const struct config *c)
{
	unsigned int n4 = 0;

	for (unsigned int i = 0; i < c->media.n_addresses; i++)
		n4 += config_address_parse(c->media.addresses[i], NULL) == 4;
	return n4 > c->media.n_addresses - n4 ? n4 : c->media.n_addresses - n4;
}

void
config_arithmetic(const struct config *c, struct config_arithmetic *out)
{
	unsigned int n = addresses_of_a_family(c);
	uint64_t range = ((uint64_t)c->media.rtp_port_max - c->media.rtp_port_min + 1) / 2 * 2;
	uint64_t chunks = config_chunks_need(c);
	const uint64_t mib = 1024 * 1024;
	uint64_t keysets = c->srtp.enabled ? (uint64_t)c->limits.streams_max + c->limits.streams_max / 8 + 64 : 0;
	bool ports_fit, memory_fits;

	memset(out, 0, sizeof(*out));
	out->ports_have = n * range;
	out->ports_need = (uint64_t)c->limits.streams_max * 2;
	out->memory_need = chunks * CHUNK_COST + (uint64_t)c->limits.streams_max * STREAM_COST +
	                   (uint64_t)c->media.n_addresses * ADDRESS_COST + c->storage.n_devices * (DEVICE_COST + (uint64_t)c->limits.recordings_max * RECORDING_COST) +
	                   keysets * KEYSET_COST + BASE_COST;
	out->memory_have = memory_have(c);
	ports_fit = out->ports_need <= out->ports_have;
	memory_fits = out->memory_need <= out->memory_have;
	out->fits = ports_fit && memory_fits;
	snprintf(out->sentence, sizeof(out->sentence),
	               "ports: %llu needed (%u streams, RTP and RTCP), %llu there (%u addresses of a family x %llu "
	               "ports)%s; memory: %llu MiB needed (%llu chunks for a disk stall of %u ms at %u kbit/s a stream), "
	               "%llu MiB there%s",
	               (unsigned long long)out->ports_need, c->limits.streams_max, (unsigned long long)out->ports_have, n,
	               (unsigned long long)range, ports_fit ? "" : ": add media.addresses or widen rtp_port_min..max",
	               (unsigned long long)(out->memory_need / mib), (unsigned long long)chunks, c->limits.stall_ms_max,
	               c->limits.stream_kbit_s, (unsigned long long)(out->memory_have / mib),
	               memory_fits ? "" : ": lower limits.sessions_max or limits.stall_ms_max");
}
