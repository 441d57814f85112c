/* Bytes as a SIP message (first byte even: a datagram; odd: a stream). Framing must not depend on how the bytes
 * arrive, spans must stay inside the input, and what can be answered must give a well-formed response. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/message.h"
#include "controlplane/sip/response.h"
#include "controlplane/sip/sip.h"

#define BYTES_MAX 16384u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
framing(struct span bytes)
{
	struct message_framer whole = { 0 }, halves = { 0 };
	enum message_framing all = message_frame(&whole, bytes, BYTES_MAX);
	enum message_framing how = message_frame(&halves, span_of(bytes.bytes, bytes.len / 2), BYTES_MAX);

	if (how == MESSAGE_PARTIAL)
		how = message_frame(&halves, bytes, BYTES_MAX);
	if (how != all && bytes.len <= BYTES_MAX)
		abort();
	if (all == MESSAGE_WHOLE && (whole.len > bytes.len || whole.head_len > whole.len || whole.head_len == 0))
		abort();
}

static void
answer(const struct message *m)
{
	struct conn_path from = { .transport = CONFIG_UDP, .remote.ss_family = AF_INET, .local.ss_family = AF_INET }, to;
	char *head = response_head(m, &from, "tag");
	struct response r = { .status = m->refusal == 0 ? 200 : m->refusal };
	struct message again;
	char *text;
	size_t n;

	if (head == NULL)
		return;		/* osip could not write what it read */
	text = response_text(head, &r, &n);
	if (text == NULL)
		abort();
	/* no header value may smuggle a line of its own into our response */
	for (const char *line = strstr(text, "\r\n") + 2; line[0] != '\r'; line = strstr(line, "\r\n") + 2)
		if (strncmp(line, "Via: ", 5) != 0 && strncmp(line, "From: ", 6) != 0 && strncmp(line, "To: ", 4) != 0 &&
		    strncmp(line, "Call-ID: ", 9) != 0 && strncmp(line, "CSeq: ", 6) != 0 &&
		    strncmp(line, "Timestamp: ", 11) != 0 && strncmp(line, "Server: ", 8) != 0 &&
		    strncmp(line, "Content-Length: ", 16) != 0)
			abort();
	if (message_parse(&again, span_of(text, n), true) == SRS_OK && again.status != r.status)
		abort();
	message_release(&again);
	response_path(m, &from, &to);
	free(text);
	free(head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct message m;
	struct span input;

	if (len == 0)
		return 0;
	parser_init();
	input = span_of(bytes + 1, len - 1);
	framing(input);
	if (message_parse(&m, input, bytes[0] % 2 == 0) == SRS_OK) {
		const char *contact = message_value(&m, "Contact");

		if (m.body.len != 0 && (m.body.bytes < input.bytes || m.body.bytes + m.body.len > input.bytes + input.len))
			abort();
		if (m.refusal != 0 && m.why == NULL)
			abort();
		message_contact_has(contact, "+sip.src");
		message_lists(&m, "Require", "siprec");
		free(dialog_uri_of(contact));
		free(dialog_uri_of(message_value(&m, "Record-Route")));
		if (m.status == 0)
			answer(&m);
	}
	message_release(&m);
	return 0;
}
