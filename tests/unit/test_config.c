/* The configuration: defaults, the order of sources, refusals that name place, rule and remedy, the arithmetic,
 * and the promise that documents and samples name every setting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/config_fields.h"

struct fixture {
	char dir[64];
	char yaml[96];
	char env[96];
	char why[CONFIG_WHY_MAX];
	struct config *c;
};

static int
make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/capstan-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->yaml, sizeof(f->yaml), "%s/capstan.yaml", f->dir);
	snprintf(f->env, sizeof(f->env), "%s/env", f->dir);
	*state = f;
	return 0;
}

static int
drop_fixture(void **state)
{
	struct fixture *f = *state;

	config_free(f->c);
	unlink(f->yaml);
	unlink(f->env);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

/* NULL leaves a source out. */
static enum srs_err
load(struct fixture *f, const char *yaml, const char *env, char **environ_rows, const char *const *flags)
{
	struct config_sources from = { .environ = environ_rows, .flags = flags };

	if (yaml != NULL) {
		write_file(f->yaml, yaml);
		from.yaml_path = f->yaml;
	}
	if (env != NULL) {
		write_file(f->env, env);
		from.env_path = f->env;
	}
	config_free(f->c);
	f->c = NULL;
	return config_load(&f->c, &from, f->why, sizeof(f->why));
}

static void
assert_refused(struct fixture *f, enum srs_err err, const char *const parts[])
{
	if (err != SRS_ERR_INVALID)
		fail_msg("'%s' was not refused: %s", *parts, srs_err_name(err));
	assert_null(f->c);
	for (; *parts != NULL; parts++) {
		if (strstr(f->why, *parts) == NULL)
			fail_msg("'%s' is not in: %s", *parts, f->why);
	}
}
#define ASSERT_REFUSED(f, err, ...) assert_refused(f, err, (const char *const[]){ __VA_ARGS__, NULL })

static void
no_source_at_all_gives_the_documented_defaults(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, NULL, NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->sip.n_listen, 2);
	assert_int_equal(f->c->sip.listen[0].transport, CONFIG_UDP);
	assert_int_equal(f->c->sip.listen[1].transport, CONFIG_TCP);
	assert_string_equal(f->c->sip.listen[1].address, "0.0.0.0");
	assert_int_equal(f->c->sip.listen[1].port, 5060);
	assert_int_equal(f->c->sip.accept, CONFIG_ACCEPT_TOLERANT);
	assert_int_equal(f->c->media.profile, CONFIG_PROFILE_TAP);
	assert_int_equal(f->c->media.n_addresses, 2);
	assert_string_equal(f->c->media.addresses[1], "fd00:ca57::2");
	assert_int_equal(f->c->media.rtp_port_min, 16384);
	assert_int_equal(f->c->media.rtp_port_max, 32767);
	assert_int_equal(f->c->limits.streams_max, 2000);
	assert_int_equal(f->c->limits.recordings_max, 2000);
	assert_int_equal(f->c->media.lcores, 1);
	assert_int_equal(f->c->storage.n_devices, 1);
	assert_string_equal(f->c->storage.devices[0], "./recordings");
	assert_string_equal(f->c->keys.path, "./keys");
	assert_true(f->c->keys.encrypt_recordings);
	assert_int_equal(f->c->keys.suite, CONFIG_SUITE_AES_256_GCM);
	assert_string_equal(f->c->http.socket, "/run/capstan/api.sock");
	assert_true(strlen(f->c->node.name) > 0);
}

static void
flag_beats_environment_beats_env_file_beats_yaml(void **state)
{
	struct fixture *f = *state;
	char *rows[] = { (char[]){ "HTTP_PORT=8003" }, (char[]){ "MAX_CONCURRENT_CALLS=30" },
		         (char[]){ "KEY_ROTATION_INTERVAL=" }, NULL };
	const char *flags[] = { "http.port=8004", NULL };

	assert_int_equal(load(f, "http:\n  port: 8001\nlimits:\n  sessions_max: 10\nkeys:\n  rotation_interval_s: 1h\n"
	                         "node:\n  name: yaml-node\n",
	                      "HTTP_PORT=8002\nMAX_CONCURRENT_CALLS=20\nKEY_ROTATION_INTERVAL=2h\n", rows, flags),
	                 SRS_OK);
	assert_int_equal(f->c->http.port, 8004);
	assert_int_equal(f->c->limits.sessions_max, 30);
	assert_int_equal(f->c->keys.rotation_interval_s, 7200); /* empty in the environment: not set */
	assert_string_equal(f->c->node.name, "yaml-node");
}

