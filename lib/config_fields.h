/* The one list of settings, shared by the files of config: from it come the YAML schema, the names in the
 * environment, defaults, ranges and the check that the documents name them all. Not for other modules.
 *
 * Columns: section, key (also the member of struct config), kind, name in the environment, default, least and
 * largest number (texts: length), choices. Numbers without a suffix are in the unit that the key names. */
#ifndef CONFIG_FIELDS_H
#define CONFIG_FIELDS_H

#include "lib/config.h"

enum config_kind {
	CONFIG_TEXT,
	CONFIG_BOOL,
	CONFIG_U16,
	CONFIG_U32,
	CONFIG_TIME_US,
	CONFIG_TIME_MS,
	CONFIG_TIME_S,
	CONFIG_CHOICE, /* an enum; its first value stands in the column "least" */
	CONFIG_WORD,   /* a text that is one of the choices */
	CONFIG_LISTEN,
	CONFIG_TEXTS, /* with choices: each is one of them, none twice */
	CONFIG_PREFIXES,
};

#define CONFIG_NODE_FIELDS(X) \
	X(node, name, CONFIG_TEXT, "CAPSTAN_NODE_NAME", "", 0, 63, NULL) \
	X(node, run_dir, CONFIG_TEXT, "CAPSTAN_NODE_RUN_DIR", "/run/capstan", 1, 90, NULL) \
	X(node, log_level, CONFIG_WORD, "CAPSTAN_NODE_LOG_LEVEL", "info", 0, 0, "error|warn|info|debug") \
	X(node, drain_s, CONFIG_TIME_S, "CAPSTAN_NODE_DRAIN_S", "60", 0, 86400, NULL)

#define CONFIG_SIP_FIELDS(X) \
	X(sip, listen, CONFIG_LISTEN, "PORTS", "udp:0.0.0.0:5060\ntcp:0.0.0.0:5060", 1, CONFIG_LISTEN_MAX, NULL) \
	X(sip, accept, CONFIG_CHOICE, "CAPSTAN_SIP_ACCEPT", "tolerant", CONFIG_ACCEPT_STRICT, 0, "strict|tolerant|any") \
	X(sip, body_bytes_max, CONFIG_U32, "CAPSTAN_SIP_BODY_BYTES_MAX", "262144", 4096, 16777216, NULL) \
	X(sip, message_bytes_max, CONFIG_U32, "CAPSTAN_SIP_MESSAGE_BYTES_MAX", "327680", 8192, 33554432, NULL) \
	X(sip, connections_max, CONFIG_U32, "CAPSTAN_SIP_CONNECTIONS_MAX", "1024", 1, 65536, NULL) \
	X(sip, connections_per_source_max, CONFIG_U32, "CAPSTAN_SIP_CONNECTIONS_PER_SOURCE_MAX", "auto", 0, 65536, NULL) \
	X(sip, transactions_max, CONFIG_U32, "CAPSTAN_SIP_TRANSACTIONS_MAX", "65536", 64, 4194304, NULL) \
	X(sip, t1_ms, CONFIG_TIME_MS, "CAPSTAN_SIP_T1_MS", "500", 50, 5000, NULL) \
	X(sip, retry_after_s, CONFIG_TIME_S, "CAPSTAN_SIP_RETRY_AFTER_S", "10", 1, 3600, NULL) \
	X(sip, rate_per_s, CONFIG_U32, "CAPSTAN_SIP_RATE_PER_S", "1000", 0, 1000000, NULL) \
	X(sip, rate_burst_s, CONFIG_TIME_S, "CAPSTAN_SIP_RATE_BURST_S", "10", 1, 3600, NULL) \
	X(sip, replaces, CONFIG_CHOICE, "CAPSTAN_SIP_REPLACES", "source", CONFIG_REPLACES_SOURCE, 0, "source|identity|off") \
	X(sip, dns_servers, CONFIG_TEXT, "CAPSTAN_SIP_DNS_SERVERS", "", 0, 511, NULL) \
	X(sip, digest_users, CONFIG_TEXT, "CAPSTAN_SIP_DIGEST_USERS", "", 0, 4000, NULL) \
	X(sip, digest_realm, CONFIG_TEXT, "CAPSTAN_SIP_DIGEST_REALM", "capstan", 1, 127, NULL) \
	X(sip, digest_algorithms, CONFIG_TEXTS, "CAPSTAN_SIP_DIGEST_ALGORITHMS", "SHA-256", 1, CONFIG_DIGEST_MAX, "SHA-256|MD5") \
	X(sip, digest_nonce_s, CONFIG_TIME_S, "CAPSTAN_SIP_DIGEST_NONCE_S", "300", 1, 86400, NULL)

