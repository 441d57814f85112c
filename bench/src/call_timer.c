/* Session timers. @rfc 4028 */
#include "call_inside.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MS 2000u	/* a server that ends an expired session may be so late */

struct expires {
	uint32_t seconds;	/* 0: no session timer */
	enum call_refresher refresher;
};

static struct expires
read_expires(const char *message)
{
	struct expires e = { 0 };
	char value[CALL_TEXT_MAX];
	const char *who;

	if (!call_header(message, "Session-Expires", "x", value, sizeof(value)))
		return e;
	e.seconds = (uint32_t)strtoul(value, NULL, 10);
	who = strstr(value, "refresher=");
	if (who != NULL)
		e.refresher = strncmp(who + 10, "uac", 3) == 0 ? CALL_UAC : CALL_UAS;
	return e;
}

static bool
lists(const char *message, const char *name, const char *compact, const char *token)
{
	char value[CALL_TEXT_MAX];

	return call_header(message, name, compact, value, sizeof(value)) && strstr(value, token) != NULL;
}

/* The first request says what was asked for, later ones who refreshes now: then the role does not move (§7.4). */
void
call_timer_write(const struct call *c, struct text *t)
{
	static const char *const words[] = { "", ";refresher=uac", ";refresher=uas" };
	enum call_refresher who = c->plan->refresher;
	uint32_t seconds = c->plan->session_expires_s;

	if (seconds == 0)
		return;
	if (c->expires_s != 0) {
		who = c->refreshes ? CALL_UAC : CALL_UAS;
		seconds = c->expires_s;
	}
	if (seconds < c->min_se_s)
		seconds = c->min_se_s;
	text_add(t, "Session-Expires: %u%s\r\n", seconds, words[who]);
	if (c->min_se_s != 0)
		text_add(t, "Min-SE: %u\r\n", c->min_se_s);
}

void
call_timer_answer(struct call *c, const char *request, struct text *t, uint64_t now_ms)
{
	struct expires e = read_expires(request);

	if (c->plan->session_expires_s == 0)
		return; /* we did not say that we know of it */
	c->expires_s = e.seconds;
	if (e.seconds == 0)
		return; /* without it in a refresh, the session has no timer any more (§7.2) */
	c->refreshes = e.refresher == CALL_UAS;
	c->refreshed_ms = now_ms;
	c->refreshes_received++;
	text_add(t, "%sSession-Expires: %u;refresher=%s\r\n", c->refreshes ? "" : "Require: timer\r\n", e.seconds,
	         c->refreshes ? "uas" : "uac");
}

void
call_timer_take(struct call *c, const char *response, uint64_t now_ms)
{
	struct expires e = read_expires(response);
	uint32_t asked = c->expires_s != 0 ? c->expires_s : c->plan->session_expires_s;

	if (c->plan->session_expires_s == 0) {
		if (e.seconds != 0 && e.refresher != CALL_UAS)
			call_fail(c, "200: a session timer that we are to refresh, and we did not say that we can (RFC 4028 9)");
		return;
	}
	if (asked < c->min_se_s)
		asked = c->min_se_s;
	if (e.seconds == 0 && lists(response, "Supported", "k", "timer"))
		call_fail(c, "200 supports timer and has no Session-Expires (RFC 4028 9)");
	else if (e.seconds > asked)
		call_fail(c, "200: Session-Expires went up from %u to %u (RFC 4028 9)", asked, e.seconds);
	else if (e.seconds != 0 && e.refresher == CALL_NOBODY)
		call_fail(c, "200: Session-Expires does not say who refreshes (RFC 4028 9)");
	else if (e.refresher == CALL_UAC && !lists(response, "Require", NULL, "timer"))
		call_fail(c, "200: we are to refresh, and Require: timer is missing (RFC 4028 9)");
	else if (e.seconds != 0 && c->plan->refresher != CALL_NOBODY && c->expires_s == 0 && e.refresher != c->plan->refresher)
		call_fail(c, "200: the refresher is not the one that was asked for (RFC 4028 9)");
	c->expires_s = e.seconds;
	c->refreshes = e.refresher == CALL_UAC;
	c->refreshed_ms = now_ms;
}

static void
refresh(struct call *c, uint64_t now_ms)
{
	enum call_refresh how = c->plan->refresh;
	bool update = how == CALL_REFRESH_UPDATE || (how == CALL_REFRESH_AUTO && c->peer_updates);

	c->refreshes_sent++;
	call_send_offer(c, CALL_OFFER_REFRESH | (update ? CALL_OFFER_UPDATE : CALL_OFFER_SDP), now_ms);
}

void
call_timer_tick(struct call *c, uint64_t now_ms)
{
	uint64_t since = now_ms - c->refreshed_ms, all = 1000ull * c->expires_s;

	if (c->expires_s == 0 || c->state != CALL_TALKING)
		return;
	if (c->refreshes && c->plan->refresh != CALL_REFRESH_NEVER) {
		if (since >= all / 2)
			refresh(c, now_ms);
	} else if (c->refreshes) { /* it is the server that must find out (§10) */
		if (since >= all + LATE_MS) {
			call_fail(c, "the session expired without a refresh, and the server did not end it");
			call_end(c, now_ms);
		}
	} else if (since >= all - (all / 3 < 32000 ? all / 3 : 32000)) { /* §10: that much earlier we give up */
		call_fail(c, "the server did not refresh the session");
		call_end(c, now_ms);
	}
}