static void
durations_take_units_and_plain_numbers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "limits:\n  stall_ms_max: 2s\n  call_seconds_max: 24h\nstorage:\n  chunk_age_ms: 250\n"
	                         "  commit_interval_ms: 50ms\nmedia:\n  idle_sleep_us: 1ms\nkeys:\n"
	                         "  rotation_interval_s: 15m\n", NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->limits.stall_ms_max, 2000);
	assert_int_equal(f->c->limits.call_seconds_max, 86400);
	assert_int_equal(f->c->storage.chunk_age_ms, 250);
	assert_int_equal(f->c->storage.commit_interval_ms, 50);
	assert_int_equal(f->c->media.idle_sleep_us, 1000);
	assert_int_equal(f->c->keys.rotation_interval_s, 900);
	ASSERT_REFUSED(f, load(f, "keys:\n  rotation_interval_s: 1500ms\n", NULL, NULL, NULL), "line 2", "1500ms", "seconds");
	ASSERT_REFUSED(f, load(f, "limits:\n  sessions_max: 10s\n", NULL, NULL, NULL), "10s", "whole number");
}

static void
listeners_are_read_in_both_forms(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "sip:\n  listen: [\"udp:127.0.0.1:5070\", \"tcp:[::1]:5071\"]\n", NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->sip.n_listen, 2);
	assert_string_equal(f->c->sip.listen[1].address, "::1");
	assert_int_equal(f->c->sip.listen[1].port, 5071);

	assert_int_equal(load(f, NULL, "PORTS=5060,5061\n", NULL, NULL), SRS_OK);
	assert_int_equal(f->c->sip.n_listen, 4);
	assert_int_equal(f->c->sip.listen[2].port, 5061);
	assert_int_equal(f->c->sip.listen[2].transport, CONFIG_UDP);
	assert_int_equal(f->c->sip.listen[3].transport, CONFIG_TCP);

	assert_int_equal(load(f, NULL, NULL, NULL, (const char *[]){ "sip.listen=udp:127.0.0.1:1,tcp:127.0.0.1:1", NULL }), SRS_OK);
	assert_int_equal(f->c->sip.n_listen, 2);
}

static void
env_file_knows_export_quotes_and_comments(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, NULL, "# a comment\n\nexport HTTP_PORT = 8090   # behind a value\n"
	                               "MASTER_KEY_PATH=\"/srv/my keys#1\"\r\nRECORDING_DIR='/srv/\"x\"'\n"
	                               "CAPSTAN_NODE_NAME=a#b", NULL, NULL), SRS_OK);
	assert_int_equal(f->c->http.port, 8090);
	assert_string_equal(f->c->keys.path, "/srv/my keys#1");
	assert_string_equal(f->c->storage.devices[0], "/srv/\"x\"");
	assert_string_equal(f->c->node.name, "a#b");
	ASSERT_REFUSED(f, load(f, NULL, "A=1\nHTTP_PORT=\"8090\n", NULL, NULL), "line 2", "HTTP_PORT", "quote");
	ASSERT_REFUSED(f, load(f, NULL, "HTTP_PORT 8090\n", NULL, NULL), "line 1", "KEY=VALUE");
}

