/* Recording sessions on a ground of the test's own: the dialog layer, the data plane, the catalog, the key ring and the
 * clock. Bodies, SDP and metadata are read by the real parsers, ports and session secrets are the real ones. */
#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#define NOTES_MAX  256
#define EVENTS_MAX 256
#define TEXT_MAX   4096

/* ---- the dialog layer ---- */

struct dialog {
	void *user;
	bool ended;
};

static unsigned int n_accepts, n_refusals, n_hang_ups;
static char accepted_sdp[TEXT_MAX];
static struct sip_refusal refusal;
static char refusal_warning[300];
static char hang_up_reason[64];
static unsigned int n_accepts_before_hang_up;

void
dialog_accept(struct dialog *d, const char *sdp)
{
	n_accepts++;
	(void)snprintf(accepted_sdp, sizeof(accepted_sdp), "%s", sdp);
}

void
dialog_refuse(struct dialog *d, const struct sip_refusal *why)
{
	n_refusals++;
	refusal = *why;
	(void)snprintf(refusal_warning, sizeof(refusal_warning), "%s", why->warning);
}

void
dialog_end(struct dialog *d, unsigned int cause, const char *reason)
{
	n_hang_ups++;
	n_accepts_before_hang_up = n_accepts;
	(void)snprintf(hang_up_reason, sizeof(hang_up_reason), "%s", reason);
}

static unsigned int n_sent;
static char sent_sdp[TEXT_MAX], sent_body[TEXT_MAX], sent_type[128];
static enum srs_err refuse_message;
static bool peer_updates, peer_takes_requests;

enum srs_err
dialog_send(struct dialog *d, const struct dialog_message *m)
{
	if (refuse_message)
		return refuse_message;
	n_sent++;
	(void)snprintf(sent_sdp, sizeof(sent_sdp), "%s", m->sdp != NULL ? m->sdp : "");
	(void)snprintf(sent_type, sizeof(sent_type), "%s", m->content_type != NULL ? m->content_type : "");
	(void)snprintf(sent_body, sizeof(sent_body), "%.*s", (int)m->body.len, (const char *)m->body.bytes);
	return SRS_OK;
}
static unsigned int observed[OBSERVED_N];
static char observed_rule[128], observed_dialect[32];
void dialog_observe(struct dialog *d, enum observatory_fact fact) { observed[fact]++; }
void dialog_observe_rule(struct dialog *d, const char *rule) { (void)snprintf(observed_rule, sizeof(observed_rule), "%s", rule); }
void dialog_observe_dialect(struct dialog *d, const char *dialect) { (void)snprintf(observed_dialect, sizeof(observed_dialect), "%s", dialect); }
static unsigned int n_asked;
void dialog_probe(struct dialog *d) { n_asked++; }
bool dialog_can_send(const struct dialog *d) { return refuse_message == SRS_OK; }
bool dialog_can_update(const struct dialog *d) { return peer_updates; }
const char *
dialog_snapshot_type(const struct dialog *d)
{
	return peer_takes_requests ? "application/rs-metadata-request" : NULL;
}

void dialog_user_set(struct dialog *d, void *user) { d->user = user; }
void *dialog_user(const struct dialog *d) { return d->user; }
const char *dialog_end_name(enum dialog_end how) { return how == DIALOG_END_BYE ? "bye" : "cancelled"; }

/* ---- clock, timers ---- */

static uint64_t now_ns = 1000000000;
uint64_t reactor_mono_ns(void) { return now_ns; }
uint64_t reactor_wall_ns(void) { return UINT64_C(1700000000123456789) + now_ns; }
static uint32_t lag_ms;
uint32_t reactor_lag_ms(const struct reactor *r) { return lag_ms; }
static struct timer *armed;
static uint64_t armed_ms;
void timer_init(struct timer *t, void (*on_due)(void *ctx), void *ctx) { *t = (struct timer){ NULL, on_due, ctx }; }
enum srs_err
timer_arm(struct reactor *r, struct timer *t, uint64_t after_ms)
{
	armed = t;
	armed_ms = after_ms;
	return SRS_OK;
}
void timer_disarm(struct timer *t) { armed = armed == t ? NULL : armed; }
void timer_release(struct timer *t) { timer_disarm(t); }

/* ---- keys, catalog ---- */

