/* The machine: states, events, edges. What SIP asks is in session_dialog.c, what edges do to streams, recordings and
 * documents in the files named for them. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define REASON_CAUSE_NORMAL      200	/* RFC 3326: SIP ;cause= */
#define REASON_CAUSE_UNAVAILABLE 503
#define PART_RETRY_MS            10000

/* ---- actions ---- */

uint32_t *
sessions_of_src(const struct sessions *all, const struct config_src *src)
{
	const struct config *c = all->floor.config;

	return &all->n_of_src[src == c->src_default ? c->n_srcs : (uint32_t)(src - c->srcs)];
}

/* From now on it counts against no bound of sessions. */
static void
session_uncount(struct session *s)
{
	srs_assert(s->all->n_answering > 0 && *sessions_of_src(s->all, s->profile) > 0);
	s->all->n_answering--;
	--*sessions_of_src(s->all, s->profile);
}

static void
session_drain(struct session *s)
{
	session_replace_end(s);
	timer_disarm(&s->due);
	timer_disarm(&s->snapshot.due);
	session_keys_drop(s);
	session_streams_doom(s);
	session_uncount(s);
}

/* Before the answer: a recording that is open already is sealed, so it must say whose it was. One that opens later
 * does so in its event. */
static void
session_fail(struct session *s)
{
	session_describe(s, NULL);
	session_recordings_publish(s);
	session_drain(s);
}

static void
session_arm(struct session *s)
{
	const char *why;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		if (s->recordings[i] != NULL && s->recordings[i]->state == RECORDING_OPEN)
			session_note_all(s, s->recordings[i]);
	}
	/* parsed once already, when the INVITE came; the scratch has served other sessions since */
	s->refused = offer_parse(&s->all->offer, span_of_text(s->offer_sdp), &why);
	if (s->refused == SRS_OK)
		session_streams_apply(s, &s->all->offer);
}

/* A refused INVITE takes its dialog along, without on_ended(); a refused re-INVITE leaves it. */
static void
session_refuse_answer(struct session *s, const char *obstacle)
{
	const struct sip_refusal why = { .status = 500, .warning = obstacle };
	struct dialog *d = s->dialog;

	log_warn("session", "answer_refused", "call_id=%s why=\"%s\"", s->call_id, obstacle);
	if (s->answer_sdp != NULL) {
		dialog_refuse(d, &why);
		return;
	}
	s->dialog = NULL;
	dialog_user_set(d, NULL);
	dialog_refuse(d, &why);
	(void)snprintf(s->reason, sizeof(s->reason), "refused");
	(void)session_dispatch(s, EV_ENDED);
}

static void
session_send_answer(struct session *s)
{
	const char *obstacle = s->rekey_refused ? "The new SRTP key could not be installed, offer the old one again" : NULL;
	char *whole = NULL;

	s->answer_due = s->rekey_refused = false;
	if (obstacle == NULL && session_answer_make(s, PURPOSE_ANSWER, &whole))
		obstacle = "The answer could not be written, offer fewer m-lines or formats";
	if (obstacle != NULL) {
		session_refuse_answer(s, obstacle);
		return;
	}
	s->reoffer_mono_ns = 0;		/* it tells all of it */
	session_note(s, NULL, REEL_FRAME_ANSWER, span_of_text(whole));
	session_describe(s, NULL);
	session_recordings_publish(s);
	dialog_accept(s->dialog, whole);
	session_text_wipe(whole);
}

static void
session_begin(struct session *s)
{
	session_count(s->all, SESSION_STARTED);
	if (s->replaces)
		session_replace_take(s);
	session_timer_arm(s);
	session_send_answer(s);
	if (s->replaces)
		session_replace_done(s);
}

