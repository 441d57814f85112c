#include "controlplane/dtls/dtls_record.h"

#define TYPE_FIRST           20	/* change_cipher_spec */
#define TYPE_HANDSHAKE       22
#define TYPE_LAST            23	/* application_data; heartbeats are not for us */
#define VERSION_MAJOR        0xfe	/* 0xfeff is DTLS 1.0, 0xfefd 1.2 */
#define MESSAGE_CLIENT_HELLO 1

struct record {
	uint8_t type;
	uint16_t epoch;
	struct span body;
};

/* The next record. @return false: not a whole one, or not DTLS */
static bool
record_read(struct reader *r, struct record *out)
{
	uint8_t major;

	out->type = read_u8(r);
	major = read_u8(r);
	(void)read_u8(r);	/* minor */
	out->epoch = read_u16be(r);
	(void)read_span(r, 6);	/* sequence number */
	out->body = read_span(r, read_u16be(r));
	return !reader_is_bad(r) && major == VERSION_MAJOR && out->type >= TYPE_FIRST && out->type <= TYPE_LAST;
}

bool
dtls_record_is_sound(struct span datagram)
{
	struct reader r = reader_of(datagram);
	struct record record;
	unsigned int n = 0;

	do {
		if (!record_read(&r, &record) || (record.epoch != 0 && record.body.len < DTLS_SEALED_LENGTH_MIN))
			return false;
	} while (reader_left(&r) != 0 && ++n < DTLS_RECORDS_MAX);
	return reader_left(&r) == 0;
}

bool
dtls_record_hello(struct span datagram, uint8_t random[DTLS_RANDOM_SIZE])
{
	struct reader r = reader_of(datagram);
	struct record record;
	uint8_t type;
	uint64_t offset, len;

	if (!record_read(&r, &record) || record.type != TYPE_HANDSHAKE || record.epoch != 0)
		return false;
	r = reader_of(record.body);
	type = read_u8(&r);
	(void)read_span(&r, 3);		/* length of the whole message */
	(void)read_u16be(&r);		/* its number */
	offset = read_be(&r, 3);
	len = read_be(&r, 3);
	if (type != MESSAGE_CLIENT_HELLO || offset != 0 || len > reader_left(&r))
		return false;
	r = reader_of(read_span(&r, (size_t)len));
	(void)read_u16be(&r);		/* client_version */
	read_bytes(&r, random, DTLS_RANDOM_SIZE);
	return !reader_is_bad(&r);
}
