/* The documents of a recording: what was offered, answered and described. docs/format.md has their form. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

#define PARTICIPANTS_MAX METADATA_ITEMS_MAX
#define DOCUMENT_ROOM    2048	/* what most calls need; texts grow */
#define ROW_ROOM         160

void
session_hex(const uint8_t id[REEL_ID_SIZE], char out[2 * REEL_ID_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		memcpy(out + 2 * i, (char[]){ digits[id[i] >> 4], digits[id[i] & 15] }, 2);
	out[2 * REEL_ID_SIZE] = '\0';
}

/* How many bytes the UTF-8 character at `at` has; 0: it is none, or a control character. */
static unsigned int
utf8_len(const unsigned char *at)
{
	static const unsigned char lowest[] = { 0, 0, 0xc2, 0xe0, 0xf0 };	/* first bytes below are overlong */
	unsigned int n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return at[0] >= 0x20 && at[0] != 0x7f;
	if (at[0] < lowest[n] || at[0] > 0xf4)
		return 0;
	for (unsigned int i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;	/* a NUL ends here too */
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f) ||
	    (at[0] == 0xed && at[1] > 0x9f))
		return 0;	/* overlong, beyond Unicode, a surrogate */
	return n;
}

void
session_text_clean(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at != '\0') {
		unsigned int n = utf8_len(at);

		if (n == 0)
			*at = '?';
		at += n != 0 ? n : 1;
	}
}

/* At most SESSION_TEXT_MAX of what a peer wrote. */
static void
text_add(struct json *j, const char *name, const char *text)
{
	char clean[SESSION_TEXT_MAX];

	(void)snprintf(clean, sizeof(clean), "%s", text);
	session_text_clean(clean);
	json_text(j, name, clean);
}

void
session_text_add(struct cJSON *json, const char *name, const char *text)
{
	char clean[SESSION_TEXT_MAX];

	(void)snprintf(clean, sizeof(clean), "%s", text);
	session_text_clean(clean);
	cJSON_AddStringToObject(json, name, clean);
}

/* ---- notes ---- */

/* Behind a seam all documents are written once the new part has begun. */
static bool
is_noted(const struct session *s, const struct session_recording *r, const struct session_recording *only)
{
	return r != NULL && r->state == RECORDING_OPEN && (only == NULL || only == r) &&
	       !(s->hushed && r->seam == SEAM_ASKED);
}

/* @param struck  secrets were struck out of `bytes` before */
static void
note(struct session *s, struct session_recording *only, enum reel_frame_kind kind, struct span bytes, bool struck)
{
	uint8_t flags = struck ? REEL_FRAME_REDACTED : 0;
	char *copy = malloc(bytes.len + 1);

	if (copy == NULL) {
		session_count(s->all, SESSION_NOTES_LOST);
		return;
	}
	if (bytes.len != 0)
		memcpy(copy, bytes.bytes, bytes.len);
	copy[bytes.len] = '\0';
	/* before it becomes a frame, no key and no credential is left in it (docs/format.md) */
	if (kind != REEL_FRAME_DESCRIPTION && kind != REEL_FRAME_DEVIATIONS && kind != REEL_FRAME_RECEIPT &&
	    offer_redact(copy, bytes.len) != 0)
		flags = REEL_FRAME_REDACTED;
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (!is_noted(s, r, only))
			continue;
		if (dataplane_note(s->all->floor.dataplane, r->handle, kind, flags, span_of(copy, bytes.len),
		                   session_cookie(s, COOKIE_NOTE, i)) != SRS_OK)
			session_count(s->all, SESSION_NOTES_LOST);
	}
	free(copy);
}

void
session_note(struct session *s, struct session_recording *only, enum reel_frame_kind kind, struct span bytes)
{
	note(s, only, kind, bytes, false);
}

void
session_note_offer(struct session *s, struct session_recording *only)
{
	note(s, only, REEL_FRAME_OFFER, span_of_text(s->offer_sdp), s->offer_redacted);
}

void
session_note_all(struct session *s, struct session_recording *only)
{
	session_note_offer(s, only);
	if (s->offer_deviations != NULL)
		session_note(s, only, REEL_FRAME_DEVIATIONS, span_of_text(s->offer_deviations));
	session_metadata_note(s, only);
	if (s->answer_sdp != NULL)
		note(s, only, REEL_FRAME_ANSWER, span_of_text(s->answer_sdp), s->answer_redacted);
}