static void
session_refuse(struct session *s)
{
	bool bounded = s->refused == SRS_ERR_LIMIT || s->refused == SRS_ERR_NOMEM;
	struct dialog *d = s->dialog;

	session_count(s->all, bounded ? SESSION_REFUSED_LIMIT : SESSION_FAILED_OPEN);
	log_warn("session", "start_failed", "call_id=%s err=%s", s->call_id, srs_err_name(s->refused));
	(void)snprintf(s->reason, sizeof(s->reason), "refused");
	s->dialog = NULL;	/* a refused INVITE has no on_ended() */
	session_fail(s);
	dialog_user_set(d, NULL);
	dialog_refuse(d, &(struct sip_refusal){
		.status = bounded ? 503 : 500,
		.warning = bounded ? "A bound of the data plane is reached, try another recorder"
		                   : "The recording could not be opened, see the recorder's log",
		.retry_after_s = bounded ? admission_retry_after(s->all->floor.config->sip.retry_after_s) : 0,
	});
}

static void
session_turn_away(struct session *s)
{
	struct dialog *d = s->dialog;

	(void)snprintf(s->reason, sizeof(s->reason), "shutdown");
	s->dialog = NULL;
	session_fail(s);
	dialog_user_set(d, NULL);
	dialog_refuse(d, &(struct sip_refusal){
		.status = 503,
		.warning = "The recorder is shutting down, send calls to another one",
		.retry_after_s = admission_retry_after(s->all->floor.config->sip.retry_after_s),
	});
}

/* Streams need not wait for the peer's answer to our BYE: what it still sends is no part of the recording. */
static void
session_hang_up(struct session *s, unsigned int cause, const char *reason)
{
	struct dialog *d = s->dialog;

	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	session_count(s->all, SESSION_ENDED);
	session_drain(s);
	if (d != NULL)
		dialog_end(d, cause, reason);
}

static void
session_expire(struct session *s)
{
	session_hang_up(s, REASON_CAUSE_NORMAL, "call_seconds_max");
}

static void
session_end_by_command(struct session *s)
{
	session_hang_up(s, REASON_CAUSE_NORMAL, "operator");
}

static void
session_shut_down(struct session *s)
{
	session_hang_up(s, REASON_CAUSE_UNAVAILABLE, "shutdown");
}

static void
session_ended(struct session *s)
{
	session_count(s->all, SESSION_ENDED);
	session_drain(s);
}

/* RFC 3891 §3: the new dialog is accepted, now the old one gets its BYE. Its recordings have left; its streams go with
 * the new one's ACK. */
static void
session_hand_over(struct session *s)
{
	(void)snprintf(s->reason, sizeof(s->reason), "replaced");
	session_count(s->all, SESSION_ENDED);
	session_count(s->all, SESSION_REPLACED);
	session_replace_confirmed(s);	/* it may be a successor itself, without its ACK yet */
	timer_disarm(&s->due);
	timer_disarm(&s->snapshot.due);
	session_keys_drop(s);
	session_uncount(s);
	if (s->dialog != NULL)
		dialog_end(s->dialog, REASON_CAUSE_NORMAL, s->reason);
}

/* Ended before our 200: cancelled. */
static void
session_abandon(struct session *s)
{
	session_fail(s);
}

static void
session_forget_dialog(struct session *s)
{
	/* s->dialog was cleared by who told us; the recordings go on being sealed */
}

static void
session_apply_offer(struct session *s)
{
	session_count(s->all, SESSION_REOFFERS);
	session_note_offer(s, NULL);
	if (s->offer_deviations != NULL)
		session_note(s, NULL, REEL_FRAME_DEVIATIONS, span_of_text(s->offer_deviations));
	session_streams_apply(s, &s->all->offer);
}

/* MX-02: our description is our offer; on the same terms it has the same version (RFC 3264 §8). A client that holds may
 * want to resume by this, so what it does not send is asked for again. Written anew, since no key is kept in a text. */
static void
session_send_description(struct session *s)
{
	char *whole = NULL;

	if (session_answer_make(s, PURPOSE_OFFER, &whole)) {
		dialog_refuse(s->dialog, &(struct sip_refusal){
			.status = 500, .warning = "The session could not be described, offer its streams",
		});
		return;
	}
	s->offered = true;
	dialog_accept(s->dialog, whole);
	session_text_wipe(whole);
}