static uint32_t keys_left;
uint32_t keys_ready(const struct keys *k) { return keys_left; }
enum srs_err
keys_take(struct keys *k, const uint8_t recording[REEL_ID_SIZE], uint32_t part, struct part_key *out)
{
	if (keys_left == 0)
		return SRS_ERR_LIMIT;
	keys_left--;
	memcpy(out->envelope.recording, recording, REEL_ID_SIZE);
	out->envelope.part = part;
	return SRS_OK;
}

static unsigned int n_rows_recording, n_rows_sealed;
static char row_reason[64], row_participants[TEXT_MAX], row_streams[TEXT_MAX];
bool catalog_has_room(const struct catalog *c) { return true; }
uint32_t catalog_queue_len(const struct catalog *c) { return 0; }
enum srs_err
catalog_post_recording(struct catalog *c, const struct catalog_recording *r)
{
	if (strcmp(r->state, "recording") == 0) {
		n_rows_recording++;
		(void)snprintf(row_participants, sizeof(row_participants), "%s", r->participants_json);
		(void)snprintf(row_streams, sizeof(row_streams), "%s", r->streams_json);
	} else {
		n_rows_sealed++;
		(void)snprintf(row_reason, sizeof(row_reason), "%s", r->reason != NULL ? r->reason : "");
	}
	return SRS_OK;
}
enum srs_err
catalog_post_placed(struct catalog *c, const uint8_t recording[REEL_ID_SIZE], const uint8_t uuid[REEL_ID_SIZE])
{
	return SRS_OK;
}
enum srs_err catalog_post_segment(struct catalog *c, const struct catalog_segment *s) { return SRS_OK; }

/* ---- the data plane: answers each command by an event, when the test says so ---- */

static struct dataplane_event events[EVENTS_MAX];
static unsigned int n_events;
static uint32_t next_handle;
static int live_streams, live_recordings;
static enum srs_err refuse_open, refuse_add, fail_open, fail_install, refuse_remove, refuse_seal, refuse_part, fail_part;
static struct stream_spec last_spec;
static struct stream_keys last_keys;	/* of stream_add and stream_rekey */
static unsigned int n_added, n_rekeys;
static unsigned int n_updates, n_binds, n_parts, n_seams;
static char sealed_reasons[16][64];
static unsigned int n_sealed;
static struct {
	uint32_t recording;
	enum reel_frame_kind kind;
	uint8_t flags;
	char text[TEXT_MAX];
	uint8_t mark[REEL_MARK_SIZE];	/* its first bytes */
} notes[NOTES_MAX];
static unsigned int n_notes;

static inline void
event_post(enum dataplane_event_kind kind, enum srs_err err, uint64_t cookie, uint32_t recording, uint32_t stream)
{
	assert_true(n_events < EVENTS_MAX);
	events[n_events++] = (struct dataplane_event){
		.kind = kind, .err = err, .cookie = cookie, .recording = recording, .stream = stream,
	};
}

static unsigned int n_media_addresses = 1;	/* the second is IPv6, of the same lcore */
static bool only_ip6;
unsigned int dataplane_n_addresses(const struct dataplane *dp) { return n_media_addresses; }
void
dataplane_place(const struct dataplane *dp, unsigned int address_i, struct dataplane_place *out)
{
	*out = (struct dataplane_place){ .address = { .ip_version = 4, .ip = { 198, 18, 254, 2 } } };
	if (address_i == 1 || only_ip6)
		out->address = (struct media_address){ .ip_version = 6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } };
}
void
dataplane_room(const struct dataplane *dp, struct dataplane_room *out)
{
	*out = (struct dataplane_room){ 100, 100, 90, true };
}
static uint64_t last_packet_ns;
void
dataplane_stream_view(const struct dataplane *dp, uint32_t stream, struct stream_view *out)
{
	out->frames = 7;
	out->last_packet_mono_ns = last_packet_ns;
}

