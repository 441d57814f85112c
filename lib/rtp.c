#include "lib/rtp.h"

#define RTP_VERSION     2
#define RTCP_HEADER_SIZE 4
#define RTCP_TYPE_MIN   192	/* RFC 5761 §4: what RTCP may use when it shares a port */
#define RTCP_TYPE_MAX   223
#define RTCP_TYPE_SR    200
#define RTCP_TYPE_SDES  202
#define RTCP_TYPE_BYE   203
#define SDES_END        0
#define SDES_CNAME      1
#define RTCP_SENDER_INFO_END 28	/* header, SSRC, sender info: RFC 3550 §6.4.1 */

enum srs_err
rtp_header_read(struct rtp_header *h, struct span packet)
{
	struct reader r = reader_of(packet);
	uint8_t first = read_u8(&r), second = read_u8(&r);
	size_t left, n_padding = 0;

	h->payload_type = second & 0x7f;
	h->marker = second >> 7;
	h->padding = first >> 5 & 1;
	h->extension = first >> 4 & 1;
	h->n_csrc = first & 0x0f;
	h->seq = read_u16be(&r);
	h->timestamp = read_u32be(&r);
	h->ssrc = read_u32be(&r);
	(void)read_span(&r, (size_t)4 * h->n_csrc);
	if (h->extension) {
		(void)read_u16be(&r); /* defined by profile */
		(void)read_span(&r, (size_t)4 * read_u16be(&r));
	}
	if (reader_is_bad(&r) || first >> 6 != RTP_VERSION)
		return SRS_ERR_INVALID;

	left = reader_left(&r);
	if (h->padding) {
		n_padding = left != 0 ? packet.bytes[packet.len - 1] : 0;
		if (n_padding == 0 || n_padding > left) /* the count counts itself */
			return SRS_ERR_INVALID;
	}
	h->payload = read_span(&r, left - n_padding);
	return SRS_OK;
}

struct rtcp_part {
	uint8_t type;
	uint8_t count;		/* of reports, chunks or sources */
	bool padding;
	struct span bytes;	/* header and all */
};

static enum srs_err
rtcp_part_next(struct rtcp_part *p, struct reader *r)
{
	struct reader peek = *r;
	uint8_t first = read_u8(&peek);

	p->type = read_u8(&peek);
	p->count = first & 0x1f;
	p->padding = first >> 5 & 1;
	p->bytes = read_span(r, RTCP_HEADER_SIZE + (size_t)4 * read_u16be(&peek));
	if (reader_is_bad(r) || first >> 6 != RTP_VERSION || p->type < RTCP_TYPE_MIN || p->type > RTCP_TYPE_MAX)
		return SRS_ERR_INVALID;
	return SRS_OK;
}

/* Any type may stand first: RFC 5506 allows packets without a leading report. */
enum srs_err
rtp_rtcp_check(struct span packet, uint8_t *first_type, uint32_t *ssrc)
{
	struct reader r = reader_of(packet);
	struct rtcp_part p;
	enum srs_err err = rtcp_part_next(&p, &r);

	if (err)
		return err;
	if (p.bytes.len < RTCP_HEADER_SIZE + 4)
		return SRS_ERR_INVALID; /* names nobody */
	*first_type = p.type;
	*ssrc = (uint32_t)p.bytes.bytes[4] << 24 | (uint32_t)p.bytes.bytes[5] << 16
	        | (uint32_t)p.bytes.bytes[6] << 8 | p.bytes.bytes[7];
	while (reader_left(&r) != 0) {
		if (p.padding)
			return SRS_ERR_INVALID; /* only the last part may be padded: RFC 3550 §6.4.1 */
		err = rtcp_part_next(&p, &r);
		if (err)
			return err;
	}
	return SRS_OK;
}

enum srs_err
rtp_sender_report_find(struct rtp_sender_report *sr, struct span packet)
{
	struct reader r = reader_of(packet);
	struct rtcp_part p;

	while (reader_left(&r) != 0) {
		if (rtcp_part_next(&p, &r) != SRS_OK)
			return SRS_ERR_INVALID;
		if (p.type == RTCP_TYPE_SR && p.bytes.len >= RTCP_SENDER_INFO_END) {
			struct reader report = reader_of(p.bytes);

			(void)read_u32be(&report);
			sr->ssrc = read_u32be(&report);
			sr->ntp = read_u64be(&report);
			sr->rtp_timestamp = read_u32be(&report);
			return SRS_OK;
		}
	}
	return SRS_ERR_UNSUPPORTED;
}

unsigned int
rtp_bye_find(uint32_t ssrc[], unsigned int max, struct span packet)
{
	struct reader r = reader_of(packet);
	struct rtcp_part p;
	unsigned int n = 0;

	while (reader_left(&r) != 0 && rtcp_part_next(&p, &r) == SRS_OK) {
		struct reader sources = reader_of(p.bytes);

		if (p.type != RTCP_TYPE_BYE)
			continue;
		(void)read_u32be(&sources);
		for (unsigned int i = 0; i < p.count && n < max; i++) {
			uint32_t one = read_u32be(&sources);

			if (reader_is_bad(&sources))
				break;		/* fewer than it says */
			ssrc[n++] = one;
		}
	}
	return n;
}

/* A chunk: SSRC, items, at least one zero byte, up to a word. @return false: it does not parse */
static bool
sdes_chunk_next(struct reader *r, struct rtp_cname *out)
{
	size_t items = 0;

	*out = (struct rtp_cname){ .ssrc = read_u32be(r) };
	for (uint8_t type = read_u8(r); type != SDES_END && !reader_is_bad(r); type = read_u8(r)) {
		uint8_t len = read_u8(r);
		struct span text = read_span(r, len);

		if (type == SDES_CNAME && !reader_is_bad(r))
			out->cname = text;
		items += 2u + len;
	}
	(void)read_span(r, (4 - (items + 1) % 4) % 4);
	return !reader_is_bad(r);
}

unsigned int
rtp_cnames_find(struct rtp_cname out[], unsigned int max, struct span packet)
{
	struct reader r = reader_of(packet);
	struct rtcp_part p;
	unsigned int n = 0;

	while (reader_left(&r) != 0 && rtcp_part_next(&p, &r) == SRS_OK) {
		struct reader chunks = reader_of(p.bytes);

		if (p.type != RTCP_TYPE_SDES)
			continue;
		(void)read_u32be(&chunks);
		for (unsigned int i = 0; i < p.count && n < max; i++) {
			if (!sdes_chunk_next(&chunks, &out[n]))
				break;
			n += out[n].cname.len != 0;
		}
	}
	return n;
}
