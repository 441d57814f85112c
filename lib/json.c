#include "lib/json.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 20	/* of 2^64 */

/* Room for `n` octets and a NUL. */
static bool
reserve(struct json *j, size_t n)
{
	size_t room = j->room;
	char *grown;

	if (j->failed)
		return false;
	if (j->len + n < room)
		return true;
	while (j->len + n >= room)
		room *= 2;
	grown = realloc(j->text, room);
	if (grown == NULL) {
		j->failed = true;
		return false;
	}
	j->text = grown;
	j->room = room;
	return true;
}

static void
put(struct json *j, const char *bytes, size_t n)
{
	if (!reserve(j, n))
		return;
	memcpy(j->text + j->len, bytes, n);
	j->len += n;
}

static void
put_quoted(struct json *j, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const char *from = text;

	put(j, "\"", 1);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		char escape[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(j, from, (size_t)(text - from));
		if (c >= 0x20)
			put(j, (const char[]){ '\\', (char)c }, 2);
		else
			put(j, escape, sizeof(escape));
		from = text + 1;
	}
	put(j, from, (size_t)(text - from));
	put(j, "\"", 1);
}

/* A comma where something stands before on the same level, then the name. */
static void
member(struct json *j, const char *name)
{
	if (!j->failed && j->len != 0 && j->text[j->len - 1] != '{' && j->text[j->len - 1] != '[')
		put(j, ",", 1);
	if (name == NULL)
		return;
	put_quoted(j, name);
	put(j, ":", 1);
}

void
json_begin(struct json *j, size_t room)
{
	*j = (struct json){ .text = malloc(room + 1), .room = room + 1 };
	j->failed = j->text == NULL;
}

void
json_object(struct json *j, const char *name)
{
	member(j, name);
	put(j, "{", 1);
}

void
json_object_end(struct json *j)
{
	put(j, "}", 1);
}

void
json_array(struct json *j, const char *name)
{
	member(j, name);
	put(j, "[", 1);
}

void
json_array_end(struct json *j)
{
	put(j, "]", 1);
}

void
json_text(struct json *j, const char *name, const char *text)
{
	member(j, name);
	put_quoted(j, text);
}

void
json_number(struct json *j, const char *name, uint64_t n)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	member(j, name);
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	put(j, digits + at, sizeof(digits) - at);
}

void
json_bool(struct json *j, const char *name, bool b)
{
	member(j, name);
	put(j, b ? "true" : "false", b ? 4 : 5);
}

char *
json_end(struct json *j)
{
	char *text = j->text;

	if (j->failed) {
		free(text);
		text = NULL;
	} else {
		text[j->len] = '\0';
	}
	*j = (struct json){ .failed = true };
	return text;
}
