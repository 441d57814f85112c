/* From XML to the model. Elements come in any order and in any of the dialects; names are compared without case, and
 * whatever is not RFC 7865's way becomes a deviation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>

#include "controlplane/metadata/metadata_arena.h"
#include "controlplane/metadata/metadata_scan.h"
#include "controlplane/metadata/metadata_xml.h"

#define LIST_BYTES_MAX 4096 /* session ids, reasons, feature tags: each list */

/* ---- ids (RFC 7865 §6.10) ---- */

static const char *const group_id_names[] = { "group_id", "id", NULL };
static const char *const session_id_names[] = { "session_id", "id", "sessionid", "session", NULL };
static const char *const participant_id_names[] = { "participant_id", "id", "participantid", "participant",
						    NULL };
static const char *const stream_id_names[] = { "stream_id", "id", "streamid", NULL };
static const char *const session_ref_names[] = { "session_id", "session", "sessionid", NULL };
static const char *const participant_ref_names[] = { "participant_id", "participant", "participantid", "id",
						     NULL };

static const char *const id_name_rule =
    "RFC 7865 names the id attribute after its element (session_id, participant_id, ...)";

/* 16 octets of a UUID are 22 characters of base64 and "==". */
static bool
is_base64_uuid(const char *id)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

	return n == 22 && strcmp(id + n, "==") == 0;
}

static char *
own_id(struct reading *r, const xmlNode *node, const char *const names[])
{
	char *id = node_attribute_of(r, node, names, id_name_rule);

	if (id[0] == '\0')
		reading_deviate(r, node, "id missing or empty; nothing can refer to this element");
	else if (!is_base64_uuid(id))
		reading_deviate(r, node,
				"id is no UUID in base64; kept as an opaque string (RFC 7865 §6.10)");
	return id;
}

static char *
reference(struct reading *r, const xmlNode *node, const char *const names[])
{
	return node_attribute_of(r, node, names, id_name_rule);
}

/* ---- group ---- */

static void
read_group(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_TIME_FIELD("associate-time", struct metadata_group, associated, NULL),
		NODE_TIME_FIELD("disassociate-time", struct metadata_group, disassociated, NULL),
		{ 0 },
	};
	struct metadata_group *g = reading_add(r, node, &r->m->groups, &r->m->n_groups, sizeof(*g));

	if (g == NULL)
		return;
	metadata_group_init(g);
	g->id = own_id(r, node, group_id_names);
	node_read_children(r, node, fields, g, &g->extension);
}

/* ---- session, sessionrecordingassoc ---- */

/* RFC 7865 folds it over two lines in its own example. */
static void
session_sip_session_id(struct reading *r, xmlNode *node, void *item)
{
	char *text = node_text(r, node);
	char *to = text;

	for (const char *from = text; *from != '\0'; from++)
		if (strchr(" \t\r\n", *from) == NULL)
			*to++ = *from;
	if (to != text)
		*to = '\0';
	reading_append(r, &((struct metadata_session *)item)->sip_session_id, " ", text, LIST_BYTES_MAX);
	metadata_text_free(text);
}

/* quoted-string of RFC 3261 §25.1 */
static char *
quoted_string(struct reading *r, const char *text)
{
	char quoted[256] = "\"";
	size_t n = 1;

	for (; *text != '\0' && n + 4 < sizeof(quoted); text++) {
		if (*text == '"' || *text == '\\')
			quoted[n++] = '\\';
		quoted[n++] = *text;
	}
	while (*text != '\0' && ((unsigned char)quoted[n - 1] & 0x80))
		n--; /* cut: no half of a UTF-8 character */
	quoted[n++] = '"';
	return reading_keep(r, quoted, n);
}

