/* Digest authentication: the header, the arithmetic, and who may begin a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <sys/stat.h>

#include "controlplane/sip/challenge.h"
#include "controlplane/sip/message.h"
#include "sip_peer.h"

#define REALM "records.example.com"

/* ---- the header ---- */

/* RFC 7616 §3.9.1 */
#define MUFASA "username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", " \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, " \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, " \
	"opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""

static void
responses_are_those_of_the_rfc(void **state)
{
	static const struct {
		bool md5;
		const char *ha1, *response;
	} rows[] = {
		{ false, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232",
		  "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
		{ true, "3d78807defe7de2157e2b0b6573a855f", "8ca523f5e9506fed4657c9700eebdbec" },
	};

	for (unsigned int i = 0; i < 2; i++) {
		char text[1024], out[CHALLENGE_HEX_MAX];
		struct credentials k;
		size_t len;

		snprintf(text, sizeof(text), "Digest " MUFASA ", response=\"%s\"", rows[i].response);
		assert_int_equal(credentials_parse(&k, text), SRS_OK);
		assert_true(span_equal_nocase(k.response, rows[i].response));
		len = credentials_expect(&k, rows[i].md5, rows[i].ha1, "GET", out);
		assert_int_equal(len, strlen(rows[i].response));
		assert_memory_equal(out, rows[i].response, len);
	}
}

static void
quotes_blanks_and_case_are_read(void **state)
{
	struct credentials k;

	assert_int_equal(credentials_parse(&k, "  dIGEST\tUserName = \"a, \\\"b\\\"\" ,realm=\"\",nonce=n,URI=\"sip:x\",x-y=z , response=r"), SRS_OK);
	assert_true(span_equal_nocase(k.username, "a, \\\"b\\\""));
	assert_int_equal(k.realm.len, 0);
	assert_true(span_equal_nocase(k.response, "r"));
	assert_int_equal(k.algorithm.len, 0);
}

static void
what_is_malformed_is_refused_and_leaves_nothing(void **state)
{
	static const char *const bad[] = {
		"", "Digest", "Digest ", "Digest username=\"a\"", "Digest " MUFASA, "Digest " MUFASA ", response=\"a", "Digest " MUFASA ",",
		"Digest " MUFASA ", response=a, response=a", "Digest " MUFASA ", response=", "Digest " MUFASA " response=a",
		"Digest " MUFASA ", response=a b", "Digest , " MUFASA ", response=a", "Digest " MUFASA ", response=\"\"",
		"Digest=a", "Digest " MUFASA ", response=a, =b", "Digest " MUFASA ", response=a, x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct credentials k;

		memset(&k, 1, sizeof(k));
		if (credentials_parse(&k, bad[i]) != SRS_ERR_INVALID)
			fail_msg("taken: %s", bad[i]);
		assert_true(span_is_zero(span_of(&k, sizeof(k))));
	}
	{
		struct credentials k;

		assert_int_equal(credentials_parse(&k, "Basic dXNlcjpwYXNz"), SRS_ERR_UNSUPPORTED);
	}
}

/* ---- the file ---- */

static char users_path[] = "/tmp/challenge-users-XXXXXX";
static char realm_text[] = REALM;
static char sha_256[] = "SHA-256", md_5[] = "MD5";
static char *algorithms[] = { sha_256, md_5 };

static void
users_write(const char *text, mode_t mode)
{
	FILE *f = fopen(users_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(users_path, mode), 0);
}

static void
hash_of(bool md5, const char *text, char out[65])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len;

	EVP_Digest(text, strlen(text), digest, &len, md5 ? EVP_md5() : EVP_sha256(), NULL);
	for (unsigned int i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void
the_file_is_refused_when_others_can_read_it_or_a_line_is_wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "names nobody" },
		{ "# nobody\n\n", "names nobody" },
		{ "sbc\n", "line 1: it is not name:realm:hash" },
		{ "# first\nsbc:elsewhere:00\n", "line 2: the realm is another" },
		{ "sbc:" REALM ":5ecre7\n", "line 1: the hash is neither" },
		{ ":" REALM ":7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\n", "the name is empty" },
		{ "sbc:" REALM ":3d78807defe7de2157e2b0b6573a855f\n", "sip.digest_algorithms does not have" },
		{ "sbc:" REALM ":7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\n"
		  "sbc:" REALM ":7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\n", "line 2: the name has a hash" },
	};
	struct config config = { .sip = { .digest_users = users_path, .digest_realm = realm_text, .digest_nonce_s = 300,
	                                 .digest_algorithms = algorithms, .n_digest_algorithms = 1 } };
	struct challenge *c;
	char why[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		users_write(bad[i].text, 0600);
		assert_int_equal(challenge_create(&c, &config, why, sizeof(why)), SRS_ERR_INVALID);
		assert_null(c);
		if (strstr(why, bad[i].why) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", why, bad[i].why);
		assert_null(strstr(why, "5ecre7"));
	}
	users_write("sbc:" REALM ":7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\n", 0640);
	assert_int_equal(challenge_create(&c, &config, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "chmod 600"));
	users_write("sbc:" REALM ":7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\n", 0600);
	assert_int_equal(challenge_create(&c, &config, why, sizeof(why)), SRS_OK);
	challenge_destroy(c);
	config.sip.digest_users = (char[]){ "/tmp/there-is-no-such-file" };
	assert_int_equal(challenge_create(&c, &config, why, sizeof(why)), SRS_ERR_INVALID);
}

