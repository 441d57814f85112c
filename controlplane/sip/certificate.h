/* Certificates of SIP over TLS as files, and the names in them. The recorder reads them at start and on SIGHUP, `capstan
 * doctor` looks at the same files. Private keys are read through locked memory and live in OpenSSL's locked heap.
 * @thread any, one object at a time */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "lib/srs_err.h"

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;
struct x509_store_st;

#define CERTIFICATE_FILE_MAX  (256u * 1024)	/* bytes of a PEM file */
#define CERTIFICATE_CHAIN_MAX 256	/* certificates in a file, ours or those of authorities */
#define CERTIFICATE_NAMES_MAX 100	/* of one certificate, as many as public authorities sign; more are not looked at */
#define CERTIFICATE_NAME_MAX  255
#define CERTIFICATE_WARN_S    (30 * 24 * 3600)	/* before its end */

/* Who we are: a certificate, those between it and its root, its key. */
struct certificate {
	struct x509_st *leaf;
	struct stack_st_X509 *chain;
	struct evp_pkey_st *key;
};

/** Read the pair of files. `key_path` NULL: the certificate alone.
 * @param why  on failure one sentence: file, what is wrong, remedy
 * @return INVALID (not PEM, a passphrase, key and certificate do not belong together), IO, NOMEM */
SRS_MUST_CHECK enum srs_err certificate_load(struct certificate *out, const char *certificate_path, const char *key_path,
                                             char *why, size_t why_len);
void certificate_release(struct certificate *c);

/** Certificates that others are judged by. */
SRS_MUST_CHECK enum srs_err certificate_store_load(struct x509_store_st **out, const char *path, char *why,
                                                   size_t why_len);

void certificate_store_release(struct x509_store_st *store);	/* accepts NULL */

/** Seconds until it ends; negative when it is over. */
long certificate_seconds_left(const struct x509_st *x);

/** Other users of this host may read this file. */
bool certificate_file_is_open(const char *path);

/** The hosts that a certificate stands for: those of sip: URIs in its subjectAltName, and only when there are none, its
 * DNS names; never the CN. URIs with a user stand for a person, wildcards for nobody: both are left out.
 * @param names  CERTIFICATE_NAMES_MAX malloc'ed texts. @return how many @rfc 5922 §7.1, §7.2 */
unsigned int certificate_names(const struct x509_st *x, char **names);
/** A numeric address among its names; `ip` in network order, 4 or 16 bytes. */
bool certificate_has_address(const struct x509_st *x, const unsigned char *ip, size_t len);
/** May a SIP peer use it? Its extended key usage, when it has one, must name a TLS server, a TLS client, the SIP domain
 * (RFC 5924) or anything. SIP peers are both ends of TLS, and certificates mostly name one. */
bool certificate_is_for_sip(const struct x509_st *x);

#endif
