/* The writer: what lcores hand over is on the disk, sealed, signed and openable, whatever the disk does. */
#include "writer_fixture.h"

static void
one_recording_is_written(enum config_disk_engine engine, bool clear, enum reel_suite suite)
{
	struct fx fx;
	struct fx_part p;
	const struct dataplane_event *e;
	struct writer_counters counters;
	char why[256] = "";

	fx_open(&fx, engine);
	fx.clear_media = clear;
	fx.suite = suite;
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	for (unsigned int i = 0; i < 30; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	fx_end(&fx, 0, 0, true);
	e = fx_wait(&fx, EVENT_RECORDING_SEALED, 1);
	assert_non_null(e);
	assert_int_equal(e->err, SRS_OK);
	assert_int_equal(e->cookie, 9000);
	assert_int_equal(e->u.sealed.n_chunks, 31);
	assert_int_equal(e->u.sealed.n_frames, 31 * FX_FRAMES);
	assert_int_equal(e->u.sealed.missing, 6);
	assert_int_equal(e->u.sealed.lost_upstream, 10);
	assert_int_equal(e->u.sealed.n_streams, 2);
	assert_false(e->u.sealed.interrupted);
	assert_memory_equal(e->recording_id, fx.ids[0], REEL_ID_SIZE);
	assert_int_equal(fx_count(&fx, EVENT_RECORDING_PLACED), 1);

	/* Durable already: read while the segment is still open. */
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 31);
	assert_int_equal(p.n_seals, 1);
	assert_memory_equal(p.digest, e->u.sealed.digest, REEL_DIGEST_SIZE);
	assert_true(p.seal.final);
	assert_string_equal(p.seal.reason, "bye");
	assert_int_equal(p.seal.n_missing, 0);
	assert_int_equal(p.seal.first_wall_ns, FX_T0);
	assert_int_equal(p.seal.last_wall_ns, fx_time(30) + (FX_FRAMES - 1) * 10000000ull);
	assert_int_equal(p.streams[1].recorded, 90);
	writer_counters_read(fx.writer, &counters);
	assert_int_equal(counters.chunks_in, 31);
	assert_int_equal(counters.chunks_durable, 31);
	assert_int_equal(counters.frames_durable, 31 * FX_FRAMES);
	assert_int_equal(counters.seals, 1);
	assert_int_equal(counters.frames_lost, 0);
	assert_true(writer_has_room(fx.writer));
	fx_stop(&fx);
	assert_int_equal(fx_count(&fx, EVENT_SEGMENT_FINISHED), 1);
	fx_read(&fx);
	assert_int_equal(fx.n_open, 0);
	assert_int_equal(fx.n_seg, 1);
	fx_check_part(&fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 31);
	fx_close(&fx);
}

static void
recording_is_durable_sealed_and_opens_io_uring(void **state)
{
	one_recording_is_written(CONFIG_DISK_AUTO, false, REEL_SUITE_AES_256_GCM);
}

static void
recording_is_durable_sealed_and_opens_pwrite(void **state)
{
	one_recording_is_written(CONFIG_DISK_PWRITE, false, REEL_SUITE_AES_256_GCM);
}

static void
clear_class_has_the_same_seal(void **state)
{
	one_recording_is_written(CONFIG_DISK_AUTO, true, REEL_SUITE_AES_256_GCM);
}

