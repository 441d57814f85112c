#include "metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of a {{name}} in a template: "" for one that does not exist. {{participant_id_1}}, {{stream_id_1}} and
 * {{label_1}} count from 1. */
static const char *
template_value(const struct call *c, const char *name, size_t len, char *room, size_t room_len)
{
	char key[48];
	char *number;
	unsigned int i = 0;

	snprintf(key, sizeof(key), "%.*s", (int)len, name);
	if (strcmp(key, "session_id") == 0)
		return c->session_id;
	if (strcmp(key, "call_id") == 0)
		return c->id;
	number = strrchr(key, '_');
	if (number != NULL)
		i = (unsigned int)atoi(number + 1);
	if (i < 1 || i > CALL_STREAMS_MAX)
		return "";
	*number = '\0';
	if (strcmp(key, "participant_id") == 0)
		return c->participant_ids[i - 1];
	if (strcmp(key, "stream_id") == 0)
		return c->stream_ids[i - 1];
	if (strcmp(key, "label") == 0) {
		snprintf(room, room_len, "%u", i);
		return room;
	}
	return "";
}

static void
write_template(const struct call *c, struct text *t)
{
	const char *at = c->plan->metadata;

	for (;;) {
		const char *open = strstr(at, "{{");
		const char *close = open != NULL ? strstr(open, "}}") : NULL;
		char room[16];

		if (close == NULL)
			break;
		text_add(t, "%.*s%s", (int)(open - at), at,
		         template_value(c, open + 2, (size_t)(close - open - 2), room, sizeof(room)));
		at = close + 2;
	}
	text_add(t, "%s", at);
}

static void
write_participant(const struct call *c, unsigned int i, struct text *t)
{
	static const char *const names[] = { "Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi" };
	bool renamed = c->renamed && i == 0;

	text_add(t,
	         "<participant participant_id=\"%s\"><nameID aor=\"sip:%s@example.com\">"
	         "<name xml:lang=\"en\">%s%s</name></nameID></participant>\r\n",
	         c->participant_ids[i], names[i], names[i], renamed ? " Renamed" : "");
}

static void
write_head(const char *mode, struct text *t)
{
	text_add(t,
	         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
	         "<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n<datamode>%s</datamode>\r\n", mode);
}

/* A stream that was removed is in no complete document any more, nor is who sent it. */
static bool
is_gone(const struct call *c, unsigned int participant_i)
{
	return !c->plan->mixed && c->gone[participant_i];
}

void
metadata_write(const struct call *c, enum metadata_kind kind, struct text *t)
{
	const struct call_plan *p = c->plan;
	unsigned int n = p->mixed ? p->n_participants : c->n_streams;

	if (kind == METADATA_COMPLETE && strcmp(p->metadata, "") != 0) {
		write_template(c, t);
		return;
	}
	write_head(kind == METADATA_PARTIAL ? "partial" : "complete", t);
	if (kind == METADATA_PARTIAL) {
		write_participant(c, 0, t);
		text_add(t, "</recording>\r\n");
		return;
	}
	text_add(t, "<session session_id=\"%s\"/>\r\n", c->session_id);
	for (unsigned int i = 0; i < n; i++)
		if (!is_gone(c, i))
			write_participant(c, i, t);
	for (unsigned int i = 0; i < c->n_streams; i++)
		if (!c->gone[i])
			text_add(t, "<stream stream_id=\"%s\" session_id=\"%s\"><label>%u</label></stream>\r\n",
			         c->stream_ids[i], c->session_id, i + 1);
	for (unsigned int i = 0; i < n; i++)
		if (!is_gone(c, i))
			text_add(t,
			         "<participantsessionassoc participant_id=\"%s\" session_id=\"%s\"/>\r\n"
			         "<participantstreamassoc participant_id=\"%s\"><send>%s</send></participantstreamassoc>\r\n",
			         c->participant_ids[i], c->session_id, c->participant_ids[i],
			         c->stream_ids[p->mixed ? 0 : i]);
	text_add(t, "</recording>\r\n");
}
