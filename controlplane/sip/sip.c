#include "controlplane/sip/sip.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/nat.h"
#include "controlplane/sip/challenge.h"
#include "controlplane/sip/door.h"
#include "controlplane/sip/response.h"
#include "controlplane/sip/source_limit.h"
#include "lib/page.h"
#include "lib/srs_log.h"

#define WARNING_MAX     256
#define LINES_ROOM 512	/* what an answer adds to its head; more grows */

static const char *const methods_served[] = { "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO" };
/* Known to SIP, not served here: 405. Any other: 501. */
static const char *const methods_known[] = { "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER",
	                                     "MESSAGE" };
static const char *const tags_known[] = { "siprec", "record-aware", "replaces", "timer" };

static bool
is_among(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}
#define IS_AMONG(text, list) is_among(text, list, sizeof(list) / sizeof((list)[0]))

void
sip_count(struct sip *s, enum sip_counter which)
{
	uint64_t n = atomic_load_explicit(&s->counters[which], memory_order_relaxed);

	atomic_store_explicit(&s->counters[which], n + 1, memory_order_relaxed);	/* one writer: this thread */
}

uint64_t
sip_counter_read(const struct sip *s, enum sip_counter which)
{
	return atomic_load_explicit(&s->counters[which], memory_order_relaxed);
}

void
sip_tag_make(char tag[SIP_TAG_SIZE])
{
	uint64_t bits;

	arc4random_buf(&bits, sizeof(bits));
	snprintf(tag, SIP_TAG_SIZE, "%016llx", (unsigned long long)bits);
}

unsigned int
sip_retry_after(const struct sip *s)
{
	return 1 + (s->config->sip.retry_after_s < 2 ? 0 : arc4random_uniform(s->config->sip.retry_after_s));
}

const char *
sip_transport_parameter(enum config_transport t)
{
	return t == CONFIG_UDP ? "" : t == CONFIG_TCP ? ";transport=tcp" : ";transport=tls";
}

const char *
sip_contact_line(const struct sip *s, const struct conn_path *from, char *out)
{
	struct sockaddr_storage named = from->local;
	char address[CONN_ADDRESS_TEXT_MAX];
	struct nat_address own;
	const struct nat_address *a;

	nat_address_of(&own, &from->local);
	a = nat_signalling(s->nat, &own, &from->remote);
	if (a->ip_version == 6)
		memcpy(&((struct sockaddr_in6 *)&named)->sin6_addr, a->ip, 16);
	else
		memcpy(&((struct sockaddr_in *)&named)->sin_addr, a->ip, 4);
	if (from->sips && from->transport == CONFIG_TLS)	/* which says TLS already (RFC 3261 §26.2.2) */
		snprintf(out, SIP_CONTACT_MAX, "Contact: <sips:srs@%s>;+sip.srs\r\n", conn_address_text(&named, address));
	else
		snprintf(out, SIP_CONTACT_MAX, "Contact: <sip:srs@%s%s>;+sip.srs\r\n",
		         conn_address_text(&named, address), sip_transport_parameter(from->transport));
	return out;
}

void
sip_nat_set(struct sip *s, const struct nat *nat)
{
	s->nat = nat;
}

const char *
sip_supported_line(const struct sip *s)
{
	return replaces_served(s) ? "Supported: siprec, replaces, timer\r\n" : "Supported: siprec, timer\r\n";
}

/* ---- answers ---- */

/* Text inside quotes: what would end them is left out. */
static void
quoted_write(struct page *p, const char *text)
{
	for (size_t i = 0; text[i] != '\0' && i < WARNING_MAX; i++)
		page_put(p, (unsigned char)text[i] < 0x20 || strchr("\"\\\x7f", text[i]) != NULL ? " " : text + i, 1);
}