static void
session_confirm(struct session *s)
{
	const char *why;

	if (!s->offered)
		return;
	s->offered = false;
	if (offer_parse(&s->all->offer, s->all->answer_body, &why)) {
		/* RFC 3261 §14.2: without an answer the old state stays, and the dialog cannot go on */
		log_warn("session", "no_answer_in_ack", "call_id=%s why=\"%s\"", s->call_id, why);
		(void)snprintf(s->reason, sizeof(s->reason), "no_answer");
		dialog_end(s->dialog, REASON_CAUSE_NORMAL, s->reason);
		return;
	}
	if (session_keys_take(s))	/* then their m-lines have none, and the old ones stay */
		log_error("session", "no_room_for_keys", "call_id=%s", s->call_id);
	session_note(s, NULL, REEL_FRAME_OFFER, s->all->answer_body);
	session_streams_take_answer(s, &s->all->offer);
	session_describe(s, NULL);
	session_recordings_publish(s);
}

static void
session_take_metadata(struct session *s)
{
	session_metadata_take(s);
	if (session_recordings_plan(s))
		log_warn("session", "recording_refused", "call_id=%s: streams stay where they are", s->call_id);
	session_streams_bind(s);
	session_describe(s, NULL);
	session_recordings_publish(s);
	session_timer_arm(s);
}

static void
session_mark(struct session *s)
{
	log_debug("session", "state", "call_id=%s state=%s", s->call_id, session_state_name(s->state));
}

static void
session_roll_part(struct session *s)
{
	session_recordings_roll(s);
	session_recordings_linger(s);
	session_timer_arm(s);
}

static void
session_seal(struct session *s)
{
	s->drained = true;
	session_recordings_doom(s, s->reason);
}

static void
session_close(struct session *s)
{
	s->closed = true;
}

/* ---- the machine ---- */

static const struct session_edge session_edges[] = {
	/* from               event               action                    to                */
	{ SESSION_OFFERED,    EV_OPENED,          session_arm,              SESSION_ARMED     },
	{ SESSION_OFFERED,    EV_REFUSED,         session_refuse,           SESSION_FAILED    },
	{ SESSION_OFFERED,    EV_STOP,            session_turn_away,        SESSION_FAILED    },
	{ SESSION_OFFERED,    EV_ENDED,           session_abandon,          SESSION_FAILED    },

	{ SESSION_ARMED,      EV_STREAMS_READY,   session_begin,            SESSION_RECORDING },
	{ SESSION_ARMED,      EV_REFUSED,         session_refuse,           SESSION_FAILED    },
	{ SESSION_ARMED,      EV_STOP,            session_turn_away,        SESSION_FAILED    },
	{ SESSION_ARMED,      EV_ENDED,           session_abandon,          SESSION_FAILED    },

	{ SESSION_RECORDING,  EV_OFFER,           session_apply_offer,      SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_STREAMS_READY,   session_send_answer,      SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_DESCRIBE,        session_send_description, SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_CONFIRMED,       session_confirm,          SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_METADATA,        session_take_metadata,    SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_HELD,            session_mark,             SESSION_PAUSED    },
	{ SESSION_RECORDING,  EV_PART_DUE,        session_roll_part,        SESSION_RECORDING },
	{ SESSION_RECORDING,  EV_EXPIRED,         session_expire,           SESSION_DRAINING  },
	{ SESSION_RECORDING,  EV_STOP,            session_shut_down,        SESSION_DRAINING  },
	{ SESSION_RECORDING,  EV_HANG_UP,         session_end_by_command,   SESSION_DRAINING  },
	{ SESSION_RECORDING,  EV_ENDED,           session_ended,            SESSION_DRAINING  },
	{ SESSION_RECORDING,  EV_REPLACED,        session_hand_over,        SESSION_DRAINING  },

	{ SESSION_PAUSED,     EV_OFFER,           session_apply_offer,      SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_STREAMS_READY,   session_send_answer,      SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_DESCRIBE,        session_send_description, SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_CONFIRMED,       session_confirm,          SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_METADATA,        session_take_metadata,    SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_RESUMED,         session_mark,             SESSION_RECORDING },
	{ SESSION_PAUSED,     EV_PART_DUE,        session_roll_part,        SESSION_PAUSED    },
	{ SESSION_PAUSED,     EV_EXPIRED,         session_expire,           SESSION_DRAINING  },
	{ SESSION_PAUSED,     EV_STOP,            session_shut_down,        SESSION_DRAINING  },
	{ SESSION_PAUSED,     EV_HANG_UP,         session_end_by_command,   SESSION_DRAINING  },
	{ SESSION_PAUSED,     EV_ENDED,           session_ended,            SESSION_DRAINING  },
	{ SESSION_PAUSED,     EV_REPLACED,        session_hand_over,        SESSION_DRAINING  },

	{ SESSION_DRAINING,   EV_ENDED,           session_forget_dialog,    SESSION_DRAINING  },
	{ SESSION_DRAINING,   EV_DRAINED,         session_seal,             SESSION_DRAINING  },
	{ SESSION_DRAINING,   EV_DURABLE,         session_close,            SESSION_SEALED    },

	{ SESSION_FAILED,     EV_DRAINED,         session_seal,             SESSION_FAILED    },
	{ SESSION_FAILED,     EV_DURABLE,         session_close,            SESSION_FAILED    },
};