static void
refusals_name_place_setting_rule_and_remedy(void **state)
{
	struct fixture *f = *state;
	char *odd[] = { (char[]){ "RTP_PORT_MIN=16385" }, NULL };
	char *rows[] = { (char[]){ "RTP_PORT_MIN=ten" }, NULL };

	ASSERT_REFUSED(f, load(f, "# x\nsip:\n  acept: strict\n", NULL, NULL, NULL), "capstan.yaml, line 3", "sip.acept",
	               "did you mean sip.accept");
	ASSERT_REFUSED(f, load(f, "sipp: {}\n", NULL, NULL, NULL), "line 1", "sipp", "no such setting");
	ASSERT_REFUSED(f, load(f, "storage:\n  port: 80\n", NULL, NULL, NULL), "did you mean http.port");
	ASSERT_REFUSED(f, load(f, "http:\n  enabled: true\n  port: 70000\n", NULL, NULL, NULL), "line 3: http.port", "70000",
	               "65535");
	ASSERT_REFUSED(f, load(f, "sip:\n  accept: maybe\n", NULL, NULL, NULL), "line 2", "strict|tolerant|any");
	ASSERT_REFUSED(f, load(f, "sip:\n  listen: udp\n", NULL, NULL, NULL), "line 2", "sip.listen", "list");
	ASSERT_REFUSED(f, load(f, "42\n", NULL, NULL, NULL), "line 1", "group of settings");
	ASSERT_REFUSED(f, load(f, NULL, NULL, odd, NULL), "environment: RTP_PORT_MIN (media.rtp_port_min): 16385");
	ASSERT_REFUSED(f, load(f, "sip:\n\taccept: any\n", NULL, NULL, NULL), "tab");
	ASSERT_REFUSED(f, load(f, "sip:\n  accept: any\n  accept: any\n", NULL, NULL, NULL), "set twice");
	ASSERT_REFUSED(f, load(f, "node: {name: &a x, run_dir: *a}\n", NULL, NULL, NULL), "alias");
	ASSERT_REFUSED(f, load(f, NULL, NULL, rows, NULL), "environment: RTP_PORT_MIN", "'ten'", "1024");
	ASSERT_REFUSED(f, load(f, NULL, "ENABLE_TLS=perhaps\n", NULL, NULL), "line 1", "ENABLE_TLS", "auto|true|false");
	ASSERT_REFUSED(f, load(f, NULL, NULL, NULL, (const char *[]){ "sip.akzept=any", NULL }), "flag sip.akzept", "sip.accept");
	ASSERT_REFUSED(f, load(f, NULL, NULL, NULL, (const char *[]){ "sip.accept", NULL }), "section.key=value");
}

