#include "controlplane/nat.h"

#include <arpa/inet.h>
#include <string.h>

void
nat_init(struct nat *n, const struct config *c)
{
	*n = (struct nat){ 0 };
	if (c->media.external_ip == NULL)
		return;
	if (inet_pton(AF_INET, c->media.external_ip, n->configured.ip) == 1)
		n->configured.ip_version = 4;
	else if (inet_pton(AF_INET6, c->media.external_ip, n->configured.ip) == 1)
		n->configured.ip_version = 6;	/* else "auto" */
}

bool
nat_learn(struct nat *n, const struct nat_address *a)
{
	struct nat_address *known = &n->learned[a->ip_version == 6];

	if (memcmp(known, a, sizeof(*a)) == 0)
		return false;
	*known = *a;
	return true;
}

bool
nat_is_private(const struct nat_address *a)
{
	static const struct config_prefix prefixes[] = {
		{ 4, { 0 }, 8 },		/* this network */
		{ 4, { 10 }, 8 },		/* RFC 1918 */
		{ 4, { 172, 16 }, 12 },
		{ 4, { 192, 168 }, 16 },
		{ 4, { 100, 64 }, 10 },		/* RFC 6598 */
		{ 4, { 127 }, 8 },
		{ 4, { 169, 254 }, 16 },	/* RFC 3927 */
		{ 4, { 198, 18 }, 15 },		/* RFC 2544 */
		{ 6, { 0xfc }, 7 },		/* RFC 4193 */
		{ 6, { 0xfe, 0x80 }, 10 },	/* RFC 4291 §2.5.6 */
		{ 6, { [15] = 1 }, 128 },
	};

	return config_prefixes_hold(prefixes, sizeof(prefixes) / sizeof(prefixes[0]), a->ip_version, a->ip);
}

void
nat_address_of(struct nat_address *out, const struct sockaddr_storage *from)
{
	*out = (struct nat_address){ .ip_version = from->ss_family == AF_INET6 ? 6 : 4 };
	if (out->ip_version == 6)
		memcpy(out->ip, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	else
		memcpy(out->ip, &((const struct sockaddr_in *)from)->sin_addr, 4);
}

static const struct nat_address *
learned_for(const struct nat *n, const struct nat_address *own, bool beyond)
{
	const struct nat_address *a = &n->learned[own->ip_version == 6];

	return beyond && a->ip_version != 0 && nat_is_private(own) ? a : own;
}

const struct nat_address *
nat_media(const struct nat *n, const struct nat_address *own, bool beyond)
{
	if (n == NULL)
		return own;
	return n->configured.ip_version == own->ip_version ? &n->configured : learned_for(n, own, beyond);
}

const struct nat_address *
nat_signalling(const struct nat *n, const struct nat_address *own, const struct sockaddr_storage *peer)
{
	struct nat_address theirs;
	bool beyond;

	if (n == NULL)
		return own;
	nat_address_of(&theirs, peer);
	beyond = !nat_is_private(&theirs);
	if (n->configured.ip_version == own->ip_version)
		return beyond && nat_is_private(own) ? &n->configured : own;
	return learned_for(n, own, beyond);
}
