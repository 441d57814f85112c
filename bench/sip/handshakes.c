#include "handshakes.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE_MAX 1024u
#define TURN_MS     100
#define FAILED_MAX  1000u	/* then something is wrong with the server, and no figure comes of it */

struct hand {
	int fd;
	SSL *tls;
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool
hand_begin(struct hand *h, const struct wire_spec *spec, SSL_CTX *context, int poll_fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = h };

	h->fd = wire_connect(spec, false);
	if (h->fd < 0)
		return false;
	h->tls = SSL_new(context);
	return h->tls != NULL && SSL_set_fd(h->tls, h->fd) == 1 && epoll_ctl(poll_fd, EPOLL_CTL_ADD, h->fd, &event) == 0;
}

static void
hand_end(struct hand *h)
{
	SSL_free(h->tls);
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct hand){ .fd = -1 };
}

static void
note_agreed(struct handshakes *h, SSL *tls)
{
	X509 *certificate = SSL_get1_peer_certificate(tls);
	EVP_PKEY *key = certificate == NULL ? NULL : X509_get0_pubkey(certificate);
	EVP_PKEY *ephemeral = NULL;

	SSL_get_peer_tmp_key(tls, &ephemeral);
	snprintf(h->agreed, sizeof(h->agreed), "%s %s, %s, %s %d", SSL_get_version(tls), SSL_get_cipher_name(tls),
	         ephemeral == NULL ? "no group" : EVP_PKEY_get0_type_name(ephemeral),
	         key == NULL ? "no key" : EVP_PKEY_get0_type_name(key), key == NULL ? 0 : EVP_PKEY_get_bits(key));
	EVP_PKEY_free(ephemeral);
	X509_free(certificate);
}

/* @return over, one way or the other */
static bool
hand_turn(struct handshakes *all, struct hand *h)
{
	int n = SSL_connect(h->tls);
	int e = SSL_get_error(h->tls, n);

	if (n != 1 && (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE))
		return false;
	if (n == 1 && all->agreed[0] == '\0')
		note_agreed(all, h->tls);
	if (n == 1) {
		all->done++;
		SSL_shutdown(h->tls);
	} else {
		all->failed++;
	}
	return true;
}

bool
handshakes_run(struct handshakes *all, const struct wire_spec *spec, unsigned int at_once, double seconds, char *why,
               size_t why_len)
{
	struct hand hands[AT_ONCE_MAX];
	SSL_CTX *context = wire_tls_context(spec, why, why_len);
	int poll_fd = epoll_create1(0);
	uint64_t begun = now_ns(), end = begun + (uint64_t)(seconds * 1e9);
	bool ok = context != NULL && poll_fd >= 0 && at_once <= AT_ONCE_MAX;

	memset(all, 0, sizeof(*all));
	for (unsigned int i = 0; i < AT_ONCE_MAX; i++)
		hands[i] = (struct hand){ .fd = -1 };
	for (unsigned int i = 0; ok && i < at_once; i++)
		ok = hand_begin(&hands[i], spec, context, poll_fd);
	if (context != NULL && !ok)
		snprintf(why, why_len, "cannot connect to %s port %s", spec->host, spec->port);
	while (ok && now_ns() < end && all->failed < FAILED_MAX) {
		struct epoll_event events[64];
		int n = epoll_wait(poll_fd, events, 64, TURN_MS);

		for (int i = 0; i < n; i++) {
			struct hand *h = events[i].data.ptr;

			if (!hand_turn(all, h))
				continue;
			hand_end(h);
			if (!hand_begin(h, spec, context, poll_fd))
				all->failed++;
		}
	}
	all->ns = now_ns() - begun;
	for (unsigned int i = 0; i < AT_ONCE_MAX; i++)
		hand_end(&hands[i]);
	SSL_CTX_free(context);
	if (poll_fd >= 0)
		close(poll_fd);
	return ok;
}
