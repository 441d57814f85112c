/* Bytes as the value of one header that is parsed here and not by libosip2: the first byte chooses which. It stands in a
 * message that is right otherwise. Lists are cut into elements that join to the list again, parameters are found by all
 * who look for them, numbers are what the digits say, and no URI that is taken out of a value can break a request line.
 * A value of ours can be neither longer nor of more lines than what came. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/message.h"
#include "controlplane/sip/response.h"
#include "controlplane/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const names[] = { "Contact", "Record-Route", "Route", "Require", "Supported", "Allow", "Accept", "Via",
	                             "CSeq", "Content-Length", "Call-ID", "Timestamp", "Content-Type", "Max-Forwards",
	                             "Session-ID", "Reason", "Session-Expires", "Min-SE" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static char *
message_of(const char *name, struct span value, size_t *len)
{
	static const char *const lines[] = {
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKf", "From: <sip:a@x>;tag=f", "To: <sip:b@y>",
		"Call-ID: f", "CSeq: 1 INVITE", "Max-Forwards: 70", "Content-Length: 0" };
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		abort();
	fputs("INVITE sip:s@z SIP/2.0\r\n", f);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strncmp(lines[i], name, strlen(name)) != 0 || lines[i][strlen(name)] != ':')
			fprintf(f, "%s\r\n", lines[i]);
	fprintf(f, "%s: ", name);
	fwrite(value.bytes, 1, value.len, f);
	fputs("\r\n\r\n", f);
	if (fclose(f) != 0)
		abort();
	return text;
}

/* Every octet of the value stands in one element, or is a blank or comma between them. */
static void
elements_cover(const char *value)
{
	const char *at = value, *behind = value;
	struct span element;

	while (message_element_next(&at, &element)) {
		const char *start = (const char *)element.bytes;

		if (element.len == 0 || start < behind || start + element.len > value + strlen(value))
			abort();
		for (; behind < start; behind++)
			if (*behind != ' ' && *behind != ',')
				abort();
		behind = start + element.len;
		if (at < behind)
			abort();
	}
	/* an element of nothing ends a list: what stands behind it is not heard */
	if (at > value + strlen(value))
		abort();
}

static void
uri_is_harmless(const char *value)
{
	char *uri = dialog_uri_of(value);

	if (uri == NULL)
		return;
	if (uri[0] == '\0' || strpbrk(uri, " \"?\r\n<>") != NULL || strchr(uri, ':') == NULL || strstr(value, uri) == NULL)
		abort();
	free(uri);
}

static void
contact_agrees(const char *value)
{
	char *longer;

	/* a parameter that is there is found whatever its case; one that no text holds is not */
	if (message_contact_has(value, "+sip.src") != message_contact_has(value, "+SIP.SRC"))
		abort();
	if (message_contact_has(value, "+sip.src") && strcasestr(value, "+sip.src") == NULL)
		abort();
	if (message_contact_has(value, "src") && strcasestr(value, "src") == NULL)
		abort();
	/* the first Contact alone is the peer, whatever follows */
	if (asprintf(&longer, "<sip:a@b>;+sip.src,%s", value) < 0)
		abort();
	if (!message_contact_has(longer, "+sip.src"))
		abort();
	free(longer);
}

static void
cseq_is_the_number(const struct message *m)
{
	const char *value = message_value(m, "CSeq");
	uint64_t n = 0;

	if (m->refusal != 0)
		return;		/* perhaps for want of a number */
	for (; isdigit((unsigned char)*value); value++)
		n = n > UINT32_MAX ? n : n * 10 + (uint64_t)(*value - '0');
	if (n != m->cseq || n > INT32_MAX || *value != ' ' || m->cseq_method[0] == '\0')
		abort();
	if (strcmp(m->cseq_method, "INVITE") != 0)
		abort();
}

static void
response_is_whole(const struct message *m, const char *name)
{
	struct conn_path from = { .transport = CONFIG_UDP, .remote.ss_family = AF_INET, .local.ss_family = AF_INET };
	struct response r = { .status = 486 };
	char *head = response_head(m, &from, "ours"), *text;
	struct message again;
	size_t len;

	if (head == NULL)
		return;		/* libosip2 could not write what it read */
	text = response_text(head, &r, &len);
	if (text == NULL)
		abort();
	if (message_parse(&again, span_of(text, len), true) == SRS_OK) {
		if (again.status != 486)
			abort();
		if (m->refusal == 0 && (again.cseq != m->cseq || strcmp(again.call_id, m->call_id) != 0))
			abort();
	} else if (m->refusal == 0 && strcmp(name, "Via") != 0) {
		abort();	/* what was taken can be answered so that the peer can read it; a Via goes back as it came */
	}
	message_release(&again);
	free(text);
	free(head);
}

/* RFC 4028: what is read stands in the digits and in the parameter, and nothing but numbers refuses. */
static void
timer_is_what_it_says(const struct message *m)
{
	const char *expires = message_value(m, "Session-Expires");
	unsigned long long said = strtoull(expires, NULL, 10);
	struct timer_ask a;

	if (said == 0)
		said = 1;	/* an interval of 0 is one that is too small */
	timer_ask_read(&a, m);
	if (a.interval_s > INT32_MAX || a.min_s > INT32_MAX || (a.interval_s != 0 && !isdigit((unsigned char)expires[0])))
		abort();
	if (a.interval_s != 0 && a.interval_s < INT32_MAX && said != a.interval_s)
		abort();
	if (a.refresher != REFRESHER_OPEN && strcasestr(expires, a.refresher == REFRESHER_UAC ? "uac" : "uas") == NULL)
		abort();
	if (timer_ask_is_too_small(&a, TIMER_INTERVAL_S_MIN) && !a.supported)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct message m;
	const char *name;
	char *text;
	size_t n;

	if (len == 0)
		return 0;
	parser_init();
	name = names[bytes[0] % N_NAMES];
	text = message_of(name, span_of(bytes + 1, len - 1), &n);
	if (message_parse(&m, span_of(text, n), true) == SRS_OK) {
		for (unsigned int i = 0; i < m.n_headers; i++) {
			elements_cover(m.headers[i].value);
			if (strpbrk(m.headers[i].value, "\r\n") != NULL)
				abort();
		}
		uri_is_harmless(message_value(&m, name));
		contact_agrees(message_value(&m, "Contact"));
		cseq_is_the_number(&m);
		timer_is_what_it_says(&m);
		if (m.status == 0)
			response_is_whole(&m, name);
	}
	message_release(&m);
	free(text);
	return 0;
}
