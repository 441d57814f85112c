/* A simulated session recording client: one SIPREC call from INVITE to BYE. It shares no code with the recorder, so
 * that each finds the other's mistakes. */
#ifndef SRC_CALL_H
#define SRC_CALL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media.h"
#include "secure.h"

#define CALL_STREAMS_MAX 8
#define CALL_TEXT_MAX    256
#define CALL_MESSAGE_MAX 65536

enum call_transport { CALL_UDP, CALL_TCP, CALL_TLS };

/* What a call does in the middle, in order of time. */
enum call_change_kind {
	CALL_HOLD, CALL_RESUME,
	CALL_REKEY,	/* other keys, or the same again with `rekey_same` */
	CALL_REFRESH,	/* the same offer and metadata again */
	CALL_METADATA,	/* a partial document: a participant has another name */
	CALL_ADD,	/* one more stream, with one more participant */
	CALL_REMOVE,	/* the last stream goes: port 0 */
	CALL_REPLACE,	/* a second dialog takes this one's place (RFC 3891) */
	CALL_N_CHANGES
};
#define CALL_CHANGES_MAX 32

struct call_change {
	uint32_t at_ms;		/* of the call */
	enum call_change_kind kind;
};

/* Who refreshes a session (RFC 4028 §7.1); what the client does about it. */
enum call_refresher { CALL_NOBODY, CALL_UAC, CALL_UAS };
enum call_refresh { CALL_REFRESH_AUTO, CALL_REFRESH_UPDATE, CALL_REFRESH_REINVITE, CALL_REFRESH_NEVER };

struct call;

/* What all calls share. */
struct call_plan {
	char server[CALL_TEXT_MAX - 64];	/* host:port as given, for the request URI */
	struct sockaddr_storage peer;
	struct sockaddr_storage local;
	char local_ip[INET6_ADDRSTRLEN];
	uint16_t local_port;
	enum call_transport transport;
	bool mixed;			/* one stream that both participants send into */
	unsigned int n_participants;
	bool rtcp_mux;
	bool rtcp;			/* send sender reports */
	bool no_bye;			/* leave without a word, as a crashed SRC does */
	bool cancel;			/* CANCEL right after the INVITE; 487 is the right answer */
	unsigned int expect_status;	/* 0: 2xx */
	uint32_t duration_ms;		/* 0: until the longest source ends */
	struct call_change changes[CALL_CHANGES_MAX];
	unsigned int n_changes;
	bool by_update;			/* changes go by UPDATE where the server allows it, else by re-INVITE */
	uint32_t session_expires_s, min_se_s;	/* 0: no Session-Expires, no Min-SE */
	enum call_refresher refresher;	/* as asked for */
	enum call_refresh refresh;
	bool no_snapshot;		/* metadata requests are not taken */
	const char *replaces;		/* value of a Replaces header in every INVITE; NULL: none */
	const char *metadata;		/* template; NULL: none */
	const struct media_source *sources[CALL_STREAMS_MAX];
	unsigned int n_sources;
	struct wire_faults faults;
	struct secure_plan secure;
	struct media_start start;
	bool rekey_same;		/* CALL_REKEY with the same keys */
	bool rekey_keeps_roc;		/* the rollover counter goes on under the new key; else it starts at 0 */
	uint32_t ssrc_change_at_ms;	/* 0: none */
	uint64_t forge;			/* forged packets a call */
	uint32_t length_ms;		/* of a call, as far as it is known: forged packets are spread over it */
	uint32_t *seed;
	bool verbose;
	bool (*transmit)(const char *message, size_t len);
	/* call call_on_media() when the socket has something */
	bool (*watch)(int fd, unsigned int number, unsigned int stream_i, bool rtcp);
	/* start another call that replaces this one */
	void (*succeed)(struct call *c, uint64_t now_ms);
};

enum call_state {
	CALL_IDLE,
	CALL_INVITING,
	CALL_TALKING,
	CALL_CHANGING,	/* a re-INVITE or UPDATE is on the way; media goes on */
	CALL_ENDING,
	CALL_DONE,
};