enum srs_err
dataplane_recording_open(struct dataplane *dp, const struct recording_spec *spec, uint64_t cookie, uint32_t *recording)
{
	if (refuse_open)
		return refuse_open;
	*recording = next_handle++;
	live_recordings += fail_open == SRS_OK;
	event_post(EVENT_RECORDING_OPENED, fail_open, cookie, *recording, DATAPLANE_NONE);
	return SRS_OK;
}
enum srs_err
dataplane_part_start(struct dataplane *dp, uint32_t recording, const struct part_key *key, bool seam,
                     uint64_t cookie)
{
	if (refuse_part)
		return refuse_part;
	n_parts++;
	n_seams += seam;
	event_post(EVENT_PART_STARTED, fail_part, cookie, recording, DATAPLANE_NONE);
	return SRS_OK;
}
enum srs_err
dataplane_note(struct dataplane *dp, uint32_t recording, enum reel_frame_kind kind, uint8_t flags, struct span bytes,
               uint64_t cookie)
{
	assert_true(n_notes < NOTES_MAX);
	notes[n_notes].recording = recording;
	notes[n_notes].kind = kind;
	notes[n_notes].flags = flags;
	memcpy(notes[n_notes].mark, bytes.bytes, bytes.len < REEL_MARK_SIZE ? bytes.len : REEL_MARK_SIZE);
	(void)snprintf(notes[n_notes++].text, TEXT_MAX, "%.*s", (int)bytes.len, (const char *)bytes.bytes);
	return SRS_OK;
}
static unsigned int n_pauses, n_paused_now;
static enum srs_err refuse_pause;
enum srs_err
dataplane_recording_pause(struct dataplane *dp, uint32_t recording, bool paused, uint64_t cookie)
{
	if (refuse_pause)
		return refuse_pause;
	n_pauses += paused;
	n_paused_now += paused ? 1 : -1;
	return SRS_OK;
}
enum srs_err
dataplane_recording_seal(struct dataplane *dp, uint32_t recording, const char *reason, uint64_t cookie)
{
	if (refuse_seal)
		return refuse_seal;
	(void)snprintf(sealed_reasons[n_sealed++ % 16], 64, "%s", reason);
	live_recordings--;
	event_post(EVENT_RECORDING_SEALED, SRS_OK, cookie, recording, DATAPLANE_NONE);
	return SRS_OK;
}
enum srs_err
dataplane_stream_add(struct dataplane *dp, const struct stream_spec *spec, uint64_t cookie, uint32_t *stream)
{
	if (refuse_add)
		return refuse_add;
	last_spec = *spec;
	last_keys = spec->keys != NULL ? *spec->keys : (struct stream_keys){ 0 };
	last_spec.keys = NULL;	/* borrowed */
	n_added++;
	*stream = next_handle++;
	live_streams += fail_install == SRS_OK;
	event_post(EVENT_STREAM_INSTALLED, fail_install, cookie, spec->recording, *stream);
	return SRS_OK;
}
enum srs_err
dataplane_stream_update(struct dataplane *dp, uint32_t stream, const struct stream_spec *spec, uint64_t cookie)
{
	n_updates++;
	last_spec = *spec;
	event_post(EVENT_STREAM_UPDATED, SRS_OK, cookie, spec->recording, stream);
	return SRS_OK;
}
enum srs_err
dataplane_stream_bind(struct dataplane *dp, uint32_t stream, uint32_t recording, uint8_t number, uint64_t cookie)
{
	n_binds++;
	event_post(EVENT_STREAM_BOUND, SRS_OK, cookie, recording, stream);
	return SRS_OK;
}
static enum srs_err refuse_rekey, fail_rekey;
static uint32_t last_rekeyed;
static enum srtp_suite missing_suite;	/* what the engine does not run */
bool dataplane_takes_suite(struct dataplane *dp, enum srtp_suite suite) { return suite != missing_suite; }
enum srs_err
dataplane_stream_rekey(struct dataplane *dp, uint32_t stream, const struct stream_keys *keys, uint64_t cookie)
{
	if (refuse_rekey)
		return refuse_rekey;
	n_rekeys++;
	last_keys = *keys;
	last_rekeyed = stream;
	event_post(EVENT_STREAM_REKEYED, fail_rekey, cookie, DATAPLANE_NONE, stream);
	return SRS_OK;
}
static unsigned int n_datagrams_sent;
static enum srs_err refuse_send;
static void (*on_datagram_sent)(uint32_t stream, const struct media_address *to, struct span datagram);
enum srs_err
dataplane_stream_send(struct dataplane *dp, uint32_t stream, const struct media_address *to, struct span datagram)
{
	if (refuse_send)
		return refuse_send;
	n_datagrams_sent++;
	if (on_datagram_sent != NULL)
		on_datagram_sent(stream, to, datagram);
	return SRS_OK;
}
enum srs_err
dataplane_stream_remove(struct dataplane *dp, uint32_t stream, uint64_t cookie)
{
	if (refuse_remove)
		return refuse_remove;
	live_streams--;
	event_post(EVENT_STREAM_REMOVED, SRS_OK, cookie, DATAPLANE_NONE, stream);
	return SRS_OK;
}