static void
rules_across_values_hold(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *yaml, *part; } rows[] = {
		{ "media:\n  rtp_port_min: 16385\n", "line 2: media.rtp_port_min: 16385 must be even" },
		{ "media:\n  rtp_port_min: 30000\n  rtp_port_max: 20000\n", "line 3: media.rtp_port_max" },
		{ "media:\n  addresses: [\"198.18.254.1\"]\n", "two addresses of one network" },
		{ "media:\n  addresses: [\"10.0.0.1\"]\n", "two addresses of one network" },
		{ "media:\n  kernel_address6: \"\"\n", "fd00:ca57::2" },
		{ "media:\n  addresses: [\"example.org\"]\n", "numeric" },
		{ "media:\n  addresses: [\"224.0.0.1\"]\n", "unicast" },
		{ "media:\n  profile: ring\n  addresses: [\"10.0.0.1\", \"10.0.0.1\"]\n", "twice" },
		{ "media:\n  lcores: 3\n", "belongs to one core" },
		{ "media:\n  device: a-name-that-is-too-long\n", "interface name" },
		{ "media:\n  profile: pcap\n  device: /nonexistent.pcap\n", "readable pcap" },
		{ "media:\n  external_ip: here\n", "or auto" },
		{ "media:\n  external_ip: 0.0.0.0\n", "unicast" },	/* in SDP: a stream on hold */
		{ "media:\n  external_ip: \"::\"\n", "unicast" },
		{ "media:\n  external_ip: 224.0.0.1\n", "unicast" },
		{ "sip:\n  message_bytes_max: 262144\n", "sip.body_bytes_max" },
		{ "sip:\n  listen: [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]\n", "twice" },
		{ "sip:\n  listen: [\"tcp:0.0.0.0:8080\"]\n", "SIP over TCP" },
		{ "sip:\n  listen: [\"udp:localhost:5060\"]\n", "numeric" },
		{ "limits:\n  sessions_max: 10\n  streams_max: 5\n", "sessions_max" },
		{ "storage:\n  devices: [\"/a\", \"/a\"]\n", "twice" },
		{ "storage:\n  segment_mib: 1\n", "2 to 16384" },
		{ "http:\n  address: localhost\n", "numeric" },
		{ "node:\n  name: \"two words\"\n", "blanks" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ASSERT_REFUSED(f, load(f, rows[i].yaml, NULL, NULL, NULL), rows[i].part, "line");
}

static void
srtp_suites_and_prefixes_are_read_and_checked(void **state)
{
	struct fixture *f = *state;
	static const uint8_t net10[16] = { 10, 1, 2, 3 }, net11[16] = { 11, 1, 2, 3 }, doc6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 9 };
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, 10, 9, 9, 9 };
	char *rows[] = { (char[]){ "ENABLE_SRTP=no" }, (char[]){ "CAPSTAN_SRTP_REQUIRED_FROM=all" },
		         (char[]){ "CAPSTAN_SRTP_SUITES=aes_cm_128_hmac_sha1_80, AEAD_AES_128_GCM" }, NULL };
	static const struct { const char *yaml, *part; } refused[] = {
		{ "srtp:\n  suites: [AES_CM_128_HMAC_SHA1_80, F8_128_HMAC_SHA1_80]\n", "'F8_128_HMAC_SHA1_80' must be one of" },
		{ "srtp:\n  suites: [AEAD_AES_128_GCM, aead_aes_128_gcm]\n", "twice" },
		{ "srtp:\n  required_from: [\"10.0.0.1/8\"]\n", "'10.0.0.1/8'" },
		{ "srtp:\n  required_from: [\"10.0.0.0/33\"]\n", "'10.0.0.0/33'" },
		{ "srtp:\n  required_from: [sbc.example]\n", "numeric address" },
		{ "srtp:\n  engine: openssl\n", "auto|ipsec-mb|libsrtp2" },
		{ "srtp:\n  sdes_unprotected: maybe\n", "refuse|allow" },
	};

	assert_int_equal(load(f, NULL, NULL, NULL, NULL), SRS_OK);
	assert_true(f->c->srtp.enabled);
	assert_int_equal(f->c->srtp.n_suites, 8);
	assert_string_equal(f->c->srtp.suites[0], "AEAD_AES_256_GCM");
	assert_int_equal(f->c->srtp.sdes_unprotected, CONFIG_SDES_REFUSE);
	assert_int_equal(f->c->srtp.n_required_from, 0);
	assert_false(config_prefixes_hold(f->c->srtp.required_from, 0, 4, net10));

	assert_int_equal(load(f, "srtp:\n  required_from: [\"10.0.0.0/8\", \"2001:db8::/32\", \"11.1.2.4\"]\n"
	                         "  engine: libsrtp2\n  rekey_grace_ms: 1s\n", NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->srtp.engine, CONFIG_SRTP_LIBSRTP2);
	assert_int_equal(f->c->srtp.rekey_grace_ms, 1000);
	assert_int_equal(f->c->srtp.n_required_from, 3);
	assert_true(config_prefixes_hold(f->c->srtp.required_from, 3, 4, net10));
	assert_false(config_prefixes_hold(f->c->srtp.required_from, 3, 4, net11));
	assert_true(config_prefixes_hold(f->c->srtp.required_from, 3, 6, doc6));
	assert_true(config_prefixes_hold(f->c->srtp.required_from, 3, 6, mapped));
	assert_false(config_prefixes_hold(f->c->srtp.required_from, 3, 6, net10));

	assert_int_equal(load(f, NULL, NULL, rows, NULL), SRS_OK);
	assert_false(f->c->srtp.enabled);
	assert_int_equal(f->c->srtp.n_suites, 2);
	assert_string_equal(f->c->srtp.suites[1], "AEAD_AES_128_GCM");
	assert_true(config_prefixes_hold(f->c->srtp.required_from, 1, 4, net11));
	assert_true(config_prefixes_hold(f->c->srtp.required_from, 1, 6, doc6));

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ASSERT_REFUSED(f, load(f, refused[i].yaml, NULL, NULL, NULL), refused[i].part, "line 2");
}

static void
count_notes(void *ctx, const char *sentence)
{
	char *all = ctx;

	strncat(all, sentence, 4095 - strlen(all));
	strncat(all, "\n", 4095 - strlen(all));
}

