/* The api thread on libwebsockets: HTTP on 127.0.0.1:8080 and on a Unix socket. It reads the catalog by connections
 * of its own and asks the control thread by message only. */
#ifndef REST_H
#define REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "lib/config.h"
#include "lib/srs_err.h"

struct rest;

enum rest_ask { REST_ASK_SESSIONS, REST_ASK_SESSION_STATS, REST_ASK_HEALTH, REST_ASK_STUN, REST_ASK_COMMAND,
                REST_ASK_SRCS, REST_ASK_REFUSALS, REST_ASK_NODE };

#define REST_BODY_MAX 4096	/* of a POST */
/* What the api thread asks of control. Texts are borrowed for the call. */
struct rest_question {
	enum rest_ask what;
	const char *argument;	/* COMMAND: "ID/verb"; NODE: the verb */
	const char *body;	/* of a POST; SRCS, REFUSALS: the query, a line name=value each; else "" */
};
struct rest_answer {
	unsigned int status;	/* HTTP's */
	char *json;		/* malloc'd; NULL: there is no memory (503) */
};

struct rest_sources {
	const struct dataplane *dataplane;	/* counters */
	/** More counters, for /metrics (SIP, catalog, sessions). @thread api: relaxed loads only */
	void (*counters)(void *ctx, void (*on_counter)(void *ctx2, const struct dataplane_counter *c), void *ctx2);
	void *ctx;
	const char *catalog_dir;
};

/** Start the thread. @param why names the port or socket and the remedy */
SRS_MUST_CHECK enum srs_err rest_start(struct rest **out, const struct config *c, const struct rest_sources *from,
                                       char *why, size_t why_len);
void rest_stop(struct rest *r);	/* accepts NULL */

/** Readable when the api thread asks something; the control loop watches it. @thread control */
int rest_control_fd(const struct rest *r);
/** Answer what was asked. @thread control */
void rest_control_serve(struct rest *r, void (*answer)(void *ctx, const struct rest_question *q, struct rest_answer *a),
                        void *ctx);
/** What /health/ready says; set by control as it changes: false with a reason. @thread control */
void rest_ready_set(struct rest *r, bool ready, const char *reason);

#endif