/* ---- fixture ---- */

struct fixture {
	struct config config;
	struct sessions *all;
	struct media *media;
	struct dtls *dtls;	/* of those who ask for it */
	struct dialog dialog;
	struct sip_request request;
	struct config_src src;	/* the profile of who asks */
};

static char no_class[] = "", node_name[] = "node-1", automatic[] = "auto";
static char suite_80[] = "AES_CM_128_HMAC_SHA1_80", suite_gcm[] = "AEAD_AES_256_GCM", suite_32[] = "AES_CM_128_HMAC_SHA1_32";
static char *suites[] = { suite_gcm, suite_80, suite_32 };

static inline int
fixture_set_up(struct fixture *f)
{
	struct session_floor floor = { .config = &f->config };

	f->config.node.name = node_name;
	f->src = (struct config_src){ .name = node_name, .accept = CONFIG_ACCEPT_TOLERANT, .retention_class = no_class };
	f->config.src_default = &f->src;
	f->config.sip.retry_after_s = 10;
	f->config.media.rtp_port_min = 20000;
	f->config.media.rtp_port_max = 20099;
	f->config.media.external_ip = automatic;
	f->config.limits.sessions_max = 4;
	f->config.limits.call_seconds_max = 600;
	f->config.storage.part_seconds_max = 60;
	f->config.srtp.enabled = true;
	f->config.srtp.suites = suites;
	f->config.srtp.n_suites = 3;
	assert_int_equal(media_create(&f->media, &f->config, NULL), SRS_OK);
	floor.media = f->media;
	floor.dtls = f->dtls;
	assert_int_equal(sessions_create(&f->all, &floor), SRS_OK);
	n_accepts = n_refusals = n_hang_ups = n_events = n_notes = n_updates = n_binds = n_parts = n_seams = n_sealed = 0;
	n_rows_recording = n_rows_sealed = 0;
	live_streams = live_recordings = 0;
	n_rekeys = n_added = 0;
	n_asked = 0;
	last_packet_ns = 0;
	n_sent = n_pauses = n_paused_now = 0;
	refuse_message = refuse_pause = SRS_OK;
	peer_updates = peer_takes_requests = false;
	refuse_rekey = fail_rekey = SRS_OK;
	missing_suite = SRTP_SUITE_NONE;
	refuse_open = refuse_add = fail_open = fail_install = refuse_remove = refuse_seal = refuse_part = fail_part = SRS_OK;
	keys_left = 100;
	lag_ms = 0;
	armed = NULL;
	n_datagrams_sent = 0;
	refuse_send = SRS_OK;
	on_datagram_sent = NULL;
	return 0;
}

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return fixture_set_up(f);
}

/* Whatever a test did: nothing may be left in the data plane, and every port is back. */
static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(live_streams, 0);
	assert_int_equal(live_recordings, 0);
	assert_int_equal(sessions_n(f->all), 0);
	assert_int_equal(f->all->n_answering, 0);
	assert_int_equal(*sessions_of_src(f->all, &f->src), 0);
	assert_int_equal(media_pairs_free(f->media), 50 * n_media_addresses);
	sessions_destroy(f->all);
	media_destroy(f->media);
	free(f);
	return 0;
}

/* Deliver events until none follow from them. */
static inline void
run(struct fixture *f)
{
	for (unsigned int i = 0; i < n_events; i++) {
		struct dataplane_event e = events[i];

		sessions_on_event(f->all, &e);
	}
	n_events = 0;
}

/* A body in the dialog. An UPDATE with an offer is answered once the ports are armed: what follows from it is waited for.
 * @param sdp  the answer's, or NULL; free it @return status */
static inline unsigned int
body(struct fixture *f, const char *method, char **sdp, const char **warning)
{
	unsigned int before = n_accepts, status;

	*sdp = NULL;
	*warning = NULL;
	f->request.method = method;
	status = sessions_handlers()->on_body(f->all, &f->dialog, &f->request, warning);
	if (status != 0)
		return status;
	run(f);
	if (n_accepts == before) {
		*warning = refusal_warning;
		return refusal.status;
	}
	*sdp = strdup(accepted_sdp);
	return 200;
}

