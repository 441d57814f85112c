/* rs-metadata (RFC 7865) and the dialects that real SRCs send (docs/rfc-coverage.md META): one model, a list of
 * deviations, never a lost call. Parsing is bounded by a linear pre-scan before libxml2 sees a byte; DTDs, entities
 * and the network are out of reach. @thread any; a document has one owner */
#ifndef METADATA_H
#define METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define METADATA_BYTES_MAX      262144
#define METADATA_ELEMENTS_MAX   4096
#define METADATA_ATTRIBUTES_MAX 64	/* of one tag */
#define METADATA_DEPTH_MAX      32
#define METADATA_ITEMS_MAX      256	/* participants, streams, ... of a kind */
#define METADATA_DEVIATIONS_MAX 64

enum metadata_dialect {
	METADATA_RFC7865,	/* urn:ietf:params:xml:ns:recording:1 */
	METADATA_RECORDING,	/* urn:ietf:params:xml:ns:recording (Oracle, AudioCodes, Sonus) */
	METADATA_SIPREC,	/* urn:ietf:params:xml:ns:siprec, root recording_metadata (BroadWorks) */
	METADATA_NO_NAMESPACE,	/* right names, no namespace */
	METADATA_HANDMADE,	/* the attribute style of test clients (docs/rfc-coverage.md META-02) */
};
const char *metadata_dialect_name(enum metadata_dialect d);

/* Ids and texts are owned by the document, compared as opaque strings; "" when missing. Times: text as sent and
 * unix ns, 0 when unreadable. */
struct metadata_time {
	char *text;
	int64_t wall_ns;
};
struct metadata_group { char *id; struct metadata_time associated, disassociated; char *extension; };
struct metadata_session {
	char *id, *group_ref;
	char *sip_session_id;	/* RFC 7989 values without blanks; several are kept apart by one blank */
	char *reason;		/* as RFC 3326 writes it: SIP;cause=480;text="..." */
	struct metadata_time start, stop, associated, disassociated;	/* the latter two: sessionrecordingassoc */
	char *extension;	/* foreign elements, verbatim XML with the xmlns they need; "" when none */
	bool declared;		/* a session element was there; else only others name the id */
};
struct metadata_name { char *aor, *name, *lang; };
struct metadata_participant {
	char *id;
	struct metadata_name *names; unsigned int n_names;
	char *extension;
};
struct metadata_stream {
	char *id, *session, *label;
	char *mode;		/* of dialects: "separate", "mixed" */
	struct metadata_time associated, disassociated;	/* of dialects */
	char *extension;
	unsigned int line;
};
struct metadata_participant_session {
	char *participant, *session;
	struct metadata_time associated, disassociated;
	char *params;		/* RFC 3840 feature tags: pname=pval;pname=pval */
};
struct metadata_participant_stream {
	char *participant;
	char **send; unsigned int n_send;	/* stream ids */
	char **recv; unsigned int n_recv;
	struct metadata_time associated, disassociated;
};
struct metadata_deviation {
	unsigned int line;
	char *path;	/* /recording/participant[2] */
	const char *rule;	/* static: what RFC 7865 says, or what was tolerated */
};

struct metadata {
	enum metadata_dialect dialect;
	bool partial;	/* datamode */
	struct metadata_group *groups; unsigned int n_groups;
	struct metadata_session *sessions; unsigned int n_sessions;
	struct metadata_participant *participants; unsigned int n_participants;
	struct metadata_stream *streams; unsigned int n_streams;
	struct metadata_participant_session *participant_sessions; unsigned int n_participant_sessions;
	struct metadata_participant_stream *participant_streams; unsigned int n_participant_streams;
	struct metadata_deviation deviations[METADATA_DEVIATIONS_MAX]; unsigned int n_deviations;
	char *extension;	/* foreign elements directly under the root */
};

/**
 * @param why  buffer for one sentence on failure: which bound or what is not XML, with the line
 * @return     LIMIT (pre-scan), INVALID (not XML, not metadata), NOMEM. Anything else is parsed, with deviations
 */
SRS_MUST_CHECK enum srs_err metadata_parse(struct metadata **out, struct span xml, char *why, size_t why_len);
void metadata_free(struct metadata *m);	/* accepts NULL */

/**
 * Bring `state` up to date: a complete document replaces it, a partial one merges by id.
 *
 * @param state   *state may be NULL (nothing yet); owned by the caller
 * @param update  taken over, also on failure
 * @return        STATE: a partial that refers to what is not known; LIMIT: more items than METADATA_ITEMS_MAX would
 *                remain, although all that is over was forgotten (nothing is merged in both; ask for a snapshot)
 */
SRS_MUST_CHECK enum srs_err metadata_apply(struct metadata **state, struct metadata *update);

/**
 * Is `update` about this communication session? A complete document is about all. A partial one is when it names the
 * session, or a group, stream or participant of it; when it names nothing of any session that is known, it is about all.
 *
 * @param state      before the update is applied; NULL: nothing yet
 * @param cs_id_max  octets of an id that count: the caller may have cut it
 */
bool metadata_speaks_of(const struct metadata *state, const struct metadata *update, const char *cs_id,
                        size_t cs_id_max);

/** Which m-line labels are not named by any stream, which streams name no m-line: added to m's deviations. */
void metadata_check_labels(struct metadata *m, const char *const *labels, unsigned int n_labels);

/** Participants that send into the stream with this label, then those that once did; at most `max`. @return how many */
unsigned int metadata_senders(const struct metadata *m, const char *label,
                              const struct metadata_participant **out, unsigned int max);
/* What a participant sends, or once sent, into a stream. */
struct metadata_sending {
	const struct metadata_participant *participant;
	bool over;
	int64_t from_wall_ns, to_wall_ns;	/* as the client says; 0: it does not, or nothing that can be read */
};
/** Into the stream with this label: those of now, then those that ended; at most `max`. @return how many */
unsigned int metadata_sendings(const struct metadata *m, const char *label, struct metadata_sending *out, unsigned int max);
/** The communication session of the stream with this label; NULL when unknown. */
const struct metadata_session *metadata_session_of(const struct metadata *m, const char *label);

/**
 * For files: plain XML, a whole SIP message, or a MIME body. Finds the metadata in it and parses that.
 *
 * @return  as metadata_parse(), or INVALID when there is no metadata part. Lines in deviations and in `why` are those
 *          of the file
 */
SRS_MUST_CHECK enum srs_err metadata_check_bytes(struct metadata **out, struct span file, char *why, size_t why_len);

/** The model as JSON (docs/format.md, "metadata model"), and the deviations. Free with free(). NULL: no memory */
char *metadata_to_json(const struct metadata *m);
char *metadata_deviations_json(const struct metadata *m);

#endif
