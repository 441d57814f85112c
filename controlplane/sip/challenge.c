#include "controlplane/sip/challenge.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/reactor.h"
#include "controlplane/sip/message.h"
#include "crypto/secret.h"

#define SHA256          "SHA-256"	/* as sip.digest_algorithms has them */
#define MD5             "MD5"
#define FILE_BYTES_MAX  (1u << 20)
#define USERS_MAX       4096u
#define NAME_MAX_BYTES  128
#define HEX_MD5         32u
#define HEX_SHA256      64u
#define USED_ROWS       4096u
#define NC_WINDOW       64u	/* requests over UDP may overtake each other */
#define AUTHORIZATIONS  8u	/* of one request that are looked at */
#define NONCE_TIME      8
#define NONCE_RANDOM    8
#define NONCE_MAC       16
#define NONCE_BYTES     (NONCE_TIME + NONCE_RANDOM + NONCE_MAC)
#define NONCE_HEX       (2 * NONCE_BYTES)

/* In secret memory: a hash of name, realm and password is as good as the password. */
struct user {
	char name[NAME_MAX_BYTES];
	char sha256[HEX_SHA256 + 1], md5[HEX_MD5 + 1];	/* "" none */
};

/* A nonce that was used. One that it took the row from is no longer known: nonces that old count as stale here. */
struct used {
	uint64_t issued_ns, id;
	uint64_t seen;		/* bit n: nc == highest - n */
	uint64_t evicted_ns;
	uint32_t highest;
};

struct challenge {
	const struct config *config;
	uint8_t *key;		/* secret */
	struct user *users;	/* secret, by name */
	unsigned int n_users, users_max;
	struct used *used;
};

/* ---- the header ---- */

static bool
is_token_byte(char c)
{
	return c > ' ' && (unsigned char)c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

static const char *
blanks_skip(const char *at)
{
	return at + strspn(at, " \t");
}

static bool
token_take(const char **at, struct span *out)
{
	const char *start = *at;

	while (is_token_byte(**at))
		(*at)++;
	*out = span_of(start, (size_t)(*at - start));
	return out->len != 0;
}

static bool
value_take(const char **at, struct span *out)
{
	const char *start = *at + 1;

	if (**at != '"')
		return token_take(at, out);
	for ((*at)++; **at != '"'; (*at)++) {
		if (**at == '\\' && (*at)[1] != '\0')
			(*at)++;
		if (**at == '\0')
			return false;
	}
	*out = span_of(start, (size_t)(*at - start));
	(*at)++;
	return true;
}

static bool
parameter_take(struct credentials *c, const char **at)
{
	const struct {
		const char *name;
		struct span *value;
	} known[] = {
		{ "username", &c->username }, { "realm", &c->realm }, { "nonce", &c->nonce }, { "uri", &c->uri },
		{ "response", &c->response }, { "algorithm", &c->algorithm }, { "cnonce", &c->cnonce },
		{ "qop", &c->qop }, { "nc", &c->nc },
	};
	struct span name, value;

	if (!token_take(at, &name))
		return false;
	*at = blanks_skip(*at);
	if (**at != '=')
		return false;
	*at = blanks_skip(*at + 1);
	if (!value_take(at, &value))
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!span_equal_nocase(name, known[i].name))
			continue;
		if (known[i].value->bytes != NULL)
			return false;	/* twice: which one was hashed? */
		*known[i].value = value;
	}
	return true;
}

enum srs_err
credentials_parse(struct credentials *out, const char *value)
{
	struct credentials c = { 0 };
	const char *at = blanks_skip(value);
	struct span scheme;
	bool ok = true;

	*out = c;
	if (!token_take(&at, &scheme) || (*at != ' ' && *at != '\t'))
		return SRS_ERR_INVALID;
	if (!span_equal_nocase(scheme, "Digest"))
		return SRS_ERR_UNSUPPORTED;
	do {
		at = blanks_skip(at);
		ok = parameter_take(&c, &at);
		at = blanks_skip(at);
	} while (ok && *at++ == ',');
	if (!ok || at[-1] != '\0' || c.username.len == 0 || c.realm.bytes == NULL || c.nonce.len == 0 || c.uri.len == 0 ||
	    c.response.len == 0)
		return SRS_ERR_INVALID;
	*out = c;
	return SRS_OK;
}

static size_t
hex_write(char *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned int k = 0; k < 2; k++)
			out[2 * i + k] = "0123456789abcdef"[k == 0 ? bytes[i] >> 4 : bytes[i] & 15];
	return 2 * n;
}

