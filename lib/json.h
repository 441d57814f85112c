/* JSON written straight into memory, member by member: for documents that are made with every call. Nothing is kept beside
 * the text, and numbers are whole ones of 64 bits. What is read, or made seldom, goes through cJSON. @thread any */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/page.h"

struct json {
	struct page page;
};

/** Ready to write; without memory the end says so. */
void json_begin(struct json *j, size_t room);
/** `name` is NULL for an element of an array and for the document itself. */
void json_object(struct json *j, const char *name);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *name);
void json_array_end(struct json *j);
/** Quotes, backslashes and control characters are escaped; all other octets stand there as they are. */
void json_text(struct json *j, const char *name, const char *text);
void json_number(struct json *j, const char *name, uint64_t n);
void json_bool(struct json *j, const char *name, bool b);
/** @return the text, malloc'd; NULL: no memory */
char *json_end(struct json *j);

#endif