#define CONFIG_MEDIA_FIELDS(X) \
	X(media, profile, CONFIG_CHOICE, "CAPSTAN_MEDIA_PROFILE", "tap", CONFIG_PROFILE_TAP, 0, "tap|ring|pcap") \
	X(media, device, CONFIG_TEXT, "CAPSTAN_MEDIA_DEVICE", "capstan0", 0, 4095, NULL) \
	X(media, addresses, CONFIG_TEXTS, "CAPSTAN_MEDIA_ADDRESSES", "198.18.254.2\nfd00:ca57::2", 1, \
	  CONFIG_ADDRESS_MAX, NULL) \
	X(media, kernel_address4, CONFIG_TEXT, "CAPSTAN_MEDIA_KERNEL_ADDRESS4", "198.18.254.1/24", 0, 18, NULL) \
	X(media, kernel_address6, CONFIG_TEXT, "CAPSTAN_MEDIA_KERNEL_ADDRESS6", "fd00:ca57::1/64", 0, 49, NULL) \
	X(media, gateway, CONFIG_TEXT, "CAPSTAN_MEDIA_GATEWAY", "", 0, 45, NULL) \
	X(media, external_ip, CONFIG_TEXT, "EXTERNAL_IP", "auto", 1, 45, NULL) \
	X(media, rtp_port_min, CONFIG_U16, "RTP_PORT_MIN", "16384", 1024, 65534, NULL) \
	X(media, rtp_port_max, CONFIG_U16, "RTP_PORT_MAX", "32767", 1025, 65535, NULL) \
	X(media, port_quarantine_ms, CONFIG_TIME_MS, "CAPSTAN_MEDIA_PORT_QUARANTINE_MS", "5000", 0, 600000, NULL) \
	X(media, source, CONFIG_CHOICE, "CAPSTAN_MEDIA_SOURCE", "signalled", CONFIG_SOURCE_SIGNALLED, 0, \
	  "signalled|latch") \
	X(media, eal_extra, CONFIG_TEXT, "CAPSTAN_MEDIA_EAL_EXTRA", "", 0, 1023, NULL) \
	X(media, lcores, CONFIG_U32, "CAPSTAN_MEDIA_LCORES", "auto", 0, 64, NULL) \
	X(media, idle_sleep_us, CONFIG_TIME_US, "CAPSTAN_MEDIA_IDLE_SLEEP_US", "200", 0, 10000, NULL) \
	X(media, no_huge, CONFIG_BOOL, "CAPSTAN_MEDIA_NO_HUGE", "false", 0, 0, NULL)

#define CONFIG_STUN_FIELDS(X) \
	X(stun, server, CONFIG_TEXT, "CAPSTAN_STUN_SERVER", "", 0, 261, NULL) \
	X(stun, refresh_s, CONFIG_TIME_S, "CAPSTAN_STUN_REFRESH_S", "60", 5, 86400, NULL)

#define CONFIG_LIMITS_FIELDS(X) \
	X(limits, sessions_max, CONFIG_U32, "MAX_CONCURRENT_CALLS", "1000", 1, 1000000, NULL) \
	X(limits, streams_max, CONFIG_U32, "CAPSTAN_LIMITS_STREAMS_MAX", "auto", 0, 4000000, NULL) \
	X(limits, recordings_max, CONFIG_U32, "CAPSTAN_LIMITS_RECORDINGS_MAX", "auto", 0, 4000000, NULL) \
	X(limits, stall_ms_max, CONFIG_TIME_MS, "CAPSTAN_LIMITS_STALL_MS_MAX", "10000", 200, 600000, NULL) \
	X(limits, stream_kbit_s, CONFIG_U32, "CAPSTAN_LIMITS_STREAM_KBIT_S", "100", 8, 100000, NULL) \
	X(limits, call_seconds_max, CONFIG_TIME_S, "CAPSTAN_LIMITS_CALL_SECONDS_MAX", "86400", 0, 31536000, NULL)