/* ---- over the wire ---- */

struct scene {
	struct peer p;
	int fd;
	unsigned int n;
	char nonce[128];
};

/* peer_start() with two users: "sbc" by SHA-256, "old" by MD5 alone. */
static void
scene_start(struct scene *c, bool md5)
{
	char sha[65], old[65], text[512];

	hash_of(false, "sbc:" REALM ":Circle of Life", sha);
	hash_of(true, "old:" REALM ":Circle of Life", old);
	snprintf(text, sizeof(text), "# clients\nsbc:" REALM ":%s\r\n%s%s%s", sha, md5 ? "old:" REALM ":" : "", md5 ? old : "", md5 ? "\n" : "");
	users_write(text, 0600);
	memset(c, 0, sizeof(*c));
	peer_prepare(&c->p);
	c->p.config.sip.digest_users = users_path;
	c->p.config.sip.digest_realm = realm_text;
	c->p.config.sip.digest_algorithms = algorithms;
	c->p.config.sip.n_digest_algorithms = md5 ? 2 : 1;
	c->p.config.sip.digest_nonce_s = 300;
	peer_open(&c->p);
	c->fd = peer_socket(&c->p.udp, SOCK_DGRAM);
}

static void
scene_stop(struct scene *c)
{
	close(c->fd);
	peer_stop(&c->p);
}

static unsigned int
ask(struct scene *c, const char *method, const char *lines)
{
	char branch[32], call_id[32];
	struct peer_request r = { .method = method, .fd = c->fd, .branch = branch, .cseq = 1, .lines = lines, .call_id = call_id };
	const char *at;

	snprintf(branch, sizeof(branch), "b%u", ++c->n);
	snprintf(call_id, sizeof(call_id), "call-%u", c->n);
	close(c->fd);		/* what is sent again to the old one does not disturb */
	c->fd = r.fd = peer_socket(&c->p.udp, SOCK_DGRAM);
	peer_request(&r);
	peer_final(&c->p, c->fd);
	at = strstr(c->p.received, "nonce=\"");
	if (at != NULL)
		snprintf(c->nonce, sizeof(c->nonce), "%.*s", (int)strcspn(at + 7, "\""), at + 7);
	at = strstr(c->p.received, "SIP/2.0 100") == c->p.received ? strstr(c->p.received + 8, "SIP/2.0 ") : c->p.received;
	return at == NULL ? 0 : (unsigned int)strtoul(at + 8, NULL, 10);
}

struct proof {
	const char *user, *password, *nc, *qop, *realm;
	bool md5;
};

/* An Authorization line, made by the test's own arithmetic. */
static const char *
proof_line(const struct scene *c, const struct proof *p)
{
	static char line[1024];
	char text[512], ha1[65], ha2[65], response[65];
	const char *nc = p->nc == NULL ? "00000001" : p->nc, *qop = p->qop == NULL ? "auth" : p->qop;
	const char *realm = p->realm == NULL ? REALM : p->realm;

	snprintf(text, sizeof(text), "%s:%s:%s", p->user, realm, p->password);
	hash_of(p->md5, text, ha1);
	hash_of(p->md5, "INVITE:sip:srs@127.0.0.1", ha2);
	snprintf(text, sizeof(text), "%s:%s:%s:0a4f113b:%s:%s", ha1, c->nonce, nc, qop, ha2);
	hash_of(p->md5, text, response);
	snprintf(line, sizeof(line), "Authorization: Digest username=\"%s\",realm=\"%s\",nonce=\"%s\",uri=\"sip:srs@127.0.0.1\","
	         "algorithm=%s,cnonce=\"0a4f113b\",qop=%s,nc=%s,response=\"%s\"\r\n", p->user, realm, c->nonce,
	         p->md5 ? "MD5" : "SHA-256", qop, nc, response);
	return line;
}