static void
lines_write(struct page *p, const struct sip *s, const char *method, const struct conn_path *from,
            const struct sip_answer *a)
{
	char contact[SIP_CONTACT_MAX];
	bool ok = a->status < 300;
	bool offers = strcmp(method, "INVITE") == 0 || strcmp(method, "UPDATE") == 0;
	bool options = strcmp(method, "OPTIONS") == 0;
	bool told = options && a->status == 503;	/* what we can, though not now */

	if (offers || options)
		page_text(p, sip_contact_line(s, from, contact));
	if ((ok && (offers || options)) || told || a->status == 405 || a->status == 501)
		page_text(p, SIP_ALLOW_LINE);
	if ((ok && (offers || options)) || told)
		page_text(p, sip_supported_line(s));
	if ((ok && (offers || options)) || told || a->status == 415)
		page_text(p, SIP_ACCEPT_LINE);
	if ((ok && options) || a->status == 415)
		page_text(p, "Accept-Encoding: identity\r\n");
	if (a->status == 469)
		page_text(p, "Recv-Info:\r\n");	/* none at all (RFC 6086 §11.6) */
	if (a->warning != NULL) {
		page_texts(p, "Warning: 399 ", s->agent, " \"", NULL);
		quoted_write(p, a->warning);
		page_text(p, "\"\r\n");
	}
	if (a->retry_after_s != 0) {
		page_text(p, "Retry-After: ");
		page_number(p, a->retry_after_s);
		page_text(p, "\r\n");
	}
	if (a->lines != NULL)
		page_text(p, a->lines);
}

char *
sip_answer_text(struct sip *s, const char *head, const char *method, const struct conn_path *from,
                const struct sip_answer *a, size_t *len)
{
	char *lines, *text = NULL;
	struct response r = { .status = a->status, .body = a->sdp };
	struct page p;

	page_begin(&p, LINES_ROOM);
	lines_write(&p, s, method, from, a);
	lines = page_end(&p);
	r.lines = lines;
	r.content_type = a->sdp == NULL ? NULL : "application/sdp";
	if (lines != NULL)
		text = response_text(head, &r, len);
	free(lines);
	return text;
}

/* A refusal, for the observatory. That a call was cancelled, or offers crossed, is none. */
static void
refusal_keep(struct sip *s, uint32_t src, const struct observatory_refusal *r)
{
	struct observatory_refusal whole = *r;

	whole.src = src;
	if (r->rule == NULL)
		whole.rule = "";
	observatory_refused(s->observatory, &whole, reactor_wall_ns());
}

static bool
is_refusal(const struct sip_answer *a)
{
	return a->status >= 400 && a->status != 487 && a->status != 491 && !a->expected;
}

/* Out of the head that each response has. */
static const char *
call_id_of(const char *head, char *out, size_t out_len)
{
	static const char name[] = "\r\nCall-ID: ";
	const char *at = strstr(head, name);

	if (at != NULL)
		at += sizeof(name) - 1;
	snprintf(out, out_len, "%.*s", at == NULL ? 0 : (int)strcspn(at, "\r"), at == NULL ? "" : at);
	return out;
}

void
sip_answer(struct sip *s, struct transaction *t, const char *method, const struct conn_path *from,
           const struct sip_answer *a)
{
	size_t len = 0;
	char *text = sip_answer_text(s, transaction_head(t), method, from, a, &len);

	if (a->status >= 400)
		sip_count(s, SIP_REFUSED);
	if (is_refusal(a)) {
		char call_id[OBSERVATORY_TEXT_MAX];

		refusal_keep(s, transaction_src(t), &(struct observatory_refusal){
			.address = &from->remote, .method = method, .status = a->status, .rule = a->warning,
			.call_id = call_id_of(transaction_head(t), call_id, sizeof(call_id)) });
	}
	transaction_respond(t, a->status, text, len);
}

/* Who sent this request? In a dialog the one whose dialog it is. */
static uint32_t
src_seen(struct sip *s, const struct message *m, const struct conn_path *from, const struct dialog *d)
{
	const char *identity, *agent = message_value(m, "User-Agent");
	uint64_t now = reactor_wall_ns();
	struct observatory_who who = { .address = &from->remote, .transport = from->transport };

	if (d != NULL && observatory_hear(s->observatory, d->src, from->transport, now))
		return d->src;
	who.agent = agent[0] != '\0' ? agent : message_value(m, "Server");
	who.src = sip_src_of(s, from, &identity);
	who.identity = identity;
	return observatory_see(s->observatory, &who, now);
}

/* Without a transaction: what is malformed, too large, or comes when the pool is empty. A retransmission is answered
 * the same way again, so the tag is a function of the request (RFC 3261 §8.2.7). */