const struct session_edge *
session_edge_of(enum session_state from, enum session_event event)
{
	for (size_t i = 0; i < sizeof(session_edges) / sizeof(session_edges[0]); i++) {
		if (session_edges[i].from == from && session_edges[i].event == event)
			return &session_edges[i];
	}
	return NULL;
}

const char *
session_state_name(enum session_state state)
{
	static const char *const names[SESSION_N_STATES] = {
		"offered", "armed", "recording", "paused", "draining", "sealed", "failed",
	};

	return names[state];
}

/* The state moves first: an action may end in a call that raises the next event. */
bool
session_dispatch(struct session *s, enum session_event event)
{
	const struct session_edge *edge = session_edge_of(s->state, event);

	if (edge == NULL) {
		session_count(s->all, SESSION_EDGE_REFUSED);
		log_debug("session", "event_refused", "call_id=%s state=%s event=%d", s->call_id,
		          session_state_name(s->state), (int)event);
		return false;
	}
	s->state = edge->to;
	s->busy++;
	edge->action(s);
	s->busy--;
	return true;
}

/* Which event follows from what is installed and open by now? Counts become events only here. */
static bool
session_event_due(const struct session *s, enum session_event *event)
{
	switch (s->state) {
	case SESSION_OFFERED:
		if (session_recordings_in(s, RECORDING_OPENING) != 0)
			return false;
		*event = s->recordings[0] != NULL || s->replaces ? EV_OPENED : EV_REFUSED;
		return true;
	case SESSION_ARMED:
		if (session_streams_in(s, STREAM_ADDING) != 0)
			return false;
		*event = session_streams_in(s, STREAM_LIVE) != 0 ? EV_STREAMS_READY : EV_REFUSED;
		return true;
	case SESSION_RECORDING:
	case SESSION_PAUSED:
		if (s->answer_due) {
			*event = EV_STREAMS_READY;
			return session_streams_in(s, STREAM_ADDING) == 0 && !session_streams_changing(s);
		}
		*event = s->state == SESSION_RECORDING ? EV_HELD : EV_RESUMED;
		return (s->holds != 0 || session_streams_held(s)) == (s->state == SESSION_RECORDING);
	case SESSION_DRAINING:
	case SESSION_FAILED:
		if (s->closed)
			return false;
		if (!s->drained) {
			*event = EV_DRAINED;
			return session_streams_n(s) == 0 && session_recordings_in(s, RECORDING_OPENING) == 0;
		}
		*event = EV_DURABLE;
		return session_recordings_n(s) == 0;
	case SESSION_SEALED:
	case SESSION_N_STATES:
		break;
	}
	return false;
}

