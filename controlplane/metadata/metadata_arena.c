#include "controlplane/metadata/metadata_arena.h"

#include <libxml/parser.h>
#include <libxml/xmlmemory.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (256u * 1024)	/* a document of 4 KiB takes about 60 */

/* Under a sanitizer each piece has to lie alone, so that it sees their ends. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_OFF 1
#endif
#endif

#ifndef ARENA_OFF

struct piece {
	alignas(max_align_t) size_t len;
	/* the piece itself */
};

static struct {
	alignas(max_align_t) uint8_t bytes[ARENA_BYTES];
	size_t used;
	bool open, is_set;
} arena;

static bool
is_inside(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)arena.bytes && (uintptr_t)p < (uintptr_t)arena.bytes + ARENA_BYTES;
}

static void *
arena_malloc(size_t len)
{
	size_t whole;
	struct piece *piece;

	if (!arena.open || len > ARENA_BYTES)
		return malloc(len);
	whole = sizeof(struct piece) + (len + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (whole > ARENA_BYTES - arena.used)
		return malloc(len);
	piece = (struct piece *)(void *)(arena.bytes + arena.used);
	arena.used += whole;
	piece->len = len;
	return piece + 1;
}

static void
arena_free(void *p)
{
	if (!is_inside(p))
		free(p);
}

static void *
arena_realloc(void *p, size_t len)
{
	const struct piece *piece = (const struct piece *)p - 1;
	void *moved;

	if (p == NULL)
		return arena_malloc(len);
	if (!is_inside(p))
		return realloc(p, len);
	if (len <= piece->len)
		return p;
	moved = arena_malloc(len);
	if (moved != NULL)
		memcpy(moved, p, piece->len);
	return moved;
}

static char *
arena_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = arena_malloc(len);

	return copy == NULL ? NULL : memcpy(copy, text, len);
}

void
metadata_arena_begin(void)
{
	if (!arena.is_set) {
		xmlInitParser();	/* what it keeps for ever comes from the heap */
		(void)xmlMemSetup(arena_free, arena_malloc, arena_realloc, arena_strdup);
		arena.is_set = true;
	}
	arena.used = 0;
	arena.open = true;
}

void
metadata_arena_end(void)
{
	xmlResetLastError();	/* its texts would be the only ones left */
	arena.open = false;
}

#else

void
metadata_arena_begin(void)
{
}

void
metadata_arena_end(void)
{
}

#endif