static void
answer_stateless(struct sip *s, const struct message *m, const struct conn_path *from, const struct sip_answer *a)
{
	char tag[SIP_TAG_SIZE];
	struct conn_path to;
	char *head, *text;
	size_t len = 0;

	sip_count(s, SIP_REFUSED);
	refusal_keep(s, src_seen(s, m, from, NULL), &(struct observatory_refusal){
		.address = &from->remote, .method = m->method, .call_id = m->call_id, .status = a->status, .rule = a->warning });
	snprintf(tag, sizeof(tag), "%016llx",
	         (unsigned long long)(textmap_hash(&s->dialogs, m->call_id) ^ textmap_hash(&s->dialogs, m->branch)));
	head = response_head(m, from, tag);
	text = head == NULL ? NULL : sip_answer_text(s, head, m->method, from, a, &len);
	response_path(m, from, &to);
	if (text == NULL || conn_send(s->conns, &to, span_of(text, len)))
		log_warn("sip", "stateless_answer_lost", "status=%u", a->status);
	free(text);
	free(head);
}

static void
refuse(struct sip *s, struct transaction *t, const struct message *m, const struct conn_path *from,
       unsigned int status, const char *warning)
{
	sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = status, .warning = warning });
}

/* ---- requests as handlers see them ---- */

static char *
uri_text(const osip_from_t *party)
{
	char *text = NULL;

	if (party == NULL || party->url == NULL || osip_uri_to_str(party->url, &text) != OSIP_SUCCESS)
		return NULL;
	return text;
}

const struct config_src *
sip_src_of(const struct sip *s, const struct conn_path *from, const char **identity)
{
	const char *names[CONN_IDENTITIES_MAX];
	unsigned int n = conn_identities(s->conns, from, names);
	uint8_t ip[16] = { 0 };
	int ip_version = from->remote.ss_family == AF_INET6 ? 6 : 4, which;
	const struct config_src *src;

	if (ip_version == 6)
		memcpy(ip, &((const struct sockaddr_in6 *)&from->remote)->sin6_addr, 16);
	else
		memcpy(ip, &((const struct sockaddr_in *)&from->remote)->sin_addr, 4);
	src = config_src_find(s->config, names, n, ip_version, ip, &which);
	if (identity != NULL)
		*identity = n == 0 ? "" : names[which < 0 ? 0 : which];
	return src;
}

void
sip_request_view(const struct sip *s, struct sip_request_view *v, const struct message *m, const struct conn_path *from)
{
	const char *contact = message_value(m, "Contact");
	const char *agent = message_value(m, "User-Agent");

	v->from_uri = uri_text(m->from);
	v->to_uri = uri_text(m->to);
	v->request = (struct sip_request){
		.method = m->method,
		.call_id = m->call_id,
		.from_uri = v->from_uri == NULL ? "" : v->from_uri,
		.from_tag = m->from_tag,
		.to_uri = v->to_uri == NULL ? "" : v->to_uri,
		.contact = contact,
		.user_agent = agent[0] != '\0' ? agent : message_value(m, "Server"),
		.session_id = message_value(m, "Session-ID"),
		.content_type = message_value(m, "Content-Type"),
		.content_disposition = message_value(m, "Content-Disposition"),
		.body = m->body,
		.require_siprec = message_lists(m, "Require", "siprec"),
		.contact_sip_src = message_contact_has(contact, "+sip.src"),
		.contact_bare_src = message_contact_has(contact, "src"),
		.transport = from->transport,
		.source = from->remote,
		.local = from->local,
	};
	v->request.src = sip_src_of(s, from, &v->request.identity);
}

void
sip_request_view_release(struct sip_request_view *v)
{
	osip_free(v->from_uri);
	osip_free(v->to_uri);
}

/* ---- checks that need no dialog (RFC 3261 §8.2) ---- */

/* Unsupported: the tags of Require that we do not know. Empty: all known. */
static void
unknown_tags(const struct sip *s, const struct message *m, char *out, size_t out_len)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < m->n_headers; i++) {
		const char *at = m->headers[i].value;
		struct span tag;

		if (strcasecmp(m->headers[i].name, "Require") != 0)
			continue;
		while (message_element_next(&at, &tag)) {
			char text[64];
			bool known = false;

			snprintf(text, sizeof(text), "%.*s", (int)tag.len, (const char *)tag.bytes);
			for (size_t k = 0; k < sizeof(tags_known) / sizeof(tags_known[0]); k++)
				known = known || strcasecmp(text, tags_known[k]) == 0;
			if (strcasecmp(text, "replaces") == 0)
				known = replaces_served(s);
			if (!known && used + strlen(text) + 3 < out_len)
				used += (size_t)snprintf(out + used, out_len - used, "%s%s",
				                         used == 0 ? "" : ", ", text);
		}
	}
}

