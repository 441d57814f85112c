/* The configuration: one validated struct, read once at start. YAML < .env < environment < flag, one name each.
 * docs/configuration.md has a row for every field and for every name in the environment that is honoured.
 *
 * The struct owns its strings. After config_load() it does not change; every thread may read it. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/srs_err.h"

#define CONFIG_LISTEN_MAX   16 /* SIP listeners */
#define CONFIG_ADDRESS_MAX  64 /* media addresses */
#define CONFIG_DEVICE_MAX   8  /* storage devices */
#define CONFIG_SUITE_MAX    8  /* SRTP suites */
#define CONFIG_DIGEST_MAX   2  /* algorithms of digest authentication */
#define CONFIG_PREFIX_MAX   64 /* address prefixes of one list */
#define CONFIG_SRC_MAX      64 /* SRC profiles */
#define CONFIG_IDENTITY_MAX 16 /* certificate names of a profile */
#define CONFIG_WHY_MAX      512

enum config_transport { CONFIG_UDP, CONFIG_TCP, CONFIG_TLS };
enum config_accept { CONFIG_ACCEPT_STRICT, CONFIG_ACCEPT_TOLERANT, CONFIG_ACCEPT_ANY };
enum config_replaces { CONFIG_REPLACES_SOURCE, CONFIG_REPLACES_IDENTITY, CONFIG_REPLACES_OFF };
enum config_profile { CONFIG_PROFILE_TAP, CONFIG_PROFILE_RING, CONFIG_PROFILE_PCAP };
enum config_source { CONFIG_SOURCE_SIGNALLED, CONFIG_SOURCE_LATCH };
enum config_suite { CONFIG_SUITE_AES_256_GCM = 1, CONFIG_SUITE_CHACHA20_POLY1305 = 2 }; /* REEL_SUITE_* */
enum config_srtp_engine { CONFIG_SRTP_AUTO, CONFIG_SRTP_IPSEC_MB, CONFIG_SRTP_LIBSRTP2 };
enum config_sdes { CONFIG_SDES_REFUSE, CONFIG_SDES_ALLOW };
enum config_tls { CONFIG_TLS_AUTO, CONFIG_TLS_ON, CONFIG_TLS_OFF };
enum config_verify { CONFIG_VERIFY_NONE, CONFIG_VERIFY_REQUEST, CONFIG_VERIFY_REQUIRE };
enum config_admit { CONFIG_ADMIT_ACCEPT, CONFIG_ADMIT_REFUSE };
enum config_ask { CONFIG_ASK_AUTO, CONFIG_ASK_NEVER };
enum config_disk_engine { CONFIG_DISK_AUTO, CONFIG_DISK_IO_URING, CONFIG_DISK_PWRITE };

struct config_listen {
	enum config_transport transport;
	char *address; /* numeric IPv4 or IPv6; "0.0.0.0" and "::" are any */
	uint16_t port;
};

/* "10.0.0.0/8", "10.0.0.1" (all bits), "all" (ip_version 0). */
struct config_prefix {
	uint8_t ip_version; /* 4, 6; 0: every address of both */
	uint8_t ip[16];	    /* network order; IPv4 in the first four */
	uint8_t bits;
};

/* How one recording client, or a group of them, is treated. A profile with identities holds for who proves one of them
 * by a certificate, one with addresses for who comes from there, one with both for who does both. */
struct config_src {
	char *name; /* "default": for who matches no other; needs neither identities nor addresses */
	char **identities; /* host names, as in the SAN of a certificate (sip: URI or DNS); no wildcards */
	unsigned int n_identities;
	struct config_prefix *addresses;
	unsigned int n_addresses;
	enum config_admit admit; /* refuse: 403 */
	enum config_accept accept; /* default: sip.accept */
	bool srtp_required;
	char *retention_class; /* "": none */
	char *kek; /* "": the recorder's own */
	uint32_t rate_per_s; /* new INVITEs of one source; 0: as for everybody */
	uint32_t sessions_max; /* of all who match; 0: only limits.sessions_max */
	enum config_ask snapshot; /* never: it is not asked for a metadata snapshot */
	enum config_ask refresh; /* never: no session refresh is sent to it */
};

