/* Recovery: a process dies with recordings open, and the next one seals what is there. */
#include "writer_fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>

/* In memory that a child shares, so that the parent knows ids and keys of what the child recorded. */
static struct fx *
shared_fx(void)
{
	struct fx *fx = mmap(NULL, sizeof(*fx), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(fx != MAP_FAILED);
	fx_open(fx, CONFIG_DISK_PWRITE);
	return fx;
}

static void
release_fx(struct fx *fx)
{
	fx_close(fx);
	munmap(fx, sizeof(*fx));
}

/* Run `work` in a process of its own that ends without a word, writers in the middle of whatever they do. */
static void
in_dying_process(struct fx *fx, void (*work)(struct fx *fx))
{
	struct storage *ours = fx->storage;
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct storage *inner;
		char why[256] = "";

		alarm(20);
		if (storage_create(&inner, CONFIG_DISK_AUTO, 64) != SRS_OK || storage_faulty_create(&fx->storage, inner) != SRS_OK ||
		    fx_start(fx, why, sizeof(why)) != SRS_OK)
			_exit(2);
		work(fx);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fx->storage = ours;
	fx->writer = NULL;
	fx->n_events = 0;
}

static void
wait_durable(struct fx *fx, uint64_t n)
{
	struct writer_counters c;

	for (unsigned int tries = 0; tries < 20000; tries++) {
		fx_poll(fx);
		writer_counters_read(fx->writer, &c);
		if (c.chunks_durable >= n)
			return;
		fx_rest();
	}
	_exit(3);
}

/* Its first slot is durable: PLACED comes no sooner. */
static void
wait_placed(struct fx *fx, uint32_t recording)
{
	for (unsigned int tries = 0; tries < 20000; tries++) {
		fx_poll(fx);
		for (unsigned int i = 0; i < fx->n_events; i++)
			if (fx->events[i].kind == EVENT_RECORDING_PLACED &&
			    memcmp(fx->events[i].recording_id, fx->ids[recording], REEL_ID_SIZE) == 0)
				return;
		fx_rest();
	}
	_exit(4);
}

static void
push_n(struct fx *fx, uint32_t recording, uint32_t part, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		fx_push(fx, recording, part, 0, NULL);
}

/* Recording 0 goes on, over two segments; 1 is complete; 2 was only opened. */
static void
record_three(struct fx *fx)
{
	fx_part_open(fx, 0, 0);
	fx_part_open(fx, 1, 0);
	push_n(fx, 0, 0, 600);
	fx_end(fx, 1, 0, true);
	fx_wait(fx, EVENT_RECORDING_SEALED, 1);
	fx_part_open(fx, 2, 0);
	wait_placed(fx, 2);
	wait_durable(fx, 601);
	push_n(fx, 0, 0, 10); /* these may be lost */
}

static void
restart(struct fx *fx)
{
	char why[256] = "";

	assert_int_equal(fx_start(fx, why, sizeof(why)), SRS_OK);
	fx_poll(fx);
}

static bool
was_sealed(const struct fx *fx, uint32_t recording)
{
	for (unsigned int i = 0; i < fx->n_events; i++)
		if (fx->events[i].kind == EVENT_RECORDING_SEALED &&
		    memcmp(fx->events[i].recording_id, fx->ids[recording], REEL_ID_SIZE) == 0)
			return true;
	return false;
}

static const struct dataplane_event *
sealed_event(const struct fx *fx, uint32_t recording)
{
	for (unsigned int i = 0; i < fx->n_events; i++)
		if (fx->events[i].kind == EVENT_RECORDING_SEALED &&
		    memcmp(fx->events[i].recording_id, fx->ids[recording], REEL_ID_SIZE) == 0)
			return &fx->events[i];
	fail_msg("recording %u has no RECORDING_SEALED", recording);
	abort();
}

static void
check_three(struct fx *fx, unsigned int n_copies)
{
	struct fx_part p;

	fx_read(fx);
	assert_int_equal(fx->n_open, n_copies);
	fx_check_part(fx, 0, 0, 700, &p);
	assert_true(p.n_chunks >= 600);
	assert_int_equal(p.n_seals, 1);
	assert_true(p.seal.interrupted);
	assert_false(p.seal.final);
	assert_int_equal(p.seal.n_streams, 0);
	assert_string_equal(p.seal.reason, "interrupted");
	assert_int_equal(p.seal.first_wall_ns, FX_T0);
	assert_int_equal(p.seal.last_wall_ns, fx_time(p.last_no));
	assert_int_equal(p.seal.n_missing == 0, p.last_no + 1 == p.n_chunks);
	fx_check_part(fx, 1, 0, 700, &p);
	assert_int_equal(p.n_seals, 1);
	assert_true(p.seal.final);
	fx_check_part(fx, 2, 0, 700, &p);
	assert_int_equal(p.n_chunks, 0);
	assert_int_equal(p.n_seals, 1);
	assert_true(p.seal.interrupted);
}

static void
interrupted_recordings_are_sealed_once(void **state)
{
	struct fx *fx = shared_fx();
	const struct dataplane_event *e;
	struct writer_counters c;

	in_dying_process(fx, record_three);
	restart(fx);
	e = sealed_event(fx, 0);
	assert_int_equal(e->err, SRS_OK);
	assert_int_equal(e->recording, DATAPLANE_NONE);
	assert_true(e->u.sealed.interrupted);
	assert_true(e->u.sealed.n_chunks >= 600);
	assert_int_equal(e->u.sealed.n_frames, e->u.sealed.n_chunks * FX_FRAMES);
	assert_true(was_sealed(fx, 2));
	assert_false(was_sealed(fx, 1));
	assert_int_equal(fx_count(fx, EVENT_SEGMENT_FINISHED), 1); /* the other one was finished by its writer */
	writer_counters_read(fx->writer, &c);
	assert_int_equal(c.recovered, 2);
	check_three(fx, 1);

	/* It takes new recordings, under a new name. */
	fx_part_open(fx, 5, 0);
	push_n(fx, 5, 0, 3);
	fx_end(fx, 5, 0, true);
	fx_wait(fx, EVENT_RECORDING_SEALED, 3);
	fx_stop(fx);
	check_three(fx, 0);

	fx->n_events = 0;
	restart(fx);
	assert_int_equal(fx_count(fx, EVENT_RECORDING_SEALED), 0);
	fx_stop(fx);
	check_three(fx, 0);
	release_fx(fx);
}

/* Recovery fails at its n-th operation; the next one does the rest, and nothing twice. */
static uint64_t
recovery_with_fault(uint64_t nth)
{
	struct fx *fx = shared_fx();
	uint64_t before, n_ops;
	char why[256] = "";

	in_dying_process(fx, record_three);
	before = storage_faulty_count(fx->storage, STORAGE_OP_ANY);
	fx_fault(fx, STORAGE_OP_ANY, nth, nth % 2 != 0 ? 1 : 20, EIO);
	if (fx_start(fx, why, sizeof(why)) == SRS_OK)
		fx_stop(fx);
	n_ops = storage_faulty_count(fx->storage, STORAGE_OP_ANY) - before;
	fx_fault(fx, STORAGE_OP_ANY, 0, 0, 0);
	restart(fx);
	fx_stop(fx);
	check_three(fx, 0);
	release_fx(fx);
	return n_ops;
}

static void
recovery_that_fails_anywhere_is_done_by_the_next(void **state)
{
	uint64_t n = 1;

	while (n <= recovery_with_fault(n))
		n++;
	assert_true(n > 6);
}

/* Part 0 sealed; part 1 not. */
static void
record_two_parts(struct fx *fx)
{
	fx_part_open(fx, 0, 0);
	push_n(fx, 0, 0, 20);
	fx_part_open(fx, 0, 1);
	fx_end(fx, 0, 0, false);
	push_n(fx, 0, 1, 30);
	fx_wait(fx, EVENT_PART_SEALED, 1);
	wait_durable(fx, 51);
}

static void
interrupted_part_chains_to_the_sealed_one(void **state)
{
	struct fx *fx = shared_fx();
	struct fx_part p[2];
	const struct dataplane_event *e;

	in_dying_process(fx, record_two_parts);
	restart(fx);
	e = sealed_event(fx, 0);
	assert_int_equal(e->u.sealed.n_chunks, 51); /* of the whole recording */
	assert_int_equal(e->part, 1);
	fx_stop(fx);
	fx_read(fx);
	fx_check_part(fx, 0, 0, 100, &p[0]);
	fx_check_part(fx, 0, 1, 100, &p[1]);
	assert_false(p[0].seal.interrupted);
	assert_int_equal(p[0].n_chunks, 21);
	assert_true(p[1].seal.interrupted);
	assert_int_equal(p[1].n_chunks, 30);
	assert_memory_equal(p[1].seal.previous, p[0].digest, DIGEST_SIZE);
	release_fx(fx);
}

/* Neither part has a seal. */
static void
record_two_open_parts(struct fx *fx)
{
	fx_part_open(fx, 0, 0);
	push_n(fx, 0, 0, 20);
	fx_part_open(fx, 0, 1);
	push_n(fx, 0, 1, 30);
	wait_durable(fx, 50);
}

static void
interrupted_parts_chain_to_each_other(void **state)
{
	struct fx *fx = shared_fx();
	struct fx_part p[2];

	in_dying_process(fx, record_two_open_parts);
	restart(fx);
	assert_int_equal(fx_count(fx, EVENT_PART_SEALED), 1);
	assert_int_equal(fx_count(fx, EVENT_RECORDING_SEALED), 1);
	assert_int_equal(sealed_event(fx, 0)->u.sealed.n_chunks, 50);
	fx_stop(fx);
	fx_read(fx);
	fx_check_part(fx, 0, 0, 100, &p[0]);
	fx_check_part(fx, 0, 1, 100, &p[1]);
	assert_true(p[0].seal.interrupted);
	assert_true(p[1].seal.interrupted);
	assert_memory_equal(p[1].seal.previous, p[0].digest, DIGEST_SIZE);
	release_fx(fx);
}

static void
open_path(const struct fx *fx, uint64_t sequence, char path[160])
{
	(void)snprintf(path, 160, "%s/segments/3-%08llu.open", fx->dir, (unsigned long long)sequence);
}

/* Write over a chunk of part 0 as it lies in the open file. */
static void
spoil_chunk(struct fx *fx, int fd, uint64_t no, uint8_t byte, size_t len)
{
	uint8_t noise[REEL_SLOT_SIZE];
	struct reel_chunk c;

	memset(noise, byte, sizeof(noise));
	for (size_t i = 0; i < fx->n_slots; i++) {
		if (fx->slots[i].kind != REEL_SLOT_CHUNK)
			continue;
		assert_int_equal(reel_chunk_head_read(&c, fx->slots[i].slot), SRS_OK);
		if (c.part == 0 && c.chunk_no == no)
			assert_int_equal(pwrite(fd, noise, len, (off_t)(fx->slots[i].slot_no * REEL_SLOT_SIZE)), len);
	}
}

static void
torn_slots_are_named_missing(void **state)
{
	struct fx *fx = shared_fx();
	struct fx_part p;
	char path[160];
	int fd;

	in_dying_process(fx, record_two_open_parts);
	fx_read(fx);
	open_path(fx, 1, path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	spoil_chunk(fx, fd, 3, 0xee, 100);
	spoil_chunk(fx, fd, 7, 0xee, REEL_SLOT_SIZE);
	spoil_chunk(fx, fd, 8, 0, REEL_SLOT_SIZE);
	close(fd);
	restart(fx);
	fx_stop(fx);
	fx_read(fx);
	fx_check_part(fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 17);
	assert_int_equal(p.seal.n_missing, 2);
	assert_int_equal(p.missing[0].first, 3);
	assert_int_equal(p.missing[0].last, 3);
	assert_int_equal(p.missing[1].first, 7);
	assert_int_equal(p.missing[1].last, 8);
	release_fx(fx);
}

/* A segment is retired by a failed flush: its chunks lie in two files when the process dies. */
static void
record_with_failed_flush(struct fx *fx)
{
	fx_part_open(fx, 0, 0);
	push_n(fx, 0, 0, 20);
	fx_fault(fx, STORAGE_OP_SYNC, 1, 1, EIO);
	push_n(fx, 0, 0, 20);
	wait_durable(fx, 40);
}

static void
copies_in_two_files_count_once(void **state)
{
	struct fx *fx = shared_fx();
	struct fx_part p;

	in_dying_process(fx, record_with_failed_flush);
	restart(fx);
	assert_int_equal(sealed_event(fx, 0)->u.sealed.n_chunks, 40);
	fx_stop(fx);
	fx_read(fx);
	assert_int_equal(fx->n_open, 0);
	fx_check_part(fx, 0, 0, 100, &p);
	assert_int_equal(p.n_chunks, 40);
	assert_int_equal(p.seal.n_missing, 0);
	release_fx(fx);
}

static void
blank_file_goes_damaged_file_stays(void **state)
{
	struct fx *fx = shared_fx();
	char path[160], damaged[160];
	uint8_t noise[REEL_SLOT_SIZE];
	int fd;

	restart(fx);
	fx_stop(fx);
	open_path(fx, 7, path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	close(fd);
	open_path(fx, 8, damaged);
	memset(noise, 0xee, sizeof(noise));
	fd = open(damaged, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, noise, sizeof(noise)), sizeof(noise));
	close(fd);
	fx->n_events = 0;
	restart(fx);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(damaged, F_OK), 0);
	assert_int_equal(fx->events[0].kind, EVENT_SEGMENT_OPENED);
	assert_int_equal(fx->events[0].u.segment.sequence, 9); /* no name is used again */
	fx_stop(fx);
	assert_int_equal(unlink(damaged), 0);
	release_fx(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupted_recordings_are_sealed_once),
		cmocka_unit_test(recovery_that_fails_anywhere_is_done_by_the_next),
		cmocka_unit_test(interrupted_part_chains_to_the_sealed_one),
		cmocka_unit_test(interrupted_parts_chain_to_each_other),
		cmocka_unit_test(torn_slots_are_named_missing),
		cmocka_unit_test(copies_in_two_files_count_once),
		cmocka_unit_test(blank_file_goes_damaged_file_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