/* Whether a top-level body type is one that recording sessions use. INFO's own types are the handler's to judge. */
static bool
type_is_served(const struct message *m)
{
	static const char *const served[] = { "application/sdp", "multipart/", "application/rs-metadata" };
	const char *type = message_value(m, "Content-Type");

	if (m->body.len == 0 || (strcmp(m->method, "INVITE") != 0 && strcmp(m->method, "UPDATE") != 0))
		return true;
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		if (strncasecmp(type, served[i], strlen(served[i])) == 0)
			return true;
	return false;
}

static bool
encoding_is_served(const struct message *m)
{
	const char *encoding = message_value(m, "Content-Encoding");

	return m->body.len == 0 || encoding[0] == '\0' || strcasecmp(encoding, "identity") == 0;
}

/* @return true when the request was refused */
static bool
refused_by_form(struct sip *s, struct transaction *t, const struct message *m, const struct conn_path *from)
{
	char unknown[256], lines[300];
	struct timer_ask timer;

	if (!IS_AMONG(m->method, methods_served)) {
		bool known = IS_AMONG(m->method, methods_known);

		refuse(s, t, m, from, known ? 405 : 501,
		       known ? "the method is not served by a recording server" : "the method is not known");
		return true;
	}
	if (strncasecmp(m->uri, "sip:", 4) != 0 && strncasecmp(m->uri, "sips:", 5) != 0) {
		refuse(s, t, m, from, 416, "the Request-URI must be a sip or sips URI");
		return true;
	}
	unknown_tags(s, m, unknown, sizeof(unknown));
	if (unknown[0] != '\0' && strcmp(m->method, "CANCEL") != 0) {
		snprintf(lines, sizeof(lines), "Unsupported: %s\r\n", unknown);
		sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = 420, .lines = lines,
			   .warning = "Require names an extension that is not supported" });
		return true;
	}
	if (m->body.len > s->config->sip.body_bytes_max) {
		refuse(s, t, m, from, 413, "the body is larger than sip.body_bytes_max");
		return true;
	}
	if (m->body.len != 0 && message_value(m, "Content-Type")[0] == '\0') {
		refuse(s, t, m, from, 400, "a body needs a Content-Type");
		return true;
	}
	if (strcmp(m->method, "INVITE") == 0 || strcmp(m->method, "UPDATE") == 0) {
		timer_ask_read(&timer, m);
		if (timer_ask_is_too_small(&timer, s->config->session.min_se_s)) {
			snprintf(lines, sizeof(lines), "Min-SE: %u\r\n", s->config->session.min_se_s);
			sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = 422, .lines = lines,
				   .warning = "Session-Expires is too small: see Min-SE" });
			return true;
		}
	}
	if (!type_is_served(m) || !encoding_is_served(m)) {
		refuse(s, t, m, from, 415, "the body's type or encoding is not supported: see Accept");
		return true;
	}
	return false;
}

/* Who may have no recordings here is told so, and what to mend (RFC 7866 §12.1). @return refused */
static bool
refused_by_profile(struct sip *s, struct transaction *t, const struct message *m, const struct conn_path *from)
{
	const char *identity;
	const struct config_src *src = sip_src_of(s, from, &identity);
	char why[WARNING_MAX];

	if (src->admit == CONFIG_ADMIT_ACCEPT)
		return false;
	snprintf(why, sizeof(why), identity[0] != '\0' ? "profile %s refuses the name of this certificate: admit it in src" :
	         "profile %s refuses this address without a known certificate: admit it in src", src->name);
	sip_count(s, SIP_UNWELCOME);
	log_warn("sip", "source_refused", "src=\"%s\" identity=\"%s\" call_id=\"%s\"", src->name, identity, m->call_id);
	refuse(s, t, m, from, 403, why);
	return true;
}

/* A dialog that a certificate began goes on with that certificate: who reads Call-ID and tags off a log or another wire
 * must neither end a recording nor move or silence it (RFC 7866 §12.1). @return refused */
