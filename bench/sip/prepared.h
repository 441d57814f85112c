/* The messages of a load test, written once: what differs between two calls is copied into fixed places. No call costs
 * the generator more than a copy, so that one core of it can saturate one core of the recorder.
 * It shares no code with the recorder. */
#ifndef PREPARED_H
#define PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREPARED_MAX      8192u
#define PREPARED_PLACES   32u
#define PREPARED_NUMBER   8u	/* hex digits of a call's number, wherever it stands */
#define PREPARED_BODY     4096u	/* bytes of the multipart body */
#define PREPARED_TAG_MAX  64u
#define PREPARED_URI_MAX  128u

struct prepared_invite {
	char bytes[PREPARED_MAX];
	size_t len;
	uint16_t places[PREPARED_PLACES];	/* where the call's number goes */
	unsigned int n_places;
};

/* What all messages of a run share. */
struct prepared_facts {
	const char *transport;	/* UDP, TCP, TLS */
	char server[64];	/* host:port */
	char local[64];		/* host:port of the connection, as Via and Contact say it */
	char host[48];		/* its host alone */
	const char *family;	/* IP4, IP6 */
	char run[PREPARED_NUMBER + 1];	/* differs from run to run, so that no Call-ID comes twice */
};

/** @return false: it does not fit */
bool prepared_invite_make(struct prepared_invite *p, const struct prepared_facts *f);

/** The INVITE of call `number`. `out` holds p->len. */
void prepared_invite_write(const struct prepared_invite *p, uint32_t number, char *out);

/* What a dialog is made of, from its 200. */
struct prepared_dialog {
	char tag[PREPARED_TAG_MAX];
	char target[PREPARED_URI_MAX];
};

/** ACK or BYE. `out` holds PREPARED_MAX. @return its length */
size_t prepared_request_write(const struct prepared_facts *f, const struct prepared_dialog *d, uint32_t number,
                              const char *method, char *out);

/* What came back. */
struct prepared_response {
	unsigned int status;
	uint32_t number;
	bool to_invite, to_bye;
	const char *tag, *target;	/* inside the message */
	size_t tag_len, target_len;
	const char *warning;		/* text of Warning, "" without */
	size_t warning_len;
};

/** @return false: no response to this run */
bool prepared_response_read(struct prepared_response *r, const struct prepared_facts *f, const char *message,
                            size_t len);

#endif
