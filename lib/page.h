/* Text that grows in memory: for messages and documents that are made with every call. @thread any */
#ifndef PAGE_H
#define PAGE_H

#include <stdbool.h>
#include <stddef.h>

struct page {
	char *text;	/* malloc'd; no NUL stands behind it before page_end() */
	size_t len, room;
	bool failed;	/* memory was short: nothing more is written */
};

/** Ready to write; without memory the end says so. */
void page_begin(struct page *p, size_t room);
void page_put(struct page *p, const char *bytes, size_t n);
void page_text(struct page *p, const char *text);
/** Some texts one behind the other; the last argument is NULL. */
void __attribute__((sentinel)) page_texts(struct page *p, const char *first, ...);
void page_number(struct page *p, unsigned long long n);
/** @return the text, malloc'd and NUL-terminated; NULL: no memory */
char *page_end(struct page *p);

#endif
