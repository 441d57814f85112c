/* What recording clients really do: a row for each, with what it broke, how often and since when, and the last refusals with
 * their reasons. For the operator, and for switches that close by themselves when a client mishandles what we ask of it.
 * All memory is taken at start, and nothing outlives the process. A client is its profile in `src`, else the name that its
 * certificate proves, else its address with its User-Agent. @thread control */
#ifndef OBSERVATORY_H
#define OBSERVATORY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/srs_err.h"

#define OBSERVATORY_SRCS_MAX     512
#define OBSERVATORY_RULES_MAX    24	/* different ones of a client */
#define OBSERVATORY_DIALECTS_MAX 6
#define OBSERVATORY_REFUSALS_MAX 10000
#define OBSERVATORY_NAME_MAX     160
#define OBSERVATORY_TEXT_MAX     96	/* Call-ID, User-Agent as kept */
#define OBSERVATORY_RULE_MAX     120	/* of a refusal */
#define OBSERVATORY_NOBODY       0u

/* What is counted for each client. X(symbol, name, sentence) */
#define OBSERVATORY_FACT_LIST(X) \
	X(OBSERVED_REQUESTS,          requests,                "requests outside of transactions that are known") \
	X(OBSERVED_OVER_UDP,          over_udp,                "of these") \
	X(OBSERVED_OVER_TCP,          over_tcp,                "of these") \
	X(OBSERVED_OVER_TLS,          over_tls,                "of these") \
	X(OBSERVED_INVITES,           invites,                 "new INVITEs whose body was looked at") \
	X(OBSERVED_CALLS,             calls,                   "of these, answered with 200") \
	X(OBSERVED_REFUSED,           refused,                 "requests answered with 4xx, 5xx or 6xx") \
	X(OBSERVED_NO_REQUIRE,        without_require_siprec,  "INVITEs without Require: siprec (RFC 7866 §6.1.1)") \
	X(OBSERVED_NO_SRC_PARAMETER,  without_src_parameter,   "INVITEs without +sip.src in Contact (RFC 7866 §6.1.1)") \
	X(OBSERVED_BARE_SRC,          with_draft_src_parameter, "INVITEs with src in Contact, as drafts had it") \
	X(OBSERVED_TIMERS,            with_session_expires,    "INVITEs that ask for a session timer") \
	X(OBSERVED_UPDATE,            with_update_allowed,     "INVITEs whose Allow lists UPDATE") \
	X(OBSERVED_OFFERS,            offers,                  "offers that were read") \
	X(OBSERVED_NO_LABEL,          offers_without_label,    "of these, with an m-line without a=label") \
	X(OBSERVED_SDES,              offers_with_sdes,        "of these, with SRTP and keys in SDP") \
	X(OBSERVED_DTLS,              offers_with_dtls,        "of these, with DTLS-SRTP") \
	X(OBSERVED_DOCUMENTS,         documents,               "metadata documents") \
	X(OBSERVED_PARTIAL,           documents_partial,       "of these, partial ones") \
	X(OBSERVED_UNREAD,            documents_failed,        "of these, neither read nor applied") \
	X(OBSERVED_REFRESHED,         refreshes,               "refreshes of a session timer by us, that the client took") \
	X(OBSERVED_REFRESH_REFUSED,   refreshes_refused,       "refreshes that it refused") \
	X(OBSERVED_SNAPSHOT,          snapshots,               "snapshot requests of ours, that the client took") \
	X(OBSERVED_SNAPSHOT_REFUSED,  snapshots_refused,       "snapshot requests that it refused") \
	X(OBSERVED_OFFER_REFUSED,     own_offers_refused,      "offers of ours that it refused") \
	X(OBSERVED_EXPIRED,           sessions_expired,        "calls without the refresh that it had promised") \
	X(OBSERVED_NO_ACK,            without_ack,             "calls without ACK to our 200") \
	X(OBSERVED_SILENT,            silent,                  "calls that it knew, and sent no media for") \
	X(OBSERVED_DTLS_FAILED,       dtls_failed,             "DTLS handshakes of its streams that failed") \
	X(OBSERVED_GONE,              gone,                    "calls that it no longer knew, or did not answer for")
#define OBSERVATORY_FACT_ENUM(symbol, name, sentence) symbol,
enum observatory_fact { OBSERVATORY_FACT_LIST(OBSERVATORY_FACT_ENUM) OBSERVED_N };

/* What we may ask of a client, unless its profile says never, or it refused OBSERVATORY_STRIKES times in a row: then it is
 * left alone for OBSERVATORY_REST_S, and asked once more. */
enum observatory_switch { OBSERVATORY_REFRESH, OBSERVATORY_SNAPSHOT, OBSERVATORY_N_SWITCHES };
#define OBSERVATORY_STRIKES 3u
#define OBSERVATORY_REST_S  86400u

struct observatory;

SRS_MUST_CHECK enum srs_err observatory_create(struct observatory **out);
void observatory_destroy(struct observatory *o);	/* accepts NULL */