static void
session_reason(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_session *s = item;
	char *protocol = node_attribute(r, node, "protocol");
	char *cause = node_attribute(r, node, "cause");
	char *text = node_text(r, node);

	reading_append(r, &s->reason, ", ", protocol[0] ? protocol : "SIP", LIST_BYTES_MAX);
	if (cause[0] != '\0')
		reading_append(r, &s->reason, ";cause=", cause, LIST_BYTES_MAX);
	if (text[0] != '\0') {
		char *quoted = quoted_string(r, text);

		reading_append(r, &s->reason, ";text=", quoted, LIST_BYTES_MAX);
		metadata_text_free(quoted);
	}
	metadata_text_free(protocol);
	metadata_text_free(cause);
	metadata_text_free(text);
}

static struct metadata_session *
find_session(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_sessions; i++)
		if (id[0] != '\0' && strcmp(m->sessions[i].id, id) == 0)
			return &m->sessions[i];
	return NULL;
}

/* The session of this id, made when nobody spoke of it before. Takes `id` over. */
static struct metadata_session *
session_of(struct reading *r, const xmlNode *node, char *id)
{
	struct metadata_session *s = find_session(r->m, id);

	if (s == NULL) {
		s = reading_add(r, node, &r->m->sessions, &r->m->n_sessions, sizeof(*s));
		if (s != NULL) {
			metadata_session_init(s);
			s->id = id;
			return s;
		}
	}
	metadata_text_free(id);
	return s;
}

static void
read_session(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_CALL_FIELD("sipSessionID", session_sip_session_id, NULL),
		NODE_CALL_FIELD("reason", session_reason, NULL),
		NODE_TEXT_FIELD("group-ref", struct metadata_session, group_ref, NULL),
		NODE_TIME_FIELD("start-time", struct metadata_session, start, NULL),
		NODE_TIME_FIELD("stop-time", struct metadata_session, stop, NULL),
		NODE_TIME_FIELD("associate-time", struct metadata_session, associated,
				"RFC 7865 has this time in sessionrecordingassoc, not in session (§6.4)"),
		NODE_TIME_FIELD("disassociate-time", struct metadata_session, disassociated,
				"RFC 7865 has this time in sessionrecordingassoc, not in session (§6.4)"),
		{ 0 },
	};
	struct metadata_session *s = session_of(r, node, own_id(r, node, session_id_names));

	if (s == NULL)
		return;
	if (s->declared)
		reading_deviate(r, node, "a second session element with this id; read into the first");
	s->declared = true;
	if (node_has_attribute(node, "group")) {
		reading_deviate(r, node, "RFC 7865 has group-ref as an element (§6.3)");
		reading_set(&s->group_ref, node_attribute(r, node, "group"));
	}
	node_read_children(r, node, fields, s, &s->extension);
}

static void
read_session_recording(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_TIME_FIELD("associate-time", struct metadata_session, associated, NULL),
		NODE_TIME_FIELD("disassociate-time", struct metadata_session, disassociated, NULL),
		{ 0 },
	};
	struct metadata_session *s = session_of(r, node, reference(r, node, session_id_names));

	if (s != NULL)
		node_read_children(r, node, fields, s, &s->extension);
}

/* ---- participant ---- */

/* Dialects put into the participant what RFC 7865 has in its associations. */
struct participant_reading {
	struct metadata_participant participant;
	struct metadata_participant_session session;
	struct metadata_participant_stream streams;
	char *bare_name; /* `name` outside nameID */
	bool has_streams;
};

static struct metadata_name *
add_name(struct reading *r, const xmlNode *node, struct metadata_participant *p, char *aor)
{
	struct metadata_name *name = reading_add(r, node, &p->names, &p->n_names, sizeof(*name));

	if (name == NULL) {
		metadata_text_free(aor);
		return NULL;
	}
	*name = (struct metadata_name){ .aor = aor, .name = metadata_no_text, .lang = metadata_no_text };
	return name;
}

