#include "controlplane/session/media.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/reactor.h"
#include "lib/srs_assert.h"

#define PORT_NONE  UINT32_MAX
#define LCORES_MAX 256

/* A list through the arrays below: take from the front, put at the back, so that the port that rested longest is
 * taken first; out of the middle when its other half comes back. */
struct port_list {
	uint32_t front, back;
	uint32_t len;
};

enum port_state {
	PORT_IN_PAIR,	/* free, and so is its other half: in `pairs` (the even one) */
	PORT_SINGLE,	/* free, its other half is not: in `singles` */
	PORT_TAKEN,
	PORT_RESTS,	/* in the address's queue of resting ports */
};

struct port_node {
	uint32_t next, prev;
	uint8_t state;
};

struct resting {
	uint64_t free_mono_ns;
	uint16_t port_i;
	bool pair;
};

/* One media address and all its ports. Index i stands for UDP port `first_port` + i; even i is an even port. */
struct media_host {
	struct dataplane_place place;
	struct port_node *ports;
	struct port_list pairs, singles;
	struct resting *rest;	/* circular: the rest is equally long for all, so it ends in order */
	uint32_t rest_front, rest_len;
	uint32_t n_taken;
};

struct media {
	const struct config *config;
	struct media_host *hosts;
	unsigned int n_hosts;
	uint16_t first_port;	/* even */
	uint32_t n_ports;	/* even */
	uint64_t quarantine_ns;
	uint32_t lcore_taken[LCORES_MAX];
	const struct nat *nat;	/* NULL: addresses are our own */
};

static void
list_put(struct media_host *h, struct port_list *l, uint32_t i)
{
	h->ports[i].next = PORT_NONE;
	h->ports[i].prev = l->back;
	if (l->back == PORT_NONE)
		l->front = i;
	else
		h->ports[l->back].next = i;
	l->back = i;
	l->len++;
}

static void
list_cut(struct media_host *h, struct port_list *l, uint32_t i)
{
	const struct port_node *n = &h->ports[i];

	if (n->prev == PORT_NONE)
		l->front = n->next;
	else
		h->ports[n->prev].next = n->next;
	if (n->next == PORT_NONE)
		l->back = n->prev;
	else
		h->ports[n->next].prev = n->prev;
	srs_assert(l->len > 0);
	l->len--;
}

static void
pair_put(struct media_host *h, uint32_t even)
{
	h->ports[even].state = PORT_IN_PAIR;
	h->ports[even + 1].state = PORT_IN_PAIR;
	list_put(h, &h->pairs, even);
}

/* A single port is free again; with its other half free too, they are a pair again. */
static void
single_put(struct media_host *h, uint32_t i)
{
	uint32_t other = i ^ 1u;

	if (h->ports[other].state == PORT_SINGLE) {
		list_cut(h, &h->singles, other);
		pair_put(h, i & ~1u);
		return;
	}
	h->ports[i].state = PORT_SINGLE;
	list_put(h, &h->singles, i);
}

static void
host_free_due(struct media *m, struct media_host *h, uint64_t now)
{
	while (h->rest_len > 0) {
		const struct resting *r = &h->rest[h->rest_front];

		if (r->free_mono_ns > now)
			return;
		if (r->pair)
			pair_put(h, r->port_i);
		else
			single_put(h, r->port_i);
		h->rest_front = (h->rest_front + 1) % m->n_ports;
		h->rest_len--;
	}
}

static bool
host_has(const struct media_host *h, bool rtcp_mux)
{
	return h->pairs.len > 0 || (rtcp_mux && h->singles.len > 0);
}

static enum srs_err
host_init(struct media *m, struct media_host *h)
{
	h->ports = calloc(m->n_ports, sizeof(*h->ports));
	h->rest = calloc(m->n_ports, sizeof(*h->rest));
	if (h->ports == NULL || h->rest == NULL)
		return SRS_ERR_NOMEM;
	h->pairs = (struct port_list){ .front = PORT_NONE, .back = PORT_NONE };
	h->singles = h->pairs;
	for (uint32_t i = 0; i < m->n_ports; i += 2)
		pair_put(h, i);
	return SRS_OK;
}

enum srs_err
media_create(struct media **out, const struct config *c, const struct dataplane *dp)
{
	uint32_t first = (c->media.rtp_port_min + 1u) & ~1u;	/* a pair begins at an even port */
	uint32_t end = (c->media.rtp_port_max + 1u) & ~1u;
	struct media *m;
	enum srs_err err = SRS_OK;

	*out = NULL;
	if (first == 0 || end <= first)
		return SRS_ERR_INVALID;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return SRS_ERR_NOMEM;
	m->config = c;
	m->first_port = (uint16_t)first;
	m->n_ports = end - first;
	m->quarantine_ns = c->media.port_quarantine_ms * UINT64_C(1000000);
	m->n_hosts = dataplane_n_addresses(dp);
	m->hosts = calloc(m->n_hosts != 0 ? m->n_hosts : 1, sizeof(*m->hosts));
	if (m->hosts == NULL)
		err = SRS_ERR_NOMEM;
	for (unsigned int i = 0; err == SRS_OK && i < m->n_hosts; i++) {
		dataplane_place(dp, i, &m->hosts[i].place);
		srs_assert(m->hosts[i].place.lcore_i < LCORES_MAX);
		err = host_init(m, &m->hosts[i]);
	}
	if (err) {
		media_destroy(m);
		return err;
	}
	*out = m;
	return SRS_OK;
}

void
media_destroy(struct media *m)
{
	if (m == NULL)
		return;
	for (unsigned int i = 0; m->hosts != NULL && i < m->n_hosts; i++) {
		free(m->hosts[i].ports);
		free(m->hosts[i].rest);
	}
	free(m->hosts);
	free(m);
}