static bool
refused_by_identity(struct sip *s, struct transaction *t, const struct message *m, const struct conn_path *from,
                    const struct dialog *d)
{
	char address[CONN_ADDRESS_TEXT_MAX];

	if (dialog_is_with(d, from))
		return false;
	log_warn("sip", "stranger_in_dialog", "method=%s call_id=\"%s\" source=%s", m->method, m->call_id,
	         conn_address_text(&from->remote, address));
	refuse(s, t, m, from, 403, "the dialog began with another certificate: send its requests over a connection that shows it");
	return true;
}

/* An INVITE that would begin a session, from who has no certificate, needs a password where there are any (RFC 3261 §22.2).
 * Requests in a dialog need its tags, and are not challenged: few clients can repeat a BYE. OPTIONS neither: clients ping
 * with it and take a 401 for a recorder that is down. @return refused */
static bool
refused_by_challenge(struct sip *s, struct transaction *t, const struct message *m, const struct conn_path *from,
                     const char **user)
{
	enum challenge_result result;
	char *lines;

	if (s->challenge == NULL || strcmp(m->method, "INVITE") != 0 || conn_identity(s->conns, from)[0] != '\0')
		return false;
	result = challenge_judge(s->challenge, m, user);
	if (result == CHALLENGE_PASSED)
		return false;
	sip_count(s, result == CHALLENGE_WRONG ? SIP_UNAUTHENTICATED : SIP_CHALLENGES);
	if (result == CHALLENGE_WRONG) {
		char address[CONN_ADDRESS_TEXT_MAX];

		log_warn("sip", "digest_refused", "call_id=\"%s\" source=%s", m->call_id, conn_address_text(&from->remote, address));
	}
	lines = challenge_lines(s->challenge, result == CHALLENGE_STALE);
	sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = lines == NULL ? 500 : 401, .lines = lines,
		   .expected = lines != NULL && result != CHALLENGE_WRONG,
		   .warning = lines == NULL ? "no challenge could be made" :
		   result == CHALLENGE_WRONG ? "name, password or algorithm are not right, see sip.digest_users" :
		   "a password is needed: answer the challenge" });
	free(lines);
	return true;
}

/* ---- dispatch ---- */

/* One with Replaces passed the door without being counted. */
static void
on_new_invite(struct sip *s, const struct message *m, const struct conn_path *from, struct transaction *t,
              const struct dialog_opening *with)
{
	if (s->closing || s->n_dialogs >= s->dialogs_max) {
		sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = 503, .retry_after_s = sip_retry_after(s),
			   .warning = s->closing ? "the recorder is stopping" : "too many dialogs" });
		return;
	}
	dialog_open(s, m, from, t, with);
}

static void
on_new_options(struct sip *s, const struct message *m, const struct conn_path *from, struct transaction *t)
{
	struct sip_answer a = { .status = 200 };

	if (!door_has_room(s, sip_src_of(s, from, NULL), &a))
		a.expected = true;	/* a ping: nothing was to be recorded */
	sip_answer(s, t, m->method, from, &a);
}

/* What belongs to nothing here, or cannot be read, knocks first. @return not let in */
static bool
turned_away(struct sip *s, const struct message *m, const struct conn_path *from)
{
	struct sip_answer a;

	switch (door_ask(s, m, from, &a)) {
	case DOOR_OPEN:
		return false;
	case DOOR_REFUSE:
		answer_stateless(s, m, from, &a);
		break;
	case DOOR_DROP:
		break;
	}
	return true;
}

static void
on_cancel(struct sip *s, const struct message *m, const struct conn_path *from, struct transaction *t,
          struct transaction *invite)
{
	struct dialog *d = invite == NULL ? NULL : transaction_user_ctx(invite);

	if (invite == NULL) {
		refuse(s, t, m, from, 481, "no INVITE that could be cancelled");
		return;
	}
	if (d != NULL && refused_by_identity(s, t, m, from, d))
		return;
	sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = 200 });
	if (d != NULL && !transaction_is_answered(invite))
		dialog_on_cancel(d, invite);
}

static void
on_ack(struct sip *s, const struct message *m, const struct conn_path *from)
{
	struct transaction *t = transaction_find(s->transactions, m);
	struct dialog *d;

	if (t != NULL && transaction_absorb(t, m))
		return;
	d = dialog_find(s, m);
	if (d != NULL && dialog_is_with(d, from))
		dialog_on_ack(d, m);
	/* else: the ACK to a stateless refusal, a stray, or a stranger's; it is never answered */
}