static void
deviation_add(struct json *j, unsigned int line, const char *path, const char *rule)
{
	json_object(j, NULL);
	json_number(j, "line", line);
	json_text(j, "path", path);
	json_text(j, "rule", rule);
	json_object_end(j);
}

char *
session_deviation_json(unsigned int line, const char *path, const char *rule)
{
	struct json j;

	json_begin(&j, ROW_ROOM);
	json_array(&j, NULL);
	deviation_add(&j, line, path, rule);
	json_array_end(&j);
	return json_end(&j);
}

char *
session_offer_deviations(const struct offer *o)
{
	struct json j;

	if (o->n_deviations == 0)
		return NULL;
	json_begin(&j, o->n_deviations * ROW_ROOM);
	json_array(&j, NULL);
	for (unsigned int i = 0; i < o->n_deviations; i++)
		deviation_add(&j, o->deviations[i].line, "sdp", o->deviations[i].rule);
	json_array_end(&j);
	return json_end(&j);
}

/* ---- participants ---- */

/* Are the senders that metadata names for this stream those of its recording? Not while it is about to move to the recording
 * of another call, and not in a spare one: that is of calls that are over. */
static bool
is_of_its_recording(const struct session *s, const struct session_stream *st)
{
	const struct session_recording *r = st->recording;
	const struct metadata_session *cs;

	if (s->metadata == NULL || st->label[0] == '\0' || r->spare)
		return false;
	cs = metadata_session_of(s->metadata, st->label);
	return r->cs_id[0] == '\0' || cs == NULL || strncmp(cs->id, r->cs_id, sizeof(r->cs_id) - 1) == 0;
}

static bool
sends_into(const struct session *s, const struct metadata_participant *p, const struct session_recording *r)
{
	const struct metadata_participant *senders[PARTICIPANTS_MAX];

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];
		unsigned int n;

		if (st == NULL || st->recording != r || !is_of_its_recording(s, st))
			continue;
		n = metadata_senders(s->metadata, st->label, senders, PARTICIPANTS_MAX);
		for (unsigned int k = 0; k < n; k++) {
			if (senders[k] == p)
				return true;
		}
	}
	return false;
}

static bool
sends_elsewhere(const struct session *s, const struct metadata_participant *p, const struct session_recording *r)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		if (s->recordings[i] != NULL && s->recordings[i] != r && sends_into(s, p, s->recordings[i]))
			return true;
	}
	return false;
}

/* Of this communication session by association or by its streams; who is in none that we know is in each. */
static bool
takes_part(const struct session *s, const struct metadata_participant *p, const struct session_recording *r)
{
	const struct metadata *m = s->metadata;
	bool associated = false;

	for (unsigned int i = 0; i < m->n_participant_sessions; i++) {
		const struct metadata_participant_session *a = &m->participant_sessions[i];

		if (strcmp(a->participant, p->id) != 0)
			continue;
		if (r->cs_id[0] == '\0' || strncmp(a->session, r->cs_id, sizeof(r->cs_id) - 1) == 0)
			return true;
		associated = true;
	}
	return sends_into(s, p, r) || (!associated && !sends_elsewhere(s, p, r));
}

static bool
is_described(const struct session_stream *st, const struct session_recording *r)
{
	return st != NULL && st->recording == r && !st->doomed && st->state != STREAM_REMOVING;
}

/* Of the streams that the description names, so that a catalog made anew from it says the same. */
static void
participant_labels_add(const struct session *s, const struct metadata_participant *p, const struct session_recording *r,
                       struct json *j)
{
	json_array(j, "labels");
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct metadata_participant *senders[PARTICIPANTS_MAX];
		const struct session_stream *st = s->streams[i];
		unsigned int n;

		if (!is_described(st, r) || !is_of_its_recording(s, st))
			continue;
		n = metadata_senders(s->metadata, st->label, senders, PARTICIPANTS_MAX);
		for (unsigned int k = 0; k < n; k++) {
			if (senders[k] == p)
				text_add(j, NULL, st->label);
		}
	}
	json_array_end(j);
}