#define CONFIG_STORAGE_FIELDS(X) \
	X(storage, devices, CONFIG_TEXTS, "RECORDING_DIR", "./recordings", 1, CONFIG_DEVICE_MAX, NULL) \
	X(storage, engine, CONFIG_CHOICE, "CAPSTAN_STORAGE_ENGINE", "auto", CONFIG_DISK_AUTO, 0, "auto|io_uring|pwrite") \
	X(storage, segment_mib, CONFIG_U32, "CAPSTAN_STORAGE_SEGMENT_MIB", "1024", 2, 16384, NULL) \
	X(storage, commit_interval_ms, CONFIG_TIME_MS, "CAPSTAN_STORAGE_COMMIT_INTERVAL_MS", "100", 5, 10000, NULL) \
	X(storage, chunk_age_ms, CONFIG_TIME_MS, "CAPSTAN_STORAGE_CHUNK_AGE_MS", "500", 20, 60000, NULL) \
	X(storage, reserve_mib, CONFIG_U32, "CAPSTAN_STORAGE_RESERVE_MIB", "256", 0, 1048576, NULL) \
	X(storage, part_seconds_max, CONFIG_TIME_S, "CAPSTAN_STORAGE_PART_SECONDS_MAX", "3600", 1, 3600, NULL)

#define CONFIG_KEYS_FIELDS(X) \
	X(keys, store, CONFIG_WORD, "ENCRYPTION_KEY_STORE", "file", 0, 0, "file|memory") \
	X(keys, path, CONFIG_TEXT, "MASTER_KEY_PATH", "./keys", 1, 4000, NULL) \
	X(keys, rotation_interval_s, CONFIG_TIME_S, "KEY_ROTATION_INTERVAL", "86400", 60, 31536000, NULL) \
	X(keys, pbkdf2_iterations, CONFIG_U32, "PBKDF2_ITERATIONS", "100000", 10000, 100000000, NULL) \
	X(keys, backup, CONFIG_BOOL, "KEY_BACKUP_ENABLED", "true", 0, 0, NULL) \
	X(keys, encrypt_recordings, CONFIG_BOOL, "ENABLE_RECORDING_ENCRYPTION", "true", 0, 0, NULL) \
	X(keys, encrypt_metadata, CONFIG_BOOL, "ENABLE_METADATA_ENCRYPTION", "true", 0, 0, NULL) \
	X(keys, suite, CONFIG_CHOICE, "ENCRYPTION_ALGORITHM", "AES-256-GCM", CONFIG_SUITE_AES_256_GCM, 0, \
	  "AES-256-GCM|ChaCha20-Poly1305")

#define CONFIG_HTTP_FIELDS(X) \
	X(http, enabled, CONFIG_BOOL, "HTTP_ENABLED", "true", 0, 0, NULL) \
	X(http, address, CONFIG_TEXT, "CAPSTAN_HTTP_ADDRESS", "127.0.0.1", 1, 45, NULL) \
	X(http, port, CONFIG_U16, "HTTP_PORT", "8080", 1, 65535, NULL) \
	X(http, socket, CONFIG_TEXT, "CAPSTAN_HTTP_SOCKET", "auto", 0, 107, NULL) \
	X(http, metrics, CONFIG_BOOL, "ENABLE_METRICS", "true", 0, 0, NULL)

#define CONFIG_SRTP_SUITES \
	"AEAD_AES_256_GCM|AEAD_AES_128_GCM|AES_256_CM_HMAC_SHA1_80|AES_192_CM_HMAC_SHA1_80|AES_CM_128_HMAC_SHA1_80|" \
	"AES_256_CM_HMAC_SHA1_32|AES_192_CM_HMAC_SHA1_32|AES_CM_128_HMAC_SHA1_32"
