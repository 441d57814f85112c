/* TLS connections on their way in. A handshake is work for the CPU (a signature, two key exchanges) that a stranger can
 * ask for. So our part of each is not done when the peer's bytes come, but in a queue: a turn of the loop does about a
 * millisecond of it, and then signalling of calls and timers have theirs. How many are under way is bounded, and so is
 * the time of each; when one more comes than there may be, the oldest has to go: an honest one is done in milliseconds. */
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "controlplane/sip/conn_state.h"
#include "controlplane/sip/tls.h"
#include "lib/srs_log.h"

#define TURN_NS UINT64_C(1000000)

/* ---- the two lists ---- */

static void
handshake_enter(struct stream *c)
{
	struct conn_set *s = c->set;

	c->handshake.older = s->newest;
	if (s->newest != NULL)
		s->newest->handshake.newer = c;
	else
		s->oldest = c;
	s->newest = c;
	s->n_handshakes++;
	c->source->n_handshakes++;
}

static void
waiting_remove(struct stream *c)
{
	struct conn_set *s = c->set;
	struct stream **at = &s->first_waiting, *before = NULL;

	if (!c->handshake.is_waiting)
		return;
	while (*at != c) {
		before = *at;
		at = &(*at)->handshake.next_waiting;
	}
	*at = c->handshake.next_waiting;
	if (s->last_waiting == c)
		s->last_waiting = before;
	c->handshake.next_waiting = NULL;
	c->handshake.is_waiting = false;
}

void
handshake_leave(struct stream *c)
{
	struct conn_set *s = c->set;
	struct handshake *h = &c->handshake;

	if (h->event == NULL)
		return;
	event_free(h->event);
	h->event = NULL;
	waiting_remove(c);
	*(h->older != NULL ? &h->older->handshake.newer : &s->oldest) = h->newer;
	*(h->newer != NULL ? &h->newer->handshake.older : &s->newest) = h->older;
	h->older = h->newer = NULL;
	s->n_handshakes--;
	c->source->n_handshakes--;
}

/* The oldest of this source, or of all, makes room. */
static void
handshake_evict(struct conn_set *s, const struct conn_source *source)
{
	struct stream *c = s->oldest;

	while (c != NULL && source != NULL && c->source != source)
		c = c->handshake.newer;
	if (c == NULL)
		return;
	conn_count(s->counters.tls_evicted);
	stream_kill(c);
}

/* ---- our part ---- */

static void
handshake_failed(struct stream *c)
{
	char what[TLS_WHY_MAX], address[CONN_ADDRESS_TEXT_MAX];
	const char *remedy;
	bool spoke = tls_failure(c->ssl, what, sizeof(what), &remedy);

	conn_count(c->set->counters.tls_failed);
	if (spoke)
		log_warn("conn", "tls_handshake_failed", "peer=%s what=\"%s\" remedy=\"%s\"",
		         conn_address_text(&c->path.remote, address), what, remedy);
	else
		log_debug("conn", "tls_handshake_left", "peer=%s", conn_address_text(&c->path.remote, address));
	stream_kill(c);
}

static void
handshake_done(struct stream *c)
{
	struct conn_set *s = c->set;
	X509 *x = SSL_get0_peer_certificate(c->ssl);
	struct bufferevent *bev;

	handshake_leave(c);
	conn_count(SSL_session_reused(c->ssl) ? s->counters.tls_resumed : s->counters.tls_done);
	if (x != NULL)
		c->n_names = certificate_names(x, c->names);
	bev = bufferevent_openssl_socket_new(reactor_base(s->reactor), c->fd, c->ssl, BUFFEREVENT_SSL_OPEN,
	                                     BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		stream_kill(c);
		return;
	}
	stream_begin(c, bev);
}

static void handshake_ready(evutil_socket_t fd, short what, void *ctx);

static void
handshake_step(struct stream *c)
{
	int result, error;

	ERR_clear_error();
	result = SSL_do_handshake(c->ssl);
	error = SSL_get_error(c->ssl, result);
	if (result == 1) {
		handshake_done(c);
	} else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		event_assign(c->handshake.event, reactor_base(c->set->reactor), c->fd,
		             error == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE, handshake_ready, c);
		if (event_add(c->handshake.event, NULL) != 0)
			stream_kill(c);
	} else {
		handshake_failed(c);
	}
}

void
handshakes_turn(void *ctx)
{
	struct conn_set *s = ctx;
	uint64_t until = reactor_mono_ns() + TURN_NS;

	while (s->first_waiting != NULL) {
		struct stream *c = s->first_waiting;

		waiting_remove(c);
		handshake_step(c);
		if (reactor_mono_ns() >= until)
			break;
	}
	if (s->first_waiting != NULL && timer_arm(s->reactor, &s->turn, 0))
		log_error("conn", "timer_failed", "what=turn");	/* the next ready one tries again */
}

static void
handshake_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct stream *c = ctx;
	struct conn_set *s = c->set;

	(void)fd;
	(void)what;
	if (s->last_waiting != NULL)
		s->last_waiting->handshake.next_waiting = c;
	else
		s->first_waiting = c;
	s->last_waiting = c;
	c->handshake.is_waiting = true;
	if (!timer_is_armed(&s->turn) && timer_arm(s->reactor, &s->turn, 0))
		stream_kill(c);
}

void
handshake_begin(struct stream *c)
{
	struct conn_set *s = c->set;
	uint32_t handshakes_max = s->config->tls.handshakes_max;

	c->state = STREAM_HANDSHAKE;
	if (c->source->n_handshakes >= (handshakes_max + 1) / 2)
		handshake_evict(s, c->source);
	else if (s->n_handshakes >= handshakes_max)
		handshake_evict(s, NULL);
	c->ssl = tls_server_side(s->tls, c->fd);
	c->handshake.event = event_new(reactor_base(s->reactor), c->fd, EV_READ, handshake_ready, c);
	if (c->handshake.event != NULL)
		handshake_enter(c);
	if (c->ssl == NULL || c->handshake.event == NULL || event_add(c->handshake.event, NULL) != 0) {
		stream_kill(c);
		return;
	}
	stream_deadline_set(c, CONN_HANDSHAKE_MS_MAX);
}
