/* Plain RTP: the four steps a packet takes, alone and in bursts with several packets of one stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/unprotect.h"

#define BURST 32

struct fixture {
	struct unprotect_engine *engine;
	struct packet_index streams[2];
	uint8_t packets[BURST][172];
	struct unprotect_op ops[BURST];
	struct unprotect_op *burst[BURST];
	uint16_t n;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	*state = f;
	return f->engine == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	unprotect_engine_destroy(f->engine);
	free(f);
	return 0;
}

static struct unprotect_op *
add(struct fixture *f, unsigned int stream, uint16_t seq)
{
	struct unprotect_op *op = &f->ops[f->n];
	uint8_t *p = f->packets[f->n];

	memset(p, 0x55, sizeof(f->packets[0]));
	p[0] = 0x80;
	p[1] = 0;
	p[2] = (uint8_t)(seq >> 8);
	p[3] = (uint8_t)seq;
	*op = (struct unprotect_op){ .packet = p, .len = sizeof(f->packets[0]), .index = &f->streams[stream] };
	f->burst[f->n++] = op;
	return op;
}

static void
run(struct fixture *f)
{
	unprotect_burst(f->engine, f->burst, f->n);
	f->n = 0;
}

static void
plain_stream_starts_at_roc_1_and_leaves_bytes_alone(void **state)
{
	struct fixture *f = *state;
	struct unprotect_op *op = add(f, 0, 17);
	uint8_t before[172];

	memcpy(before, op->packet, sizeof(before));
	run(f);
	assert_int_equal(op->result, UNPROTECT_OK);
	assert_int_equal(op->packet_index, 0x10000 + 17);
	assert_int_equal(op->len, sizeof(before));
	assert_memory_equal(op->packet, before, sizeof(before));
	assert_int_equal(f->streams[0].highest, 0x10000 + 17);
}

static void
packet_older_than_the_first_is_recorded(void **state)
{
	struct fixture *f = *state;
	struct unprotect_op *first = add(f, 0, 1), *older = add(f, 0, 65535);

	run(f);
	assert_int_equal(first->result, UNPROTECT_OK);
	assert_int_equal(older->result, UNPROTECT_OK);
	assert_int_equal(older->packet_index, 65535);
	assert_int_equal(f->streams[0].highest, 0x10001);
}

static void
second_packet_of_a_burst_sees_the_first(void **state)
{
	struct fixture *f = *state;
	struct unprotect_op *op[6] = {
		add(f, 0, 65535), add(f, 1, 65535), add(f, 0, 65535), add(f, 0, 0), add(f, 1, 65535), add(f, 0, 1),
	};

	run(f);
	assert_int_equal(op[0]->result, UNPROTECT_OK);
	assert_int_equal(op[1]->result, UNPROTECT_OK);		/* another stream, same number */
	assert_int_equal(op[2]->result, UNPROTECT_REPLAYED);
	assert_int_equal(op[2]->packet_index, 0x1ffff);
	assert_int_equal(op[3]->result, UNPROTECT_OK);
	assert_int_equal(op[3]->packet_index, 0x20000);		/* wrapped inside the burst */
	assert_int_equal(op[4]->result, UNPROTECT_REPLAYED);
	assert_int_equal(op[5]->packet_index, 0x20001);
}

static void
old_packet_is_too_old_and_moves_nothing(void **state)
{
	struct fixture *f = *state;
	struct unprotect_op *old;

	add(f, 0, 1000);
	run(f);
	old = add(f, 0, 1000 - 128);
	run(f);
	assert_int_equal(old->result, UNPROTECT_TOO_OLD);
	assert_int_equal(old->packet_index, 0x10000 + 1000 - 128);
	assert_int_equal(f->streams[0].highest, 0x10000 + 1000);
}

static void
sender_that_restarts_below_the_window_is_heard_again(void **state)
{
	struct fixture *f = *state;
	struct unprotect_op *op[3];

	add(f, 0, 20000);
	run(f);
	for (uint16_t i = 0; i < 3; i++)
		op[i] = add(f, 0, (uint16_t)(7 + i));
	run(f);
	assert_int_equal(op[0]->result, UNPROTECT_TOO_OLD);	/* one old packet proves nothing */
	assert_int_equal(op[1]->result, UNPROTECT_OK);
	assert_int_equal(op[1]->packet_index, 0x20000 + 8);
	assert_int_equal(op[2]->result, UNPROTECT_OK);
	assert_int_equal(op[2]->packet_index, 0x20000 + 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_stream_starts_at_roc_1_and_leaves_bytes_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(packet_older_than_the_first_is_recorded, setup, teardown),
		cmocka_unit_test_setup_teardown(second_packet_of_a_burst_sees_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(old_packet_is_too_old_and_moves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(sender_that_restarts_below_the_window_is_heard_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