void
session_settle(struct session *s)
{
	enum session_event event;

	if (s->busy != 0)
		return;		/* within an action: who began it settles */
	/* each round takes an edge of the machine; between an offer and a seal there are few */
	for (int round = 0; round < SESSION_N_STATES + SESSION_N_EVENTS; round++) {
		session_hold_apply(s);
		session_streams_bind(s);
		session_streams_key(s);
		session_streams_reap(s);
		session_recordings_reap(s);
		if (!session_event_due(s, &event))
			break;
		(void)session_dispatch(s, event);
	}
	if (s->all->floor.on_posted != NULL)
		s->all->floor.on_posted(s->all->floor.posted_ctx);
	if (s->closed)
		session_free(s);
}

/* ---- life ---- */

static void
session_on_due(void *ctx)
{
	struct session *s = ctx;
	uint64_t max_s = s->all->floor.config->limits.call_seconds_max;
	uint64_t age_s = (reactor_mono_ns() - s->call_mono_ns) / UINT64_C(1000000000);

	(void)session_dispatch(s, max_s != 0 && age_s >= max_s && session_recordings_live(s) ? EV_EXPIRED : EV_PART_DUE);
	session_settle(s);
}

void
session_timer_arm(struct session *s)
{
	uint64_t max_s = s->all->floor.config->limits.call_seconds_max;
	uint64_t now = reactor_mono_ns();
	uint64_t due = session_recordings_linger_due(s);

	if (max_s != 0 && session_recordings_live(s) && s->call_mono_ns + max_s * UINT64_C(1000000000) < due)
		due = s->call_mono_ns + max_s * UINT64_C(1000000000);

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && r->state == RECORDING_OPEN && !r->doomed && r->part_due_mono_ns < due)
			due = r->part_due_mono_ns;
	}
	if (due == UINT64_MAX)
		return;
	/* rounded up: a timer that fires early would find nothing due */
	if (timer_arm(s->all->floor.reactor, &s->due, due > now ? (due - now) / 1000000 + 1 : 1))
		log_error("session", "timer_failed", "call_id=%s", s->call_id);
}

static enum srs_err
session_ids_make(struct session *s)
{
	enum srs_err err = secret_random(s->rs_id, sizeof(s->rs_id));

	if (err == SRS_OK)
		err = secret_random(&s->sdp_id, sizeof(s->sdp_id));
	s->sdp_id = s->sdp_id >> 2 | 1;	/* some peers read o= into signed 63 bits */
	s->sdp_version = 1;
	return err;
}

enum srs_err
session_open(struct session **out, struct sessions *all, struct dialog *d, const struct sip_request *req)
{
	struct nat_address peer;
	struct session *s;
	enum srs_err err;

	*out = NULL;
	if (all->n_free == 0)
		return SRS_ERR_LIMIT;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return SRS_ERR_NOMEM;
	err = session_ids_make(s);
	if (err) {
		free(s);
		return err;
	}
	s->all = all;
	s->dialog = d;
	s->state = SESSION_OFFERED;
	s->slot = all->free_slots[--all->n_free];
	s->generation = ++all->generation;
	all->slots[s->slot] = s;
	all->n_answering++;
	++*sessions_of_src(all, req->src);
	s->started_wall_ns = reactor_wall_ns();
	s->started_mono_ns = s->heard_mono_ns = s->call_mono_ns = reactor_mono_ns();
	s->transport = req->transport;
	nat_address_of(&peer, &req->source);
	s->beyond_nat = !nat_is_private(&peer);
	(void)snprintf(s->call_id, sizeof(s->call_id), "%s", req->call_id);
	(void)snprintf(s->agent, sizeof(s->agent), "%s", req->user_agent);
	session_text_clean(s->call_id);
	session_text_clean(s->agent);
	(void)snprintf(s->identity, sizeof(s->identity), "%s", req->identity);
	s->profile = req->src;
	timer_init(&s->due, session_on_due, s);
	session_snapshot_init(s);
	dialog_user_set(d, s);
	*out = s;
	return SRS_OK;
}

