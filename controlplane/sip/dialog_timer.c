#include "controlplane/sip/dialog_timer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/sip/sip.h"
#include "lib/srs_log.h"

#define MARGIN_S_MAX  32u	/* RFC 4028 §10: BYE before the expiry, by 32 s or a third, whichever is less */
#define BUSY_RETRY_MS 1000u	/* something else of the dialog is under way */
#define REFUSED_RETRY_MS 5000u	/* least wait after a refusal */
#define NS_PER_S      1000000000ull

/* ---- what a message says ---- */

/* Digits, then nothing or a parameter. @return 0: no number. One that is 0 is below every minimum, as 1 is; a larger one
 * than fits is the largest. */
static uint32_t
seconds_of(const char *value)
{
	uint64_t n = 0;
	const char *at = value;

	for (; isdigit((unsigned char)*at); at++)
		n = n > INT32_MAX ? INT32_MAX : n * 10 + (uint64_t)(*at - '0');
	at += strspn(at, " \t");
	if (*at != '\0' && *at != ';')
		return 0;
	if (n == 0)
		return isdigit((unsigned char)*value) != 0;
	return n > INT32_MAX ? INT32_MAX : (uint32_t)n;
}

static enum timer_refresher
refresher_of(const char *value)
{
	for (const char *at = strchr(value, ';'); at != NULL; at = strchr(at, ';')) {
		struct span name, word;
		const char *equals;

		at++;
		name = span_of(at, strcspn(at, ";"));
		equals = memchr(name.bytes, '=', name.len);
		if (equals == NULL)
			continue;
		word = span_trimmed(span_of(equals + 1, name.len - (size_t)(equals + 1 - at)));
		name = span_trimmed(span_of(at, (size_t)(equals - at)));
		if (!span_equal_nocase(name, "refresher"))
			continue;
		return span_equal_nocase(word, "uac") ? REFRESHER_UAC :
		       span_equal_nocase(word, "uas") ? REFRESHER_UAS : REFRESHER_OPEN;
	}
	return REFRESHER_OPEN;
}

void
timer_ask_read(struct timer_ask *out, const struct message *m)
{
	const char *expires = message_value(m, "Session-Expires");

	*out = (struct timer_ask){
		.interval_s = seconds_of(expires),
		.min_s = seconds_of(message_value(m, "Min-SE")),
		.refresher = refresher_of(expires),
		.supported = message_lists(m, "Supported", "timer") || message_lists(m, "Require", "timer"),
	};
}

bool
timer_ask_is_too_small(const struct timer_ask *a, uint32_t min_se_s)
{
	return a->supported && a->interval_s != 0 && a->interval_s < min_se_s;
}

/* ---- the clock ---- */

static void
arm(struct dialog *d, uint64_t after_ms)
{
	if (timer_arm(d->sip->reactor, &d->timer.due, after_ms))
		log_error("dialog", "timer_failed", "call_id=%s", d->call_id);
}

static uint32_t
margin_s(uint32_t interval_s)
{
	return interval_s / 3 < MARGIN_S_MAX ? interval_s / 3 : MARGIN_S_MAX;
}

/* Count from now. Whoever refreshes does so at half time (RFC 4028 §10). */
static void
restart(struct dialog *d)
{
	struct dialog_timer *t = &d->timer;

	if (t->interval_s == 0) {
		timer_disarm(&t->due);
		return;
	}
	t->until_mono_ns = reactor_mono_ns() + (t->interval_s - margin_s(t->interval_s)) * NS_PER_S;
	arm(d, t->we_refresh ? t->interval_s * 500ull : (t->interval_s - margin_s(t->interval_s)) * 1000ull);
}

/* Milliseconds in which a refresh still makes sense. A peer that answers, but takes no refresh until then, is alive: the
 * session goes on without a timer, and the peer may end it. */
static uint64_t
time_left_ms(struct dialog *d)
{
	struct dialog_timer *t = &d->timer;
	uint64_t now = reactor_mono_ns();

	if (now < t->until_mono_ns)
		return (t->until_mono_ns - now) / 1000000 + 1;
	log_warn("dialog", "refresh_given_up", "call_id=%s interval_s=%u", d->call_id, t->interval_s);
	t->interval_s = 0;
	return 0;
}

/* A refresh could not be sent, or was refused: again at half of what is left. */
static void
refresh_later(struct dialog *d)
{
	uint64_t left_ms = d->timer.interval_s == 0 ? 0 : time_left_ms(d);

	if (left_ms != 0)
		arm(d, left_ms / 2 < REFUSED_RETRY_MS ? REFUSED_RETRY_MS : left_ms / 2);
}

