#include "controlplane/sip/door.h"

#include <string.h>

#include "controlplane/sip/source_limit.h"

bool
door_has_room(struct sip *s, const struct config_src *src, struct sip_answer *answer)
{
	struct sip_refusal why = { .status = 503 };

	if (s->closing)
		why.warning = "the recorder is stopping";
	else if (s->n_dialogs >= s->dialogs_max)
		why.warning = "too many dialogs";
	else if (s->handlers.on_door == NULL || s->handlers.on_door(s->ctx, src, &why))
		return true;
	*answer = (struct sip_answer){
		.status = why.status,
		.warning = why.warning,
		.retry_after_s = why.retry_after_s != 0 ? why.retry_after_s : sip_retry_after(s),
	};
	return false;
}

/* RFC 7866 §12.1 asks to keep strangers out; a client of ours that has gone wild is kept from the others' part, too. */
static enum door_verdict
rate_ask(struct sip *s, const struct config_src *src, const struct conn_path *from, struct sip_answer *answer)
{
	uint32_t rate_per_s = src->rate_per_s != 0 ? src->rate_per_s : s->config->sip.rate_per_s;

	if (rate_per_s == 0)
		return DOOR_OPEN;
	switch (source_limit_ask(s->sources, &from->remote, rate_per_s, s->config->sip.rate_burst_s, reactor_mono_ns())) {
	case SOURCE_TAKE:
		return DOOR_OPEN;
	case SOURCE_DROP:
		sip_count(s, SIP_RATE_DROPPED);
		return DOOR_DROP;
	case SOURCE_REFUSE:
		break;
	}
	sip_count(s, SIP_RATE_REFUSED);
	*answer = (struct sip_answer){
		.status = 503,
		.warning = src->rate_per_s != 0 ? "too many new requests from this address, see rate_per_s of its profile in src" :
		           "too many new requests from this address, see sip.rate_per_s",
		.retry_after_s = sip_retry_after(s),
	};
	return DOOR_REFUSE;
}

/* The last places are for requests of calls that are here: their BYE must find one, whatever comes from outside. */
static bool
transactions_are_short(const struct sip *s)
{
	uint32_t max = s->config->sip.transactions_max;

	return transactions_n(s->transactions) >= max - max / DOOR_RESERVE;
}

enum door_verdict
door_ask(struct sip *s, const struct message *m, const struct conn_path *from, struct sip_answer *answer)
{
	const struct config_src *src = sip_src_of(s, from, NULL);
	enum door_verdict verdict = rate_ask(s, src, from, answer);

	if (verdict == DOOR_OPEN && m->refusal == 0 && transactions_are_short(s)) {
		*answer = (struct sip_answer){ .status = 503, .retry_after_s = sip_retry_after(s),
			                       .warning = "too many transactions, see sip.transactions_max" };
		return DOOR_REFUSE;
	}
	if (verdict != DOOR_OPEN || m->refusal != 0 || strcmp(m->method, "INVITE") != 0 || m->to_tag[0] != '\0')
		return verdict;
	/* who may not come in at all hears that; who takes the place of a call that is here needs no room of its own */
	if (src->admit != CONFIG_ADMIT_ACCEPT || message_has(m, "Replaces"))
		return DOOR_OPEN;
	if (door_has_room(s, src, answer))
		return DOOR_OPEN;
	sip_count(s, SIP_NO_ROOM);
	return DOOR_REFUSE;
}