/* Who sends a request. */
struct observatory_who {
	const struct config_src *src;		/* the profile that holds */
	const char *identity;			/* "" without a certificate */
	const char *agent;			/* User-Agent; "" */
	const struct sockaddr_storage *address;
	enum config_transport transport;
};
/** A client was heard outside of a dialog: count it, in a row of its own. When there are OBSERVATORY_SRCS_MAX, one that is known by its
 * address alone and never had a call goes first, among equals the one that was silent longest. @return its handle, which later goes to nobody should the row be given away */
uint32_t observatory_see(struct observatory *o, const struct observatory_who *w, uint64_t wall_ns);
/** The same for a request in a dialog of a client that was seen: such requests often come without a User-Agent.
 * @return false: its row was given away */
bool observatory_hear(struct observatory *o, uint32_t src, enum config_transport transport, uint64_t wall_ns);
/** All of these do nothing for OBSERVATORY_NOBODY and for a row given away. */
void observatory_count(struct observatory *o, uint32_t src, enum observatory_fact fact);
/** @param rule,dialect  static text: what differs is counted by it */
void observatory_deviation(struct observatory *o, uint32_t src, const char *rule);
void observatory_dialect(struct observatory *o, uint32_t src, const char *dialect);
/** A client took what a switch is about, or refused it. */
void observatory_outcome(struct observatory *o, uint32_t src, enum observatory_switch which, bool took, uint64_t wall_ns);
/** May we ask it of this client? The profile's own word is the caller's to ask. True for nobody. */
bool observatory_allows(const struct observatory *o, uint32_t src, enum observatory_switch which, uint64_t wall_ns);

struct observatory_refusal {
	uint32_t src;				/* NOBODY: `address` alone says who */
	const struct sockaddr_storage *address;
	const char *call_id;
	const char *method;
	unsigned int status;
	const char *rule;			/* text of Warning */
};
/** Keep it; the oldest of OBSERVATORY_REFUSALS_MAX goes. More than OBSERVATORY_REFUSALS_PER_S of a client that repeat its
 * newest one, by status and rule, are counted there, so that a flood leaves room for others. */
#define OBSERVATORY_REFUSALS_PER_S 10u
void observatory_refused(struct observatory *o, const struct observatory_refusal *r, uint64_t wall_ns);

/* ---- observatory_report.c: what REST says. `query` is lines of name=value ---- */
/** Clients, heard last first: all of them in short, or with the filter `name` those that are called or begin so, with all
 * that is known; `limit`. @return malloc'ed JSON; NULL: no memory. `*status` is HTTP's */
char *observatory_srcs_json(const struct observatory *o, const char *query, uint64_t wall_ns, unsigned int *status);
/** Refusals, newest first; filters: src (a beginning), call_id, status, before (a number), limit. */
char *observatory_refusals_json(const struct observatory *o, const char *query, unsigned int *status);

/* ---- bodies, for observatory*.c alone ---- */
struct observatory_tally {
	const char *what;	/* NULL: free */
	uint64_t n;
	uint64_t last_wall_ns;
};
struct observatory_src {
	uint32_t handle;			/* 0: free. Its lowest bits are the place */
	struct observatory_src *next;		/* of its bucket */
	uint64_t hash;
	char name[OBSERVATORY_NAME_MAX];
	const struct config_src *profile;
	const char *known_by;			/* "profile", "certificate", "address" */
	char address[INET6_ADDRSTRLEN];		/* last seen */
	char agent[OBSERVATORY_TEXT_MAX];
	uint64_t first_wall_ns, last_wall_ns;
	uint64_t facts[OBSERVED_N];
	struct observatory_tally rules[OBSERVATORY_RULES_MAX], dialects[OBSERVATORY_DIALECTS_MAX];
	uint64_t rules_left_out;		/* deviations beyond these */
	struct {
		uint32_t strikes;		/* in a row */
		uint64_t closed_wall_ns;	/* 0: open */
	} switches[OBSERVATORY_N_SWITCHES];
	uint64_t refused_last;			/* number of its newest refusal; 0: none */
	uint64_t refused_since_wall_ns;		/* a second begins, with so many rows in it */
	uint32_t refused_n;
};
struct observatory_row {
	uint64_t number;		/* from 1, never again */
	uint64_t wall_ns, last_wall_ns;
	uint32_t repeats;		/* further ones that this row stands for */
	uint32_t src;
	unsigned int status;
	char method[12];
	char name[OBSERVATORY_NAME_MAX];	/* of the client, also when its row is gone */
	char address[INET6_ADDRSTRLEN + 10]; /* CONN_ADDRESS_TEXT_MAX */
	char call_id[OBSERVATORY_TEXT_MAX];
	char rule[OBSERVATORY_RULE_MAX];
};
struct observatory {
	struct observatory_src *srcs;		/* OBSERVATORY_SRCS_MAX */
	struct observatory_src **buckets;
	uint64_t seed;
	uint32_t generation;
	uint32_t n_srcs;
	struct observatory_row *refusals;	/* number % OBSERVATORY_REFUSALS_MAX */
	uint64_t n_refusals;			/* ever */
};
/** Is the switch closed by itself now? */
bool observatory_is_closed(const struct observatory_src *s, enum observatory_switch which, uint64_t wall_ns);

#endif
