#include "controlplane/sip/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/textmap.h"
#include "lib/srs_log.h"

#define SIP_PORT     5060
#define SIPS_PORT    5061
#define SOCKETS_MAX  16
#define QUERY_MS     2000	/* the first try of a server; c-ares doubles it */
#define QUERY_TRIES  2
#define TARGETS_MAX  8		/* SRV records looked at */
#define NS_PER_S     UINT64_C(1000000000)

struct target {
	char host[RESOLVER_HOST_MAX];
	uint16_t port;
	uint16_t priority, weight;
};

/* A name, as it was asked for, and where it leads. */
struct name {
	struct textmap_node node;
	struct name *next, *previous;	/* the most recently asked first */
	struct resolver *resolver;
	char host[RESOLVER_HOST_MAX];
	uint16_t port;
	bool transport_known;
	enum config_transport transport;

	bool asking, known;
	uint64_t due_mono_ns;		/* ask again from then on */
	struct resolver_answer answer;

	/* while asking */
	enum config_transport asked_transport;
	struct target targets[TARGETS_MAX];
	unsigned int n_targets, target_i;
};

struct watch {
	ares_socket_t fd;
	struct event *event;
	struct resolver *resolver;
};

struct resolver {
	struct reactor *reactor;
	ares_channel channel;
	struct watch watches[SOCKETS_MAX];
	struct timer timeout;
	struct textmap names;
	struct name *first, *last;
	uint64_t n_asked;
};

/* ---- c-ares on the loop ---- */

/* c-ares says when it must be called at the latest. */
static void
timeout_arm(struct resolver *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) == NULL) {
		timer_disarm(&r->timeout);
		return;
	}
	if (timer_arm(r->reactor, &r->timeout, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1))
		log_error("resolver", "timer_failed", "names are not resolved");
}

static void
on_timeout(void *ctx)
{
	struct resolver *r = ctx;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timeout_arm(r);
}

static void
on_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct watch *w = ctx;
	struct resolver *r = w->resolver;

	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	timeout_arm(r);
}

static void
watch_end(struct watch *w)
{
	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
}

static void
on_socket(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = ctx;
	struct watch *w = NULL;
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	for (unsigned int i = 0; i < SOCKETS_MAX; i++) {
		if (r->watches[i].event != NULL && r->watches[i].fd == fd)
			watch_end(&r->watches[i]);
		if (r->watches[i].event == NULL && w == NULL)
			w = &r->watches[i];
	}
	if (what == 0 || w == NULL)
		return;		/* unwatched, a query ends by its timeout */
	*w = (struct watch){ .fd = fd, .resolver = r };
	w->event = event_new(reactor_base(r->reactor), fd, (short)(what | EV_PERSIST), on_ready, w);
	if (w->event != NULL && event_add(w->event, NULL) != 0)
		watch_end(w);
}

/* ---- one name, from NAPTR over SRV to addresses ---- */

static void
finish(struct name *n, bool found, uint32_t ttl_s)
{
	uint32_t keep_s = !found ? RESOLVER_RETRY_S
	                  : ttl_s < RESOLVER_TTL_S_MIN ? RESOLVER_TTL_S_MIN
	                  : ttl_s > RESOLVER_TTL_S_MAX ? RESOLVER_TTL_S_MAX : ttl_s;

	n->asking = false;
	n->known = n->known || found;	/* an old answer is better than none */
	n->due_mono_ns = reactor_mono_ns() + keep_s * NS_PER_S;
	if (!found)
		log_debug("resolver", "name_unknown", "host=%s",
		         n->host);
}

static void ask_address(struct name *n);

static void
on_address(void *ctx, int status, int timeouts, struct ares_addrinfo *list)
{
	struct name *n = ctx;
	const struct ares_addrinfo_node *a = status == ARES_SUCCESS ? list->nodes : NULL;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	if (a == NULL || a->ai_addrlen > sizeof(n->answer.address)) {
		n->target_i++;
		ask_address(n);
	} else {
		memset(&n->answer, 0, sizeof(n->answer));
		memcpy(&n->answer.address, a->ai_addr, a->ai_addrlen);
		conn_port_set(&n->answer.address, n->targets[n->target_i].port);
		n->answer.transport = n->asked_transport;
		finish(n, true, a->ai_ttl > 0 ? (uint32_t)a->ai_ttl : 0);
	}
	if (list != NULL)
		ares_freeaddrinfo(list);
}

/* RFC 3263 §4.2: the targets in their order, until one has an address. */
static void
ask_address(struct name *n)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };

	if (n->target_i >= n->n_targets) {
		finish(n, false, 0);
		return;
	}
	n->resolver->n_asked++;
	ares_getaddrinfo(n->resolver->channel, n->targets[n->target_i].host, NULL, &hints, on_address, n);
}