static void
touch(struct fixture *f, const char *name, char *path, size_t path_len)
{
	FILE *file;

	snprintf(path, path_len, "%s/%s", f->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
}

static void
tls_is_on_when_asked_for_or_when_its_files_are_there(void **state)
{
	struct fixture *f = *state;
	char certificate[300], key[300], cert_row[330], key_row[330], all[4096] = "";
	char *rows[] = { cert_row, key_row, NULL, NULL };
	struct config_sources from = { .environ = NULL };

	touch(f, "cert.pem", certificate, sizeof(certificate));
	touch(f, "key.pem", key, sizeof(key));
	snprintf(cert_row, sizeof(cert_row), "TLS_CERT_PATH=%s", certificate);
	snprintf(key_row, sizeof(key_row), "TLS_KEY_PATH=%s", key);

	assert_int_equal(load(f, NULL, NULL, NULL, NULL), SRS_OK);	/* no file, nobody asks */
	assert_false(f->c->tls.on);
	config_notes(f->c, &from, count_notes, all);
	assert_non_null(strstr(all, "no SIP over TLS: there is no certificate ./certs/cert.pem"));

	assert_int_equal(load(f, NULL, NULL, rows, NULL), SRS_OK);	/* the files are there */
	assert_true(f->c->tls.on);
	assert_int_equal(f->c->sip.n_listen, 3);
	assert_int_equal(f->c->sip.listen[2].transport, CONFIG_TLS);
	assert_int_equal(f->c->sip.listen[2].port, 5063);
	assert_string_equal(f->c->sip.listen[2].address, "0.0.0.0");
	all[0] = '\0';
	config_notes(f->c, &from, count_notes, all);
	assert_non_null(strstr(all, "SIP over TLS is on"));
	unlink(certificate);
	unlink(key);

	assert_int_equal(load(f, NULL, "ENABLE_TLS=yes\nTLS_PORT=5090\n", NULL, NULL), SRS_OK);
	assert_int_equal(f->c->sip.listen[2].port, 5090);
	assert_int_equal(load(f, "sip:\n  listen: [\"tls:[::1]:5061\", \"udp:[::1]:5061\"]\n", NULL, NULL, NULL), SRS_OK);
	assert_true(f->c->tls.on);
	assert_int_equal(f->c->sip.n_listen, 2);	/* and none by tls.port */
	assert_int_equal(load(f, "sip:\n  listen: [\"tls:[::1]:5061\", \"udp:[::1]:5061\"]\n", "ENABLE_TLS=0\n", NULL, NULL),
	                 SRS_OK);
	assert_false(f->c->tls.on);
	assert_int_equal(f->c->sip.n_listen, 1);
	assert_int_equal(f->c->sip.listen[0].transport, CONFIG_UDP);
	ASSERT_REFUSED(f, load(f, "sip:\n  listen: [\"tls:[::1]:5061\"]\n", "ENABLE_TLS=0\n", NULL, NULL), "only tls:");
	ASSERT_REFUSED(f, load(f, NULL, "ENABLE_TLS=1\nTLS_PORT=5060\n", NULL, NULL), "5060 is a port of tcp and of tls");
	ASSERT_REFUSED(f, load(f, "tls:\n  client_verify: require\n", NULL, NULL, NULL), "line 2: tls.client_verify",
	               "needs tls.client_ca");
}

static void
src_profiles_are_found_by_identity_then_address(void **state)
{
	struct fixture *f = *state;
	static const uint8_t net10[16] = { 10, 1, 2, 3 }, other[16] = { 192, 0, 2, 1 };
	const char *sbc[] = { "other.example", "SBC.example.com" }, *wild[] = { "*.example.com" }, *none[] = { "" };
	const char *uri[] = { "sip:pinned.example;transport=tls" }, *user[] = { "sip:ann@sbc.example.com" };
	const char *longer[] = { "sbc.example.com.evil.example", "example.com", "sbc" };
	int which = 7;

	assert_int_equal(load(f, "sip:\n  accept: any\nsrc:\n"
	                         "  - name: by address\n    addresses: [\"10.0.0.0/8\"]\n    admit: refuse\n"
	                         "  - name: pinned\n    identities: [pinned.example]\n    addresses: [192.0.2.1]\n"
	                         "    accept: strict\n    rate_per_s: 20\n    sessions_max: 7\n    srtp_required: yes\n"
	                         "  - name: by name\n    identities: [\"sip:sbc.example.com\", sbc2.example.com]\n"
	                         "    retention_class: gold\n    kek: site-a\n    snapshot: never\n    refresh: never\n"
	                         "  - name: default\n    admit: refuse\n    accept: tolerant\n", NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->n_srcs, 3);
	assert_string_equal(config_src_find(f->c, NULL, 0, 4, net10, &which)->name, "by address");
	assert_int_equal(which, -1);
	assert_string_equal(config_src_find(f->c, NULL, 0, 4, other, NULL)->name, "default");
	assert_string_equal(config_src_find(f->c, sbc, 2, 4, net10, &which)->name, "by name");	/* the name is stronger */
	assert_int_equal(which, 1);
	assert_string_equal(config_src_find(f->c, wild, 1, 4, other, NULL)->name, "default");
	assert_string_equal(config_src_find(f->c, none, 1, 4, other, NULL)->name, "default");
	assert_string_equal(config_src_find(f->c, user, 1, 4, other, NULL)->name, "default");
	assert_string_equal(config_src_find(f->c, longer, 3, 4, other, NULL)->name, "default");
	assert_string_equal(config_src_find(f->c, uri, 1, 4, other, NULL)->name, "pinned");
	assert_string_equal(config_src_find(f->c, uri, 1, 4, net10, NULL)->name, "by address");	/* from elsewhere: not it */
	assert_int_equal(f->c->srcs[0].accept, CONFIG_ACCEPT_ANY);	/* sip.accept */
	assert_int_equal(f->c->srcs[0].admit, CONFIG_ADMIT_REFUSE);
	assert_int_equal(f->c->srcs[1].accept, CONFIG_ACCEPT_STRICT);
	assert_int_equal(f->c->srcs[1].rate_per_s, 20);
	assert_int_equal(f->c->srcs[1].sessions_max, 7);
	assert_true(f->c->srcs[1].srtp_required);
	assert_string_equal(f->c->srcs[2].retention_class, "gold");
	assert_string_equal(f->c->srcs[2].kek, "site-a");
	assert_int_equal(f->c->srcs[2].snapshot, CONFIG_ASK_NEVER);
	assert_int_equal(f->c->srcs[2].refresh, CONFIG_ASK_NEVER);
	assert_int_equal(f->c->src_default->admit, CONFIG_ADMIT_REFUSE);
	assert_int_equal(f->c->src_default->accept, CONFIG_ACCEPT_TOLERANT);

	assert_int_equal(load(f, "src: []\n", NULL, NULL, NULL), SRS_OK);
	assert_string_equal(config_src_find(f->c, sbc, 2, 4, net10, NULL)->name, "default");
	assert_int_equal(f->c->src_default->admit, CONFIG_ADMIT_ACCEPT);
}

static void
src_profiles_that_cannot_be_meant_are_refused(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *yaml, *part; } rows[] = {
		{ "src:\n  - admit: refuse\n", "entry 1: has no name" },
		{ "src:\n  - name: a\n", "(a): holds for nobody" },
		{ "src:\n  - name: a\n    identities: [\"*.example.com\"]\n", "'*.example.com'" },
		{ "src:\n  - name: a\n    identities: [\"sip:ann@example.com\"]\n", "'sip:ann@example.com'" },
		{ "src:\n  - name: a\n    addresses: [\"10.0.0.1/8\"]\n", "entry 1: addresses: '10.0.0.1/8'" },
		{ "src:\n  - name: a\n    addresses: [all]\n  - name: a\n    addresses: [all]\n", "name a is there twice" },
		{ "src:\n  - name: default\n  - name: default\n", "default is there twice" },
		{ "src:\n  - name: default\n    addresses: [all]\n", "take its identities" },
		{ "src:\n  - name: a\n    addresses: [all]\n    admit: perhaps\n", "accept|refuse" },
		{ "src:\n  - name: a\n    adresses: [all]\n", "adresses" },
		{ "src:\n  name: a\n", "list" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ASSERT_REFUSED(f, load(f, rows[i].yaml, NULL, NULL, NULL), rows[i].part);
}

static void
missing_file_is_an_io_error_that_names_it(void **state)
{
	struct fixture *f = *state;
	struct config_sources from = { .yaml_path = "/nonexistent/capstan.yaml" };

	assert_int_equal(config_load(&f->c, &from, f->why, sizeof(f->why)), SRS_ERR_IO);
	assert_non_null(strstr(f->why, "/nonexistent/capstan.yaml"));
	from = (struct config_sources){ .env_path = "/nonexistent/.env" };
	assert_int_equal(config_load(&f->c, &from, f->why, sizeof(f->why)), SRS_ERR_IO);
	from = (struct config_sources){ .yaml_path = f->dir }; /* a folder */
	assert_int_equal(config_load(&f->c, &from, f->why, sizeof(f->why)), SRS_ERR_IO);
	assert_null(f->c);
}

static void
section_with_all_lines_commented_out_is_fine(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "sip:\n# accept: any\nhttp:\n  port: 8081\n", NULL, NULL, NULL), SRS_OK);
	assert_int_equal(f->c->http.port, 8081);
	assert_int_equal(load(f, "# nothing\n", NULL, NULL, NULL), SRS_OK);
}

static void
names_without_effect_are_answered_once(void **state)
{
	struct fixture *f = *state;
	char *rows[] = { (char[]){ "SHARD_COUNT=64" }, (char[]){ "PATH=/bin" }, (char[]){ "ENABLE_VAD=true" }, NULL };
	struct config_sources from = { .env_path = f->env, .environ = rows };
	char all[4096] = "";

	assert_int_equal(load(f, NULL, "SHARD_COUNT=32\nRECORDIN_DIR=/x\n", rows, NULL), SRS_OK);
	config_notes(f->c, &from, count_notes, all);
	assert_non_null(strstr(all, "SHARD_COUNT has no effect"));
	assert_null(strstr(strstr(all, "SHARD_COUNT") + 1, "SHARD_COUNT"));
	assert_non_null(strstr(all, "ENABLE_VAD has no effect"));
	assert_non_null(strstr(all, "line 2: RECORDIN_DIR"));
	assert_null(strstr(all, "PATH"));
}

static void
arithmetic_says_what_does_not_fit_and_why(void **state)
{
	struct fixture *f = *state;
	struct config_arithmetic sum;

	assert_int_equal(load(f, "media:\n  rtp_port_min: 20000\n  rtp_port_max: 20099\n  addresses: [\"198.18.254.2\"]\n"
	                         "limits:\n  sessions_max: 25\n  stall_ms_max: 1000\n", NULL, NULL, NULL), SRS_OK);
	config_arithmetic(f->c, &sum);
	assert_int_equal(sum.ports_have, 100);
	assert_int_equal(sum.ports_need, 100);
	/* 50 streams x 100 kbit/s x 1 s = 625,000 B = 161 chunks, and two for each of 50 recordings */
	assert_int_equal(config_chunks_need(f->c), 261);
	assert_true(sum.memory_need > 261 * 4160);
	assert_true(sum.memory_have > 0);

	assert_int_equal(load(f, "media:\n  rtp_port_min: 20000\n  rtp_port_max: 20099\nlimits:\n  sessions_max: 26\n",
	                      NULL, NULL, NULL), SRS_OK);
	config_arithmetic(f->c, &sum);
	assert_false(sum.fits);
	assert_non_null(strstr(sum.sentence, "104 needed"));
	assert_non_null(strstr(sum.sentence, "add media.addresses"));

	assert_int_equal(load(f, "limits:\n  sessions_max: 1000000\n  stall_ms_max: 10m\n", NULL, NULL, NULL), SRS_OK);
	config_arithmetic(f->c, &sum);
	assert_false(sum.fits);
	assert_non_null(strstr(sum.sentence, "lower limits.sessions_max"));
}

static char *
source_file(const char *name)
{
	const char *root = getenv("CAPSTAN_SOURCE");
	char path[512], why[CONFIG_WHY_MAX], *text;

	snprintf(path, sizeof(path), "%s/%s", root != NULL ? root : "..", name);
	assert_int_equal(config_file_read(path, 1 << 20, &text, why, sizeof(why)), SRS_OK);
	return text;
}

static void
document_and_samples_name_every_setting_and_variable(void **state)
{
	char *document = source_file("docs/configuration.md"), *yaml = source_file("deploy/capstan.yaml");
	char *sample = source_file("deploy/capstan.env.example");
	char name[128];

	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++) {
		const struct config_field *field = &config_fields[i];

		snprintf(name, sizeof(name), "| `%s.%s` |", field->section, field->key);
		if (strstr(document, name) == NULL)
			fail_msg("docs/configuration.md has no row %s", name);
		snprintf(name, sizeof(name), "`%s`", field->env);
		if (strstr(document, name) == NULL)
			fail_msg("docs/configuration.md does not name %s", field->env);
		snprintf(name, sizeof(name), "\n  %s:", field->key);
		if (strstr(yaml, name) == NULL)
			fail_msg("deploy/capstan.yaml does not show %s.%s", field->section, field->key);
		snprintf(name, sizeof(name), "#%s=", field->env);
		if (strncmp(field->env, "CAPSTAN_", 8) != 0 && strstr(sample, name) == NULL)
			fail_msg("deploy/capstan.env.example does not show %s", field->env);
	}
	for (unsigned int i = 0; i < CONFIG_SRC_FIELDS_N; i++) {
		snprintf(name, sizeof(name), "| `src[].%s` |", config_src_fields[i].key);
		if (strstr(document, name) == NULL)
			fail_msg("docs/configuration.md has no row %s", name);
		snprintf(name, sizeof(name), "%s:", config_src_fields[i].key);
		if (strstr(yaml, name) == NULL)
			fail_msg("deploy/capstan.yaml does not show src: %s", name);
	}
	free(document);
	free(yaml);
	free(sample);
}

