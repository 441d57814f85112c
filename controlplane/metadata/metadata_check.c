/* Metadata in files: as XML, in a whole SIP message, or in a MIME body. For the tool, never for the wire. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sdp/body.h"
#include "controlplane/metadata/metadata_items.h"

#define VALUE_MAX 1024 /* of Content-Type and Content-Disposition */

struct file_head {
	char content_type[VALUE_MAX];
	char disposition[VALUE_MAX];
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span
skip_blanks(struct span s)
{
	while (s.len != 0 && is_blank(s.bytes[0])) {
		s.bytes++;
		s.len--;
	}
	return s;
}

static struct span
take_line(struct span *rest)
{
	const uint8_t *lf = memchr(rest->bytes, '\n', rest->len);
	size_t len = lf ? (size_t)(lf - rest->bytes) : rest->len;
	size_t taken = lf ? len + 1 : len;
	struct span line = span_of(rest->bytes, len);

	rest->bytes += taken;
	rest->len -= taken;
	while (line.len != 0 && is_blank(line.bytes[line.len - 1]))
		line.len--;
	return line;
}

static void
append(char out[VALUE_MAX], struct span more)
{
	size_t used = strlen(out);

	if (more.len < VALUE_MAX - used && memchr(more.bytes, '\0', more.len) == NULL) {
		memcpy(out + used, more.bytes, more.len);
		out[used + more.len] = '\0';
	}
}

static bool
is_field(struct span line, const char *name, struct span *value)
{
	size_t len = strlen(name);

	if (line.len < len || strncasecmp((const char *)line.bytes, name, len) != 0)
		return false;
	*value = skip_blanks(span_of(line.bytes + len, line.len - len));
	if (value->len == 0 || value->bytes[0] != ':')
		return false;
	*value = skip_blanks(span_of(value->bytes + 1, value->len - 1));
	return true;
}

/* Header fields up to the empty line; `rest` is left with the body. */
static void
read_head(struct file_head *head, struct span *rest)
{
	char *folding = NULL;

	while (rest->len != 0) {
		struct span line = take_line(rest);
		struct span value;

		if (line.len == 0)
			return;
		if (line.bytes[0] == ' ' || line.bytes[0] == '\t') {
			if (folding != NULL)
				append(folding, line);
			continue;
		}
		folding = NULL;
		if (is_field(line, "Content-Type", &value) || is_field(line, "c", &value))
			folding = head->content_type;
		else if (is_field(line, "Content-Disposition", &value))
			folding = head->disposition;
		if (folding != NULL) {
			folding[0] = '\0';
			append(folding, value);
		}
	}
}

/* A body that starts with its own delimiter names the boundary by it. */
static void
guess_head(struct file_head *head, struct span file)
{
	struct span line = take_line(&file);

	if (line.len > 2 && line.len < VALUE_MAX - 64 && memchr(line.bytes, '"', line.len) == NULL)
		snprintf(head->content_type, sizeof(head->content_type), "multipart/mixed;boundary=\"%.*s\"",
			 (int)(line.len - 2), (const char *)line.bytes + 2);
}

static enum srs_err
find_metadata(struct span *xml, struct span file, char *why, size_t why_len)
{
	struct file_head head = { .content_type = "" };
	struct body body;
	const char *reason = "";
	enum srs_err err;

	file = skip_blanks(file);
	if (file.len >= 2 && file.bytes[0] == '-' && file.bytes[1] == '-')
		guess_head(&head, file);
	else
		read_head(&head, &file);
	err = body_split(&body, head.content_type, head.disposition, file, &reason);
	if (body.metadata != NULL) {
		*xml = body.metadata->bytes; /* what is wrong with other parts is not asked here */
		return SRS_OK;
	}
	snprintf(why, why_len, "no recording metadata in this file%s%s", reason[0] ? ": " : "", reason);
	return err ? err : SRS_ERR_INVALID;
}

static bool
is_xml(struct span file)
{
	if (file.len >= 3 && memcmp(file.bytes, "\xef\xbb\xbf", 3) == 0)
		return true;
	file = skip_blanks(file);
	return file.len != 0 && file.bytes[0] == '<';
}

enum srs_err
metadata_check_bytes(struct metadata **out, struct span file, char *why, size_t why_len)
{
	struct span xml = file;
	unsigned int line_first = 0;

	if (!is_xml(file)) {
		enum srs_err err = find_metadata(&xml, file, why, why_len);

		if (err)
			return err;
	}
	for (const uint8_t *p = file.bytes; p < xml.bytes; p++)
		line_first += *p == '\n';
	return metadata_parse_at(out, xml, line_first, why, why_len);
}
