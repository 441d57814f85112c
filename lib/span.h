/* Byte cursors. A span borrows bytes; a reader walks them, and its first short read makes it bad: all later
 * reads return zero, so a parser checks once, at its end. A filler fills a caller's buffer the same way.
 * All integers on our disk and on the wire are big-endian. @thread any; nothing here allocates. */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const uint8_t *bytes;
	size_t len;
};

static inline struct span
span_of(const void *bytes, size_t len)
{
	return (struct span){ .bytes = bytes, .len = len };
}

static inline struct span
span_of_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

/** ASCII letters in either case. */
static inline bool
span_equal_nocase(struct span s, const char *text)
{
	return s.len == strlen(text) && (s.len == 0 || strncasecmp((const char *)s.bytes, text, s.len) == 0);
}

/** Without the blanks, tabs and line ends at both ends. */
static inline struct span
span_trimmed(struct span s)
{
	while (s.len != 0 && strchr(" \t\r\n", s.bytes[0]) != NULL && s.bytes[0] != 0) {
		s.bytes++;
		s.len--;
	}
	while (s.len != 0 && strchr(" \t\r\n", s.bytes[s.len - 1]) != NULL && s.bytes[s.len - 1] != 0)
		s.len--;
	return s;
}

/** Is every byte zero? True for an empty span. */
static inline bool
span_is_zero(struct span s)
{
	return s.len == 0 || (s.bytes[0] == 0 && memcmp(s.bytes, s.bytes + 1, s.len - 1) == 0);
}

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct reader
reader_of(struct span bytes)
{
	const uint8_t *at = bytes.bytes != NULL ? bytes.bytes : (const uint8_t *)""; /* NULL + 0 is undefined */

	return (struct reader){ .at = at, .end = at + bytes.len };
}

static inline bool
reader_is_bad(const struct reader *r)
{
	return r->bad;
}

static inline size_t
reader_left(const struct reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->at);
}

/** What is left, without moving on. */
static inline struct span
reader_rest(const struct reader *r)
{
	return span_of(r->at, reader_left(r));
}

/** The next `len` bytes as a span, or an empty span and a bad reader. */
static inline struct span
read_span(struct reader *r, size_t len)
{
	struct span s = { 0 };

	if (r->bad || len > (size_t)(r->end - r->at)) {
		r->bad = true;
		return s;
	}
	s = span_of(r->at, len);
	r->at += len;
	return s;
}

static inline void
read_bytes(struct reader *r, void *out, size_t len)
{
	struct span s = read_span(r, len);

	if (s.len == len && len != 0)
		memcpy(out, s.bytes, len);
	else
		memset(out, 0, len);
}

static inline uint64_t
read_be(struct reader *r, size_t width)
{
	struct span s = read_span(r, width);
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.bytes[i];
	return v;
}

static inline uint8_t read_u8(struct reader *r) { return (uint8_t)read_be(r, 1); }
static inline uint16_t read_u16be(struct reader *r) { return (uint16_t)read_be(r, 2); }
static inline uint32_t read_u32be(struct reader *r) { return (uint32_t)read_be(r, 4); }
static inline uint64_t read_u64be(struct reader *r) { return read_be(r, 8); }

struct filler {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool bad;
};

static inline struct filler
filler_of(void *bytes, size_t len)
{
	return (struct filler){ .start = bytes, .at = bytes, .end = (uint8_t *)bytes + len };
}

static inline size_t
filler_used(const struct filler *f)
{
	return (size_t)(f->at - f->start);
}

static inline void
write_bytes(struct filler *f, const void *bytes, size_t len)
{
	if (f->bad || len > (size_t)(f->end - f->at)) {
		f->bad = true;
		return;
	}
	if (len != 0)
		memcpy(f->at, bytes, len);
	f->at += len;
}

static inline void
write_be(struct filler *f, uint64_t value, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
	write_bytes(f, bytes, width);
}

static inline void write_u8(struct filler *f, uint8_t v) { write_be(f, v, 1); }
static inline void write_u16be(struct filler *f, uint16_t v) { write_be(f, v, 2); }
static inline void write_u32be(struct filler *f, uint32_t v) { write_be(f, v, 4); }
static inline void write_u64be(struct filler *f, uint64_t v) { write_be(f, v, 8); }

#endif
