#include "controlplane/sip/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"

#define SIP_DOMAIN_USAGE "1.3.6.1.5.5.7.3.20"	/* id-kp-sipDomain (RFC 5924) */

/* ---- files ---- */

/* All of a file, in memory for secrets. */
struct file {
	char *bytes;
	size_t len;
};

static enum srs_err
file_read(struct file *out, const char *path, char *why, size_t why_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	*out = (struct file){ 0 };
	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, why_len, "%.300s cannot be read: %s", path, strerror(errno));
		goto failed;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)CERTIFICATE_FILE_MAX) {
		snprintf(why, why_len, "%.300s is no PEM file of at most %u bytes", path, CERTIFICATE_FILE_MAX);
		goto failed;
	}
	out->bytes = secret_alloc(CERTIFICATE_FILE_MAX);
	if (out->bytes == NULL) {
		snprintf(why, why_len, "no memory to read %.300s", path);
		goto failed;
	}
	while (out->len < CERTIFICATE_FILE_MAX &&
	       (n = read(fd, out->bytes + out->len, CERTIFICATE_FILE_MAX - out->len)) > 0)
		out->len += (size_t)n;
	close(fd);
	if (n >= 0)
		return SRS_OK;
	snprintf(why, why_len, "%.300s cannot be read: %s", path, strerror(errno));
	secret_free(out->bytes, CERTIFICATE_FILE_MAX);
	return SRS_ERR_IO;
failed:
	if (fd >= 0)
		close(fd);
	return SRS_ERR_IO;
}

static void
file_release(struct file *f)
{
	secret_free(f->bytes, CERTIFICATE_FILE_MAX);
}

bool
certificate_file_is_open(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0;
}

/* ---- our own ---- */

static enum srs_err
chain_read(struct certificate *c, const struct file *f, const char *path, char *why, size_t why_len)
{
	BIO *in = BIO_new_mem_buf(f->bytes, (int)f->len);
	int n = 0;
	bool ended;
	X509 *x;

	c->chain = sk_X509_new_null();
	if (in == NULL || c->chain == NULL) {
		BIO_free(in);
		return SRS_ERR_NOMEM;
	}
	ERR_clear_error();
	while (n < CERTIFICATE_CHAIN_MAX && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		if (n++ == 0) {
			c->leaf = x;
		} else if (sk_X509_push(c->chain, x) == 0) {
			X509_free(x);
			n = CERTIFICATE_CHAIN_MAX;
		}
	}
	ended = n < CERTIFICATE_CHAIN_MAX && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(in);
	ERR_clear_error();
	if (ended && n != 0)
		return SRS_OK;
	if (n == CERTIFICATE_CHAIN_MAX)
		snprintf(why, why_len, "%.300s holds more than %d certificates: split it", path, CERTIFICATE_CHAIN_MAX - 1);
	else if (ended)
		snprintf(why, why_len, "%.300s holds no certificate: it must be PEM, ours first, then its chain", path);
	else	/* those behind it would be missed without a word, and with them whoever they signed */
		snprintf(why, why_len, "%.300s: its certificate no. %d cannot be read: copy it anew, as PEM", path, n + 1);
	return SRS_ERR_INVALID;
}

/* A passphrase is nobody's to type here. */
static int
no_passphrase(char *buf, int size, int rwflag, void *asked)
{
	*(bool *)asked = true;
	return 0;
}

static enum srs_err
key_read(struct certificate *c, const char *path, char *why, size_t why_len)
{
	struct file f;
	enum srs_err err = file_read(&f, path, why, why_len);
	bool asked = false;
	BIO *in;

	if (err)
		return err;
	in = BIO_new_mem_buf(f.bytes, (int)f.len);
	if (in != NULL)
		c->key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked);
	BIO_free(in);
	file_release(&f);
	ERR_clear_error();
	if (c->key != NULL)
		return SRS_OK;
	if (asked)
		snprintf(why, why_len, "%.300s has a passphrase, which nobody could type at start: store the key without one "
		         "(openssl pkey -in FILE -out NEW), mode 0600", path);
	else
		snprintf(why, why_len, "%.300s holds no private key in PEM", path);
	return SRS_ERR_INVALID;
}

enum srs_err
certificate_load(struct certificate *out, const char *certificate_path, const char *key_path, char *why, size_t why_len)
{
	struct file f;
	enum srs_err err = file_read(&f, certificate_path, why, why_len);

	*out = (struct certificate){ 0 };
	if (err)
		return err;
	err = chain_read(out, &f, certificate_path, why, why_len);
	file_release(&f);	/* some keep the key in the same file */
	if (!err && key_path != NULL)
		err = key_read(out, key_path, why, why_len);
	if (!err && key_path != NULL && X509_check_private_key(out->leaf, out->key) != 1) {
		snprintf(why, why_len, "the key %.200s does not belong to the certificate %.200s: give the pair that was made "
		         "together", key_path, certificate_path);
		err = SRS_ERR_INVALID;
	}
	ERR_clear_error();
	if (err)
		certificate_release(out);
	return err;
}