static void
recordings_span_segments_and_parts_chain(void **state)
{
	struct fx fx;
	struct fx_part p[2];
	const struct dataplane_event *e;
	char why[256] = "";
	uint64_t total;

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	fx_part_open(&fx, 1, 0);
	for (unsigned int i = 0; i < 700; i++) {
		fx_push(&fx, 0, 0, 0, NULL);
		fx_push(&fx, 1, 0, 0, NULL);
	}
	fx_part_open(&fx, 0, 1);
	fx_end(&fx, 0, 0, false);
	for (unsigned int i = 0; i < 100; i++)
		fx_push(&fx, 0, 1, 0, NULL);
	fx_end(&fx, 0, 1, true);
	fx_end(&fx, 1, 0, true);
	e = fx_wait(&fx, EVENT_PART_SEALED, 1);
	assert_non_null(e);
	assert_int_equal(e->u.sealed.n_chunks, 701);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 2));
	total = 0;
	for (unsigned int i = 0; i < fx.n_events; i++)
		if (fx.events[i].kind == EVENT_RECORDING_SEALED && fx.events[i].recording == 0)
			total = fx.events[i].u.sealed.n_chunks; /* of the whole recording */
	assert_int_equal(total, 701 + 101);
	fx_stop(&fx);
	fx_read(&fx);
	assert_true(fx.n_seg >= 3);
	assert_int_equal(fx_count(&fx, EVENT_SEGMENT_FINISHED), fx.n_seg);
	fx_check_part(&fx, 0, 0, 1000, &p[0]);
	fx_check_part(&fx, 0, 1, 1000, &p[1]);
	assert_int_equal(p[0].n_chunks, 701);
	assert_false(p[0].seal.final);
	assert_int_equal(p[1].n_chunks, 101);
	assert_true(p[1].seal.final);
	assert_memory_equal(p[1].seal.previous, p[0].digest, REEL_DIGEST_SIZE);
	fx_check_part(&fx, 1, 0, 1000, &p[0]);
	assert_int_equal(p[0].n_chunks, 701);
	assert_int_equal(p[0].n_seals, 1);
	fx_close(&fx);
}

static void
seals_of_one_commit_share_a_signature(void **state)
{
	struct fx fx;
	struct fx_part p;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	fx.config.storage.commit_interval_ms = 60; /* all of them in one */
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	for (uint32_t r = 0; r < FX_RECORDINGS; r++)
		fx_part_open(&fx, r, 0);
	for (uint32_t r = 0; r < FX_RECORDINGS; r++)
		fx_end(&fx, r, 0, true);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, FX_RECORDINGS));
	fx_stop(&fx);
	fx_read(&fx);
	for (uint32_t r = 0; r < FX_RECORDINGS; r++) {
		fx_check_part(&fx, r, 0, 10, &p); /* paths and signature are checked in there */
		assert_int_equal(p.n_seals, 1);
		assert_int_equal(p.seal.bound_ms >= 560, 1);
	}
	fx_close(&fx);
}

static void
handle_can_be_used_again_after_the_seal(void **state)
{
	struct fx fx;
	struct fx_part p;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	for (unsigned int i = 0; i < 3; i++) {
		fx_part_open(&fx, 5, 0);
		fx_push(&fx, 5, 0, 0, NULL);
		fx_end(&fx, 5, 0, true);
		assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, i + 1));
	}
	fx_read(&fx);
	fx_check_part(&fx, 5, 0, 10, &p);
	assert_int_equal(p.n_chunks, 2);
	assert_int_equal(fx.events[fx.n_events - 1].u.sealed.n_chunks, 2); /* no sums left over */
	fx_close(&fx);
}

static void
what_it_must_refuse_is_counted_and_named_missing(void **state)
{
	struct fx fx;
	struct fx_part p;
	struct writer_counters counters;
	struct part_key key = { .suite = REEL_SUITE_AES_256_GCM };
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	fx_push(&fx, 0, 0, 0, NULL);	/* 0 */
	fx.next_no[0][0] = 0;
	fx_push(&fx, 0, 0, 0, NULL);	/* 0 again: a nonce is used once */
	fx_push(&fx, 1, 0, 0, NULL);	/* no key */
	fx_push(&fx, 0, 1, 0, NULL);	/* no such part */
	fx.next_no[0][0] = 5;
	fx_end(&fx, 0, 0, true);	/* 5: 1 to 4 never came */
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 1));
	writer_counters_read(fx.writer, &counters);
	assert_int_equal(counters.chunks_lost_error, 3);
	assert_int_equal(counters.frames_lost, 3 * FX_FRAMES);
	assert_int_equal(writer_part_open(fx.writer, FX_RECORDINGS, 0, &key, 1), SRS_ERR_LIMIT);
	fx_stop(&fx);
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 10, &p);
	assert_int_equal(p.n_chunks, 2);
	assert_int_equal(p.seal.n_missing, 1);
	assert_int_equal(p.missing[0].first, 1);
	assert_int_equal(p.missing[0].last, 4);
	fx_close(&fx);
}

