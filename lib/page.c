#include "lib/page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 20	/* of 2^64 */

void
page_begin(struct page *p, size_t room)
{
	*p = (struct page){ .text = malloc(room + 1), .room = room + 1 };
	p->failed = p->text == NULL;
}

/* Room for `n` octets and a NUL. */
static bool
reserve(struct page *p, size_t n)
{
	size_t room = p->room;
	char *grown;

	if (p->failed)
		return false;
	if (n < room - p->len)
		return true;
	while (n >= room - p->len)
		room *= 2;
	grown = realloc(p->text, room);
	if (grown == NULL) {
		p->failed = true;
		return false;
	}
	p->text = grown;
	p->room = room;
	return true;
}

void
page_put(struct page *p, const char *bytes, size_t n)
{
	if (!reserve(p, n))
		return;
	memcpy(p->text + p->len, bytes, n);
	p->len += n;
}

void
page_text(struct page *p, const char *text)
{
	page_put(p, text, strlen(text));
}

void
page_texts(struct page *p, const char *first, ...)
{
	va_list more;

	va_start(more, first);
	for (const char *text = first; text != NULL; text = va_arg(more, const char *))
		page_text(p, text);
	va_end(more);
}

void
page_number(struct page *p, unsigned long long n)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	page_put(p, digits + at, sizeof(digits) - at);
}

char *
page_end(struct page *p)
{
	char *text = p->text;

	if (p->failed) {
		free(text);
		text = NULL;
	} else {
		text[p->len] = '\0';
	}
	*p = (struct page){ .failed = true };
	return text;
}