void
certificate_release(struct certificate *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
	*c = (struct certificate){ 0 };
}

/* ---- those of others ---- */

enum srs_err
certificate_store_load(struct x509_store_st **out, const char *path, char *why, size_t why_len)
{
	struct certificate all = { 0 };
	struct file f;
	enum srs_err err = file_read(&f, path, why, why_len);
	X509_STORE *store;

	if (err)
		return err;
	err = chain_read(&all, &f, path, why, why_len);
	file_release(&f);
	if (err) {
		certificate_release(&all);
		return err;
	}
	store = X509_STORE_new();
	if (store == NULL || X509_STORE_add_cert(store, all.leaf) != 1)
		err = SRS_ERR_NOMEM;
	for (int i = 0; !err && i < sk_X509_num(all.chain); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(all.chain, i)) != 1)
			err = SRS_ERR_NOMEM;
	certificate_release(&all);
	if (err) {
		snprintf(why, why_len, "no memory for the certificates in %.300s", path);
		X509_STORE_free(store);
		return err;
	}
	*out = store;
	return SRS_OK;
}

void
certificate_store_release(struct x509_store_st *store)
{
	X509_STORE_free(store);
}

long
certificate_seconds_left(const struct x509_st *x)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return -1;
	return (long)days * 24 * 3600 + seconds;
}

/* ---- names ---- */

/* The host of "sip:host;parameters"; not of one with a user. @return its length, 0: none */
static size_t
sip_host(const char *uri, size_t len, const char **host)
{
	size_t n = 0;

	if (len < 5 || strncasecmp(uri, "sip:", 4) != 0)
		return 0;
	*host = uri + 4;
	len -= 4;
	while (n < len && (*host)[n] != ';' && (*host)[n] != '?')
		n++;
	return memchr(*host, '@', n) == NULL ? n : 0;
}

/* Copied when it is a host name as one may stand in a profile: no wildcard, no zero byte, nothing that disturbs a log. */
static bool
name_add(const char *text, size_t len, char **names, unsigned int *n)
{
	if (len == 0 || len > CERTIFICATE_NAME_MAX || *n == CERTIFICATE_NAMES_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr("*@;?\"\\", text[i]) != NULL || text[i] <= ' ' || text[i] > '~')	/* a zero byte, too */
			return false;
	names[*n] = strndup(text, len);
	if (names[*n] == NULL)
		return false;
	++*n;
	return true;
}

unsigned int
certificate_names(const struct x509_st *x, char **names)
{
	GENERAL_NAMES *alternatives = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	unsigned int n = 0;
	bool has_uri = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alternatives, i);
		const char *uri, *host;
		size_t len;

		if (g->type != GEN_URI)
			continue;
		uri = (const char *)ASN1_STRING_get0_data(g->d.uniformResourceIdentifier);
		len = (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier);
		if (len >= 4 && strncasecmp(uri, "sip:", 4) == 0)
			has_uri = true;	/* then DNS names are not looked at, even when none of the URIs will do */
		len = sip_host(uri, len, &host);
		if (len != 0)
			(void)name_add(host, len, names, &n);
	}
	for (int i = 0; !has_uri && i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alternatives, i);

		if (g->type == GEN_DNS)
			(void)name_add((const char *)ASN1_STRING_get0_data(g->d.dNSName),
			               (size_t)ASN1_STRING_length(g->d.dNSName), names, &n);
	}
	GENERAL_NAMES_free(alternatives);
	return n;
}

bool
certificate_has_address(const struct x509_st *x, const unsigned char *ip, size_t len)
{
	GENERAL_NAMES *alternatives = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alternatives, i);

		found |= g->type == GEN_IPADD && (size_t)ASN1_STRING_length(g->d.iPAddress) == len &&
		         memcmp(ASN1_STRING_get0_data(g->d.iPAddress), ip, len) == 0;
	}
	GENERAL_NAMES_free(alternatives);
	return found;
}

bool
certificate_is_for_sip(const struct x509_st *x)
{
	int critical = 0;
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(x, NID_ext_key_usage, &critical, NULL);
	bool fits = usages == NULL && critical == -1;	/* not there; anything else is broken */

	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		const ASN1_OBJECT *usage = sk_ASN1_OBJECT_value(usages, i);
		char text[80];
		int nid = OBJ_obj2nid(usage);

		fits |= nid == NID_server_auth || nid == NID_client_auth || nid == NID_anyExtendedKeyUsage ||
		        (OBJ_obj2txt(text, sizeof(text), usage, 1) > 0 && strcmp(text, SIP_DOMAIN_USAGE) == 0);
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	return fits;
}
