/* Which datagrams OpenSSL sees, and which begin a handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dtls_peer.h"

#include "controlplane/dtls/dtls_record.h"

#define RANDOM_AT 27	/* record header, message header, client_version */

static struct peer_datagram
hello_of_openssl(struct peer *p)
{
	static struct peer_queue out;

	out.n = 0;
	peer_open(p, false, NULL, PEER_ALL_PROFILES);
	peer_step(p, &out);
	assert_int_equal(out.n, 1);
	return out.d[0];
}

static void
clienthello_of_openssl_is_one(void **state)
{
	struct peer p;
	struct peer_datagram d = hello_of_openssl(&p);
	uint8_t random[DTLS_RANDOM_SIZE], sent[DTLS_RANDOM_SIZE];

	assert_true(dtls_record_hello(span_of(d.bytes, d.len), random));
	assert_int_equal(SSL_get_client_random(p.ssl, sent, sizeof(sent)), sizeof(sent));
	assert_memory_equal(random, sent, sizeof(sent));
	peer_close(&p);
}

static void
no_cut_datagram_is_a_hello(void **state)
{
	struct peer p;
	struct peer_datagram d = hello_of_openssl(&p);
	uint8_t random[DTLS_RANDOM_SIZE];

	for (size_t len = 0; len < d.len; len++) {
		uint8_t *cut = malloc(len + 1);	/* its own size, so that a read beyond it is seen */

		memcpy(cut, d.bytes, len);
		assert_false(dtls_record_hello(span_of(cut, len), random));
		free(cut);
	}
	assert_false(dtls_record_hello((struct span){ 0 }, random));
	peer_close(&p);
}

static void
first_fragment_is_a_hello_and_later_ones_are_not(void **state)
{
	struct peer p;
	struct peer_datagram d = hello_of_openssl(&p);
	uint8_t random[DTLS_RANDOM_SIZE];

	d.bytes[11] = 0;			/* record: a message header and 40 bytes */
	d.bytes[12] = 12 + 40;
	d.bytes[22] = d.bytes[23] = 0;		/* fragment_length */
	d.bytes[24] = 40;
	assert_true(dtls_record_hello(span_of(d.bytes, 13 + 12 + 40), random));
	assert_memory_equal(random, d.bytes + RANDOM_AT, sizeof(random));
	d.bytes[21] = 1;			/* fragment_offset */
	assert_false(dtls_record_hello(span_of(d.bytes, 13 + 12 + 40), random));
	d.bytes[21] = 0;
	d.bytes[24] = 33;			/* too short for a random */
	assert_false(dtls_record_hello(span_of(d.bytes, 13 + 12 + 40), random));
	peer_close(&p);
}

static void
other_records_are_no_hello(void **state)
{
	static const struct { size_t at; uint8_t value; } changes[] = {
		{ 0, 21 },	/* alert */
		{ 0, 0x80 },	/* RTP */
		{ 1, 3 },	/* TLS over TCP */
		{ 3, 1 }, { 4, 1 },	/* another epoch: protected */
		{ 13, 2 },	/* ServerHello */
		{ 13, 16 },	/* ClientKeyExchange */
		{ 11, 0xff },	/* longer than the datagram */
		{ 22, 1 },	/* fragment longer than the record */
	};
	struct peer p;
	struct peer_datagram d = hello_of_openssl(&p);
	uint8_t random[DTLS_RANDOM_SIZE];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t before = d.bytes[changes[i].at];

		d.bytes[changes[i].at] = changes[i].value;
		assert_false(dtls_record_hello(span_of(d.bytes, d.len), random));
		d.bytes[changes[i].at] = before;
	}
	assert_true(dtls_record_hello(span_of(d.bytes, d.len), random));
	peer_close(&p);
}

static size_t
record_write(uint8_t *at, uint8_t type, uint16_t epoch, uint16_t len)
{
	struct filler w = filler_of(at, 13);

	write_u8(&w, type);
	write_u16be(&w, 0xfefd);
	write_u16be(&w, epoch);
	write_be(&w, 0, 6);
	write_u16be(&w, len);
	memset(at + 13, 0x5a, len);
	return 13 + (size_t)len;
}

static void
datagrams_of_whole_records_are_sound(void **state)
{
	uint8_t bytes[2048];
	struct peer p;
	struct peer_datagram d = hello_of_openssl(&p);
	size_t len = 0;

	assert_true(dtls_record_is_sound(span_of(d.bytes, d.len)));
	peer_close(&p);
	for (uint8_t type = 20; type <= 23; type++) {	/* an unprotected record may be short, even empty */
		len += record_write(bytes + len, type, 0, (uint16_t)(type - 20));
		assert_true(dtls_record_is_sound(span_of(bytes, len)));
	}
	len += record_write(bytes + len, 22, 1, 40);
	assert_true(dtls_record_is_sound(span_of(bytes, len)));
	assert_false(dtls_record_is_sound(span_of(bytes, len - 1)));
	bytes[len] = 22;
	assert_false(dtls_record_is_sound(span_of(bytes, len + 1)));
	assert_false(dtls_record_is_sound(span_of(bytes, 12)));
	assert_false(dtls_record_is_sound((struct span){ 0 }));
}

static void
protected_records_without_room_for_their_tag_are_not_sound(void **state)
{
	uint8_t bytes[256];

	for (uint16_t body = 0; body < 64; body++) {
		for (uint16_t epoch = 1; epoch < 4; epoch++) {
			size_t len = record_write(bytes, 23, epoch, body);

			assert_int_equal(dtls_record_is_sound(span_of(bytes, len)), body >= DTLS_SEALED_LENGTH_MIN);
			len = record_write(bytes, 20, 0, 1);	/* also behind another */
			len += record_write(bytes + len, 21, epoch, body);
			assert_int_equal(dtls_record_is_sound(span_of(bytes, len)), body >= DTLS_SEALED_LENGTH_MIN);
		}
	}
}

static void
other_types_versions_and_crowds_are_not_sound(void **state)
{
	uint8_t bytes[DTLS_RECORDS_MAX * 13 + 13];
	size_t len = record_write(bytes, 24, 0, 0);	/* heartbeat */

	assert_false(dtls_record_is_sound(span_of(bytes, len)));
	len = record_write(bytes, 19, 0, 0);
	assert_false(dtls_record_is_sound(span_of(bytes, len)));
	len = record_write(bytes, 22, 0, 0);
	bytes[1] = 3;
	assert_false(dtls_record_is_sound(span_of(bytes, len)));
	len = 0;
	for (int i = 0; i < DTLS_RECORDS_MAX; i++)
		len += record_write(bytes + len, 22, 0, 0);
	assert_true(dtls_record_is_sound(span_of(bytes, len)));
	len += record_write(bytes + len, 22, 0, 0);
	assert_false(dtls_record_is_sound(span_of(bytes, len)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_of_whole_records_are_sound),
		cmocka_unit_test(protected_records_without_room_for_their_tag_are_not_sound),
		cmocka_unit_test(other_types_versions_and_crowds_are_not_sound),
		cmocka_unit_test(clienthello_of_openssl_is_one),
		cmocka_unit_test(no_cut_datagram_is_a_hello),
		cmocka_unit_test(first_fragment_is_a_hello_and_later_ones_are_not),
		cmocka_unit_test(other_records_are_no_hello),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
