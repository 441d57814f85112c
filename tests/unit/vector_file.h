/* Test vectors kept as text: "name = hex" a line, # for remarks. For tests. */
#ifndef VECTOR_FILE_H
#define VECTOR_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Open a file below the source tree. @return NULL: there is none */
static inline FILE *
vector_open(const char *path)
{
	const char *source = getenv("CAPSTAN_SOURCE");
	char whole[4096];

	snprintf(whole, sizeof(whole), "%s/%s", source == NULL ? "." : source, path);
	return fopen(whole, "r");
}

static inline unsigned int
vector_digit(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/** The bytes of one line. @return how many; 0: no such name, or it does not fit */
static inline uint16_t
vector_read(FILE *f, const char *name, uint8_t *bytes, uint16_t max)
{
	char line[8192], word[64], hex[8000];

	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		size_t len;

		if (sscanf(line, "%63s = %7999[0-9A-Fa-f]", word, hex) != 2 || strcmp(word, name) != 0)
			continue;
		len = strlen(hex) / 2;
		if (strlen(hex) % 2 != 0 || len > max)
			return 0;
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(vector_digit(hex[2 * i]) << 4 | vector_digit(hex[2 * i + 1]));
		return (uint16_t)len;
	}
	return 0;
}

#endif
