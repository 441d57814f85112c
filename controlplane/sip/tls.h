/* TLS as SIP uses it: which versions and suites, our certificate, whom we trust, tickets, and what a failure means.
 * TLS 1.2 with AEAD suites and ephemeral keys, and TLS 1.3 (RFC 9325 §3.1, §4.2). @thread control */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/sip/conn.h"
#include "lib/config.h"
#include "lib/srs_err.h"

struct ssl_st;
struct x509_st;
struct tls;

#define TLS_WHY_MAX 320

/** Read the files of config.tls. @param why on failure one sentence that names file and remedy */
SRS_MUST_CHECK enum srs_err tls_create(struct tls **out, const struct config *c, char *why, size_t why_len);
void tls_destroy(struct tls *t);	/* accepts NULL */
/** Read them again. Connections go on with what they began with; tickets given out until now are not taken any more,
 * since who gave the certificate behind them may not be trusted now. On failure nothing changes. */
SRS_MUST_CHECK enum srs_err tls_reload(struct tls *t, char *why, size_t why_len);
/** New keys for tickets; call it once an hour. */
void tls_tickets_renew(struct tls *t);
/** Seconds until our certificate ends; negative when it is over. */
long tls_seconds_left(const struct tls *t);

/** A connection that came, or one that we open (then `peer_name` is asked for by SNI, "" for none). NULL: no memory */
struct ssl_st *tls_server_side(struct tls *t, int fd);
struct ssl_st *tls_client_side(struct tls *t, const char *peer_name);

/** Why a handshake failed, from OpenSSL's error queue (which is emptied): what happened, and what to do about it.
 * @return false: the peer just closed */
bool tls_failure(struct ssl_st *ssl, char *what, size_t what_len, const char **remedy);

/** After a handshake that we began: is it the peer that `to` means (RFC 5922 §4)? Without tls.client_ca nobody can say, and
 * it counts as the one. With to->peer_name the certificate must have that name; else the address, or a name out of src;
 * where src has no names, the CA's word is enough. */
bool tls_peer_is(const struct tls *t, const struct ssl_st *ssl, const struct conn_path *to);

#endif