struct config {
	struct {
		char *name; /* in seals, metrics and the log; default: the host name */
		char *run_dir; /* api.sock and the lock; default /run/capstan */
		char *log_level; /* error | warn | info | debug */
		uint32_t drain_s; /* SIGTERM: how long calls in progress may go on; 60. 0: they end at once */
	} node;
	struct {
		struct config_listen *listen; /* default udp and tcp 0.0.0.0:5060 */
		unsigned int n_listen;
		enum config_accept accept; /* default tolerant (docs/rfc-coverage.md RS-02) */
		uint32_t body_bytes_max; /* 262,144; larger: 413 */
		uint32_t message_bytes_max; /* 327,680 */
		uint32_t connections_max; /* TCP and TLS together; 1,024 */
		uint32_t connections_per_source_max; /* of one address; auto: half of them; never 0 after config_load */
		uint32_t transactions_max; /* 65,536 */
		uint32_t t1_ms; /* RFC 3261 T1: 500 */
		uint32_t retry_after_s; /* upper end of the random Retry-After: 10 */
		uint32_t rate_per_s; /* new requests of one address, in the long run: 1,000. 0: no bound */
		uint32_t rate_burst_s; /* so many seconds' worth may come at once: 10 */
		char *dns_servers; /* for names that requests of ours go to; empty: the system's */
		enum config_replaces replaces; /* who may replace a dialog (RFC 3891): its TLS identity, else its digest user, else its host */
		char *digest_users; /* file of name:realm:hash; empty: no digest authentication */
		char *digest_realm; /* "capstan" */
		char **digest_algorithms; /* of the challenge, preferred first; SHA-256 */
		unsigned int n_digest_algorithms;
		uint32_t digest_nonce_s; /* how long a nonce is good: 300 */
	} sip;
	struct {
		enum config_profile profile; /* default tap */
		char *device; /* tap: interface name (capstan0); pcap: file read */
		char **addresses; /* our media addresses, numeric; contiguous shares go to the lcores */
		unsigned int n_addresses;
		char *kernel_address4; /* tap: what the kernel's side gets, with prefix: 198.18.254.1/24 */
		char *kernel_address6; /* tap: fd00:ca57::1/64; empty: no IPv6 */
		char *gateway; /* next hop for what is not on-link; empty: none */
		char *external_ip; /* "auto", or the address written into SDP */
		uint16_t rtp_port_min; /* 16384 */
		uint16_t rtp_port_max; /* 32767 */
		uint32_t port_quarantine_ms; /* a freed port rests: 5,000 */
		enum config_source source; /* default signalled */
		char *eal_extra; /* appended to our own EAL arguments, split at blanks */
		uint32_t lcores; /* auto: one for tap, ring, pcap */
		uint32_t idle_sleep_us; /* 200; 0: poll without rest */
		bool no_huge; /* default false: hugepages when there are any */
	} media;
	struct {
		char *server; /* host, host:port or [address]:port; empty: none */
		uint32_t refresh_s; /* 60 */
	} stun;
	struct {
		uint32_t sessions_max; /* 1,000 */
		uint32_t streams_max; /* auto: 2 * sessions_max; never 0 after config_load, like the next and media.lcores */
		uint32_t recordings_max; /* auto: 2 * sessions_max */
		uint32_t stall_ms_max; /* disk stall that the chunk pools cover: 10,000 */
		uint32_t stream_kbit_s; /* what one stream is taken to need, for that arithmetic: 100 */
		uint32_t call_seconds_max; /* 86,400; then sealed with a reason. 0: none */
	} limits;
	struct {
		char **devices; /* vault folders, one writer each; default RECORDING_DIR = ./recordings */
		unsigned int n_devices;
		enum config_disk_engine engine; /* auto: io_uring where allowed */
		uint32_t segment_mib; /* 1,024; 2 to 16,384 */
		uint32_t commit_interval_ms; /* 100 */
		uint32_t chunk_age_ms; /* 500 */
		uint32_t reserve_mib; /* free space that admission leaves: 256 */
		uint32_t part_seconds_max; /* 3,600 */
	} storage;
	struct {
		char *store; /* file | memory */
		char *path; /* ./keys (MASTER_KEY_PATH) */
		uint32_t rotation_interval_s; /* 86,400 (KEY_ROTATION_INTERVAL) */
		uint32_t pbkdf2_iterations; /* 100,000; used by the vault's passphrase */
		bool backup; /* KEY_BACKUP_ENABLED */
		bool encrypt_recordings; /* true */
		bool encrypt_metadata; /* true */
		enum config_suite suite; /* AES-256-GCM */
	} keys;
	struct {
		bool enabled; /* true */
		char *address; /* 127.0.0.1 */
		uint16_t port; /* 8080 */
		char *socket; /* auto: <run_dir>/api.sock; empty: none */
		bool metrics; /* true */
	} http;
	struct {
		bool enabled; /* true; else m-lines that ask for SRTP are refused */
		enum config_srtp_engine engine; /* auto: ipsec-mb where this CPU runs it */
		uint32_t libsrtp2_streams_max; /* SRTP streams at once with that engine: 500 */
		char **suites; /* names as in a=crypto, preferred first; each known, none twice */
		unsigned int n_suites;
		enum config_sdes sdes_unprotected; /* keys in SDP over UDP or TCP; default refuse */
		struct config_prefix *required_from; /* SRCs that must use SRTP; default nobody */
		unsigned int n_required_from;
		uint32_t rekey_grace_ms; /* how long a replaced key goes on to be taken: 2,000 */
		bool dtls; /* true: DTLS-SRTP is taken too */
		uint32_t dtls_handshakes_max; /* at once: 256 */
	} srtp;
	struct {
		enum config_tls enabled; /* auto: with a listener tls:, or when certificate and key are there */
		bool on; /* what came out of it; then sip.listen has a listener tls: */
		uint16_t port; /* 5063; for the listener on 0.0.0.0 when sip.listen has none of its own */
		char *certificate; /* PEM, ours first, then its chain */
		char *key; /* PEM, without a passphrase, readable by its owner only */
		char *client_ca; /* PEM: who signs certificates of peers; empty: nobody */
		enum config_verify client_verify; /* default none */
		uint32_t handshakes_max; /* under way at once: 256 */
	} tls;
	struct {
		uint32_t min_se_s; /* the least Session-Expires that is taken, RFC 4028: 90 */
		uint32_t expires_s; /* asked of SRCs that support timers and name none; 0: nothing is asked */
		uint32_t idle_s; /* no packet for so long: the SRC is asked whether it knows the call; 30, 0: never */
		uint32_t check_interval_s; /* how often each session is looked at for that: 10 */
		uint32_t linger_s; /* a call that ended while its recording session goes on is sealed after this: 30 */
	} session;
	struct config_src *srcs; /* YAML list `src`, in its order, the default profile not among them */
	unsigned int n_srcs;
	struct config_src *src_default; /* never NULL */
};