static void
ask_plain_address(struct name *n)
{
	n->n_targets = 1;
	n->target_i = 0;
	snprintf(n->targets[0].host, sizeof(n->targets[0].host), "%s", n->host);
	n->targets[0].port = n->port != 0 ? n->port : n->asked_transport == CONFIG_TLS ? SIPS_PORT : SIP_PORT;
	ask_address(n);
}

static int
by_priority(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return x->priority < y->priority ? -1 : x->priority > y->priority;
}

/* RFC 2782: within a priority, at random by weight. */
static void
spread(struct target *t, unsigned int n)
{
	for (unsigned int i = 0; i + 1 < n; i++) {
		uint32_t sum = 0, pick;
		unsigned int same = i;

		while (same < n && t[same].priority == t[i].priority)
			sum += t[same++].weight;
		pick = arc4random_uniform(sum + 1);
		for (unsigned int k = i; k < same; k++) {
			struct target chosen = t[k];

			if (pick > chosen.weight) {
				pick -= chosen.weight;
				continue;
			}
			t[k] = t[i];
			t[i] = chosen;
			break;
		}
	}
}

static void
on_srv(void *ctx, int status, int timeouts, unsigned char *bytes, int len)
{
	struct name *n = ctx;
	struct ares_srv_reply *all = NULL;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	n->n_targets = n->target_i = 0;
	if (status == ARES_SUCCESS && ares_parse_srv_reply(bytes, len, &all) == ARES_SUCCESS) {
		for (const struct ares_srv_reply *s = all; s != NULL && n->n_targets < TARGETS_MAX; s = s->next) {
			struct target *t = &n->targets[n->n_targets];

			if (s->host[0] == '\0' || strlen(s->host) >= sizeof(t->host))
				continue;	/* "." says that there is no such service */
			*t = (struct target){ .port = s->port, .priority = s->priority, .weight = s->weight };
			strcpy(t->host, s->host);
			n->n_targets++;
		}
		ares_free_data(all);
	}
	if (n->n_targets == 0) {
		ask_plain_address(n);
		return;
	}
	qsort(n->targets, n->n_targets, sizeof(n->targets[0]), by_priority);
	spread(n->targets, n->n_targets);
	ask_address(n);
}

static void
ask_srv(struct name *n, const char *record)
{
	n->resolver->n_asked++;
	ares_query(n->resolver->channel, record, ns_c_in, ns_t_srv, on_srv, n);
}

static void
ask_srv_of_host(struct name *n)
{
	static const char *const services[] = { [CONFIG_UDP] = "_sip._udp", [CONFIG_TCP] = "_sip._tcp", [CONFIG_TLS] = "_sips._tcp" };
	char record[RESOLVER_HOST_MAX + 16];

	snprintf(record, sizeof(record), "%s.%s", services[n->asked_transport], n->host);
	ask_srv(n, record);
}

/* RFC 3263 §4.1: services that we can speak to. */
static bool
service_is_ours(const struct ares_naptr_reply *r, enum config_transport *transport)
{
	const char *service = (const char *)r->service;

	if (strcasecmp((const char *)r->flags, "s") != 0 || strlen(r->replacement) >= RESOLVER_HOST_MAX)
		return false;
	*transport = strcasecmp(service, "SIPS+D2T") == 0 ? CONFIG_TLS : strcasecmp(service, "SIP+D2T") == 0 ? CONFIG_TCP
	                                                                                                     : CONFIG_UDP;
	return *transport != CONFIG_UDP || strcasecmp(service, "SIP+D2U") == 0;
}

static bool
comes_before(const struct ares_naptr_reply *a, const struct ares_naptr_reply *b)
{
	return b == NULL || a->order < b->order || (a->order == b->order && a->preference < b->preference);
}

static void
on_naptr(void *ctx, int status, int timeouts, unsigned char *bytes, int len)
{
	struct name *n = ctx;
	struct ares_naptr_reply *all = NULL;
	const struct ares_naptr_reply *best = NULL;
	enum config_transport transport;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	if (status == ARES_SUCCESS && ares_parse_naptr_reply(bytes, len, &all) != ARES_SUCCESS)
		all = NULL;
	for (const struct ares_naptr_reply *r = all; r != NULL; r = r->next) {
		if (!service_is_ours(r, &transport) || !comes_before(r, best))
			continue;
		best = r;
		n->asked_transport = transport;
	}
	if (best != NULL)
		ask_srv(n, best->replacement);
	else
		ask_srv_of_host(n);
	if (all != NULL)
		ares_free_data(all);
}

static void
ask(struct name *n)
{
	n->asking = true;
	n->asked_transport = n->transport;
	if (n->port != 0) {
		ask_plain_address(n);
	} else if (n->transport_known) {
		ask_srv_of_host(n);
	} else {
		n->resolver->n_asked++;
		ares_query(n->resolver->channel, n->host, ns_c_in, ns_t_naptr, on_naptr, n);
	}
	timeout_arm(n->resolver);
}

