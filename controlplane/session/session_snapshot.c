/* Asking a client for all of its metadata (RFC 7866 §9.2): after a document that cannot be read or applied, or one that
 * went with another dialog. It goes by UPDATE, so only to clients that take that and list the type in Accept. Until the
 * complete document comes, partial ones are kept and not applied: they build on what is not known here. A client that
 * refuses, or promises and never sends, is not waited for. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <stdio.h>

#include "lib/srs_log.h"

#define SOON_MS     50		/* the answer to the request that made us ask goes first */
#define RETRY_MS    1000	/* the dialog is not confirmed yet, or busy */
#define RETRIES_MAX 60
#define WAIT_MS     32000	/* from our request to the document: as long as a transaction may take */
#define INTERVAL_NS UINT64_C(10000000000)
#define ASKED_MAX   3		/* without a complete document in between: the same error comes again (RFC 7866 §9.2) */
#define REQUEST_MAX 512

static void
arm(struct session *s, uint64_t after_ms)
{
	if (timer_arm(s->all->floor.reactor, &s->snapshot.due, after_ms))
		log_error("session", "timer_failed", "call_id=%s", s->call_id);
}

/* Partial documents are applied again where they fit. */
static void
give_up(struct session *s, const char *why)
{
	s->snapshot.awaited = s->snapshot.asked = false;
	timer_disarm(&s->snapshot.due);
	session_count(s->all, SESSION_SNAPSHOTS_MISSED);
	log_warn("session", "snapshot_missing", "call_id=%s src=%s agent=\"%s\" why=\"%s\"", s->call_id, s->source, s->agent, why);
}

static enum srs_err
request_send(struct session *s)
{
	char xml[REQUEST_MAX];
	struct dialog_message m = {
		.content_type = dialog_snapshot_type(s->dialog),
		.content_disposition = "recording-session",
		.accept = "application/sdp, application/rs-metadata+xml, application/rs-metadata",
	};

	/* RFC 7865 §7 */
	(void)snprintf(xml, sizeof(xml), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
	               "<requestsnapshot xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n"
	               "  <requestreason xml:lang=\"en\">%s</requestreason>\r\n</requestsnapshot>\r\n", s->snapshot.reason);
	m.body = span_of_text(xml);
	return dialog_send(s->dialog, &m);
}

static void
ask(struct session *s)
{
	struct session_snapshot *sn = &s->snapshot;
	enum srs_err err;

	if (s->dialog == NULL || dialog_snapshot_type(s->dialog) == NULL) {
		give_up(s, "the client does not take the request any more");
		return;
	}
	err = request_send(s);
	if (err == SRS_ERR_STATE && sn->n_retries++ < RETRIES_MAX) {
		arm(s, RETRY_MS);
		return;
	}
	if (err) {
		give_up(s, "the request could not be sent");
		return;
	}
	sn->asked = sn->outstanding = true;
	sn->asked_mono_ns = reactor_mono_ns();
	sn->n_asked++;
	session_count(s->all, SESSION_SNAPSHOTS_ASKED);
	log_info("session", "snapshot_asked", "call_id=%s src=%s reason=\"%s\"", s->call_id, s->source, sn->reason);
	arm(s, WAIT_MS);
}

static void
on_due(void *ctx)
{
	struct session *s = ctx;

	if (!s->snapshot.awaited)
		return;
	if (s->snapshot.asked)
		give_up(s, "the client took the request and sent no complete document");
	else
		ask(s);
}

void
session_snapshot_init(struct session *s)
{
	timer_init(&s->snapshot.due, on_due, s);
}

void
session_snapshot_want(struct session *s, const char *reason)
{
	struct session_snapshot *sn = &s->snapshot;
	uint64_t now = reactor_mono_ns(), next = sn->asked_mono_ns + INTERVAL_NS;

	if (sn->refused || sn->awaited || sn->n_asked >= ASKED_MAX ||
	    s->dialog == NULL || !dialog_can_update(s->dialog) || dialog_snapshot_type(s->dialog) == NULL)
		return;
	sn->awaited = true;
	sn->asked = false;
	sn->n_retries = 0;
	sn->reason = reason;
	arm(s, sn->asked_mono_ns != 0 && next > now ? (next - now) / 1000000 + 1 : SOON_MS);
}

void
session_snapshot_came(struct session *s)
{
	struct session_snapshot *sn = &s->snapshot;

	sn->n_asked = 0;
	if (!sn->awaited)
		return;
	if (sn->asked) {
		session_count(s->all, SESSION_SNAPSHOTS_CAME);
		log_info("session", "snapshot_came", "call_id=%s after_ms=%llu", s->call_id,
		         (unsigned long long)((reactor_mono_ns() - sn->asked_mono_ns) / 1000000));
	}
	sn->awaited = sn->asked = false;
	timer_disarm(&sn->due);
}

void
session_snapshot_unusable(struct session *s, const char *reason)
{
	if (s->snapshot.awaited && s->snapshot.asked)
		give_up(s, "the complete document that came cannot be used");
	else
		session_snapshot_want(s, reason);
}

bool
session_snapshot_answered(struct session *s, unsigned int status)
{
	struct session_snapshot *sn = &s->snapshot;

	if (!sn->outstanding)
		return false;
	sn->outstanding = false;
	if (status < 300)
		return true;	/* the document comes in a request of its own */
	sn->refused = status != 491 && status != 500 && status != 503;
	if (sn->awaited) {
		char why[64];

		(void)snprintf(why, sizeof(why), "the client answered %u", status);
		give_up(s, why);
	}
	return true;
}