/** Where values come from, strongest last. Any pointer may be NULL. */
struct config_sources {
	const char *yaml_path; /* NULL: built-in defaults */
	const char *env_path; /* a .env file; NULL: ./.env when there is one */
	char **environ; /* the process environment */
	const char *const *flags; /* "sip.accept=strict" rows, NULL-terminated */
};

/**
 * Read, merge and validate.
 *
 * @param out  the configuration; release with config_free()
 * @param why  on failure one sentence: file, line (for YAML), name, the rule and the remedy
 * @return     INVALID (why says what), IO (a named file cannot be read), NOMEM
 * @thread any, before others start
 */
SRS_MUST_CHECK enum srs_err config_load(struct config **out, const struct config_sources *from, char *why,
                                        size_t why_len);

/** Wipes nothing (no secrets here), frees all. Accepts NULL. */
void config_free(struct config *c);

/** Names that are accepted but have no effect here, one start-up line each: calls `line` with the sentence. */
void config_notes(const struct config *c, const struct config_sources *from,
                  void (*line)(void *ctx, const char *sentence), void *ctx);

/** Is the address in one of the prefixes? `ip`: network order, IPv4 in the first four. An IPv4 address mapped into IPv6
 * (::ffff:a.b.c.d) counts as the IPv4 address that it is. @thread any */
bool config_prefixes_hold(const struct config_prefix *prefixes, unsigned int n, int ip_version, const uint8_t *ip);

/** The profile of a recording client: the first that holds for it, else the default one; never NULL. Names compare as
 * RFC 5922 §7.2 asks: whole, without regard to case, and a wildcard never matches.
 * @param identities  names from a verified certificate (host names or sip: URIs)
 * @param which       the one that matched, -1 when the address alone did; may be NULL
 * @thread any */
const struct config_src *config_src_find(const struct config *c, const char *const *identities, unsigned int n,
                                         int ip_version, const uint8_t *ip, int *which);

/** The port and memory arithmetic (docs/architecture.md), as sentences; false in `*fits` when it does not fit. */
struct config_arithmetic {
	uint64_t ports_have, ports_need;
	uint64_t memory_need, memory_have; /* bytes */
	bool fits;
	char sentence[CONFIG_WHY_MAX]; /* the numbers, and the remedy when they do not fit */
};
void config_arithmetic(const struct config *c, struct config_arithmetic *out);

/** 4 KiB chunks that all lcores together need at most: two a recording, and what comes in while a disk stalls for
 * limits.stall_ms_max. @thread any */
uint64_t config_chunks_need(const struct config *c);

#endif
