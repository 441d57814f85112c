/* Silent clients (docs/rfc-coverage.md SIP-34): one that crashed, or whose BYE was lost, would keep its call open for ever.
 * Silence alone ends nothing, for a held call and a persistent session are silent as well: it makes us ask. A client that
 * does not know the dialog any more, or does not answer, is gone; that ends the dialog (sip/dialog_request.c). */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include "lib/srs_log.h"

#define NS_PER_S         UINT64_C(1000000000)
#define PROBE_SHIFT_MAX  3	/* asked again after 2, 4, 8 times the first while */

/* @return when the newest packet of any stream came; 0: none. `*held`: no stream may send */
static uint64_t
last_packet(const struct session *s, bool *held)
{
	uint64_t last = 0;

	*held = true;
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];
		struct stream_view v = { 0 };

		if (st == NULL || st->state != STREAM_LIVE)
			continue;
		*held = *held && st->inactive;
		dataplane_stream_view(s->all->floor.dataplane, st->handle, &v);
		if (v.last_packet_mono_ns > last)
			last = v.last_packet_mono_ns;
	}
	return last;
}

void
session_idle_check(struct session *s, uint64_t second)
{
	const struct config *c = s->all->floor.config;
	uint64_t now = reactor_mono_ns(), last;
	bool held;

	if (c->session.idle_s == 0 || s->dialog == NULL || (s->slot + second) % c->session.check_interval_s != 0 ||
	    (s->state != SESSION_RECORDING && s->state != SESSION_PAUSED))
		return;
	last = last_packet(s, &held);
	if (last > s->heard_mono_ns) {
		s->heard_mono_ns = last;
		s->n_probes = 0;
		s->silent = false;
	}
	if (now < s->heard_mono_ns + (c->session.idle_s * NS_PER_S << s->n_probes))
		return;
	s->heard_mono_ns = now;
	if (s->n_probes < PROBE_SHIFT_MAX)
		s->n_probes++;
	session_count(s->all, SESSION_PROBES);
	dialog_probe(s->dialog);
}

void
session_idle_answered(struct session *s)
{
	bool held;

	(void)last_packet(s, &held);
	if (s->silent || held || (s->holds & SESSION_HOLD_PAUSE) != 0)
		return;		/* said once; or silent because it should be */
	s->silent = true;
	session_count(s->all, SESSION_SILENT);
	dialog_observe(s->dialog, OBSERVED_SILENT);
	log_warn("session", "silent", "call_id=%s src=%s remedy=\"the client knows the call and sends no media: check its "
	         "media address, and firewalls between it and ours\"", s->call_id, s->source);
}
