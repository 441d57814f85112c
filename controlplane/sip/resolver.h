/* Host names of SIP URIs to transport, address and port (RFC 3263 §4), by c-ares on the control loop. Requests of ours
 * never wait for DNS: a dialog asks when it learns a name, and by the time that a request must go another way than the
 * peer's own connection, the answer is here. Answers are kept for their time to live and used beyond it while a new one
 * is on its way. DNS only: no hosts file is read. Everything is bounded. @thread control */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/reactor.h"
#include "lib/config.h"
#include "lib/srs_err.h"

#define RESOLVER_NAMES_MAX   512	/* questions kept; then the one that was asked longest ago makes room */
#define RESOLVER_HOST_MAX    256
#define RESOLVER_TTL_S_MIN   30
#define RESOLVER_TTL_S_MAX   3600
#define RESOLVER_RETRY_S     60	/* after a name that led nowhere */

struct resolver;

struct resolver_question {
	const char *host;		/* a name; numeric addresses need no resolver */
	uint16_t port;			/* 0: the URI names none, so SRV may */
	bool transport_known;		/* the URI names it */
	enum config_transport transport; /* else: how the peer came, where DNS does not say otherwise */
};

struct resolver_answer {
	enum config_transport transport;
	struct sockaddr_storage address;
};

/** @param servers  "address[:port]", comma between; "" or NULL is what the system's resolv.conf says
 *  @param why      names the setting @return INVALID (servers), NOMEM */
SRS_MUST_CHECK enum srs_err resolver_create(struct resolver **out, struct reactor *r, const char *servers, char *why,
                                            size_t why_len);
void resolver_destroy(struct resolver *r);	/* accepts NULL */

/** What is known; starts to ask when nothing is, or when that is out of date. @return false: not known now */
bool resolver_look(struct resolver *r, const struct resolver_question *q, struct resolver_answer *out);

/** Names kept, and questions to servers so far: for tests and metrics. */
uint32_t resolver_n_names(const struct resolver *r);
uint64_t resolver_n_asked(const struct resolver *r);

#endif