static void
chunk_that_exists_is_never_named_missing(void **state)
{
	struct fx fx;
	struct fx_part p;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	for (unsigned int i = 0; i < 40; i++) {	/* each odd number is missing: more ranges than a seal names */
		fx.next_no[0][0] = 2 * i;
		fx_push(&fx, 0, 0, 0, NULL);
	}
	fx.next_no[0][0] = 80;
	fx_end(&fx, 0, 0, true);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 1));
	fx_stop(&fx);
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 41);
	assert_int_equal(p.seal.n_missing, 32);
	for (unsigned int i = 0; i < 32; i++) {
		assert_int_equal(p.missing[i].first, 2 * i + 1);
		assert_int_equal(p.missing[i].last, 2 * i + 1);
	}
	assert_string_equal(p.seal.reason, "bye; 8 more chunks missing");
	fx_close(&fx);
}

static void
part_in_use_is_not_opened_twice(void **state)
{
	struct fx fx;
	struct part_key key = { .suite = REEL_SUITE_AES_256_GCM };
	const struct dataplane_event *e;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	assert_int_equal(keystore_dek_create(fx.keystore, key.suite, &key.dek, &key.envelope), SRS_OK);
	assert_int_equal(writer_part_open(fx.writer, 0, 0, &key, 77), SRS_OK);
	e = fx_wait(&fx, EVENT_RECORDING_OPENED, 2);
	assert_non_null(e);
	assert_int_equal(e->err, SRS_ERR_STATE);
	assert_int_equal(e->cookie, 77);
	fx_close(&fx);
}

static void
full_disk_refuses_keeps_and_resumes(void **state)
{
	struct fx fx;
	struct fx_part p;
	struct writer_counters counters;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	fx_fault(&fx, STORAGE_OP_CREATE, 1, STORAGE_FAULT_FOREVER, ENOSPC);
	for (unsigned int i = 0; i < 900; i++) /* the open segment holds 506 slots */
		fx_push(&fx, 0, 0, 0, NULL);
	assert_non_null(fx_wait(&fx, EVENT_DEVICE_FULL, 1));
	assert_int_equal(writer_refuses(fx.writer), REEL_REASON_DISK_FULL);
	assert_false(writer_has_room(fx.writer));
	fx_fault(&fx, STORAGE_OP_CREATE, 0, 0, 0);
	assert_non_null(fx_wait(&fx, EVENT_DEVICE_ROOM, 1));
	assert_int_equal(writer_refuses(fx.writer), REEL_REASON_NONE);
	fx_end(&fx, 0, 0, true);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 1));
	writer_counters_read(fx.writer, &counters);
	assert_int_equal(counters.frames_lost, 0);
	assert_int_equal(counters.chunks_durable, 901);
	fx_stop(&fx);
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 1000, &p);
	assert_int_equal(p.n_chunks, 901);
	fx_close(&fx);
}

static void
low_space_closes_admission_only(void **state)
{
	struct fx fx;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	fx_fault(&fx, STORAGE_OP_FREE_SPACE, 1, STORAGE_FAULT_FOREVER, ENOSPC);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	assert_false(writer_has_room(fx.writer));
	assert_int_equal(writer_refuses(fx.writer), REEL_REASON_NONE);
	fx_close(&fx);
}

static void
failed_flush_retires_the_file(void **state)
{
	struct fx fx;
	struct fx_part p;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	for (unsigned int i = 0; i < 20; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_PLACED, 1));
	fx_fault(&fx, STORAGE_OP_SYNC, 1, 1, EIO);
	for (unsigned int i = 0; i < 20; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	fx_end(&fx, 0, 0, true);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 1));
	assert_int_equal(fx_count(&fx, EVENT_RECORDING_PLACED), 2); /* and so in the new file */
	fx_stop(&fx);
	fx_read(&fx);
	assert_int_equal(fx.n_open, 1); /* for the next start's recovery, never finished by us */
	assert_int_equal(fx.n_seg, 1);
	fx_check_part(&fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 41);
	fx_close(&fx);
}