struct call {
	const struct call_plan *plan;
	enum call_state state;
	unsigned int number;
	char id[64];		/* Call-ID */
	char session_id[48];	/* of the communication session, base64 of a UUID */
	char stream_ids[CALL_STREAMS_MAX][32];
	char participant_ids[CALL_STREAMS_MAX][32];
	char from_tag[24], to_tag[CALL_TEXT_MAX];
	char target[CALL_TEXT_MAX];	/* the server's Contact URI */
	char branch[40];
	unsigned int cseq;
	unsigned int sdp_version;
	bool held;		/* as offered */
	bool silent;		/* from the offer of a hold to the answer to its end */
	bool flowing;		/* media is sent: the keys are there */
	bool ssrc_changed;
	bool renamed;		/* CALL_METADATA came */
	bool acknowledged;
	bool cancelled;
	unsigned int n_changed;	/* changes that were begun */
	unsigned int offered;	/* CALL_OFFER_*: what the request on its way carries */
	unsigned int changes_refused;	/* in a row, by 491 and the like */
	uint64_t again_ms;	/* when it is sent anew after 491 or Retry-After; 0: it is not */
	bool peer_updates;	/* Allow of the server lists UPDATE */
	const struct call *before;	/* the dialog that this one replaces, or NULL */
	struct call *after;	/* the dialog that replaces this one, or NULL */
	uint32_t offset_ms;	/* of the media: what the call before said already */
	/* session timer in force; expires_s 0: none */
	uint32_t expires_s, min_se_s;
	bool refreshes;		/* we do */
	uint64_t refreshed_ms;
	/* the server's requests */
	uint32_t peer_cseq;	/* of the newest one; 0: none came */
	char *reply;		/* to it: goes again with the request, and for INVITE until the ACK */
	size_t reply_len;
	uint64_t reply_ms, reply_until_ms;	/* when it goes again; 0: not by time */
	uint32_t reply_interval_ms;
	bool answer_in_ack;	/* we offered in a 200 */
	bool snapshot_due;
	uint64_t updates, reinvites, refreshes_sent, refreshes_received, snapshots, server_offers;
	bool replaced, ended_by_server;
	unsigned int final_status;
	char failure[CALL_TEXT_MAX];	/* "" while the server behaved */
	uint64_t invited_ms, answered_ms, started_ms, ended_ms;
	/* the request that waits for an answer */
	char *pending;
	size_t pending_len;
	uint64_t retransmit_ms, give_up_ms;
	uint32_t interval_ms;
	uint64_t report_ms;
	uint64_t hang_up_ms;	/* in CALL_ENDING: when the BYE goes; 0: it went */
	unsigned int n_streams;
	struct media_stream streams[CALL_STREAMS_MAX];
	struct secure secures[CALL_STREAMS_MAX];
	bool answered[CALL_STREAMS_MAX];	/* the server took the stream */
	bool paused[CALL_STREAMS_MAX];		/* the server wants nothing now */
	bool gone[CALL_STREAMS_MAX];		/* removed by us */
	bool keyed[CALL_STREAMS_MAX];
	uint16_t local_ports[CALL_STREAMS_MAX], rtcp_ports[CALL_STREAMS_MAX];
	const char *suite;	/* of the last secured stream; NULL: none */
	uint64_t rekeys, handshakes;
	uint64_t forged;	/* due by now, sent or not */
	unsigned int forge_stream;
};

/** Open the media sockets and send the INVITE.
 * @param before  a call of the same plan that this one replaces, and whose media it continues; NULL: none
 * @return false: `failure` says why */
bool call_start(struct call *c, const struct call_plan *plan, unsigned int number, struct call *before, uint64_t now_ms);
/** A response or request of this call's dialog, NUL-terminated. */
void call_receive(struct call *c, const char *message, uint64_t now_ms);
/** Send what is due: media, retransmissions, hold, BYE. Called at least each 10 ms. */
void call_tick(struct call *c, uint64_t now_ms);
/** A media socket of stream `stream_i` (its RTCP socket with `rtcp`) has something. */
void call_on_media(struct call *c, unsigned int stream_i, bool rtcp);
/** End early (the operator pressed Ctrl-C). */
void call_hang_up(struct call *c, uint64_t now_ms);
void call_release(struct call *c);
bool call_is_over(const struct call *c);

/** A word of `len` random letters and digits, no part of what a seed repeats: identifiers are never used twice. */
void call_random_text(char *out, size_t len);
/** Value of a header (or its compact form) in `out`; the first one. @return false: absent */
bool call_header(const char *message, const char *name, const char *compact, char *out, size_t out_len);

#endif