/* The entry that nameID opened takes the first `name`, further ones repeat the address. */
static void
name_id_name(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_participant *p = item;
	struct metadata_name *name = p->n_names ? &p->names[p->n_names - 1] : NULL;

	if (name == NULL)
		return;
	if (name->name[0] != '\0' || name->lang[0] != '\0')
		name = add_name(r, node, p, reading_keep(r, name->aor, strlen(name->aor)));
	if (name == NULL)
		return;
	name->name = node_text(r, node);
	name->lang = node_attribute(r, node, "lang");
}

static void
name_id_aor(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_participant *p = item;

	if (p->n_names != 0)
		reading_set(&p->names[p->n_names - 1].aor, node_text(r, node));
}

static void
participant_name_id(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_CALL_FIELD("name", name_id_name, NULL),
		NODE_CALL_FIELD("aor", name_id_aor, "RFC 7865 has aor as an attribute of nameID (§6.5)"),
		{ 0 },
	};
	struct participant_reading *p = item;

	if (!node_has_attribute(node, "aor"))
		reading_deviate(r, node, "nameID without aor (RFC 7865 §6.5)");
	if (add_name(r, node, &p->participant, node_attribute(r, node, "aor")) != NULL)
		node_read_children(r, node, fields, &p->participant, &p->participant.extension);
}

static void
participant_aor(struct reading *r, xmlNode *node, void *item)
{
	struct participant_reading *p = item;
	struct metadata_name *name = add_name(r, node, &p->participant, node_text(r, node));

	if (name != NULL)
		name->name = node_attribute(r, node, "display");
}

static const xmlNode *
child_named(const xmlNode *parent, const char *name)
{
	for (const xmlNode *n = parent->children; n != NULL; n = n->next)
		if (n->type == XML_ELEMENT_NODE && strcasecmp(node_name(n), name) == 0)
			return n;
	return NULL;
}

/* <send>id</send>, or BroadWorks' <send><id>id</id></send> */
static char *
stream_reference(struct reading *r, const xmlNode *node)
{
	const xmlNode *inner = child_named(node, "id");

	return node_text(r, inner ? inner : node);
}

static void
add_stream_id(struct reading *r, const xmlNode *node, char ***ids, unsigned int *n)
{
	char *id = stream_reference(r, node);
	char **place = NULL;

	if (id[0] == '\0')
		reading_deviate(r, node, "no stream id in send or recv; ignored");
	else
		place = reading_add(r, node, ids, n, sizeof(*place));
	if (place != NULL)
		*place = id;
	else
		metadata_text_free(id);
}

static void
streams_send(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_participant_stream *a = item;

	add_stream_id(r, node, &a->send, &a->n_send);
}

static void
streams_recv(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_participant_stream *a = item;

	add_stream_id(r, node, &a->recv, &a->n_recv);
}

static void
participant_send(struct reading *r, xmlNode *node, void *item)
{
	((struct participant_reading *)item)->has_streams = true;
	streams_send(r, node, &((struct participant_reading *)item)->streams);
}

static void
participant_recv(struct reading *r, xmlNode *node, void *item)
{
	((struct participant_reading *)item)->has_streams = true;
	streams_recv(r, node, &((struct participant_reading *)item)->streams);
}

/* What was collected goes into the model. */
static void
place_participant(struct reading *r, const xmlNode *node, struct participant_reading *p)
{
	struct metadata *m = r->m;
	const char *id = p->participant.id;
	const struct metadata_time *left = &p->session.disassociated;
	void *place;

	/* who has left the session sends nothing into it any more */
	reading_set(&p->streams.disassociated.text, reading_keep(r, left->text, strlen(left->text)));
	p->streams.disassociated.wall_ns = left->wall_ns;
	p->has_streams |= left->text[0] != '\0';
	if (p->session.session[0] != '\0') {
		p->session.participant = reading_keep(r, id, strlen(id));
		place = reading_add(r, node, &m->participant_sessions, &m->n_participant_sessions,
				    sizeof(p->session));
		if (place != NULL) {
			memcpy(place, &p->session, sizeof(p->session));
			metadata_participant_session_init(&p->session);
		}
	}
	if (p->has_streams) {
		p->streams.participant = reading_keep(r, id, strlen(id));
		place = reading_add(r, node, &m->participant_streams, &m->n_participant_streams,
				    sizeof(p->streams));
		if (place != NULL) {
			memcpy(place, &p->streams, sizeof(p->streams));
			metadata_participant_stream_init(&p->streams);
		}
	}
	place = reading_add(r, node, &m->participants, &m->n_participants, sizeof(p->participant));
	if (place != NULL) {
		memcpy(place, &p->participant, sizeof(p->participant));
		metadata_participant_init(&p->participant);
	}
}