static uint64_t
count(const struct scene *c, enum sip_counter which)
{
	return sip_counter_read(c->p.sip, which);
}

static void
an_invite_is_challenged_and_passes_with_the_password(void **state)
{
	struct scene c;

	scene_start(&c, false);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_non_null(strstr(c.p.received, "SIP/2.0 401 Unauthorized\r\n"));
	assert_non_null(strstr(c.p.received, "WWW-Authenticate: Digest realm=\"" REALM "\", nonce=\""));
	assert_non_null(strstr(c.p.received, "\", qop=\"auth\", algorithm=SHA-256\r\n"));
	assert_null(strstr(c.p.received, "MD5"));
	assert_null(strstr(c.p.received, "stale"));
	assert_int_equal(c.p.n_invites, 0);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 200);
	assert_int_equal(c.p.n_invites, 1);
	assert_int_equal(count(&c, SIP_CHALLENGES), 1);
	assert_int_equal(count(&c, SIP_UNAUTHENTICATED), 0);
	scene_stop(&c);
}

static void
options_are_not_challenged(void **state)
{
	struct scene c;

	scene_start(&c, false);
	assert_int_equal(ask(&c, "OPTIONS", ""), 200);
	assert_int_equal(ask(&c, "UPDATE", ""), 481);
	scene_stop(&c);
}

static void
a_wrong_password_name_or_realm_begins_nothing(void **state)
{
	struct scene c;

	scene_start(&c, false);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "circle of life" })), 401);
	assert_null(strstr(c.p.received, "stale"));
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "scar", .password = "Circle of Life" })), 401);
	assert_int_equal(count(&c, SIP_UNAUTHENTICATED), 2);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .realm = "elsewhere" })), 401);
	assert_int_equal(ask(&c, "INVITE", "Authorization: Basic c2JjOkNpcmNsZSBvZiBMaWZl\r\n"), 401);
	assert_int_equal(ask(&c, "INVITE", "Authorization: nonsense\r\n"), 401);
	assert_int_equal(count(&c, SIP_UNAUTHENTICATED), 2);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .qop = "auth-int" })), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "1" })), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000000" })), 401);
	assert_int_equal(count(&c, SIP_UNAUTHENTICATED), 5);
	assert_int_equal(c.p.n_invites, 0);
	scene_stop(&c);
}

static void
a_nonce_counts_up_and_no_count_comes_twice(void **state)
{
	struct scene c;

	scene_start(&c, false);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000003" })), 200);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000001" })), 200);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000004" })), 200);
	{
		char before[128];

		memcpy(before, c.nonce, sizeof(before));
		assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000003" })), 401);
		assert_non_null(strstr(c.p.received, ", stale=true\r\n"));
		memcpy(c.nonce, before, sizeof(before));
		assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "0000ffff" })), 200);
		assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000005" })), 401);
	}
	/* the fresh nonce that came with it will do */
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 200);
	scene_stop(&c);
}

static void
a_nonce_of_another_time_or_of_their_own_is_stale(void **state)
{
	struct scene c;

	scene_start(&c, false);
	c.p.config.sip.digest_nonce_s = 1;
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	usleep(1100000);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 401);
	assert_non_null(strstr(c.p.received, "stale=true"));
	snprintf(c.nonce, sizeof(c.nonce), "%064d", 1);		/* made up */
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 401);
	assert_non_null(strstr(c.p.received, "stale=true"));
	c.nonce[63] ^= 1;					/* one bit of ours */
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 401);
	assert_non_null(strstr(c.p.received, "stale=true"));
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 200);
	assert_int_equal(count(&c, SIP_UNAUTHENTICATED), 0);
	scene_stop(&c);
}

