/* Addresses as SIP writes them. Pure. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/sip/conn.h"

static struct sockaddr_in *
in4(struct sockaddr_storage *a)
{
	return (struct sockaddr_in *)a;
}

static struct sockaddr_in6 *
in6(struct sockaddr_storage *a)
{
	return (struct sockaddr_in6 *)a;
}

static const struct sockaddr_in *
in4_of(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in *)a;
}

static const struct sockaddr_in6 *
in6_of(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in6 *)a;
}

uint16_t
conn_port(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6 ? in6_of(a)->sin6_port : in4_of(a)->sin_port);
}

void
conn_port_set(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET6)
		in6(a)->sin6_port = htons(port);
	else
		in4(a)->sin_port = htons(port);
}

enum srs_err
conn_address_read(struct sockaddr_storage *out, const char *host, uint16_t port)
{
	char bare[INET6_ADDRSTRLEN];
	size_t len = strlen(host);

	memset(out, 0, sizeof(*out));
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof(bare))
		return SRS_ERR_INVALID;
	memcpy(bare, host, len);
	bare[len] = '\0';
	if (inet_pton(AF_INET, bare, &in4(out)->sin_addr) == 1)
		out->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, bare, &in6(out)->sin6_addr) == 1)
		out->ss_family = AF_INET6;
	else
		return SRS_ERR_INVALID;
	conn_port_set(out, port);
	return SRS_OK;
}

const char *
conn_host_text(const struct sockaddr_storage *a, char *out)
{
	const void *bytes = a->ss_family == AF_INET6 ? (const void *)&in6_of(a)->sin6_addr :
	                                               (const void *)&in4_of(a)->sin_addr;

	if (inet_ntop(a->ss_family, bytes, out, INET6_ADDRSTRLEN) == NULL)
		*out = '\0';
	return out;
}

const char *
conn_address_text(const struct sockaddr_storage *a, char *out)
{
	char host[INET6_ADDRSTRLEN];
	bool brackets = a->ss_family == AF_INET6;

	conn_host_text(a, host);
	snprintf(out, CONN_ADDRESS_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "",
	         conn_port(a));
	return out;
}

bool
conn_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET6)
		return memcmp(&in6_of(a)->sin6_addr, &in6_of(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
	return in4_of(a)->sin_addr.s_addr == in4_of(b)->sin_addr.s_addr;
}