#define CONFIG_SRTP_FIELDS(X) \
	X(srtp, enabled, CONFIG_BOOL, "ENABLE_SRTP", "true", 0, 0, NULL) \
	X(srtp, engine, CONFIG_CHOICE, "CAPSTAN_SRTP_ENGINE", "auto", CONFIG_SRTP_AUTO, 0, "auto|ipsec-mb|libsrtp2") \
	X(srtp, libsrtp2_streams_max, CONFIG_U32, "CAPSTAN_SRTP_LIBSRTP2_STREAMS_MAX", "500", 0, 4000000, NULL) \
	X(srtp, suites, CONFIG_TEXTS, "CAPSTAN_SRTP_SUITES", \
	  "AEAD_AES_256_GCM\nAEAD_AES_128_GCM\nAES_256_CM_HMAC_SHA1_80\nAES_192_CM_HMAC_SHA1_80\n" \
	  "AES_CM_128_HMAC_SHA1_80\nAES_256_CM_HMAC_SHA1_32\nAES_192_CM_HMAC_SHA1_32\nAES_CM_128_HMAC_SHA1_32", 1, \
	  CONFIG_SUITE_MAX, CONFIG_SRTP_SUITES) \
	X(srtp, sdes_unprotected, CONFIG_CHOICE, "CAPSTAN_SRTP_SDES_UNPROTECTED", "refuse", CONFIG_SDES_REFUSE, 0, \
	  "refuse|allow") \
	X(srtp, required_from, CONFIG_PREFIXES, "CAPSTAN_SRTP_REQUIRED_FROM", "", 0, CONFIG_PREFIX_MAX, NULL) \
	X(srtp, rekey_grace_ms, CONFIG_TIME_MS, "CAPSTAN_SRTP_REKEY_GRACE_MS", "2000", 0, 60000, NULL) \
	X(srtp, dtls, CONFIG_BOOL, "CAPSTAN_SRTP_DTLS", "true", 0, 0, NULL) \
	X(srtp, dtls_handshakes_max, CONFIG_U32, "CAPSTAN_SRTP_DTLS_HANDSHAKES_MAX", "256", 1, 65536, NULL)

#define CONFIG_TLS_FIELDS(X) \
	X(tls, enabled, CONFIG_CHOICE, "ENABLE_TLS", "auto", CONFIG_TLS_AUTO, 0, "auto|true|false") \
	X(tls, port, CONFIG_U16, "TLS_PORT", "5063", 1, 65535, NULL) \
	X(tls, certificate, CONFIG_TEXT, "TLS_CERT_PATH", "./certs/cert.pem", 1, 4000, NULL) \
	X(tls, key, CONFIG_TEXT, "TLS_KEY_PATH", "./certs/key.pem", 1, 4000, NULL) \
	X(tls, client_ca, CONFIG_TEXT, "CAPSTAN_TLS_CLIENT_CA", "", 0, 4000, NULL) \
	X(tls, client_verify, CONFIG_CHOICE, "CAPSTAN_TLS_CLIENT_VERIFY", "none", CONFIG_VERIFY_NONE, 0, \
	  "none|request|require") \
	X(tls, handshakes_max, CONFIG_U32, "CAPSTAN_TLS_HANDSHAKES_MAX", "256", 1, 65536, NULL)

#define CONFIG_SESSION_FIELDS(X) \
	X(session, min_se_s, CONFIG_TIME_S, "CAPSTAN_SESSION_MIN_SE_S", "90", 90, 86400, NULL) \
	X(session, expires_s, CONFIG_TIME_S, "CAPSTAN_SESSION_EXPIRES_S", "0", 0, 86400, NULL) \
	X(session, idle_s, CONFIG_TIME_S, "SESSION_TIMEOUT", "30", 0, 86400, NULL) \
	X(session, check_interval_s, CONFIG_TIME_S, "SESSION_CHECK_INTERVAL", "10", 1, 3600, NULL) \
	X(session, linger_s, CONFIG_TIME_S, "CAPSTAN_SESSION_LINGER_S", "30", 0, 86400, NULL)

