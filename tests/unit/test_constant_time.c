/* A wrong tag says nothing about where it is wrong: as many instructions are carried out whichever byte differs. Instructions
 * are counted by single steps, not timed, so the machine's load has no say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "crypto/srtcp.h"
#include "crypto/unprotect.h"
#include "srtp_sender.h"

#define LEN 172

struct trial {
	struct unprotect_ctx ctx;
	uint8_t bytes[LEN + SRTP_TAG_MAX];
	struct unprotect_engine *engine;
	struct srtcp *srtcp;
	struct srtcp_keys rtcp_keys;
	struct srtcp_window window;
	uint8_t report[64 + SRTCP_TRAILER_MAX];
	uint16_t len, report_len;
	volatile bool accepted;
};

typedef void step_run(struct trial *t);

/* Instructions between two stops of a child that does `run`. @return 0: no tracing here */
static uint64_t
steps_of(struct trial *t, step_run *run)
{
	uint64_t n = 0;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(3);
		raise(SIGSTOP);
		run(t);
		raise(SIGSTOP);
		_exit(t->accepted ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status))
		return 0;
	do {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		n++;
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_CONT, child, NULL, NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);	/* it was refused */
	return n;
}

static void
compare(struct trial *t)
{
	t->accepted = secret_equal(t->bytes, t->bytes + 64, 32);
}

static void
rtp(struct trial *t)
{
	struct packet_index index = { .started = false };
	struct unprotect_op one = { .packet = t->bytes, .len = t->len, .index = &index, .keys = &t->ctx }, *op = &one;

	unprotect_burst(t->engine, &op, 1);
	t->accepted = one.result != UNPROTECT_BAD_TAG;
}

static void
rtcp(struct trial *t)
{
	uint16_t len = t->report_len;

	t->accepted = srtcp_unprotect(t->srtcp, &t->rtcp_keys, &t->window, t->report, &len) != UNPROTECT_BAD_TAG;
}

/* Wrong in its first byte, in one in the middle, in its last. */
static void
same_wherever(struct trial *t, step_run *run, uint8_t *tag, unsigned int tag_len)
{
	const unsigned int at[] = { 0, tag_len / 2, tag_len - 1 };
	uint64_t first = 0;

	for (unsigned int i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		uint64_t n;

		tag[at[i]] ^= 0x41;
		n = steps_of(t, run);
		tag[at[i]] ^= 0x41;
		if (n == 0) {
			print_message("processes cannot be traced here\n");
			skip();
		}
		if (i == 0)
			first = n;
		assert_int_equal(n, first);
	}
	assert_true(first > 20);
}

static struct trial *
trial_make(enum srtp_suite suite, bool portable)
{
	struct trial *t = aligned_alloc(64, (sizeof(*t) + 63) & ~(size_t)63);
	struct srtp_master master = sender_master(suite, 1);

	assert_non_null(t);
	memset(t, 0, sizeof(*t));
	t->engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	t->srtcp = srtcp_create();
	assert_non_null(t->srtcp);
	if (t->engine == NULL) {
		print_message("this processor has no AES-NI\n");
		skip();
	}
	if (portable)
		unprotect_engine_portable(t->engine);
	assert_int_equal(unprotect_ctx_init(&t->ctx, t->engine, &master), SRS_OK);
	assert_int_equal(srtcp_keys_derive(&t->rtcp_keys, &master), SRS_OK);
	t->bytes[0] = 0x80;
	t->bytes[3] = 1;
	t->len = sender_protect(&master, 1, t->bytes, LEN);
	t->report[0] = 0x80;
	t->report[1] = 201;
	t->report[3] = 1;
	t->report_len = 8;
	assert_int_equal(srtcp_protect(t->srtcp, &t->rtcp_keys, 1, t->report, &t->report_len), SRS_OK);
	return t;
}

static void
trial_drop(struct trial *t)
{
	unprotect_engine_destroy(t->engine);
	srtcp_destroy(t->srtcp);
	free(t);
}

static void
comparing_takes_as_long_wherever_the_difference_is(void **state)
{
	struct trial *t = trial_make(SRTP_AES_CM_128_HMAC_SHA1_80, false);

	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		t->bytes[64 + i] = t->bytes[i];
	same_wherever(t, compare, t->bytes + 64, 32);
	trial_drop(t);
}

static void
srtp_with_a_wrong_tag_takes_as_long_wherever_it_is_wrong(void **state)
{
	(void)state;
	for (unsigned int suite = SRTP_SUITE_NONE + 1; suite < SRTP_SUITES; suite++)
		for (unsigned int portable = 0; portable < 2; portable++) {
			struct trial *t = trial_make((enum srtp_suite)suite, portable != 0);

			same_wherever(t, rtp, t->bytes + LEN, t->ctx.tag_len);
			trial_drop(t);
		}
}

static void
srtcp_with_a_wrong_tag_takes_as_long_wherever_it_is_wrong(void **state)
{
	(void)state;
	for (unsigned int suite = SRTP_SUITE_NONE + 1; suite < SRTP_SUITES; suite++) {
		const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)suite);
		struct trial *t = trial_make((enum srtp_suite)suite, false);

		/* AEAD: the tag ends the cipher text, then come E flag and index (RFC 7714 §9.2) */
		same_wherever(t, rtcp, t->report + t->report_len - (shape->aead ? 4 : 0) - shape->rtcp_tag_len,
		              shape->rtcp_tag_len);
		trial_drop(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing_takes_as_long_wherever_the_difference_is),
		cmocka_unit_test(srtp_with_a_wrong_tag_takes_as_long_wherever_it_is_wrong),
		cmocka_unit_test(srtcp_with_a_wrong_tag_takes_as_long_wherever_it_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