static void
read_participant(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_CALL_FIELD("nameID", participant_name_id, NULL),
		NODE_CALL_FIELD("aor", participant_aor, "RFC 7865 has aor as an attribute of nameID (§6.5)"),
		NODE_TEXT_FIELD("name", struct participant_reading, bare_name,
				"RFC 7865 has name inside nameID (§6.5)"),
		NODE_CALL_FIELD("send", participant_send,
				"RFC 7865 has send in participantstreamassoc (§6.8)"),
		NODE_CALL_FIELD("recv", participant_recv,
				"RFC 7865 has recv in participantstreamassoc (§6.8)"),
		NODE_TIME_FIELD("associate-time", struct participant_reading, session.associated,
				"RFC 7865 has this time in participantsessionassoc (§6.6)"),
		NODE_TIME_FIELD("disassociate-time", struct participant_reading, session.disassociated,
				"RFC 7865 has this time in participantsessionassoc (§6.6)"),
		{ 0 },
	};
	/* in this draft a participant without send sends nothing, which a partial document means to say */
	struct participant_reading p = { .bare_name = metadata_no_text,
					 .has_streams = r->m->dialect == METADATA_SIPREC };

	metadata_participant_init(&p.participant);
	metadata_participant_session_init(&p.session);
	metadata_participant_stream_init(&p.streams);
	p.participant.id = own_id(r, node, participant_id_names);
	if (node_has_attribute(node, "session") || node_has_attribute(node, "session_id")) {
		reading_deviate(
		    r, node,
		    "RFC 7865 has the session in participantsessionassoc, not in participant (§6.6)");
		p.session.session =
		    node_attribute(r, node, node_has_attribute(node, "session") ? "session" : "session_id");
	}
	node_read_children(r, node, fields, &p, &p.participant.extension);
	if (p.bare_name[0] != '\0') {
		if (p.participant.n_names == 0)
			add_name(r, node, &p.participant, metadata_no_text);
		if (p.participant.n_names != 0 && p.participant.names[0].name[0] == '\0') {
			p.participant.names[0].name = p.bare_name;
			p.bare_name = metadata_no_text;
		}
	}
	place_participant(r, node, &p);
	metadata_text_free(p.bare_name);
	metadata_participant_free(&p.participant);
	metadata_participant_session_free(&p.session);
	metadata_participant_stream_free(&p.streams);
}

/* ---- stream ---- */

static void
read_stream(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_TEXT_FIELD("label", struct metadata_stream, label, NULL),
		NODE_TEXT_FIELD("mode", struct metadata_stream, mode,
				"RFC 7865 has no mode in stream (§6.7)"),
		NODE_TIME_FIELD("associate-time", struct metadata_stream, associated,
				"RFC 7865 has no time in stream (§6.7)"),
		NODE_TIME_FIELD("disassociate-time", struct metadata_stream, disassociated,
				"RFC 7865 has no time in stream (§6.7)"),
		{ 0 },
	};
	struct metadata_stream *s = reading_add(r, node, &r->m->streams, &r->m->n_streams, sizeof(*s));

	if (s == NULL)
		return;
	metadata_stream_init(s);
	s->line = r->line_first + (unsigned int)xmlGetLineNo(node);
	s->id = own_id(r, node, stream_id_names);
	s->session = reference(r, node, session_ref_names);
	if (node_has_attribute(node, "label")) {
		reading_deviate(r, node, "RFC 7865 has label as an element (§6.7)");
		s->label = node_attribute(r, node, "label");
	}
	if (node_has_attribute(node, "mode"))
		s->mode = node_attribute(r, node, "mode");
	node_read_children(r, node, fields, s, &s->extension);
	if (s->label[0] == '\0' && !r->m->partial)
		reading_deviate(r, node, "stream without a label: it names no m-line (RFC 7865 §6.7)");
}

