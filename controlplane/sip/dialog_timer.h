/* Session timers of dialogs (RFC 4028), known to the SIP stack alone: how long a session lives without a refresh, who
 * refreshes, and what happens when nobody does. The peer's wishes are kept where the RFC leaves a choice; where it
 * leaves one to us, the peer refreshes. @thread control */
#ifndef DIALOG_TIMER_H
#define DIALOG_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/reactor.h"
#include "controlplane/sip/message.h"
#include "lib/config.h"

struct dialog;

#define TIMER_INTERVAL_S_MIN 90u	/* RFC 4028 §5: nobody may ask for less to be accepted */
#define TIMER_LINES_MAX      160

enum timer_refresher { REFRESHER_OPEN, REFRESHER_UAC, REFRESHER_UAS };

/* What a request asks for, or what a 2xx grants. Pure. */
struct timer_ask {
	uint32_t interval_s;		/* Session-Expires; 0: none that could be read */
	uint32_t min_s;			/* Min-SE; 0: none */
	enum timer_refresher refresher;
	bool supported;			/* Supported or Require lists timer */
};
void timer_ask_read(struct timer_ask *out, const struct message *m);
/** 422 (RFC 4028 §9): the interval is below ours, and the peer can read that answer. Pure. */
bool timer_ask_is_too_small(const struct timer_ask *a, uint32_t min_se_s);

struct dialog_timer {
	uint32_t interval_s;	/* 0: the session does not expire */
	uint32_t min_s;		/* the largest Min-SE of a 422 to us */
	bool we_refresh;
	uint64_t until_mono_ns;	/* a refresh has to be through by then */
	struct timer due;
};
void dialog_timer_init(struct dialog *d);
void dialog_timer_release(struct dialog *d);
/** A request of theirs is about to get its 2xx: agree, and count from now. @param lines  what the 2xx says of it, each
 * with its line end; holds TIMER_LINES_MAX */
void dialog_timer_agree(struct dialog *d, const struct timer_ask *asked, char *lines);
/** The same for a request of ours that can refresh. */
void dialog_timer_lines(const struct dialog *d, char *lines);
/** Its 2xx came. */
void dialog_timer_granted(struct dialog *d, const struct message *ok);
/** 422 to a request of ours: ask for what it names (RFC 4028 §7.3). @return whether another try makes sense */
bool dialog_timer_raise(struct dialog *d, const struct message *refusal);
/** Our refresh met an offer of theirs, or has to go another way: again after this time. */
void dialog_timer_retry(struct dialog *d, uint64_t after_ms);
/** Our refresh was refused, or could not be sent. */
void dialog_timer_refused(struct dialog *d, unsigned int status);

#endif
