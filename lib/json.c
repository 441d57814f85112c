#include "lib/json.h"

#include <string.h>

static void
put(struct json *j, const char *bytes, size_t n)
{
	page_put(&j->page, bytes, n);
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
	const struct page *p = &j->page;

	if (!p->failed && p->len != 0 && p->text[p->len - 1] != '{' && p->text[p->len - 1] != '[')
		put(j, ",", 1);
	if (name == NULL)
		return;
	put_quoted(j, name);
	put(j, ":", 1);
}

void
json_begin(struct json *j, size_t room)
{
	page_begin(&j->page, room);
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
	member(j, name);
	page_number(&j->page, n);
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
	return page_end(&j->page);
}