/* ---- participantsessionassoc, participantstreamassoc ---- */

static void
participant_session_param(struct reading *r, xmlNode *node, void *item)
{
	struct metadata_participant_session *a = item;
	char *name = node_attribute(r, node, "pname");
	char *value = node_attribute(r, node, "pval");

	reading_append(r, &a->params, ";", name, LIST_BYTES_MAX);
	if (value[0] != '\0')
		reading_append(r, &a->params, "=", value, LIST_BYTES_MAX);
	metadata_text_free(name);
	metadata_text_free(value);
}

static void
read_participant_session(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_TIME_FIELD("associate-time", struct metadata_participant_session, associated, NULL),
		NODE_TIME_FIELD("disassociate-time", struct metadata_participant_session, disassociated,
				NULL),
		NODE_CALL_FIELD("param", participant_session_param, NULL),
		{ 0 },
	};
	struct metadata *m = r->m;
	struct metadata_participant_session *a =
	    reading_add(r, node, &m->participant_sessions, &m->n_participant_sessions, sizeof(*a));

	if (a == NULL)
		return;
	metadata_participant_session_init(a);
	a->participant = reference(r, node, participant_ref_names);
	a->session = reference(r, node, session_ref_names);
	node_read_children(r, node, fields, a, &m->extension);
}

static void
read_participant_stream(struct reading *r, xmlNode *node, void *item)
{
	static const struct node_field fields[] = {
		NODE_CALL_FIELD("send", streams_send, NULL),
		NODE_CALL_FIELD("recv", streams_recv, NULL),
		NODE_TIME_FIELD("associate-time", struct metadata_participant_stream, associated, NULL),
		NODE_TIME_FIELD("disassociate-time", struct metadata_participant_stream, disassociated, NULL),
		{ 0 },
	};
	struct metadata *m = r->m;
	struct metadata_participant_stream *a =
	    reading_add(r, node, &m->participant_streams, &m->n_participant_streams, sizeof(*a));

	if (a == NULL)
		return;
	metadata_participant_stream_init(a);
	a->participant = reference(r, node, participant_ref_names);
	node_read_children(r, node, fields, a, &m->extension);
}

/* ---- the document ---- */

static void
read_nothing(struct reading *r, xmlNode *node, void *item)
{
	/* datamode was read before, since other elements depend on it */
}

static void
read_mode(struct reading *r, const xmlNode *root)
{
	for (xmlNode *node = root->children; node != NULL; node = node->next) {
		char *mode;

		if (node->type != XML_ELEMENT_NODE || strcasecmp(node_name(node), "datamode") != 0 ||
		    !node_is_ours(r, node))
			continue;
		mode = node_text(r, node);
		r->m->partial = strcasecmp(mode, "partial") == 0;
		if (strcmp(mode, "partial") != 0 && strcmp(mode, "complete") != 0)
			reading_deviate(
			    r, node,
			    r->m->partial
				? "RFC 7865 writes \"partial\" in lower case (§6.1)"
				: "datamode is neither complete nor partial; taken as complete (§6.1)");
		metadata_text_free(mode);
		return;
	}
}

static bool
is_handmade(const xmlNode *root)
{
	return node_has_attribute(root, "session") || node_has_attribute(root, "state") ||
	       node_has_attribute(root, "sequence") || node_has_attribute(root, "direction");
}