void
session_free(struct session *s)
{
	struct sessions *all = s->all;

	if (session_edge_of(s->state, EV_STOP) != NULL)
		session_uncount(s);	/* it never drained */
	if (s->dialog != NULL)
		dialog_user_set(s->dialog, NULL);	/* our BYE is still unanswered: SIP's own business */
	session_replace_unlink(s);
	session_keys_drop(s);
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		if (s->streams[i] != NULL) {
			session_dtls_close(s, s->streams[i]);
			session_keying_give(all, s->streams[i]->keying);
		}
		free(s->streams[i]);
	}
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++)
		free(s->recordings[i]);
	timer_release(&s->due);
	timer_release(&s->snapshot.due);
	metadata_free(s->metadata);
	session_document_free(&s->document);
	free(s->offer_deviations);
	free(s->offer_sdp);
	free(s->answer_sdp);
	all->slots[s->slot] = NULL;
	all->free_slots[all->n_free++] = s->slot;
	free(s);
}

enum srs_err
sessions_create(struct sessions **out, const struct session_floor *floor)
{
	struct sessions *all = calloc(1, sizeof(*all));

	*out = NULL;
	if (all == NULL)
		return SRS_ERR_NOMEM;
	all->floor = *floor;
	all->n_slots = 2 * floor->config->limits.sessions_max;	/* as many again may still be sealing */
	all->slots = calloc(all->n_slots, sizeof(struct session *));
	all->free_slots = calloc(all->n_slots, sizeof(*all->free_slots));
	all->n_of_src = calloc(floor->config->n_srcs + 1, sizeof(*all->n_of_src));
	if (all->slots == NULL || all->free_slots == NULL || all->n_of_src == NULL || session_secrets_create(all)) {
		sessions_destroy(all);
		return SRS_ERR_NOMEM;
	}
	for (uint32_t i = 0; i < all->n_slots; i++)
		all->free_slots[i] = all->n_slots - 1 - i;
	all->n_free = all->n_slots;
	*out = all;
	return SRS_OK;
}

void
sessions_destroy(struct sessions *all)
{
	if (all == NULL)
		return;
	for (uint32_t i = 0; all->slots != NULL && i < all->n_slots; i++) {
		if (all->slots[i] != NULL)
			session_free(all->slots[i]);
	}
	session_secrets_destroy(all);
	free(all->slots);
	free(all->free_slots);
	free(all->n_of_src);
	free(all);
}

unsigned int
sessions_n(const struct sessions *all)
{
	return all->n_slots - all->n_free;
}

void
sessions_drain(struct sessions *all)
{
	all->leaving = true;
}

void
sessions_stop(struct sessions *all)
{
	all->stopping = true;
	for (uint32_t i = 0; i < all->n_slots; i++) {
		struct session *s = all->slots[i];

		if (s == NULL || session_edge_of(s->state, EV_STOP) == NULL)
			continue;
		(void)session_dispatch(s, EV_STOP);
		session_settle(s);
	}
}

void
sessions_tick(struct sessions *all)
{
	all->seconds++;
	for (uint32_t i = 0; all->n_free < all->n_slots && i < all->n_slots; i++) {
		if (all->slots[i] == NULL)
			continue;
		session_idle_check(all->slots[i], all->seconds);
		session_settle(all->slots[i]);
	}
}

void
sessions_on_event(void *ctx, const struct dataplane_event *e)
{
	struct sessions *all = ctx;
	uint32_t slot = (uint32_t)(e->cookie >> 16);
	struct session *s = slot < all->n_slots ? all->slots[slot] : NULL;
	unsigned int kind = (e->cookie >> 8) & 0xff;
	bool recovered = e->kind == EVENT_RECORDING_SEALED && e->recording == DATAPLANE_NONE;

	if (e->kind >= EVENT_RECORDING_PLACED || recovered) {
		session_recordings_on_stray(all, e);
		return;
	}
	if (s != NULL && s->generation != (uint16_t)(e->cookie >> 48))
		s = NULL;
	if (kind == COOKIE_RECORDING)
		s = session_replace_holder(all, s, e);
	if (s == NULL)
		return;
	if (kind == COOKIE_RECORDING)
		session_recording_on_event(s, (uint8_t)e->cookie, e);
	else if (kind == COOKIE_STREAM)
		session_stream_on_event(s, (uint8_t)e->cookie, e);
	else if (e->err)
		session_count(all, SESSION_NOTES_LOST);
	session_settle(s);
}