/* Sections of the file, and the settings of each. */
#define CONFIG_SECTIONS(X) \
	X(node, CONFIG_NODE_FIELDS) X(sip, CONFIG_SIP_FIELDS) X(media, CONFIG_MEDIA_FIELDS) \
	X(stun, CONFIG_STUN_FIELDS) X(limits, CONFIG_LIMITS_FIELDS) X(storage, CONFIG_STORAGE_FIELDS) X(keys, CONFIG_KEYS_FIELDS) \
	X(http, CONFIG_HTTP_FIELDS) X(srtp, CONFIG_SRTP_FIELDS) X(tls, CONFIG_TLS_FIELDS) \
	X(session, CONFIG_SESSION_FIELDS)
#define CONFIG_FIELDS(X) \
	CONFIG_NODE_FIELDS(X) CONFIG_SIP_FIELDS(X) CONFIG_MEDIA_FIELDS(X) CONFIG_STUN_FIELDS(X) CONFIG_LIMITS_FIELDS(X) \
	CONFIG_STORAGE_FIELDS(X) CONFIG_KEYS_FIELDS(X) CONFIG_HTTP_FIELDS(X) CONFIG_SRTP_FIELDS(X) \
	CONFIG_TLS_FIELDS(X) CONFIG_SESSION_FIELDS(X)

/* Settings of an entry of the list `src`. No default (NULL): that of the whole recorder. */
#define CONFIG_SRC_FIELDS(X) \
	X(src, name, CONFIG_TEXT, NULL, "", 1, 63, NULL) \
	X(src, identities, CONFIG_TEXTS, NULL, "", 0, CONFIG_IDENTITY_MAX, NULL) \
	X(src, addresses, CONFIG_PREFIXES, NULL, "", 0, CONFIG_PREFIX_MAX, NULL) \
	X(src, admit, CONFIG_CHOICE, NULL, "accept", CONFIG_ADMIT_ACCEPT, 0, "accept|refuse") \
	X(src, accept, CONFIG_CHOICE, NULL, NULL, CONFIG_ACCEPT_STRICT, 0, "strict|tolerant|any") \
	X(src, srtp_required, CONFIG_BOOL, NULL, "false", 0, 0, NULL) \
	X(src, retention_class, CONFIG_TEXT, NULL, "", 0, 63, NULL) \
	X(src, kek, CONFIG_TEXT, NULL, "", 0, 63, NULL) \
	X(src, rate_per_s, CONFIG_U32, NULL, "0", 0, 1000000, NULL) \
	X(src, sessions_max, CONFIG_U32, NULL, "0", 0, 1000000, NULL) \
	X(src, snapshot, CONFIG_CHOICE, NULL, "auto", CONFIG_ASK_AUTO, 0, "auto|never") \
	X(src, refresh, CONFIG_CHOICE, NULL, "auto", CONFIG_ASK_AUTO, 0, "auto|never")

/* Where the length of a list stands; 0 for what is no list. */
#define CONFIG_LIST_CONFIG_TEXT(n)    0
#define CONFIG_LIST_CONFIG_BOOL(n)    0
#define CONFIG_LIST_CONFIG_U16(n)     0
#define CONFIG_LIST_CONFIG_U32(n)     0
#define CONFIG_LIST_CONFIG_TIME_US(n) 0
#define CONFIG_LIST_CONFIG_TIME_MS(n) 0
#define CONFIG_LIST_CONFIG_TIME_S(n)  0
#define CONFIG_LIST_CONFIG_CHOICE(n)  0
#define CONFIG_LIST_CONFIG_WORD(n)    0
#define CONFIG_LIST_CONFIG_LISTEN(n)  n
#define CONFIG_LIST_CONFIG_TEXTS(n)   n
#define CONFIG_LIST_CONFIG_PREFIXES(n) n