static void
participants_add(const struct session *s, const struct session_recording *r, const char *member, bool with_labels,
                 struct json *j)
{
	json_array(j, member);
	for (unsigned int i = 0; s->metadata != NULL && i < s->metadata->n_participants; i++) {
		const struct metadata_participant *p = &s->metadata->participants[i];
		const struct metadata_name *name = p->n_names != 0 ? &p->names[0] : NULL;

		if (r->spare || !takes_part(s, p, r))	/* spare: of calls that are over */
			continue;
		json_object(j, NULL);
		json_text(j, "id", p->id);
		json_text(j, "aor", name != NULL && name->aor != NULL ? name->aor : "");
		json_text(j, "name", name != NULL && name->name != NULL ? name->name : "");
		if (with_labels)
			participant_labels_add(s, p, r, j);
		json_object_end(j);
	}
	json_array_end(j);
}

char *
session_participants_json(const struct session *s, const struct session_recording *r)
{
	struct json j;

	json_begin(&j, DOCUMENT_ROOM);
	participants_add(s, r, NULL, true, &j);
	return json_end(&j);
}

/* ---- streams ---- */

/* The offer that the streams' m-line numbers are about. @return NULL when it cannot be read again (no memory) */
static const struct offer *
offer_again(struct session *s)
{
	const char *why;

	return offer_parse(&s->all->described, span_of_text(s->offer_sdp), &why) == SRS_OK ? &s->all->described : NULL;
}

static const struct offer_media *
mline_of(const struct offer *o, const struct session_stream *st)
{
	return o != NULL && st->mline < o->n_media ? &o->media[st->mline] : NULL;
}

static void
codec_name(const struct offer_codec *c, char out[OFFER_TEXT_MAX])
{
	size_t i;

	for (i = 0; i + 1 < OFFER_TEXT_MAX && c->name[i] != '\0'; i++)
		out[i] = (char)toupper((unsigned char)c->name[i]);
	out[i] = '\0';
}

static void
codecs_add(const struct offer_media *m, struct json *j)
{
	json_array(j, "codecs");
	for (unsigned int i = 0; m != NULL && i < m->n_codecs; i++) {
		const struct offer_codec *c = &m->codecs[i];
		char name[OFFER_TEXT_MAX];

		codec_name(c, name);
		json_object(j, NULL);
		json_number(j, "payload_type", c->payload_type);
		text_add(j, "name", name);
		json_number(j, "clock_hz", c->clock_hz);
		json_number(j, "channels", c->channels);
		text_add(j, "fmtp", c->fmtp);
		json_object_end(j);
	}
	json_array_end(j);
}

static void
senders_add(const struct session *s, const struct session_stream *st, struct json *j)
{
	const struct metadata_participant *senders[PARTICIPANTS_MAX];
	unsigned int n = 0;

	if (is_of_its_recording(s, st))
		n = metadata_senders(s->metadata, st->label, senders, PARTICIPANTS_MAX);
	json_array(j, "participants");
	for (unsigned int i = 0; i < n; i++)
		json_text(j, NULL, senders[i]->id);
	json_array_end(j);
}

/* Who sends since when, and who did until when: as the client says, so that a reader can tell it from our own times. */
static void
sendings_add(const struct session *s, const struct session_stream *st, struct json *j)
{
	struct metadata_sending sendings[PARTICIPANTS_MAX];
	unsigned int n = 0;

	if (is_of_its_recording(s, st))
		n = metadata_sendings(s->metadata, st->label, sendings, PARTICIPANTS_MAX);
	json_array(j, "senders");
	for (unsigned int i = 0; i < n; i++) {
		json_object(j, NULL);
		json_text(j, "participant", sendings[i].participant->id);
		if (sendings[i].from_wall_ns > 0)
			json_number(j, "from_wall_ns", (uint64_t)sendings[i].from_wall_ns);
		if (sendings[i].over)
			json_bool(j, "over", true);
		if (sendings[i].to_wall_ns > 0)
			json_number(j, "to_wall_ns", (uint64_t)sendings[i].to_wall_ns);
		json_object_end(j);
	}
	json_array_end(j);
}

