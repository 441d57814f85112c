/* What a request that belongs to nothing here, or cannot be read, meets first: refused, or left unanswered, before it takes a transaction, a
 * dialog or a look at its body, so that a crowd at the door costs those inside nothing. @thread control */
#ifndef DOOR_H
#define DOOR_H

#include "controlplane/sip/sip.h"

/* One transaction in so many is kept for calls in progress. */
#define DOOR_RESERVE 8

enum door_verdict {
	DOOR_OPEN,
	DOOR_REFUSE,	/* `*answer`, without a transaction */
	DOOR_DROP,	/* no answer at all */
};
enum door_verdict door_ask(struct sip *s, const struct message *m, const struct conn_path *from,
                           struct sip_answer *answer);
/** Would a call be taken? For OPTIONS, which clients ping with. @return false: `*answer` is filled */
bool door_has_room(struct sip *s, const struct config_src *src, struct sip_answer *answer);

#endif