#define CONFIG_FIELD_ID(section, key, ...) CONFIG_FIELD_##section##_##key,
enum config_field_id { CONFIG_FIELDS(CONFIG_FIELD_ID) CONFIG_FIELDS_N };
enum config_src_field_id { CONFIG_SRC_FIELDS(CONFIG_FIELD_ID) CONFIG_SRC_FIELDS_N };

#define CONFIG_ORIGIN_MAX 256
#define CONFIG_ORIGIN_PRESET "built-in default"
#define CONFIG_TEXT_MAX   4096

struct config_field {
	const char *section;
	const char *key;
	enum config_kind kind;
	const char *env;
	const char *preset; /* the default; lists one item a line */
	uint32_t least, largest;
	const char *choices;
};
extern const struct config_field config_fields[CONFIG_FIELDS_N];
extern const struct config_field config_src_fields[CONFIG_SRC_FIELDS_N];

/* The strongest text seen so far for a field, and who said it: "capstan.yaml, line 7: sip.accept". */
struct config_setting {
	char *text;
	char origin[CONFIG_ORIGIN_MAX];
};
/* An entry of `src`; text NULL: not said. */
struct config_src_draft {
	struct config_setting settings[CONFIG_SRC_FIELDS_N];
};
struct config_draft {
	struct config_setting settings[CONFIG_FIELDS_N];
	struct config_src_draft *srcs;
	unsigned int n_srcs;
};

/** Replace a field's text; `text` is copied. @return NOMEM */
SRS_MUST_CHECK enum srs_err config_draft_set(struct config_draft *d, unsigned int field_i, const char *text,
                                             const char *origin);
void config_draft_clear(struct config_draft *d);

/** Read all of a regular file of at most `len_max` bytes; NUL-terminated, malloc'd. `why` names the file. */
SRS_MUST_CHECK enum srs_err config_file_read(const char *path, size_t len_max, char **out, char *why,
                                             size_t why_len);

/* ---- config_yaml.c ---- */

/** Lay a YAML file over the draft. */
SRS_MUST_CHECK enum srs_err config_yaml_apply(struct config_draft *d, const char *path, char *why, size_t why_len);
/** The known setting nearest to section.key, when near enough to be a slip; else NULL. `section` may be NULL. */
const struct config_field *config_field_nearest(const char *section, const char *key);

/* ---- config_value.c ---- */

/** Set `*member`, and for a list its length `*n`, from the text. */
SRS_MUST_CHECK enum srs_err config_value_set(const struct config_field *f, const struct config_setting *s, void *member,
                                             unsigned int *n, char *why, size_t why_len);
/** Give back what config_value_set() took; also a member that was never set. `n`: length of a list. */
void config_value_free(const struct config_field *f, void *member, unsigned int n);

/* ---- config_src.c ---- */

/** Build the profiles from the draft; always makes the default one. */
SRS_MUST_CHECK enum srs_err config_srcs_make(struct config *c, const struct config_draft *d, char *why, size_t why_len);
void config_srcs_free(struct config *c);
void config_src_drafts_clear(struct config_draft *d);

/* ---- config_env.c ---- */

/** Lay `.env` and then the environment over the draft; checks names that have no effect, too. */
SRS_MUST_CHECK enum srs_err config_env_apply(struct config_draft *d, const struct config_sources *from, char *why,
                                             size_t why_len);

/* ---- config_rules.c ---- */

/** Number with an optional suffix (us, ms, s, m, h, d) into the field's unit. @return false: not one, or too large */
bool config_number_parse(const struct config_field *field, const char *text, uint64_t *out);
bool config_bool_parse(const char *text, bool *out);
/** 4, 6, or 0 when `text` is no numeric address. `bytes` (16) may be NULL. */
int config_address_parse(const char *text, uint8_t *bytes);

/** "10.0.0.0/8", "::1", "all". @return false: none of these, or bits beyond the prefix */
bool config_prefix_parse(const char *text, struct config_prefix *out);

/** Fill what defaults to something derived, then check all rules that need more than one value. */
SRS_MUST_CHECK enum srs_err config_rules_apply(struct config *c, const struct config_draft *d, char *why,
                                               size_t why_len);

#endif
