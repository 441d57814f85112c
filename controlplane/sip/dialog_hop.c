/* Where a request of ours goes: what the URI of the next hop says, the connection that the peer came by, and DNS
 * (RFC 3261 §8.1.2, §18.1.1; RFC 3263 §4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/sip.h"

#define SIP_PORT  5060
#define SIPS_PORT 5061

/* A URI's host, port and transport. */
struct hop {
	osip_uri_t *uri;		/* owns the host */
	uint16_t port;			/* 0: none is named */
	bool transport_known;
	enum config_transport transport; /* the peer's, when none is named */
	bool numeric;
	struct sockaddr_storage address;
};

static void
hop_transport(struct hop *h)
{
	static const struct {
		const char *name;
		enum config_transport transport;
	} names[] = { { "udp", CONFIG_UDP }, { "tcp", CONFIG_TCP }, { "tls", CONFIG_TLS } };
	osip_uri_param_t *p = NULL;

	osip_uri_uparam_get_byname(h->uri, (char[]){ "transport" }, &p);
	for (size_t i = 0; p != NULL && p->gvalue != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(p->gvalue, names[i].name) != 0)
			continue;
		h->transport_known = true;
		h->transport = names[i].transport;
	}
	if (h->uri->scheme != NULL && strcasecmp(h->uri->scheme, "sips") == 0) {	/* RFC 3261 §26.2.2 */
		h->transport_known = true;
		h->transport = CONFIG_TLS;
	}
}

/* @return false: a port that there is not. None at all is fine: 0. */
static bool
hop_port(struct hop *h)
{
	const char *text = h->uri->port;
	unsigned long port = text == NULL ? 0 : strtoul(text, NULL, 10);

	if (text != NULL && (strspn(text, "0123456789") != strlen(text) || port == 0 || port > UINT16_MAX))
		return false;
	h->port = (uint16_t)port;
	return true;
}

/* @return false: no host or no port can be read, or the URI is not one of SIP. Release in every case. */
static bool
hop_read(struct hop *h, const char *uri, enum config_transport like)
{
	*h = (struct hop){ .transport = like };
	if (osip_uri_init(&h->uri) != OSIP_SUCCESS) {
		h->uri = NULL;
		return false;
	}
	if (osip_uri_parse(h->uri, uri) != OSIP_SUCCESS || h->uri->host == NULL || !hop_port(h))
		return false;
	hop_transport(h);
	h->numeric = conn_address_read(&h->address, h->uri->host, h->port != 0 ? h->port
	                               : h->transport == CONFIG_TLS ? SIPS_PORT : SIP_PORT) == SRS_OK;
	return true;
}

static void
hop_release(struct hop *h)
{
	if (h->uri != NULL)
		osip_uri_free(h->uri);
}

/* @return false: DNS does not know, or has not answered yet */
static bool
hop_resolve(struct sip *s, const struct hop *h, struct resolver_answer *out)
{
	const struct resolver_question q = { .host = h->uri->host, .port = h->port, .transport_known = h->transport_known,
		                             .transport = h->transport };

	return resolver_look(s->resolver, &q, out);
}

void
dialog_hop_learn(struct dialog *d)
{
	struct resolver_answer answer;
	struct hop h = { 0 };
	char *uri;

	if (d->path.transport == CONFIG_UDP)
		return;		/* the way that a datagram came stays open */
	uri = d->record_route[0] == '\0' ? strdup(d->remote_target) : dialog_uri_of(d->record_route);
	if (uri != NULL && hop_read(&h, uri, d->path.transport) && !h.numeric)
		(void)hop_resolve(d->sip, &h, &answer);
	hop_release(&h);
	free(uri);
}

void
dialog_path_make(struct dialog *d, const char *next_hop, struct conn_path *to)
{
	struct conn_set *conns = d->sip->conns;
	struct resolver_answer named;
	struct hop h;
	bool found = false;

	if (hop_read(&h, next_hop, d->path.transport)) {
		if (h.numeric)
			found = conn_path_to(conns, h.transport, &h.address, &d->path, to) == SRS_OK;
		else if (!conn_is_open(conns, &d->path) && hop_resolve(d->sip, &h, &named))
			found = conn_path_to(conns, named.transport, &named.address, &d->path, to) == SRS_OK;
	}
	/* What began protected stays so: our offers hold keys (RFC 4568 §8), and a hop may ask for another transport. */
	if (!found || (d->path.transport == CONFIG_TLS && to->transport != CONFIG_TLS))
		*to = d->path;
	/* Should a TLS connection have to be opened: to who made the dialog, else to the host that is named. */
	if (to->transport == CONFIG_TLS)
		snprintf(to->peer_name, sizeof(to->peer_name), "%s",
		         d->identity[0] != '\0' || !found || h.numeric ? d->identity : h.uri->host);
	hop_release(&h);
}