/* An INVITE with these lines, asked of the challenge itself: SIP would take minutes for as many. */
static enum challenge_result
judge(struct challenge *c, const char *lines)
{
	char text[1400];
	const char *user;
	struct message m;
	enum challenge_result result;

	snprintf(text, sizeof(text), "INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
	         "%sContent-Length: 0\r\n\r\n", lines);
	assert_int_equal(message_parse(&m, span_of_text(text), true), SRS_OK);
	assert_int_equal(m.refusal, 0);
	result = challenge_judge(c, &m, &user);
	message_release(&m);
	return result;
}

/* Far more nonces than the table has rows: those it forgot are stale, never good once more, and fresh ones always pass. */
static void
a_nonce_that_was_forgotten_is_not_good_again(void **state)
{
	struct scene c;
	struct challenge *direct;
	char first[1024] = "", why[256];

	scene_start(&c, false);
	assert_int_equal(challenge_create(&direct, &c.p.config, why, sizeof(why)), SRS_OK);
	for (unsigned int i = 0; i < 40000; i++) {
		char *lines = challenge_lines(direct, false);
		const char *at = strstr(lines, "nonce=\"") + 7;

		snprintf(c.nonce, sizeof(c.nonce), "%.*s", (int)strcspn(at, "\""), at);
		free(lines);
		if (i == 0)
			snprintf(first, sizeof(first), "%s", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" }));
		assert_int_equal(judge(direct, proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), CHALLENGE_PASSED);
	}
	assert_int_equal(judge(direct, first), CHALLENGE_STALE);
	challenge_destroy(direct);
	scene_stop(&c);
}

static void
md5_is_taken_when_configured(void **state)
{
	struct scene c;
	const char *sha, *md5;

	scene_start(&c, true);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	sha = strstr(c.p.received, "algorithm=SHA-256\r\n");
	md5 = strstr(c.p.received, "algorithm=MD5\r\n");
	assert_non_null(sha);
	assert_true(md5 > sha);		/* RFC 8760 §2.4: the preferred one first */
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "old", .password = "Circle of Life", .md5 = true })), 200);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .md5 = true })), 401);	/* has no such hash */
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "old", .password = "Circle of Life" })), 401);
	scene_stop(&c);
	scene_start(&c, false);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .md5 = true })), 401);
	scene_stop(&c);
}

static void
the_password_of_the_first_call_is_needed_to_replace_it(void **state)
{
	struct scene c;
	char tag[64], lines[2048], call_id[32];

	scene_start(&c, true);
	assert_int_equal(ask(&c, "INVITE", ""), 401);
	assert_int_equal(ask(&c, "INVITE", proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life" })), 200);
	snprintf(call_id, sizeof(call_id), "call-%u", c.n);
	peer_to_tag(c.p.received, tag);
	snprintf(lines, sizeof(lines), "%sReplaces: %s;to-tag=%s;from-tag=srctag\r\n",
	         proof_line(&c, &(struct proof){ .user = "old", .password = "Circle of Life", .nc = "00000002", .md5 = true }), call_id, tag);
	assert_int_equal(ask(&c, "INVITE", lines), 403);
	snprintf(lines, sizeof(lines), "%sReplaces: %s;to-tag=%s;from-tag=srctag\r\n",
	         proof_line(&c, &(struct proof){ .user = "sbc", .password = "Circle of Life", .nc = "00000003" }), call_id, tag);
	assert_int_equal(ask(&c, "INVITE", lines), 200);
	assert_non_null(c.p.replaced);
	scene_stop(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_those_of_the_rfc),
		cmocka_unit_test(quotes_blanks_and_case_are_read),
		cmocka_unit_test(what_is_malformed_is_refused_and_leaves_nothing),
		cmocka_unit_test(the_file_is_refused_when_others_can_read_it_or_a_line_is_wrong),
		cmocka_unit_test(an_invite_is_challenged_and_passes_with_the_password),
		cmocka_unit_test(options_are_not_challenged),
		cmocka_unit_test(a_wrong_password_name_or_realm_begins_nothing),
		cmocka_unit_test(a_nonce_counts_up_and_no_count_comes_twice),
		cmocka_unit_test(a_nonce_of_another_time_or_of_their_own_is_stale),
		cmocka_unit_test(a_nonce_that_was_forgotten_is_not_good_again),
		cmocka_unit_test(md5_is_taken_when_configured),
		cmocka_unit_test(the_password_of_the_first_call_is_needed_to_replace_it),
	};
	int fd = mkstemp(users_path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(users_path);
	return failed;
}