/* A request that no transaction knows. */
static void
on_new_request(struct sip *s, const struct message *m, const struct conn_path *from)
{
	struct transaction *invite = NULL, *t;
	struct dialog *d = m->to_tag[0] == '\0' ? NULL : dialog_find(s, m);
	char tag[SIP_TAG_SIZE];
	bool merged = transaction_is_merged(s->transactions, m);
	struct replaces_finding replaces;
	const char *user = "";
	enum srs_err err;

	if (strcmp(m->method, "CANCEL") == 0)
		invite = transaction_find_cancelled(s->transactions, m);
	if (d == NULL && invite == NULL && turned_away(s, m, from))
		return;
	sip_tag_make(tag);
	if (invite != NULL) {
		struct dialog *cancelled = transaction_user_ctx(invite);

		if (cancelled != NULL)
			memcpy(tag, cancelled->local_tag, sizeof(tag));	/* RFC 3261 §9.2: the same tag */
	}
	err = transaction_accept(&t, s->transactions, m, from, response_head(m, from, tag));
	if (err) {
		answer_stateless(s, m, from, &(struct sip_answer){ .status = 503, .retry_after_s = sip_retry_after(s),
			         .warning = "too many transactions" });
		return;
	}
	transaction_src_set(t, src_seen(s, m, from, d));
	if (refused_by_form(s, t, m, from))
		return;
	if (strcmp(m->method, "CANCEL") == 0)
		on_cancel(s, m, from, t, invite);
	else if (merged)
		refuse(s, t, m, from, 482, "the same request came by another path");
	else if (m->to_tag[0] != '\0' && d == NULL)
		refuse(s, t, m, from, 481, "no such dialog");
	else if (d != NULL && refused_by_identity(s, t, m, from, d))
		return;
	else if (d == NULL && refused_by_profile(s, t, m, from))
		return;
	else if (d == NULL && refused_by_challenge(s, t, m, from, &user))
		return;
	else if (replaces_find(&replaces, s, m, from, user), replaces.status != 0)
		refuse(s, t, m, from, replaces.status, replaces.warning);
	else if (d != NULL)
		dialog_on_request(d, m, from, t);
	else if (strcmp(m->method, "INVITE") == 0)
		on_new_invite(s, m, from, t, &(struct dialog_opening){ tag, replaces.dialog, user });
	else if (strcmp(m->method, "OPTIONS") == 0)
		on_new_options(s, m, from, t);
	else
		refuse(s, t, m, from, 481, "this method needs a dialog");
}

static void
on_request(struct sip *s, const struct message *m, const struct conn_path *from, enum message_framing how)
{
	bool ack = strcmp(m->method, "ACK") == 0;
	struct transaction *t;

	sip_count(s, SIP_REQUESTS);
	if (m->refusal != 0 || how != MESSAGE_WHOLE) {
		struct sip_answer a = { .status = m->refusal, .warning = m->why };

		if (how == MESSAGE_UNFRAMED && m->refusal == 0)
			a = (struct sip_answer){ .status = 400, .warning = "Content-Length is missing or no number" };
		if (how == MESSAGE_TOO_LARGE)
			a = (struct sip_answer){ .status = 413, .warning = "the message is larger than accepted" };
		if (ack)
			sip_count(s, SIP_MALFORMED);
		else if (!turned_away(s, m, from))	/* 400s, too, can be a flood */
			answer_stateless(s, m, from, &a);
		return;
	}
	if (ack) {
		on_ack(s, m, from);
		return;
	}
	t = transaction_find(s->transactions, m);
	if (t == NULL) {
		on_new_request(s, m, from);
		return;
	}
	sip_count(s, SIP_RETRANSMITTED);
	transaction_absorb(t, m);
}

static bool
is_sips(const char *value)
{
	const char *bracket = strchr(value, '<');

	return strncasecmp(bracket != NULL ? bracket + 1 : value, "sips:", 5) == 0;
}

/* Then our Contact must be a sips URI as well (RFC 3261 §12.1.1). */
static bool
speaks_sips(const struct message *m)
{
	const char *route = message_value(m, "Record-Route");

	return is_sips(m->uri) || is_sips(route[0] != '\0' ? route : message_value(m, "Contact"));
}