/* H(part:part:...) as hex. @return its length, 0: not to be had */
static size_t
hash_joined(bool md5, const struct span *parts, unsigned int n, char out[CHALLENGE_HEX_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, md5 ? EVP_md5() : EVP_sha256(), NULL) == 1;

	for (unsigned int i = 0; ok && i < n; i++)
		ok = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
		     EVP_DigestUpdate(ctx, parts[i].len != 0 ? parts[i].bytes : (const uint8_t *)"", parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, digest, &len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? hex_write(out, digest, len) : 0;
}

size_t
credentials_expect(const struct credentials *c, bool md5, const char *ha1, const char *method,
                   char out[CHALLENGE_HEX_MAX])
{
	const struct span a2[] = { span_of_text(method), c->uri };
	char ha2[CHALLENGE_HEX_MAX];
	size_t len = hash_joined(md5, a2, 2, ha2);
	const struct span all[] = { span_of_text(ha1), c->nonce, c->nc, c->cnonce, c->qop, span_of(ha2, len) };

	return len == 0 ? 0 : hash_joined(md5, all, 6, out);
}

/* ---- nonces ---- */

struct nonce {
	uint64_t issued_ns, id;
};

static void
u64_write(uint8_t out[8], uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t
u64_read(const uint8_t at[8])
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

static bool
nonce_mac(const struct challenge *c, const uint8_t *bytes, uint8_t out[NONCE_MAC])
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (HMAC(EVP_sha256(), c->key, SECRET_KEY_SIZE, bytes, NONCE_TIME + NONCE_RANDOM, mac, &len) == NULL)
		return false;
	memcpy(out, mac, NONCE_MAC);
	return true;
}

static bool
nonce_write(const struct challenge *c, char out[NONCE_HEX + 1])
{
	uint8_t bytes[NONCE_BYTES];

	u64_write(bytes, reactor_mono_ns());
	if (secret_random(bytes + NONCE_TIME, NONCE_RANDOM) || !nonce_mac(c, bytes, bytes + NONCE_TIME + NONCE_RANDOM))
		return false;
	out[hex_write(out, bytes, sizeof(bytes))] = '\0';
	return true;
}

static bool
nonce_read(const struct challenge *c, struct span text, struct nonce *out)
{
	uint8_t bytes[NONCE_BYTES], mac[NONCE_MAC];
	static const char digits[] = "0123456789abcdef";

	if (text.len != NONCE_HEX)
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		const char *high = memchr(digits, text.bytes[2 * i], 16), *low = memchr(digits, text.bytes[2 * i + 1], 16);

		if (high == NULL || low == NULL)
			return false;
		bytes[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	if (!nonce_mac(c, bytes, mac) || !secret_equal(mac, bytes + NONCE_TIME + NONCE_RANDOM, sizeof(mac)))
		return false;
	*out = (struct nonce){ u64_read(bytes), u64_read(bytes + NONCE_TIME) };
	return true;
}

/* @return true: this count of this nonce is here for the first time */
static bool
nonce_use(struct challenge *c, const struct nonce *n, uint32_t nc)
{
	struct used *u = &c->used[n->id % USED_ROWS];

	if (u->id != n->id || u->issued_ns != n->issued_ns) {
		if (n->issued_ns <= u->evicted_ns)
			return false;	/* it may have been here, and forgotten */
		if (u->issued_ns > u->evicted_ns)
			u->evicted_ns = u->issued_ns;
		if (n->issued_ns <= u->evicted_ns)
			return false;
		*u = (struct used){ .issued_ns = n->issued_ns, .id = n->id, .highest = nc, .seen = 1,
			            .evicted_ns = u->evicted_ns };
		return true;
	}
	if (nc > u->highest) {
		uint32_t by = nc - u->highest;

		u->seen = by >= NC_WINDOW ? 1 : u->seen << by | 1;
		u->highest = nc;
		return true;
	}
	if (u->highest - nc >= NC_WINDOW || (u->seen >> (u->highest - nc) & 1) != 0)
		return false;
	u->seen |= UINT64_C(1) << (u->highest - nc);
	return true;
}

static bool
nc_read(struct span text, uint32_t *nc)
{
	*nc = 0;
	if (text.len != 8)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = (char)text.bytes[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
		*nc = *nc << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return *nc != 0;
}

/* ---- judging ---- */

static int
user_compare(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static const struct user *
user_find(const struct challenge *c, struct span name)
{
	struct user key = { .name = "" };

	if (name.len >= sizeof(key.name) || memchr(name.bytes, '\0', name.len) != NULL)
		return NULL;
	memcpy(key.name, name.bytes, name.len);
	return bsearch(&key, c->users, c->n_users, sizeof(*c->users), user_compare);
}

static bool
is_served(const struct challenge *c, const char *algorithm)
{
	for (unsigned int i = 0; i < c->config->sip.n_digest_algorithms; i++)
		if (strcasecmp(c->config->sip.digest_algorithms[i], algorithm) == 0)
			return true;
	return false;
}

static bool
algorithm_served(const struct challenge *c, const struct credentials *k, bool *md5)
{
	*md5 = k->algorithm.len == 0 || span_equal_nocase(k->algorithm, MD5);	/* RFC 7616 §3.4: by default */
	return is_served(c, *md5 ? MD5 : SHA256) && (*md5 || span_equal_nocase(k->algorithm, SHA256));
}

/* The digest-uri is not compared with the Request-URI, which a proxy may have changed (RFC 3261 §22.4): there is one thing
 * here to be had by it. */
static enum challenge_result
credentials_judge(struct challenge *c, const struct credentials *k, bool md5, const char *method, const char **name)
{
	static const char nobody[] = "0000000000000000000000000000000000000000000000000000000000000000";
	const struct user *user = user_find(c, k->username);
	const char *ha1 = user == NULL ? "" : md5 ? user->md5 : user->sha256;
	char expected[CHALLENGE_HEX_MAX], response[CHALLENGE_HEX_MAX];
	bool known = ha1[0] != '\0';
	struct nonce n;
	uint32_t nc;
	size_t len;

	if (!span_equal_nocase(k->qop, "auth") || k->cnonce.len == 0 || !nc_read(k->nc, &nc))
		return CHALLENGE_WRONG;		/* without them a response says less than we asked for */
	len = credentials_expect(k, md5, known ? ha1 : md5 ? nobody + HEX_MD5 : nobody, method, expected);
	if (len == 0 || k->response.len != len)
		return CHALLENGE_WRONG;
	for (size_t i = 0; i < len; i++)
		response[i] = (char)(k->response.bytes[i] | (k->response.bytes[i] >= 'A' ? 0x20 : 0));
	if (!secret_equal(expected, response, len) || !known)
		return CHALLENGE_WRONG;
	if (!nonce_read(c, k->nonce, &n) ||
	    reactor_mono_ns() - n.issued_ns > c->config->sip.digest_nonce_s * UINT64_C(1000000000) || !nonce_use(c, &n, nc))
		return CHALLENGE_STALE;
	*name = user->name;
	return CHALLENGE_PASSED;
}

enum challenge_result
challenge_judge(struct challenge *c, const struct message *m, const char **user)
{
	struct span realm = span_of_text(c->config->sip.digest_realm);
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->n_headers && n < AUTHORIZATIONS; i++) {
		struct credentials k;
		bool md5;

		if (strcasecmp(m->headers[i].name, "Authorization") != 0)
			continue;
		n++;
		/* those for others are passed over (RFC 3261 §22.3) */
		if (credentials_parse(&k, m->headers[i].value) == SRS_OK && span_equal(k.realm, realm) &&
		    algorithm_served(c, &k, &md5))
			return credentials_judge(c, &k, md5, m->method, user);
	}
	return CHALLENGE_MISSING;
}

char *
challenge_lines(struct challenge *c, bool stale)
{
	char nonce[NONCE_HEX + 1], *text = NULL;
	size_t len;
	FILE *f;

	if (!nonce_write(c, nonce))
		return NULL;
	f = open_memstream(&text, &len);
	if (f == NULL)
		return NULL;
	for (unsigned int i = 0; i < c->config->sip.n_digest_algorithms; i++)
		fprintf(f, "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", qop=\"auth\", algorithm=%s%s\r\n",
		        c->config->sip.digest_realm, nonce, c->config->sip.digest_algorithms[i], stale ? ", stale=true" : "");
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- users ---- */

__attribute__((format(printf, 3, 4))) static enum srs_err
refuse(char *why, size_t why_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, why_len, format, args);
	va_end(args);
	return SRS_ERR_INVALID;
}

static bool
is_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdefABCDEF") == len && text[len] == '\0';
}

static struct user *
user_take(struct challenge *c, const char *name)
{
	for (unsigned int i = 0; i < c->n_users; i++)
		if (strcmp(c->users[i].name, name) == 0)
			return &c->users[i];
	if (c->n_users == c->users_max)
		return NULL;
	(void)snprintf(c->users[c->n_users].name, NAME_MAX_BYTES, "%s", name);
	return &c->users[c->n_users++];
}

/* name:realm:hash, as htdigest writes it; the hash's length says by which algorithm. `line` is cut up. */
static const char *
line_read(struct challenge *c, char *line)
{
	char *realm = strchr(line, ':');
	char *hash = realm != NULL ? strchr(realm + 1, ':') : NULL;
	struct user *u;
	char *at;

	if (hash == NULL)
		return "it is not name:realm:hash";
	*realm++ = *hash++ = '\0';
	if (line[0] == '\0' || strlen(line) >= NAME_MAX_BYTES)
		return "the name is empty or longer than 127 bytes";
	if (strcmp(realm, c->config->sip.digest_realm) != 0)
		return "the realm is another than sip.digest_realm";
	if (!is_hex(hash, HEX_SHA256) && !is_hex(hash, HEX_MD5))
		return "the hash is neither SHA-256 (64 digits) nor MD5 (32 digits)";
	if (!is_served(c, strlen(hash) == HEX_MD5 ? MD5 : SHA256))
		return "the hash is by an algorithm that sip.digest_algorithms does not have";
	u = user_take(c, line);
	if (u == NULL)
		return "there are more than 4096 names";
	at = strlen(hash) == HEX_MD5 ? u->md5 : u->sha256;
	if (*at != '\0')
		return "the name has a hash by this algorithm already";
	for (size_t i = 0; hash[i] != '\0'; i++)
		at[i] = (char)(hash[i] | (hash[i] >= 'A' ? 0x20 : 0));
	return NULL;
}

static enum srs_err
lines_read(struct challenge *c, char *text, const char *path, char *why, size_t why_len)
{
	unsigned int number = 0;
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *wrong;

		number++;
		line[strcspn(line, "\r")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		wrong = line_read(c, line);
		if (wrong != NULL)
			return refuse(why, why_len, "sip.digest_users: %s, line %u: %s", path, number, wrong);
	}
	if (c->n_users == 0)
		return refuse(why, why_len, "sip.digest_users: %s names nobody, add name:realm:hash", path);
	qsort(c->users, c->n_users, sizeof(*c->users), user_compare);
	return SRS_OK;
}

/* @param text  FILE_BYTES_MAX + 1 bytes of secret memory */
static enum srs_err
file_read(char *text, const char *path, char *why, size_t why_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum srs_err err = SRS_OK;
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) != 0)
		err = refuse(why, why_len, "sip.digest_users: %s cannot be opened: %m", path);
	else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
		err = refuse(why, why_len, "sip.digest_users: %s must be a file of the recorder's user that nobody else can "
		             "read: chmod 600", path);
	else if (st.st_size > FILE_BYTES_MAX)
		err = refuse(why, why_len, "sip.digest_users: %s is larger than %u bytes", path, FILE_BYTES_MAX);
	while (err == SRS_OK && n > 0 && len < FILE_BYTES_MAX) {
		n = read(fd, text + len, FILE_BYTES_MAX - len);
		if (n < 0)
			err = refuse(why, why_len, "sip.digest_users: %s cannot be read: %m", path);
		else
			len += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	if (err == SRS_OK && memchr(text, '\0', len) != NULL)
		err = refuse(why, why_len, "sip.digest_users: %s holds a NUL byte", path);
	return err;
}

static unsigned int
lines_count(const char *text)
{
	unsigned int n = 1;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n < USERS_MAX ? n : USERS_MAX;
}

enum srs_err
challenge_create(struct challenge **out, const struct config *config, char *why, size_t why_len)
{
	struct challenge *c = calloc(1, sizeof(*c));
	char *text = secret_alloc(FILE_BYTES_MAX + 1);
	enum srs_err err = SRS_ERR_NOMEM;

	*out = NULL;
	(void)snprintf(why, why_len, "no memory for sip.digest_users");
	if (c == NULL || text == NULL)
		goto out;
	c->config = config;
	err = config->sip.digest_realm[strcspn(config->sip.digest_realm, "\"\\:\r\n")] != '\0' ?
	      refuse(why, why_len, "sip.digest_realm must be without quotes, backslashes and colons") :
	      file_read(text, config->sip.digest_users, why, why_len);
	if (err)
		goto out;
	err = SRS_ERR_NOMEM;
	c->users_max = lines_count(text);
	c->users = secret_alloc(c->users_max * sizeof(*c->users));
	c->key = secret_alloc(SECRET_KEY_SIZE);
	c->used = calloc(USED_ROWS, sizeof(*c->used));
	if (c->users == NULL || c->key == NULL || c->used == NULL)
		goto out;
	err = secret_random(c->key, SECRET_KEY_SIZE);
	if (err == SRS_OK)
		err = lines_read(c, text, config->sip.digest_users, why, why_len);
out:
	secret_free(text, FILE_BYTES_MAX + 1);
	if (err)
		challenge_destroy(c);
	else
		*out = c;
	return err;
}

void
challenge_destroy(struct challenge *c)
{
	if (c == NULL)
		return;
	secret_free(c->users, c->users_max * sizeof(*c->users));
	secret_free(c->key, SECRET_KEY_SIZE);
	free(c->used);
	free(c);
}