/* False: this is no recording metadata. */
static bool
read_dialect(struct reading *r, const xmlNode *root)
{
	const char *href = root->ns ? (const char *)root->ns->href : "";
	enum metadata_dialect d = METADATA_NO_NAMESPACE;

	if (strcasecmp(node_name(root), "recording") != 0 &&
	    strcasecmp(node_name(root), "recording_metadata") != 0)
		return false;
	if (strcmp(href, "urn:ietf:params:xml:ns:recording:1") == 0)
		d = METADATA_RFC7865;
	else if (strcmp(href, "urn:ietf:params:xml:ns:recording") == 0)
		d = METADATA_RECORDING;
	else if (strcmp(href, "urn:ietf:params:xml:ns:siprec") == 0)
		d = METADATA_SIPREC;
	else if (href[0] != '\0')
		reading_deviate(
		    r, root,
		    "namespace of no version of recording metadata; read all the same (RFC 7865 §5)");
	else
		reading_deviate(r, root,
				"no namespace; urn:ietf:params:xml:ns:recording:1 is the one (RFC 7865 §5)");
	if (strcasecmp(node_name(root), "recording_metadata") == 0)
		d = METADATA_SIPREC;
	else if (is_handmade(root))
		d = METADATA_HANDMADE;
	if (d == METADATA_RECORDING || d == METADATA_SIPREC)
		reading_deviate(r, root,
				"namespace or root of a draft; RFC 7865 has recording in "
				"urn:ietf:params:xml:ns:recording:1");
	if (d == METADATA_HANDMADE)
		reading_deviate(r, root,
				"attributes on the root, which RFC 7865 does not have; state, direction, "
				"sequence ignored");
	r->m->dialect = d;
	return true;
}

static bool
read_root(struct reading *r, xmlNode *root)
{
	static const struct node_field fields[] = {
		NODE_CALL_FIELD("datamode", read_nothing, NULL),
		NODE_CALL_FIELD("group", read_group, NULL),
		NODE_CALL_FIELD("session", read_session, NULL),
		NODE_CALL_FIELD("participant", read_participant, NULL),
		NODE_CALL_FIELD("stream", read_stream, NULL),
		NODE_CALL_FIELD("sessionrecordingassoc", read_session_recording, NULL),
		NODE_CALL_FIELD("participantsessionassoc", read_participant_session, NULL),
		NODE_CALL_FIELD("participantstreamassoc", read_participant_stream, NULL),
		{ 0 },
	};

	if (!read_dialect(r, root))
		return false;
	read_mode(r, root);
	if (r->m->dialect == METADATA_HANDMADE && node_has_attribute(root, "session")) {
		struct metadata_session *s = session_of(r, root, node_attribute(r, root, "session"));

		if (s != NULL)
			s->declared = true;
	}
	node_read_children(r, root, fields, r->m, &r->m->extension);
	if (!r->m->partial)
		metadata_references_check(r, root);
	return true;
}

/* ---- bytes ---- */

struct first_error {
	unsigned int line;
	int code;
};

static void
note_error(void *context, xmlErrorPtr error)
{
	const xmlParserCtxt *parser = context;
	struct first_error *first = parser->_private;

	if (error->level == XML_ERR_FATAL && first->line == 0) {
		first->line = error->line > 0 ? (unsigned int)error->line : 1;
		first->code = error->code;
	}
}

/* libxml2's own messages quote the document, which must not reach a log. */
static const char *
error_text(int code)
{
	switch (code) {
	case XML_ERR_UNDECLARED_ENTITY:
		return "an entity that is not declared; only amp, lt, gt, quot and apos are";
	case XML_ERR_ENTITYREF_SEMICOL_MISSING:
	case XML_ERR_NAME_REQUIRED:
		return "\"&\" or a name that is not XML";
	case XML_ERR_INVALID_CHAR:
	case XML_ERR_INVALID_ENCODING:
	case XML_I18N_CONV_FAILED:
		return "a character that XML does not allow, or not in the encoding that is declared";
	case XML_ERR_ATTRIBUTE_REDEFINED:
		return "an attribute twice in one tag";
	default:
		return "not well-formed XML";
	}
}