/* ---- names ---- */

static void
unlink_name(struct resolver *r, struct name *n)
{
	*(n->previous != NULL ? &n->previous->next : &r->first) = n->next;
	*(n->next != NULL ? &n->next->previous : &r->last) = n->previous;
	n->next = n->previous = NULL;
}

static void
put_first(struct resolver *r, struct name *n)
{
	n->next = r->first;
	*(n->next != NULL ? &n->next->previous : &r->last) = n;
	r->first = n;
}

/* Room for one more: c-ares may still write to one that is being asked for, so that one stays. */
static bool
make_room(struct resolver *r)
{
	struct name *n = r->last;

	if (r->names.n < RESOLVER_NAMES_MAX)
		return true;
	while (n != NULL && n->asking)
		n = n->previous;
	if (n == NULL)
		return false;
	unlink_name(r, n);
	textmap_remove(&r->names, &n->node);
	free(n);
	return true;
}

static struct name *
name_make(struct resolver *r, const struct resolver_question *q, char *key)
{
	struct name *n = make_room(r) ? calloc(1, sizeof(*n)) : NULL;

	if (n == NULL) {
		free(key);
		return NULL;
	}
	n->resolver = r;
	n->port = q->port;
	n->transport_known = q->transport_known;
	n->transport = q->transport;
	strcpy(n->host, q->host);
	if (textmap_add(&r->names, &n->node, key, n)) {
		free(n);
		return NULL;
	}
	put_first(r, n);
	return n;
}

static struct name *
name_of(struct resolver *r, const struct resolver_question *q)
{
	struct name *n;
	char *key;

	if (asprintf(&key, "%s %u %d%d", q->host, q->port, q->transport_known, (int)q->transport) < 0)
		return NULL;
	for (char *c = key; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	n = textmap_find(&r->names, key);
	if (n == NULL)
		return name_make(r, q, key);
	free(key);
	unlink_name(r, n);
	put_first(r, n);
	return n;
}

bool
resolver_look(struct resolver *r, const struct resolver_question *q, struct resolver_answer *out)
{
	struct name *n;

	if (q->host[0] == '\0' || strlen(q->host) >= RESOLVER_HOST_MAX)
		return false;
	n = name_of(r, q);
	if (n == NULL)
		return false;
	if (!n->asking && reactor_mono_ns() >= n->due_mono_ns)
		ask(n);
	if (n->known)
		*out = n->answer;
	return n->known;
}

uint32_t
resolver_n_names(const struct resolver *r)
{
	return r->names.n;
}

uint64_t
resolver_n_asked(const struct resolver *r)
{
	return r->n_asked;
}

/* ---- life ---- */

enum srs_err
resolver_create(struct resolver **out, struct reactor *reactor, const char *servers, char *why, size_t why_len)
{
	struct ares_options options = { .timeout = QUERY_MS, .tries = QUERY_TRIES, .lookups = (char[]){ "b" },
		                        .sock_state_cb = on_socket };
	struct resolver *r = calloc(1, sizeof(*r));
	int status;

	snprintf(why, why_len, "no memory for the resolver");
	if (r == NULL)
		return SRS_ERR_NOMEM;
	r->reactor = reactor;
	timer_init(&r->timeout, on_timeout, r);
	options.sock_state_cb_data = r;
	if (textmap_init(&r->names, RESOLVER_NAMES_MAX)) {
		free(r);
		return SRS_ERR_NOMEM;
	}
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&r->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		                                                  ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		textmap_release(&r->names);
		free(r);
		return SRS_ERR_NOMEM;
	}
	if (servers != NULL && servers[0] != '\0' && ares_set_servers_ports_csv(r->channel, servers) != ARES_SUCCESS) {
		snprintf(why, why_len, "sip.dns_servers '%.200s': write numeric addresses as 192.0.2.1 or 192.0.2.1:53, "
		         "comma between", servers);
		resolver_destroy(r);
		return SRS_ERR_INVALID;
	}
	*out = r;
	return SRS_OK;
}

void
resolver_destroy(struct resolver *r)
{
	if (r == NULL)
		return;
	ares_destroy(r->channel);	/* callbacks hear EDESTRUCTION, and touch nothing */
	for (unsigned int i = 0; i < SOCKETS_MAX; i++)
		watch_end(&r->watches[i]);
	timer_release(&r->timeout);
	while (r->first != NULL) {
		struct name *n = r->first;

		unlink_name(r, n);
		textmap_remove(&r->names, &n->node);
		free(n);
	}
	textmap_release(&r->names);
	ares_library_cleanup();
	free(r);
}
