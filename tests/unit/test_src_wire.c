/* The wire of the simulator: every fault that it counts is one that libsrtp2 sees on the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <srtp2/srtp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/src/wire.h"

#define PACKETS 2000

struct peer {
	srtp_t session;
	unsigned int ok, replayed, old, bad;
};

static srtp_t
peer_session(const struct protect_keys *keys)
{
	uint8_t key[64];
	srtp_policy_t policy;
	srtp_t session = NULL;

	memset(&policy, 0, sizeof(policy));
	memcpy(key, keys->key, 16);
	memcpy(key + 16, keys->salt, 14);
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtp_default(&policy.rtcp);
	policy.key = key;
	policy.window_size = 128;
	policy.ssrc.type = ssrc_any_inbound;
	assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
	return session;
}

/* Take everything that is on the socket. libsrtp2 looks for replays first: a broken copy of a packet that was there
 * already counts as a replay with it, so a copy that does not authenticate elsewhere is asked for afresh. */
static void
drain(struct peer *p, int fd, const struct protect_keys *keys)
{
	uint8_t packet[2048], copy[2048];
	ssize_t n;

	while ((n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		srtp_t fresh = peer_session(keys);
		int len = (int)n;

		if (packet[1] == 0xc9) { /* RTCP: none of these tests sends a true one */
			assert_int_not_equal(srtp_unprotect_rtcp(p->session, packet, &len), srtp_err_status_ok);
			p->bad++;
			srtp_dealloc(fresh);
			continue;
		}
		memcpy(copy, packet, sizeof(copy));
		if (srtp_unprotect(fresh, copy, &len) != srtp_err_status_ok) {
			p->bad++;
		} else {
			len = (int)n;
			switch (srtp_unprotect(p->session, packet, &len)) {
			case srtp_err_status_ok:
				p->ok++;
				break;
			case srtp_err_status_replay_fail:
				p->replayed++;
				break;
			case srtp_err_status_replay_old:
				p->old++;
				break;
			default:
				fail();
			}
		}
		srtp_dealloc(fresh);
	}
}

static struct protect_keys
some_keys(void)
{
	struct protect_keys keys = { .suite = PROTECT_AES_CM_128_HMAC_SHA1_80 };

	for (int i = 0; i < 16; i++)
		keys.key[i] = (uint8_t)(i * 11 + 1);
	return keys;
}

static struct peer
run(struct wire *w, const struct wire_faults *faults, unsigned int n_forged)
{
	struct protect_keys keys = some_keys();
	struct protect *p = protect_create(PROTECT_LIBSRTP2, &keys);
	struct peer peer = { 0 };
	uint32_t seed = 4711;
	int fds[2];

	assert_non_null(p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	peer.session = peer_session(&keys);
	wire_open(w, faults, &seed);
	w->fd = w->rtcp_fd = fds[0];
	wire_secure(w, p);
	for (unsigned int i = 0; i < PACKETS; i++) {
		uint8_t packet[WIRE_ROOM] = { 0x80, 0, (uint8_t)(i >> 8), (uint8_t)i };

		wire_send_rtp(w, packet, 172);
		if (n_forged > 0)
			wire_forge(w, n_forged, 0);
		drain(&peer, fds[1], &keys);
	}
	wire_flush(w);
	drain(&peer, fds[1], &keys);
	wire_close(w);
	close(fds[1]);
	srtp_dealloc(peer.session);
	protect_destroy(p);
	return peer;
}

static void
without_faults_every_packet_arrives_once(void **state)
{
	static const struct wire_faults none = { 0 };
	struct wire w;
	struct peer p = run(&w, &none, 0);

	assert_int_equal(p.ok, PACKETS);
	assert_int_equal(p.bad + p.replayed + p.old, 0);
	assert_int_equal(w.sent, PACKETS);
	assert_int_equal(w.octets, PACKETS * 160);
}

static void
loss_duplicates_and_reordering_are_counted_as_they_arrive(void **state)
{
	static const struct wire_faults faults = { .loss = 0.05, .duplicate = 0.05, .reorder = 0.05 };
	struct wire w;
	struct peer p = run(&w, &faults, 0);

	assert_true(w.dropped > 0);
	assert_true(w.duplicated > 0);
	assert_true(w.reordered > 0);
	assert_int_equal(w.made, PACKETS);
	assert_int_equal(p.ok, PACKETS - w.dropped);
	assert_int_equal(p.replayed, w.duplicated);
	assert_int_equal(w.sent, PACKETS - w.dropped + w.duplicated);
}

static void
broken_tags_and_replays_are_counted_as_they_arrive(void **state)
{
	static const struct wire_faults faults = { .bad_tags = 0.1, .replays = 0.2 };
	struct wire w;
	struct peer p = run(&w, &faults, 0);

	assert_true(w.bad_tags > 0);
	assert_true(w.replays > 0);
	assert_true(p.old > 0); /* some reach past the window */
	assert_int_equal(p.ok, PACKETS);
	assert_int_equal(p.bad, w.bad_tags);
	assert_int_equal(p.replayed + p.old, w.replays);
}

static void
no_forged_packet_authenticates(void **state)
{
	static const struct wire_faults none = { 0 };
	struct wire w;
	struct peer p = run(&w, &none, 5);

	assert_int_equal(w.forged + w.forged_rtcp, 5 * PACKETS);
	assert_true(w.forged_rtcp > 0);
	assert_int_equal(p.ok, PACKETS);
	assert_int_equal(p.bad, 5 * PACKETS);
}

/* libsrtp2 is initialised once a process, and the engine does that. */
static int
initialise(void **state)
{
	struct protect_keys keys = some_keys();
	struct protect *p = protect_create(PROTECT_LIBSRTP2, &keys);

	protect_destroy(p);
	return p == NULL ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults_every_packet_arrives_once),
		cmocka_unit_test(loss_duplicates_and_reordering_are_counted_as_they_arrive),
		cmocka_unit_test(broken_tags_and_replays_are_counted_as_they_arrive),
		cmocka_unit_test(no_forged_packet_authenticates),
	};

	return cmocka_run_group_tests(tests, initialise, NULL);
}
