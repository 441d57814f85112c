#include "controlplane/sip/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/page.h"

#define SIP_PORT  5060
#define SIPS_PORT 5061
#define HEAD_ROOM 512	/* one Via and short headers; more grows */

static const struct {
	unsigned int status;
	const char *reason;
} reasons[] = {
	{ 100, "Trying" },
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Request Entity Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Unsupported URI Scheme" },
	{ 420, "Bad Extension" },
	{ 421, "Extension Required" },
	{ 422, "Session Interval Too Small" },
	{ 469, "Bad Info Package" },
	{ 480, "Temporarily Unavailable" },
	{ 481, "Call/Transaction Does Not Exist" },
	{ 482, "Loop Detected" },
	{ 486, "Busy Here" },
	{ 487, "Request Terminated" },
	{ 488, "Not Acceptable Here" },
	{ 491, "Request Pending" },
	{ 500, "Server Internal Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "Version Not Supported" },
	{ 513, "Message Too Large" },
	{ 603, "Decline" },
	{ 606, "Not Acceptable" },
};

const char *
response_reason(unsigned int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return status < 300 ? "OK" : status < 500 ? "Refused" : "Failed";
}

/* Set a Via parameter, over what the sender may have put there. False: no memory. */
static bool
via_set(osip_via_t *via, const char *name, const char *value)
{
	osip_generic_param_t *p = NULL;
	char *copy = osip_strdup(value);
	char *name_copy;

	if (copy == NULL)
		return false;
	name_copy = osip_strdup(name);
	if (name_copy == NULL) {
		osip_free(copy);
		return false;
	}
	osip_via_param_get_byname(via, name_copy, &p);
	if (p != NULL) {
		osip_free(p->gvalue);
		osip_free(name_copy);
		p->gvalue = copy;
		return true;
	}
	return osip_via_param_add(via, name_copy, copy) == OSIP_SUCCESS;
}

/* The topmost Via tells the peer how we saw it: received when its sent-by is another host, rport when it asked. */
static char *
via_stamped(const struct message *m, const struct conn_path *from)
{
	struct sockaddr_storage sent_by;
	osip_generic_param_t *rport = NULL;
	char host[INET6_ADDRSTRLEN], port[8];
	char *text = NULL;
	bool differs;

	osip_via_param_get_byname(m->via, (char[]){ "rport" }, &rport);
	differs = conn_address_read(&sent_by, m->via->host, 0) != SRS_OK || !conn_same_host(&sent_by, &from->remote);
	if ((differs || rport != NULL) && !via_set(m->via, "received", conn_host_text(&from->remote, host)))
		return NULL;
	snprintf(port, sizeof(port), "%u", conn_port(&from->remote));
	if (rport != NULL && !via_set(m->via, "rport", port))
		return NULL;
	if (osip_via_to_str(m->via, &text) != OSIP_SUCCESS)
		return NULL;
	return text;
}

char *
response_head(const struct message *m, const struct conn_path *from, const char *to_tag)
{
	char *via = via_stamped(m, from);
	bool is_top = true;
	struct page p;

	if (via == NULL)
		return NULL;
	page_begin(&p, HEAD_ROOM);
	page_texts(&p, "Via: ", via, "\r\n", NULL);
	osip_free(via);
	if (m->via_rest != NULL && m->via_rest[0] != '\0')
		page_texts(&p, "Via: ", m->via_rest, "\r\n", NULL);
	for (unsigned int i = 0; i < m->n_headers; i++) {
		if (strcasecmp(m->headers[i].name, "Via") != 0)
			continue;
		if (!is_top && m->headers[i].value[0] != '\0')
			page_texts(&p, "Via: ", m->headers[i].value, "\r\n", NULL);
		is_top = false;
	}
	/* a request that lacks one of them still hears what was wrong */
	if (message_has(m, "From"))
		page_texts(&p, "From: ", message_value(m, "From"), "\r\n", NULL);
	if (message_has(m, "To"))
		page_texts(&p, "To: ", message_value(m, "To"), m->to_tag[0] == '\0' ? ";tag=" : "",
		           m->to_tag[0] == '\0' ? to_tag : "", "\r\n", NULL);
	if (m->call_id[0] != '\0')
		page_texts(&p, "Call-ID: ", m->call_id, "\r\n", NULL);
	if (message_has(m, "CSeq"))
		page_texts(&p, "CSeq: ", message_value(m, "CSeq"), "\r\n", NULL);
	if (message_has(m, "Timestamp"))
		page_texts(&p, "Timestamp: ", message_value(m, "Timestamp"), "\r\n", NULL);
	return page_end(&p);
}

/* All but the body. @return its length, as snprintf() */
static size_t
head_write(char *out, size_t out_len, const char *head, const struct response *r, size_t body_len)
{
	int n = snprintf(out, out_len, "SIP/2.0 %u %s\r\n%s%sServer: Capstan/" SRS_VERSION "\r\n%s%s%sContent-Length: %zu\r\n\r\n",
	                 r->status, response_reason(r->status), head, r->lines == NULL ? "" : r->lines,
	                 r->content_type != NULL ? "Content-Type: " : "", r->content_type != NULL ? r->content_type : "",
	                 r->content_type != NULL ? "\r\n" : "", body_len);

	return n > 0 ? (size_t)n : 0;
}

/* The body may hold a key: it is copied once, into memory that the owner of the text wipes. */
char *
response_text(const char *head, const struct response *r, size_t *len)
{
	size_t body_len = r->content_type != NULL ? strlen(r->body) : 0;
	size_t head_len = head_write(NULL, 0, head, r, body_len);
	char *text = malloc(head_len + body_len + 1);

	if (text == NULL || head_len == 0) {
		free(text);
		return NULL;
	}
	(void)head_write(text, head_len + 1, head, r, body_len);
	if (body_len != 0)
		memcpy(text + head_len, r->body, body_len);
	*len = head_len + body_len;
	text[*len] = '\0';
	return text;
}

void
response_path(const struct message *m, const struct conn_path *from, struct conn_path *out)
{
	osip_generic_param_t *rport = NULL;
	unsigned long port = m->via->port != NULL ? strtoul(m->via->port, NULL, 10) :
	                     from->transport == CONFIG_TLS ? SIPS_PORT : SIP_PORT;

	*out = *from;
	osip_via_param_get_byname(m->via, (char[]){ "rport" }, &rport);
	/* maddr is not followed: it would let a sender aim our responses at third parties. */
	if (from->transport == CONFIG_UDP && rport != NULL)
		return;
	if (port != 0 && port <= UINT16_MAX)	/* else there is no such port, and the source's own is the best guess */
		conn_port_set(&out->remote, (uint16_t)port);
}