static void
sample_file_is_the_defaults_written_out(void **state)
{
	struct fixture *f = *state;
	char *text = source_file("deploy/capstan.yaml");
	struct config *preset;

	assert_int_equal(load(f, text, NULL, NULL, NULL), SRS_OK);
	free(text);
	preset = f->c;
	f->c = NULL;
	assert_int_equal(load(f, NULL, NULL, NULL, NULL), SRS_OK);
	assert_int_equal(preset->sip.n_listen, f->c->sip.n_listen);
	assert_memory_equal(&preset->limits, &f->c->limits, sizeof(preset->limits));
	assert_int_equal(preset->sip.body_bytes_max, f->c->sip.body_bytes_max);
	assert_int_equal(preset->sip.t1_ms, f->c->sip.t1_ms);
	assert_int_equal(preset->media.rtp_port_max, f->c->media.rtp_port_max);
	assert_int_equal(preset->media.idle_sleep_us, f->c->media.idle_sleep_us);
	assert_int_equal(preset->storage.segment_mib, f->c->storage.segment_mib);
	assert_int_equal(preset->storage.reserve_mib, f->c->storage.reserve_mib);
	assert_int_equal(preset->keys.rotation_interval_s, f->c->keys.rotation_interval_s);
	assert_string_equal(preset->http.socket, f->c->http.socket);
	assert_string_equal(preset->node.name, f->c->node.name);
	assert_int_equal(preset->srtp.n_suites, f->c->srtp.n_suites);
	for (unsigned int i = 0; i < preset->srtp.n_suites; i++)
		assert_string_equal(preset->srtp.suites[i], f->c->srtp.suites[i]);
	assert_int_equal(preset->srtp.rekey_grace_ms, f->c->srtp.rekey_grace_ms);
	config_free(preset);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, make_fixture, drop_fixture)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(no_source_at_all_gives_the_documented_defaults),
		WITH_FIXTURE(flag_beats_environment_beats_env_file_beats_yaml),
		WITH_FIXTURE(durations_take_units_and_plain_numbers),
		WITH_FIXTURE(listeners_are_read_in_both_forms),
		WITH_FIXTURE(env_file_knows_export_quotes_and_comments),
		WITH_FIXTURE(refusals_name_place_setting_rule_and_remedy),
		WITH_FIXTURE(rules_across_values_hold),
		WITH_FIXTURE(srtp_suites_and_prefixes_are_read_and_checked),
		WITH_FIXTURE(tls_is_on_when_asked_for_or_when_its_files_are_there),
		WITH_FIXTURE(src_profiles_are_found_by_identity_then_address),
		WITH_FIXTURE(src_profiles_that_cannot_be_meant_are_refused),
		WITH_FIXTURE(missing_file_is_an_io_error_that_names_it),
		WITH_FIXTURE(section_with_all_lines_commented_out_is_fine),
		WITH_FIXTURE(names_without_effect_are_answered_once),
		WITH_FIXTURE(arithmetic_says_what_does_not_fit_and_why),
		cmocka_unit_test(document_and_samples_name_every_setting_and_variable),
		WITH_FIXTURE(sample_file_is_the_defaults_written_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
