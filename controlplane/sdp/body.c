/* Splits message bodies. Delimiter lines decide where a part ends; a part's own Content-Length is never believed,
 * because SRCs count it before something on the path rewrites the line ends. */
#include "controlplane/sdp/body.h"

#include <string.h>
#include <strings.h>

/* RFC 2046 §5.1.1 allows 70; some SRCs paste a Call-ID into it. */
#define BOUNDARY_MAX 200

struct splitter {
	struct body *out;
	const char **why;
	bool unknown_required; /* handling=required stands there */
	bool unknown_implied;  /* no handling parameter: RFC 5621 §8 reads it as required */
};

/* What the header fields of one part say. */
struct part_header {
	struct span content_type, disposition, transfer_encoding, content_encoding;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n'; /* folded values keep their line ends */
}

static bool
starts_nocase(struct span s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && strncasecmp((const char *)s.bytes, text, len) == 0;
}

/* The next piece of a header value up to ';', which may stand inside a quoted string. */
static struct span
value_piece(struct span *rest)
{
	bool quoted = false;
	size_t i;
	struct span piece;

	if (rest->len == 0)
		return (struct span){ 0 };
	for (i = 0; i < rest->len; i++) {
		if (quoted && rest->bytes[i] == '\\')
			i++;
		else if (rest->bytes[i] == '"')
			quoted = !quoted;
		else if (rest->bytes[i] == ';' && !quoted)
			break;
	}
	if (i > rest->len)
		i = rest->len;
	piece = span_of(rest->bytes, i);
	rest->bytes += i < rest->len ? i + 1 : i;
	rest->len -= i < rest->len ? i + 1 : i;
	return span_trimmed(piece);
}

static struct span
value_main(struct span value)
{
	return value_piece(&value);
}

/* Parameter `name` of a header value, without quotes, into `out` (cut at out_len). False: not there. */
static bool
value_parameter(struct span value, const char *name, char *out, size_t out_len, bool *cut)
{
	size_t n = 0;

	value_piece(&value);
	while (value.len != 0) {
		struct span piece = value_piece(&value);
		const uint8_t *eq = piece.len ? memchr(piece.bytes, '=', piece.len) : NULL;
		struct span left, right;

		if (eq == NULL)
			continue;
		left = span_trimmed(span_of(piece.bytes, (size_t)(eq - piece.bytes)));
		right = span_trimmed(span_of(eq + 1, piece.len - (size_t)(eq + 1 - piece.bytes)));
		if (!span_equal_nocase(left, name))
			continue;
		if (right.len != 0 && right.bytes[0] == '"') {
			for (size_t i = 1; i < right.len && right.bytes[i] != '"'; i++) {
				if (right.bytes[i] == '\\' && i + 1 < right.len)
					i++;
				if (n + 1 < out_len)
					out[n] = (char)right.bytes[i];
				n++;
			}
		} else {
			for (; n < right.len && !is_blank(right.bytes[n]); n++)
				if (n + 1 < out_len)
					out[n] = (char)right.bytes[n];
		}
		*cut = n + 1 > out_len;
		out[*cut ? out_len - 1 : n] = '\0';
		return true;
	}
	return false;
}

/* One line without its line end; `rest` moves behind it. Bare LF counts (BODY-09). */
static struct span
take_line(struct span *rest)
{
	const uint8_t *lf = rest->len ? memchr(rest->bytes, '\n', rest->len) : NULL;
	size_t len = lf ? (size_t)(lf - rest->bytes) : rest->len;
	size_t taken = lf ? len + 1 : len;
	struct span line = span_of(rest->bytes, len);

	rest->bytes += taken;
	rest->len -= taken;
	if (line.len != 0 && line.bytes[line.len - 1] == '\r')
		line.len--;
	return line;
}

static enum body_kind
kind_of(struct span type)
{
	if (span_equal_nocase(type, "application/sdp"))
		return BODY_SDP;
	/* The second name is RFC 7866's as first printed; RFC 9806 §2 put it right. */
	if (span_equal_nocase(type, "application/rs-metadata+xml") ||
	    span_equal_nocase(type, "application/rs-metadata"))
		return BODY_METADATA;
	if (span_equal_nocase(type, "application/rs-metadata-request"))
		return BODY_METADATA_REQUEST;
	return BODY_OTHER;
}