static void
stream_add(const struct session *s, const struct session_stream *st, const struct offer_media *m, struct json *j)
{
	uint8_t ip_version;
	char ip[48];

	media_text(s->all->floor.media, &st->port, s->beyond_nat, ip, sizeof(ip), &ip_version);
	json_object(j, NULL);
	json_number(j, "number", st->number);
	text_add(j, "label", st->label);
	json_number(j, "mline", st->mline);
	text_add(j, "kind", m != NULL ? m->kind_text : "audio");
	json_bool(j, "inactive", st->inactive);
	json_text(j, "address", ip);
	json_number(j, "port", st->port.udp_port);
	codecs_add(m, j);
	senders_add(s, st, j);
	sendings_add(s, st, j);
	json_object_end(j);
}

char *
session_streams_json(struct session *s, const struct session_recording *r)
{
	const struct offer *o = offer_again(s);
	struct json j;

	json_begin(&j, DOCUMENT_ROOM);
	json_array(&j, NULL);
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];
		const struct offer_media *m;
		char name[OFFER_TEXT_MAX] = "";

		if (!is_described(st, r))
			continue;
		m = mline_of(o, st);
		if (m != NULL && m->n_codecs != 0)
			codec_name(&m->codecs[0], name);
		json_object(&j, NULL);
		json_number(&j, "number", st->number);
		text_add(&j, "label", st->label);
		text_add(&j, "codec", name);
		json_number(&j, "payload_type", m != NULL && m->n_codecs != 0 ? m->codecs[0].payload_type : 0);
		json_object_end(&j);
	}
	json_array_end(&j);
	return json_end(&j);
}

/* ---- description ---- */

const struct metadata_session *
session_cs_of(const struct session *s, const struct session_recording *r)
{
	for (unsigned int i = 0; s->metadata != NULL && r->cs_id[0] != '\0' && i < s->metadata->n_sessions; i++) {
		if (strncmp(s->metadata->sessions[i].id, r->cs_id, sizeof(r->cs_id) - 1) == 0)
			return &s->metadata->sessions[i];
	}
	return NULL;
}

static void
source_add(const struct session *s, struct json *j)
{
	static const char *const transports[] = { [CONFIG_UDP] = "udp", [CONFIG_TCP] = "tcp", [CONFIG_TLS] = "tls" };

	json_object(j, "src");
	json_text(j, "address", s->source);
	json_text(j, "transport", transports[s->transport]);
	json_text(j, "agent", s->agent);
	json_text(j, "identity", s->identity);
	json_text(j, "profile", s->profile->name);
	json_text(j, "retention_class", s->profile->retention_class);
	json_object_end(j);
}

static char *
description_json(struct session *s, struct session_recording *r)
{
	const struct metadata_session *cs = session_cs_of(s, r);
	const struct offer *o = offer_again(s);
	char id[2 * REEL_ID_SIZE + 1];
	struct json j;

	json_begin(&j, DOCUMENT_ROOM);
	json_object(&j, NULL);
	json_number(&j, "version", ++r->version);
	session_hex(r->id, id);
	json_text(&j, "recording", id);
	session_hex(s->rs_id, id);
	json_text(&j, "rs_id", id);
	json_text(&j, "cs_id", r->cs_id);
	json_text(&j, "group_id", cs != NULL ? cs->group_ref : "");
	json_text(&j, "session_ids", cs != NULL ? cs->sip_session_id : "");
	json_text(&j, "call_id", s->call_id);
	json_text(&j, "node", s->all->floor.config->node.name);
	source_add(s, &j);
	json_number(&j, "started_wall_ns", r->started_wall_ns);
	json_number(&j, "n_streams", r->n_streams_ever);
	json_number(&j, "n_deviations", s->n_deviations);
	json_array(&j, "streams");
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (is_described(st, r))
			stream_add(s, st, mline_of(o, st), &j);
	}
	json_array_end(&j);
	participants_add(s, r, "participants", false, &j);
	json_object_end(&j);
	return json_end(&j);
}

bool
session_cs_is_forgotten(const struct session *s, const struct session_recording *r)
{
	return s->metadata != NULL && r->cs_id[0] != '\0' && session_cs_of(s, r) == NULL;
}

void
session_describe(struct session *s, struct session_recording *only)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];
		char *json;

		if (!is_noted(s, r, only) || (only == NULL && session_cs_is_forgotten(s, r)))
			continue;
		json = description_json(s, r);
		if (json == NULL) {
			session_count(s->all, SESSION_NOTES_LOST);
			continue;
		}
		session_note(s, r, REEL_FRAME_DESCRIPTION, span_of_text(json));
		free(json);
	}
}