static bool
host_fits(const struct media_host *h, uint8_t ip_version)
{
	return ip_version == 0 || h->place.address.ip_version == ip_version;
}

bool
media_has(const struct media *m, uint16_t lcore_i, uint8_t ip_version)
{
	for (unsigned int i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].place.lcore_i == lcore_i && host_fits(&m->hosts[i], ip_version))
			return true;
	}
	return false;
}

enum srs_err
media_lcore_choose(struct media *m, uint8_t ip_version, uint16_t *lcore_i)
{
	enum srs_err err = SRS_ERR_UNSUPPORTED;
	uint32_t fewest = UINT32_MAX;
	uint64_t now = reactor_mono_ns();

	for (unsigned int i = 0; i < m->n_hosts; i++) {
		struct media_host *h = &m->hosts[i];

		if (!host_fits(h, ip_version))
			continue;
		host_free_due(m, h, now);
		if (!host_has(h, false)) {
			if (err == SRS_ERR_UNSUPPORTED)
				err = SRS_ERR_LIMIT;
			continue;
		}
		if (m->lcore_taken[h->place.lcore_i] < fewest) {
			fewest = m->lcore_taken[h->place.lcore_i];
			*lcore_i = h->place.lcore_i;
		}
		err = SRS_OK;
	}
	return err;
}

/* A single first, so that pairs stay whole for peers without rtcp-mux. */
static uint32_t
host_take(struct media_host *h, bool rtcp_mux)
{
	uint32_t i;

	if (rtcp_mux && h->singles.len > 0) {
		i = h->singles.front;
		list_cut(h, &h->singles, i);
		h->ports[i].state = PORT_TAKEN;
		return i;
	}
	i = h->pairs.front;
	list_cut(h, &h->pairs, i);
	h->ports[i].state = PORT_TAKEN;
	if (rtcp_mux) {
		h->ports[i + 1].state = PORT_SINGLE;
		list_put(h, &h->singles, i + 1);
	} else {
		h->ports[i + 1].state = PORT_TAKEN;
	}
	return i;
}

enum srs_err
media_take(struct media *m, uint16_t lcore_i, uint8_t ip_version, bool rtcp_mux, struct media_port *out)
{
	enum srs_err err = SRS_ERR_UNSUPPORTED;
	struct media_host *best = NULL;
	uint64_t now = reactor_mono_ns();
	uint32_t port_i;

	for (unsigned int i = 0; i < m->n_hosts; i++) {
		struct media_host *h = &m->hosts[i];

		if (h->place.lcore_i != lcore_i || !host_fits(h, ip_version))
			continue;
		err = SRS_ERR_LIMIT;
		host_free_due(m, h, now);
		if (host_has(h, rtcp_mux) && (best == NULL || h->n_taken < best->n_taken))
			best = h;
	}
	if (best == NULL)
		return err;
	port_i = host_take(best, rtcp_mux);
	best->n_taken += rtcp_mux ? 1 : 2;
	m->lcore_taken[lcore_i] += rtcp_mux ? 1 : 2;
	*out = (struct media_port){
		.address_i = (uint16_t)(best - m->hosts),
		.lcore_i = lcore_i,
		.udp_port = (uint16_t)(m->first_port + port_i),
		.rtcp_port = rtcp_mux ? 0 : (uint16_t)(m->first_port + port_i + 1),
	};
	return SRS_OK;
}

void
media_give(struct media *m, const struct media_port *port, bool rests)
{
	struct media_host *h = &m->hosts[port->address_i];
	uint32_t i = (uint32_t)port->udp_port - m->first_port;
	bool pair = port->rtcp_port != 0;

	srs_assert(i < m->n_ports);
	srs_assert(h->ports[i].state == PORT_TAKEN);
	h->n_taken -= pair ? 2 : 1;
	m->lcore_taken[h->place.lcore_i] -= pair ? 2 : 1;
	if (!rests || m->quarantine_ns == 0) {
		if (pair)
			pair_put(h, i);
		else
			single_put(h, i);
		return;
	}
	h->ports[i].state = PORT_RESTS;
	if (pair)
		h->ports[i + 1].state = PORT_RESTS;
	srs_assert(h->rest_len < m->n_ports);
	h->rest[(h->rest_front + h->rest_len) % m->n_ports] = (struct resting){
		.free_mono_ns = reactor_mono_ns() + m->quarantine_ns,
		.port_i = (uint16_t)i,
		.pair = pair,
	};
	h->rest_len++;
}

void
media_nat_set(struct media *m, const struct nat *nat)
{
	m->nat = nat;
}

void
media_text(const struct media *m, const struct media_port *port, bool beyond, char *ip, size_t ip_len, uint8_t *ip_version)
{
	const struct media_address *place = &m->hosts[port->address_i].place.address;
	struct nat_address own = { .ip_version = place->ip_version };
	const struct nat_address *a;

	memcpy(own.ip, place->ip, sizeof(own.ip));
	a = nat_media(m->nat, &own, beyond);
	*ip_version = a->ip_version;
	if (inet_ntop(a->ip_version == 6 ? AF_INET6 : AF_INET, a->ip, ip, (socklen_t)ip_len) == NULL)
		ip[0] = '\0';
}

uint8_t
media_ip_version(const struct media *m, const struct media_port *port)
{
	return m->hosts[port->address_i].place.address.ip_version;
}

uint32_t
media_pairs_free(struct media *m)
{
	uint64_t now = reactor_mono_ns();
	uint32_t n = 0;

	for (unsigned int i = 0; i < m->n_hosts; i++) {
		host_free_due(m, &m->hosts[i], now);
		n += m->hosts[i].pairs.len;
	}
	return n;
}