/* Spans point into the caller's bytes, so whatever needs decoding is not ours to read. */
static bool
is_encoded(const struct part_header *h)
{
	struct span t = value_main(h->transfer_encoding);

	if (t.len != 0 && !span_equal_nocase(t, "binary") && !span_equal_nocase(t, "8bit") && !span_equal_nocase(t, "7bit"))
		return true;
	t = value_main(h->content_encoding);
	return t.len != 0 && !span_equal_nocase(t, "identity");
}

static enum srs_err
add_part(struct splitter *s, const struct part_header *h, struct span bytes, bool alternative)
{
	char handling[16] = "";
	bool cut = false;
	struct body_part *part;

	if (s->out->n_parts == BODY_PARTS_MAX) {
		*s->why = "more than 16 body parts";
		return SRS_ERR_LIMIT;
	}
	part = &s->out->parts[s->out->n_parts++];
	*part = (struct body_part){
		.content_type = value_main(h->content_type),
		.disposition = value_main(h->disposition),
		.bytes = bytes,
	};
	part->kind = is_encoded(h) ? BODY_OTHER : kind_of(part->content_type);
	if (!value_parameter(h->disposition, "handling", handling, sizeof(handling), &cut))
		handling[0] = '\0';
	part->handling_required = strcasecmp(handling, "required") == 0;
	if (part->kind == BODY_OTHER) {
		s->unknown_required |= part->handling_required;
		s->unknown_implied |= !alternative && strcasecmp(handling, "optional") != 0;
	}
	/* early-session (RFC 3959) describes other media than the session's */
	if (part->kind == BODY_SDP && s->out->sdp == NULL &&
	    !span_equal_nocase(part->disposition, "early-session"))
		s->out->sdp = part;
	if (part->kind == BODY_METADATA && s->out->metadata == NULL)
		s->out->metadata = part;
	return SRS_OK;
}

static void
header_field(struct part_header *h, struct span field)
{
	const uint8_t *colon = memchr(field.bytes, ':', field.len);
	struct span name = span_trimmed(span_of(field.bytes, (size_t)(colon - field.bytes)));
	struct span value = span_trimmed(span_of(colon + 1, field.len - (size_t)(colon + 1 - field.bytes)));

	if (span_equal_nocase(name, "content-type"))
		h->content_type = value;
	else if (span_equal_nocase(name, "content-disposition"))
		h->disposition = value;
	else if (span_equal_nocase(name, "content-transfer-encoding"))
		h->transfer_encoding = value;
	else if (span_equal_nocase(name, "content-encoding"))
		h->content_encoding = value;
}

/* Reads the part's header fields; `part` is left with the bytes behind the empty line. A line without a colon
 * starts the content too: some senders forget the empty line. */
static enum srs_err
read_headers(struct part_header *h, struct span *part, const char **why)
{
	unsigned int n = 0;

	*h = (struct part_header){ 0 };
	while (part->len != 0) {
		struct span before = *part;
		struct span field = take_line(part);

		if (field.len == 0)
			return SRS_OK;
		if (memchr(field.bytes, ':', field.len) == NULL) {
			*part = before;
			return SRS_OK;
		}
		while (part->len != 0 && (part->bytes[0] == ' ' || part->bytes[0] == '\t')) {
			struct span more = take_line(part);

			field.len = (size_t)(more.bytes + more.len - field.bytes);
		}
		if (++n > BODY_HEADERS_MAX) {
			*why = "more than 16 header fields in one body part";
			return SRS_ERR_LIMIT;
		}
		header_field(h, field);
	}
	return SRS_OK;
}

enum delimiter { DELIMITER_NONE, DELIMITER_OPEN, DELIMITER_CLOSE };

static enum delimiter
line_delimiter(struct span line, const char *boundary, size_t boundary_len)
{
	enum delimiter d = DELIMITER_OPEN;

	if (line.len < boundary_len + 2 || line.bytes[0] != '-' || line.bytes[1] != '-' ||
	    memcmp(line.bytes + 2, boundary, boundary_len) != 0)
		return DELIMITER_NONE;
	line = span_of(line.bytes + 2 + boundary_len, line.len - 2 - boundary_len);
	if (line.len >= 2 && line.bytes[0] == '-' && line.bytes[1] == '-') {
		d = DELIMITER_CLOSE;
		line = span_of(line.bytes + 2, line.len - 2);
	}
	return span_trimmed(line).len == 0 ? d : DELIMITER_NONE; /* RFC 2046 transport padding */
}