static unsigned int
count_lines(const uint8_t *from, const uint8_t *to)
{
	unsigned int n = 0;

	for (; from < to; from++)
		n += *from == '\n';
	return n;
}

static bool
all_blank(const uint8_t *from, const uint8_t *to)
{
	while (from < to && (*from == ' ' || *from == '\t' || *from == '\r' || *from == '\n'))
		from++;
	return from == to;
}

/* What stood around the document is no reason to lose it. */
static void
note_surroundings(struct reading *r, struct span document, struct span xml)
{
	const uint8_t *end = document.bytes + document.len;

	if (xml.bytes < document.bytes && *xml.bytes != 0xef)
		metadata_deviate(r->m, 1, metadata_no_text,
				 "blanks before the XML declaration or the root (XML 1.0 §2.8)");
	if (!all_blank(end, xml.bytes + xml.len))
		metadata_deviate(r->m, r->line_first + 1 + count_lines(document.bytes, end), metadata_no_text,
				 "bytes behind the root element; ignored (XML 1.0 §2.1)");
}

static xmlDoc *
read_document(struct span document, unsigned int line_first, enum srs_err *err, char *why, size_t why_len)
{
	xmlParserCtxt *parser = xmlNewParserCtxt();
	struct first_error first = { 0 };
	xmlDoc *doc;

	*err = SRS_ERR_NOMEM;
	snprintf(why, why_len, "no memory");
	if (parser == NULL)
		return NULL;
	parser->_private = &first;
	parser->sax->serror = note_error;
	doc = xmlCtxtReadMemory(parser, (const char *)document.bytes, (int)document.len, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_BIG_LINES | XML_PARSE_COMPACT);
	if (doc != NULL) {
		*err = SRS_OK;
	} else if (first.code != XML_ERR_NO_MEMORY && parser->errNo != XML_ERR_NO_MEMORY) {
		*err = SRS_ERR_INVALID;
		snprintf(why, why_len, "line %u: %s", line_first + (first.line ? first.line : 1),
			 error_text(first.code));
	}
	xmlFreeParserCtxt(parser);
	return doc;
}

enum srs_err
metadata_parse(struct metadata **out, struct span xml, char *why, size_t why_len)
{
	return metadata_parse_at(out, xml, 0, why, why_len);
}

enum srs_err
metadata_parse_at(struct metadata **out, struct span xml, unsigned int line_first, char *why, size_t why_len)
{
	struct reading r = { 0 };
	struct span document;
	xmlDoc *doc = NULL;
	enum srs_err err;

	snprintf(why, why_len, "%s", "");
	err = metadata_scan(&document, xml, line_first, why, why_len);
	if (err)
		return err;
	r.line_first = line_first + count_lines(xml.bytes, document.bytes);
	metadata_arena_begin();
	doc = read_document(document, r.line_first, &err, why, why_len);
	if (err) {
		metadata_arena_end();
		return err;
	}
	r.m = calloc(1, sizeof(*r.m));
	if (r.m == NULL) {
		err = SRS_ERR_NOMEM;
		goto out;
	}
	r.m->extension = metadata_no_text;
	note_surroundings(&r, document, xml);
	if (!read_root(&r, xmlDocGetRootElement(doc))) {
		snprintf(why, why_len, "line %u: the root element is not recording (RFC 7865 §5)",
			 r.line_first + 1);
		err = SRS_ERR_INVALID;
	} else if (r.nomem) {
		snprintf(why, why_len, "no memory");
		err = SRS_ERR_NOMEM;
	}
out:
	xmlFreeDoc(doc);
	metadata_arena_end();
	if (err)
		metadata_free(r.m);
	else
		*out = r.m;
	return err;
}