static void
refresh(struct dialog *d)
{
	enum srs_err err;

	if (time_left_ms(d) == 0)
		return;
	err = dialog_refresh_send(d);
	if (err == SRS_ERR_STATE)
		arm(d, BUSY_RETRY_MS);
	else if (err)
		refresh_later(d);
}

static void
due(void *ctx)
{
	struct dialog *d = ctx;

	if (d->timer.interval_s == 0 || d->state == DIALOG_ENDING || d->state == DIALOG_DEAD)
		return;
	if (d->timer.we_refresh)
		refresh(d);
	else
		dialog_end_as(d, DIALOG_END_EXPIRED, 408, "no session refresh came in time");
}

void
dialog_timer_init(struct dialog *d)
{
	timer_init(&d->timer.due, due, d);
}

void
dialog_timer_release(struct dialog *d)
{
	d->timer.interval_s = 0;
	timer_release(&d->timer.due);
}

/* ---- requests of theirs ---- */

/* RFC 4028 §9, table 2. A refresher that is named is kept; a peer without the extension cannot refresh. Where the
 * request leaves it open, the peer refreshes, or whoever did until now. */
static void
decide(struct dialog *d, const struct timer_ask *a)
{
	const struct config *c = d->sip->config;
	struct dialog_timer *t = &d->timer;
	bool asked = a->interval_s != 0 && (a->supported || a->interval_s >= c->session.min_se_s);

	if (asked) {
		t->interval_s = a->interval_s;
		t->we_refresh = !a->supported || a->refresher == REFRESHER_UAS;
	} else if (t->interval_s != 0 && (a->supported || t->we_refresh)) {
		t->interval_s = t->interval_s < a->min_s ? a->min_s : t->interval_s;
	} else if (c->session.expires_s != 0 && a->supported) {
		t->interval_s = c->session.expires_s < a->min_s ? a->min_s : c->session.expires_s;
		t->we_refresh = false;
	} else {
		t->interval_s = 0;
	}
	if (t->we_refresh && (sip_src_of(d->sip, &d->path, NULL)->refresh == CONFIG_ASK_NEVER ||
	                      !observatory_allows(d->sip->observatory, d->src, OBSERVATORY_REFRESH, reactor_wall_ns())))
		t->interval_s = 0;	/* without the header in the 2xx there is no expiry (RFC 4028 §7.2) */
}

void
dialog_timer_agree(struct dialog *d, const struct timer_ask *asked, char *lines)
{
	struct dialog_timer *t = &d->timer;

	decide(d, asked);
	restart(d);
	lines[0] = '\0';
	if (t->interval_s != 0)	/* Require: a MUST when the peer refreshes, a SHOULD when it has to watch for ours */
		snprintf(lines, TIMER_LINES_MAX, "%sSession-Expires: %u;refresher=%s\r\n",
		         asked->supported ? "Require: timer\r\n" : "", t->interval_s, t->we_refresh ? "uas" : "uac");
}

/* ---- requests of ours ---- */

void
dialog_timer_lines(const struct dialog *d, char *lines)
{
	const struct dialog_timer *t = &d->timer;
	int n = 0;

	lines[0] = '\0';
	if (t->interval_s == 0)
		return;
	n = snprintf(lines, TIMER_LINES_MAX, "Session-Expires: %u;refresher=%s\r\n", t->interval_s,
	             t->we_refresh ? "uac" : "uas");
	if (t->min_s != 0)
		snprintf(lines + n, TIMER_LINES_MAX - (size_t)n, "Min-SE: %u\r\n", t->min_s);
}

void
dialog_timer_granted(struct dialog *d, const struct message *ok)
{
	struct timer_ask granted;

	timer_ask_read(&granted, ok);
	if (d->timer.interval_s == 0)
		return;		/* we did not ask */
	d->timer.interval_s = granted.interval_s == 0 ? 0 :
	                      granted.interval_s < d->sip->config->session.min_se_s ?
	                      d->sip->config->session.min_se_s : granted.interval_s;
	d->timer.we_refresh = granted.refresher != REFRESHER_UAS;
	restart(d);
}

bool
dialog_timer_raise(struct dialog *d, const struct message *refusal)
{
	struct dialog_timer *t = &d->timer;
	struct timer_ask a;

	timer_ask_read(&a, refusal);
	if (t->interval_s == 0 || a.min_s <= t->min_s || a.min_s <= t->interval_s)
		return false;
	t->min_s = t->interval_s = a.min_s;
	return true;
}

void
dialog_timer_retry(struct dialog *d, uint64_t after_ms)
{
	if (d->timer.interval_s != 0)
		arm(d, after_ms);
}

void
dialog_timer_refused(struct dialog *d, unsigned int status)
{
	log_info("dialog", "refresh_refused", "call_id=%s status=%u", d->call_id, status);
	refresh_later(d);
}
