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

/* What all calls share. */
struct call_plan {
	char server[CALL_TEXT_MAX - 64];	/* host:port as given, for the request URI */
	struct sockaddr_storage peer;
	struct sockaddr_storage local;
	char local_ip[INET6_ADDRSTRLEN];
	uint16_t local_port;
	bool tcp;
	bool mixed;			/* one stream that both participants send into */
	unsigned int n_participants;
	bool rtcp_mux;
	bool rtcp;			/* send sender reports */
	bool no_bye;			/* leave without a word, as a crashed SRC does */
	bool cancel;			/* CANCEL right after the INVITE; 487 is the right answer */
	unsigned int expect_status;	/* 0: 2xx */
	uint32_t duration_ms;		/* 0: until the longest source ends */
	uint32_t hold_at_ms, hold_for_ms;	/* 0: no hold */
	const char *metadata;		/* template; NULL: none */
	const struct media_source *sources[CALL_STREAMS_MAX];
	unsigned int n_sources;
	struct wire_faults faults;
	struct secure_plan secure;
	struct media_start start;
	uint32_t rekey_at_ms;		/* re-INVITE with other keys; 0: none */
	bool rekey_same;		/* with the same ones */
	bool rekey_keeps_roc;		/* the rollover counter goes on under the new key; else it starts at 0 */
	uint32_t ssrc_change_at_ms;	/* 0: none */
	uint64_t forge;			/* forged packets a call */
	uint32_t length_ms;		/* of a call, as far as it is known: forged packets are spread over it */
	uint32_t *seed;
	bool verbose;
	bool (*transmit)(const char *message, size_t len);
	/* call call_on_media() when the socket has something */
	bool (*watch)(int fd, unsigned int number, unsigned int stream_i, bool rtcp);
};

enum call_state {
	CALL_IDLE,
	CALL_INVITING,
	CALL_TALKING,
	CALL_REINVITING,	/* hold or resume is on the way; media goes on */
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
	bool held, resumed;	/* as offered */
	bool silent;		/* from the offer of a hold to the answer to its end */
	bool flowing;		/* media is sent: the keys are there */
	bool rekey_offered, ssrc_changed;
	bool acknowledged;
	bool cancelled;
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
	uint16_t local_ports[CALL_STREAMS_MAX], rtcp_ports[CALL_STREAMS_MAX];
	const char *suite;	/* of the last secured stream; NULL: none */
	uint64_t rekeys, handshakes;
	uint64_t forged;	/* due by now, sent or not */
	unsigned int forge_stream;
};

/** Open the media sockets and send the INVITE. @return false: `failure` says why */
bool call_start(struct call *c, const struct call_plan *plan, unsigned int number, uint64_t now_ms);
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

/** Value of a header (or its compact form) in `out`; the first one. @return false: absent */
bool call_header(const char *message, const char *name, const char *compact, char *out, size_t out_len);

#endif