static void
dead_disk_at_stop_is_counted_not_waited_for(void **state)
{
	struct fx fx;
	struct writer_counters counters;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_AUTO);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_PLACED, 1));
	fx_fault(&fx, STORAGE_OP_ANY, 1, STORAGE_FAULT_FOREVER, EIO);
	for (unsigned int i = 0; i < 50; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	assert_non_null(fx_wait(&fx, EVENT_DEVICE_FAILED, 1));
	writer_stop(fx.writer);
	writer_counters_read(fx.writer, &counters);
	assert_int_equal(counters.chunks_lost_error, 50);
	assert_int_equal(counters.frames_lost, 50 * FX_FRAMES);
	assert_int_equal(counters.chunks_durable, 0);
	fx_close(&fx);
}

/* A disk that is slow but works is waited for: what it takes per flush comes to more than WRITER_STOP_MS here. */
static void
slow_disk_at_stop_loses_nothing(void **state)
{
	struct storage_fault slow = { .op = STORAGE_OP_SYNC, .nth = 1, .n_times = STORAGE_FAULT_FOREVER, .delay_us = 400000 };
	struct fx fx;
	struct fx_part p;
	struct writer_counters counters;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_PWRITE);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_PLACED, 1));
	storage_faulty_arm(fx.storage, &slow);
	for (unsigned int i = 0; i < 900; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	fx_end(&fx, 0, 0, true);
	writer_stop(fx.writer);
	writer_counters_read(fx.writer, &counters);
	assert_int_equal(counters.frames_lost, 0);
	assert_int_equal(counters.chunks_durable, 901);
	fx_stop(&fx);
	assert_int_equal(fx_count(&fx, EVENT_RECORDING_SEALED), 1);
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 1000, &p);
	assert_int_equal(p.n_chunks, 901);
	fx_close(&fx);
}

/* Nothing of a stream was recorded: what was lost on the way to us is known all the same. */
static void
loss_is_told_also_when_nothing_was_recorded(void **state)
{
	struct seal_order *order = calloc(1, sizeof(*order) + 2 * sizeof(order->streams[0]));
	const struct dataplane_event *e;
	char why[256] = "";
	struct fx fx;

	assert_non_null(order);
	order->final = true;
	order->n_streams = 2;
	order->streams[0] = (struct reel_seal_stream){ .stream = 0, .first_index = 100, .highest_index = 199 };
	order->streams[0].missing[REEL_REASON_DISK_FULL] = 50;
	order->streams[0].missing[REEL_REASON_PAUSED] = 20;
	order->streams[1] = (struct reel_seal_stream){ .stream = 1, .payload_type = 0xff, .first_index = 1, .rtcp = 5 };
	fx_open(&fx, CONFIG_DISK_PWRITE);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_part_open(&fx, 0, 0);
	fx_push(&fx, 0, 0, REEL_CHUNK_END | REEL_CHUNK_FINAL, order);
	e = fx_wait(&fx, EVENT_RECORDING_SEALED, 1);
	assert_int_equal(e->u.sealed.missing, 50);
	assert_int_equal(e->u.sealed.lost_upstream, 30);
	fx_close(&fx);
}

