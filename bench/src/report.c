#include "report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RTCP_SR   200
#define RTCP_RR   201
#define RTCP_SDES 202
#define RTCP_BYE  203
#define SINCE_1900 2208988800u	/* seconds from 1900 to 1970 */

static void
put32(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

static uint32_t
get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void
put_header(uint8_t *b, unsigned int count, uint8_t type, size_t len)
{
	b[0] = (uint8_t)(0x80 | count);
	b[1] = type;
	b[2] = 0;
	b[3] = (uint8_t)(len / 4 - 1);
}

uint16_t
report_sender(uint8_t out[REPORT_MAX], const struct report_facts *facts)
{
	size_t name_len = strlen(facts->cname) < 60 ? strlen(facts->cname) : 60;
	size_t sdes_len = (4 + 4 + 2 + name_len + 1 + 3) & ~(size_t)3;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	memset(out, 0, REPORT_MAX);
	put_header(out, 0, RTCP_SR, 28);
	put32(out + 4, facts->ssrc);
	put32(out + 8, (uint32_t)(now.tv_sec + SINCE_1900));
	put32(out + 12, (uint32_t)(((uint64_t)now.tv_nsec << 32) / 1000000000u));
	put32(out + 16, facts->timestamp);
	put32(out + 20, (uint32_t)facts->packets);
	put32(out + 24, (uint32_t)facts->octets);
	put_header(out + 28, 1, RTCP_SDES, sdes_len);
	put32(out + 32, facts->ssrc);
	out[36] = 1; /* CNAME */
	out[37] = (uint8_t)name_len;
	memcpy(out + 38, facts->cname, name_len);
	return (uint16_t)(28 + sdes_len);
}

uint16_t
report_bye(uint8_t out[REPORT_MAX], uint32_t ssrc)
{
	put_header(out, 0, RTCP_RR, 8);
	put32(out + 4, ssrc);
	put_header(out + 8, 1, RTCP_BYE, 8);
	put32(out + 12, ssrc);
	return 16;
}

/* ---- what comes back ---- */

/* One report block of 24 bytes. */
static bool
check_block(const uint8_t *b, struct report_source *sources, unsigned int n_sources, char *why, size_t why_len)
{
	struct report_source *s = NULL;
	uint32_t highest = get32(b + 8);
	int32_t lost = (int32_t)(get32(b + 4) << 8) >> 8; /* signed, 24 bits */

	for (unsigned int i = 0; i < n_sources; i++)
		if (sources[i].ssrc == get32(b))
			s = &sources[i];
	if (s == NULL) {
		snprintf(why, why_len, "report: a block about SSRC %08x, which is not ours", get32(b));
		return false;
	}
	s->lost = lost;
	s->highest = highest;
	if (s->gaps)
		return true;
	if (lost < -(int64_t)s->beyond || lost > (int64_t)s->made) {
		snprintf(why, why_len, "report: %d lost of %llu sent and %llu sent again or late", lost,
		         (unsigned long long)s->made, (unsigned long long)s->beyond);
		return false;
	}
	if (s->made < 0x10000 && (uint16_t)((uint16_t)highest - s->first_seq) >= s->made) {
		snprintf(why, why_len, "report: highest sequence number %u, sent were %llu from %u", highest & 0xffff,
		         (unsigned long long)s->made, s->first_seq);
		return false;
	}
	return true;
}

/* SDES: is there a CNAME in the chunks? Items end with a zero and chunks at four bytes (RFC 3550 §6.5). */
static bool
has_cname(const uint8_t *packet, size_t len)
{
	size_t at = 8;

	while (at + 2 <= len && packet[at] != 0) {
		if (packet[at] == 1 && packet[at + 1] > 0 && at + 2 + packet[at + 1] <= len)
			return true;
		at += 2u + packet[at + 1];
	}
	return false;
}

bool
report_check(const uint8_t *packet, size_t len, struct report_source *sources, unsigned int n_sources, char *why,
             size_t why_len)
{
	bool named = false;
	size_t at = 0;

	while (at < len) {
		const uint8_t *p = packet + at;
		size_t left = len - at, n = left >= 4 ? 4 * ((size_t)(p[2] << 8 | p[3]) + 1) : 0;
		size_t blocks_at = left >= 4 && p[1] == RTCP_SR ? 28 : 8;

		if (n < 8 || n > left || p[0] >> 6 != 2 || (p[0] & 0x20 && n != left)) {
			snprintf(why, why_len, "report: malformed at byte %zu of %zu", at, len);
			return false;
		}
		if (at == 0 && p[1] != RTCP_SR && p[1] != RTCP_RR) {
			snprintf(why, why_len, "report: starts with packet type %u (RFC 3550 6.1)", p[1]);
			return false;
		}
		if (p[1] == RTCP_SR || p[1] == RTCP_RR) {
			unsigned int count = p[0] & 0x1f;

			if (blocks_at + 24 * count > n) {
				snprintf(why, why_len, "report: %u blocks in %zu bytes", count, n);
				return false;
			}
			for (unsigned int i = 0; i < count; i++)
				if (!check_block(p + blocks_at + 24 * i, sources, n_sources, why, why_len))
					return false;
		}
		named = named || (p[1] == RTCP_SDES && has_cname(p, n));
		at += n;
	}
	if (!named)
		snprintf(why, why_len, "report: no CNAME in the compound packet (RFC 3550 6.1)");
	return named;
}