#define BOUNDARY "unique-boundary"
#define SDP_HEAD "v=0\r\no=SRC 1 %u IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
#define MLINE(port, direction, label) \
	"m=audio " port " RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=" direction "\r\na=rtcp-mux\r\na=label:" label "\r\n"
#define TWO_STREAMS SDP_HEAD MLINE("4000", "sendonly", "1") MLINE("4002", "sendonly", "2")
#define XML_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n"
#define CS1 "<session session_id=\"cs-1\"/>"
#define CS2 "<session session_id=\"cs-2\"/>"
#define CS1_OVER "<session session_id=\"cs-1\"><stop-time>2026-01-01T10:00:00Z</stop-time></session>"
#define ANN "<participant participant_id=\"p-ann\"><nameID aor=\"sip:ann@example.com\"><name>Ann</name></nameID></participant>"
#define BOB "<participant participant_id=\"p-bob\"><nameID aor=\"sip:bob@example.com\"/></participant>"
#define STREAM(id, cs, label) "<stream stream_id=\"" id "\" session_id=\"" cs "\"><label>" label "</label></stream>"
#define SENDS(p, id) "<participantstreamassoc participant_id=\"" p "\"><send>" id "</send></participantstreamassoc>"
#define XML_TAIL "</recording>\r\n"
#define ANN_AND_BOB XML_HEAD "<datamode>complete</datamode>" CS1 ANN BOB STREAM("s1", "cs-1", "1") \
	STREAM("s2", "cs-1", "2") SENDS("p-ann", "s1") SENDS("p-bob", "s2") XML_TAIL

static char body_text[3 * TEXT_MAX];

static inline void
request_of(struct fixture *f, const char *sdp, const char *xml)
{
	struct sockaddr_in *from = (struct sockaddr_in *)&f->request.source;

	f->request.method = "INVITE";
	f->request.call_id = "call-1@src";
	f->request.from_uri = f->request.from_tag = f->request.to_uri = f->request.contact = "";
	f->request.user_agent = "test SRC";
	f->request.identity = "";
	f->request.src = &f->src;
	f->request.session_id = f->request.content_disposition = "";
	f->request.replaced = NULL;
	f->request.require_siprec = f->request.contact_sip_src = true;
	from->sin_family = AF_INET;
	from->sin_port = htons(5060);
	from->sin_addr.s_addr = htonl(0xc0000209);
	if (sdp != NULL && xml != NULL) {
		f->request.content_type = "multipart/mixed;boundary=" BOUNDARY;
		(void)snprintf(body_text, sizeof(body_text),
		               "--" BOUNDARY "\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--" BOUNDARY
		               "\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n"
		               "\r\n%s\r\n--" BOUNDARY "--\r\n", sdp, xml);
	} else {
		f->request.content_type = sdp != NULL ? "application/sdp" : "application/rs-metadata+xml";
		(void)snprintf(body_text, sizeof(body_text), "%s", sdp != NULL ? sdp : xml != NULL ? xml : "");
	}
	f->request.body = span_of_text(body_text);
}

static inline char *
sdp_of(const char *format, unsigned int version)
{
	static char text[TEXT_MAX];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), format, version);
#pragma GCC diagnostic pop
	return text;
}

static inline struct session *
call_begin(struct fixture *f, const char *sdp, const char *xml)
{
	request_of(f, sdp, xml);
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	run(f);
	return f->dialog.user;
}

static inline void
reinvite(struct fixture *f, const char *sdp, const char *xml)
{
	request_of(f, sdp, xml);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	run(f);
}

static inline void
call_end(struct fixture *f)
{
	sessions_handlers()->on_ended(f->all, &f->dialog, DIALOG_END_BYE);
	run(f);
}

static inline const char *
last_note(enum reel_frame_kind kind)
{
	for (unsigned int i = n_notes; i-- > 0;) {
		if (notes[i].kind == kind)
			return notes[i].text;
	}
	return "";
}

/* What REST would say. Free it. */
static inline char *
rest_says(struct fixture *f, enum rest_ask what)
{
	struct rest_answer a;

	sessions_answer(f->all, &(struct rest_question){ .what = what, .argument = "", .body = "" }, &a);
	assert_int_equal(a.status, 200);
	return a.json;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