/* Whatever single operation fails, nothing that came in is lost, and the next start leaves only finished files. */
static uint64_t
run_with_fault(enum config_disk_engine engine, uint64_t nth, int error)
{
	struct fx fx;
	struct fx_part p;
	char why[256] = "";
	uint64_t n_ops;

	fx_open(&fx, engine);
	fx_fault(&fx, STORAGE_OP_ANY, nth, 1, error);
	if (fx_start(&fx, why, sizeof(why)) != SRS_OK) {
		assert_true(strlen(why) > 10);
		assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	}
	fx_part_open(&fx, 0, 0);
	for (unsigned int i = 0; i < 540; i++)
		fx_push(&fx, 0, 0, 0, NULL);
	fx_end(&fx, 0, 0, true);
	assert_non_null(fx_wait(&fx, EVENT_RECORDING_SEALED, 1));
	fx_read(&fx);
	fx_check_part(&fx, 0, 0, 600, &p);
	assert_int_equal(p.n_chunks, 541);
	assert_int_equal(p.n_seals, 1);
	fx_stop(&fx);
	n_ops = storage_faulty_count(fx.storage, STORAGE_OP_ANY);
	fx_fault(&fx, STORAGE_OP_ANY, 0, 0, 0);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	fx_stop(&fx);
	fx_read(&fx);
	assert_int_equal(fx.n_open, 0);
	fx_check_part(&fx, 0, 0, 600, &p);
	assert_int_equal(p.n_chunks, 541);
	assert_int_equal(p.n_seals, 1); /* recovery adds none */
	fx_close(&fx);
	return n_ops;
}

static void
any_single_failure_loses_nothing(void **state)
{
	uint64_t n = 1;

	while (n <= run_with_fault(CONFIG_DISK_AUTO, n, EIO))
		n++;
	assert_true(n > 10);
}

static void
any_single_shortage_loses_nothing(void **state)
{
	uint64_t n = 1;

	while (n <= run_with_fault(CONFIG_DISK_PWRITE, n, ENOSPC))
		n++;
	assert_true(n > 10);
}

static void
unwritable_folder_is_said_in_one_sentence(void **state)
{
	struct fx fx;
	char why[256] = "", path[128];
	struct writer_spec spec = { 0 };
	struct writer *w;

	fx_open(&fx, CONFIG_DISK_PWRITE);
	(void)snprintf(path, sizeof(path), "%s/no/such", fx.dir);
	spec.path = path;
	spec.config = &fx.config;
	spec.keystore = fx.keystore;
	assert_int_equal(writer_create(&w, &spec, why, sizeof(why)), SRS_ERR_IO);
	assert_non_null(strstr(why, path));
	fx_close(&fx);
}

static void
vault_in_use_is_refused(void **state)
{
	struct fx fx;
	struct writer_spec spec = { .recordings_max = 1 };
	struct writer *w;
	char why[256] = "";

	fx_open(&fx, CONFIG_DISK_PWRITE);
	assert_int_equal(fx_start(&fx, why, sizeof(why)), SRS_OK);
	spec.path = fx.dir;
	spec.config = &fx.config;
	spec.keystore = fx.keystore;
	assert_int_equal(writer_create(&w, &spec, why, sizeof(why)), SRS_ERR_STATE);
	assert_non_null(strstr(why, "another recorder"));
	fx_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recording_is_durable_sealed_and_opens_io_uring),
		cmocka_unit_test(recording_is_durable_sealed_and_opens_pwrite),
		cmocka_unit_test(clear_class_has_the_same_seal),
		cmocka_unit_test(recordings_span_segments_and_parts_chain),
		cmocka_unit_test(seals_of_one_commit_share_a_signature),
		cmocka_unit_test(handle_can_be_used_again_after_the_seal),
		cmocka_unit_test(what_it_must_refuse_is_counted_and_named_missing),
		cmocka_unit_test(chunk_that_exists_is_never_named_missing),
		cmocka_unit_test(part_in_use_is_not_opened_twice),
		cmocka_unit_test(full_disk_refuses_keeps_and_resumes),
		cmocka_unit_test(low_space_closes_admission_only),
		cmocka_unit_test(failed_flush_retires_the_file),
		cmocka_unit_test(dead_disk_at_stop_is_counted_not_waited_for),
		cmocka_unit_test(slow_disk_at_stop_loses_nothing),
		cmocka_unit_test(loss_is_told_also_when_nothing_was_recorded),
		cmocka_unit_test(any_single_failure_loses_nothing),
		cmocka_unit_test(any_single_shortage_loses_nothing),
		cmocka_unit_test(unwritable_folder_is_said_in_one_sentence),
		cmocka_unit_test(vault_in_use_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