static void
on_message(void *ctx, const struct conn_path *from, struct span bytes, enum message_framing how)
{
	struct sip *s = ctx;
	struct message m;

	if (message_parse(&m, bytes, from->transport == CONFIG_UDP)) {
		sip_count(s, SIP_MALFORMED);
	} else if (m.status != 0) {
		sip_count(s, SIP_RESPONSES);
		if (how == MESSAGE_WHOLE)
			transaction_on_response(s->transactions, &m);	/* a stray one is dropped */
	} else {
		struct conn_path path = *from;

		path.sips = speaks_sips(&m);
		on_request(s, &m, &path, how);
	}
	message_release(&m);
}

static void
on_closed(void *ctx, uint64_t connection)
{
	struct sip *s = ctx;

	transactions_on_closed(s->transactions, connection);
}

/* ---- the stack ---- */

/* A token for Warning (RFC 3261 §20.43) out of the node's name. */
static void
agent_make(char *out, size_t out_len, const char *name)
{
	size_t n = 0;

	for (; name != NULL && *name != '\0' && n + 1 < out_len; name++)
		out[n++] = isalnum((unsigned char)*name) || *name == '.' || *name == '-' ? *name : '-';
	out[n] = '\0';
	if (n == 0)
		snprintf(out, out_len, "capstan");
}

enum srs_err
sip_create(struct sip **out, struct reactor *r, const struct config *c, const struct dialog_handlers *handlers,
           void *ctx, char *why, size_t why_len)
{
	static const struct conn_handlers conn_handlers = { .on_message = on_message, .on_closed = on_closed };
	struct sip *s = calloc(1, sizeof(*s));
	struct conn_counters counters;
	enum srs_err err;

	snprintf(why, why_len, "no memory for the SIP stack");
	if (s == NULL)
		return SRS_ERR_NOMEM;
	parser_init();
	s->reactor = r;
	s->config = c;
	s->handlers = *handlers;
	s->ctx = ctx;
	/* more than sessions: those being refused or ended linger for a while */
	s->dialogs_max = 2 * c->limits.sessions_max + 64;
	agent_make(s->agent, sizeof(s->agent), c->node.name);
	timer_init(&s->reaper, dialogs_reap, s);
	counters = (struct conn_counters){
		.accepted = &s->counters[SIP_CONNECTIONS],
		.refused = &s->counters[SIP_CONN_REFUSED],
		.late = &s->counters[SIP_CONN_LATE],
		.tls_done = &s->counters[SIP_TLS_DONE],
		.tls_resumed = &s->counters[SIP_TLS_RESUMED],
		.tls_failed = &s->counters[SIP_TLS_FAILED],
		.tls_evicted = &s->counters[SIP_TLS_EVICTED],
	};
	err = textmap_init(&s->dialogs, s->dialogs_max);
	if (!err)
		err = replaces_ended_init(&s->ended, s->dialogs_max, c->sip.t1_ms);
	if (!err && c->sip.digest_users != NULL && c->sip.digest_users[0] != '\0')
		err = challenge_create(&s->challenge, c, why, why_len);
	if (!err)
		err = conn_set_create(&s->conns, r, c, &conn_handlers, s, &counters, why, why_len);
	if (!err)
		err = resolver_create(&s->resolver, r, c->sip.dns_servers, why, why_len);
	if (!err)
		err = source_limit_create(&s->sources, SOURCE_LIMIT_SOURCES);
	if (!err)
		err = observatory_create(&s->observatory);
	if (!err)
		err = transactions_create(&s->transactions, r, s->conns, c->sip.transactions_max, c->sip.t1_ms);
	if (err)
		sip_destroy(s);
	else
		*out = s;
	return err;
}

void
sip_destroy(struct sip *s)
{
	if (s == NULL)
		return;
	if (s->dialogs.buckets != NULL) {
		dialogs_destroy(s);
		textmap_release(&s->dialogs);
	}
	replaces_ended_release(&s->ended);
	challenge_destroy(s->challenge);
	transactions_destroy(s->transactions);
	resolver_destroy(s->resolver);
	conn_set_destroy(s->conns);
	source_limit_destroy(s->sources);
	observatory_destroy(s->observatory);
	free(s);
}

const struct observatory *
sip_observatory(const struct sip *s)
{
	return s->observatory;
}

void
sip_reload(struct sip *s)
{
	conn_reload(s->conns);
}

unsigned int
sip_n_dialogs(const struct sip *s)
{
	return s->n_dialogs;
}

const struct sockaddr_storage *
sip_listener_address(const struct sip *s, unsigned int i)
{
	return i < conn_n_listeners(s->conns) ? conn_listener_address(s->conns, i) : NULL;
}