static enum srs_err split(struct splitter *s, const struct part_header *h, struct span bytes,
			  unsigned int depth, bool alternative);

static enum srs_err
split_part(struct splitter *s, struct span part, unsigned int depth, bool alternative)
{
	struct part_header h;
	enum srs_err err = read_headers(&h, &part, s->why);

	return err ? err : split(s, &h, part, depth, alternative);
}

/* The line end before a delimiter belongs to the delimiter. */
static struct span
part_until(const uint8_t *start, const uint8_t *delimiter)
{
	size_t len = (size_t)(delimiter - start);

	if (len != 0 && start[len - 1] == '\n')
		len--;
	if (len != 0 && start[len - 1] == '\r')
		len--;
	return span_of(start, len);
}

static enum srs_err
split_multipart(struct splitter *s, struct span content_type, struct span bytes, unsigned int depth)
{
	bool alternative = starts_nocase(content_type, "multipart/alternative");
	char boundary[BOUNDARY_MAX + 1];
	size_t boundary_len;
	const uint8_t *start = NULL; /* of the part that is open */
	bool cut = false;

	if (depth == BODY_DEPTH_MAX) {
		*s->why = "multipart inside multipart deeper than 3";
		return SRS_ERR_LIMIT;
	}
	if (!value_parameter(content_type, "boundary", boundary, sizeof(boundary), &cut) ||
	    boundary[0] == '\0') {
		*s->why = "multipart Content-Type without a boundary parameter";
		return SRS_ERR_INVALID;
	}
	if (cut) {
		*s->why = "multipart boundary longer than 200 characters";
		return SRS_ERR_LIMIT;
	}
	boundary_len = strlen(boundary);
	while (bytes.len != 0) {
		const uint8_t *at = bytes.bytes;
		enum delimiter d = line_delimiter(take_line(&bytes), boundary, boundary_len);
		enum srs_err err;

		if (d == DELIMITER_NONE)
			continue;
		err = start ? split_part(s, part_until(start, at), depth + 1, alternative) : SRS_OK;
		if (err || d == DELIMITER_CLOSE)
			return err;
		start = bytes.bytes;
	}
	if (start == NULL) {
		*s->why = "the boundary that Content-Type names does not occur in the body";
		return SRS_ERR_INVALID;
	}
	/* The closing delimiter is missing: a body cut off on the path still tells us what it can. */
	return split_part(s, span_of(start, (size_t)(bytes.bytes - start)), depth + 1, alternative);
}

static enum srs_err
split(struct splitter *s, const struct part_header *h, struct span bytes, unsigned int depth,
      bool alternative)
{
	if (starts_nocase(h->content_type, "multipart/"))
		return split_multipart(s, h->content_type, bytes, depth);
	return add_part(s, h, bytes, alternative);
}

enum srs_err
body_split(struct body *out, const char *content_type, const char *disposition, struct span bytes,
	   const char **why)
{
	struct splitter s = { .out = out, .why = why };
	struct part_header h = {
		.content_type = span_trimmed(span_of_text(content_type ? content_type : "")),
		.disposition = span_trimmed(span_of_text(disposition ? disposition : "")),
	};
	enum srs_err err;

	*out = (struct body){ 0 };
	*why = "";
	if (bytes.len == 0)
		return SRS_OK;
	if (h.content_type.len == 0) {
		*why = "a body without Content-Type";
		return SRS_ERR_INVALID;
	}
	err = split(&s, &h, bytes, 0, false);
	if (err)
		return err;
	if (s.unknown_required) {
		*why = "a body part of a type or encoding that is not supported has handling=required";
		return SRS_ERR_UNSUPPORTED;
	}
	/* Strictly RFC 3261 §20.11 asks for 415 also beside an SDP that we understand; calls were lost by it. */
	if (s.unknown_implied && (out->sdp == NULL || out->sdp->bytes.len == 0)) {
		*why = "no SDP, and a body part of a type or encoding that is not supported";
		return SRS_ERR_UNSUPPORTED;
	}
	return SRS_OK;
}
