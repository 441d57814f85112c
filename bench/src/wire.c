#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dtls.h"
#include "media.h"

#define FORGED_BURST 32
#define FORGED_LEN   (12 + 160 + 10)
#define FORGED_MAX   512
#define FORGED_BYES  32	/* every so many is an RTCP BYE, and the one behind it a DTLS hello where that is spoken */

/* A ring of what was sent, protected. */
struct wire_memory {
	unsigned int n, newest, next;	/* next: the one behind the last replayed */
	struct {
		uint16_t len;
		uint8_t bytes[WIRE_ROOM];
	} packet[WIRE_MEMORY];
};

void
wire_open(struct wire *w, const struct wire_faults *faults, uint32_t *seed)
{
	memset(w, 0, sizeof(*w));
	w->faults = faults;
	w->seed = seed;
	w->fd = w->rtcp_fd = -1;
}

void
wire_secure(struct wire *w, struct protect *protect)
{
	wire_flush(w); /* it is under the old key */
	w->protect = protect;
	if (w->memory != NULL)
		w->memory->n = 0;
}

void
wire_close(struct wire *w)
{
	if (w->rtcp_fd >= 0 && w->rtcp_fd != w->fd)
		close(w->rtcp_fd);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = w->rtcp_fd = -1;
	free(w->memory);
	w->memory = NULL;
}

static bool
put_on_wire(const struct wire *w, const uint8_t *packet, uint16_t len)
{
	return send(w->fd, packet, len, 0) == (ssize_t)len;
}

static void
remember(struct wire *w, const uint8_t *packet, uint16_t len)
{
	struct wire_memory *m = w->memory;

	if (m == NULL) {
		m = w->memory = calloc(1, sizeof(*m));
		if (m == NULL)
			return;
	}
	m->newest = (m->newest + 1) % WIRE_MEMORY;
	memcpy(m->packet[m->newest].bytes, packet, len);
	m->packet[m->newest].len = len;
	if (m->n < WIRE_MEMORY)
		m->n++;
}

static void
transmit(struct wire *w, const uint8_t *packet, uint16_t len)
{
	if (!put_on_wire(w, packet, len))
		return;
	w->sent++;
	if (w->faults->replays > 0)
		remember(w, packet, len);
}

/* Half of the time the one behind the last replayed: two in a row look like a source that restarted. */
static void
replay(struct wire *w)
{
	struct wire_memory *m = w->memory;
	unsigned int i;

	if (m == NULL || m->n == 0)
		return;
	i = m->next;
	if (m->n < WIRE_MEMORY || media_random(w->seed) < 0.5)
		i = (m->newest + WIRE_MEMORY - (unsigned int)(media_random(w->seed) * m->n)) % WIRE_MEMORY;
	if (put_on_wire(w, m->packet[i].bytes, m->packet[i].len))
		w->replays++;
	m->next = (i + 1) % WIRE_MEMORY;
}

/* A copy with one bit broken behind the header, where only the tag tells. */
static void
send_broken(struct wire *w, const uint8_t *packet, uint16_t len)
{
	uint8_t copy[WIRE_ROOM];
	size_t header_len = protect_header_len(packet, len);
	size_t at = header_len + (size_t)(media_random(w->seed) * (double)(len - header_len));

	memcpy(copy, packet, len);
	copy[at] ^= (uint8_t)(1u << (unsigned int)(media_random(w->seed) * 8.0));
	if (put_on_wire(w, copy, len))
		w->bad_tags++;
}

/* The network's turn: lose it, hold it back behind the next one, send it, send it twice. */
static void
impair(struct wire *w, const uint8_t *packet, uint16_t len)
{
	if (media_random(w->seed) < w->faults->loss) {
		w->dropped++;
		return;
	}
	if (w->held_len == 0 && media_random(w->seed) < w->faults->reorder) {
		memcpy(w->held, packet, len);
		w->held_len = len;
		w->reordered++;
		return;
	}
	transmit(w, packet, len);
	if (media_random(w->seed) < w->faults->duplicate) {
		w->duplicated++;
		transmit(w, packet, len);
	}
	wire_flush(w);
}

void
wire_flush(struct wire *w)
{
	if (w->held_len != 0)
		transmit(w, w->held, w->held_len);
	w->held_len = 0;
}

void
wire_send_rtp(struct wire *w, uint8_t *packet, uint16_t len)
{
	bool broken = w->faults->bad_tags > 0 && media_random(w->seed) < w->faults->bad_tags;
	bool broken_first = broken && media_random(w->seed) < 0.5;

	memcpy(w->header, packet, sizeof(w->header));
	w->made++;
	w->octets += len - 12u;
	if (w->protect != NULL && !protect_rtp(w->protect, packet, &len)) {
		w->unprotected++;
		return;
	}
	if (broken_first)
		send_broken(w, packet, len);
	impair(w, packet, len);
	if (broken && !broken_first)
		send_broken(w, packet, len);
	if (w->faults->replays > 0 && media_random(w->seed) < w->faults->replays)
		replay(w);
}

void
wire_send_rtcp(struct wire *w, uint8_t *packet, uint16_t len)
{
	if (w->protect != NULL && !protect_rtcp(w->protect, packet, &len))
		w->unprotected++;
	else if (send(w->rtcp_fd, packet, len, 0) == (ssize_t)len)
		w->reports_sent++;
}

/* ---- forgery ---- */

static uint32_t
random_bits(struct wire *w)
{
	return (uint32_t)(media_random(w->seed) * 4294967296.0);
}

/* Header and random bytes. Of four: two just ahead of the newest packet, one anywhere in the sequence, one of a source
 * that nobody heard of. */
static void
forge_rtp(struct wire *w, uint8_t packet[FORGED_MAX], uint8_t payload_type)
{
	uint32_t kind = random_bits(w) >> 30;
	uint16_t seq = (uint16_t)(w->header[2] << 8 | w->header[3]);

	for (unsigned int i = 12; i < FORGED_LEN; i++)
		packet[i] = (uint8_t)(random_bits(w) >> 24);
	memcpy(packet, w->header, 12);
	packet[1] = payload_type;
	seq = kind < 2 ? (uint16_t)(seq + 1 + random_bits(w) % 1000) : (uint16_t)random_bits(w);
	packet[2] = (uint8_t)(seq >> 8);
	packet[3] = (uint8_t)seq;
	if (kind == 3)
		for (unsigned int i = 8; i < 12; i++)
			packet[i] = (uint8_t)(random_bits(w) >> 24);
}

/* An SRTCP packet that would say that the source is gone (RFC 3550 §6.6), its index and tag made up. */
static uint16_t
forge_bye(struct wire *w, uint8_t packet[FORGED_MAX])
{
	static const uint16_t len = 8 + 8 + 4 + 10;

	for (unsigned int i = 0; i < len; i++)
		packet[i] = (uint8_t)(random_bits(w) >> 24);
	memcpy(packet, "\x80\xc9\0\1", 4);
	memcpy(packet + 4, w->header + 8, 4);
	packet[16] |= 0x80;
	return len;
}

/* A stranger that begins a handshake where one is long over. */
static uint16_t
forge_hello(struct wire *w, uint8_t packet[FORGED_MAX])
{
	memcpy(packet, w->hello, w->hello_len);
	for (unsigned int i = 0; i < 32; i++)
		packet[DTLS_HELLO_RANDOM + i] = (uint8_t)(random_bits(w) >> 24);
	return w->hello_len;
}

static uint16_t
forge(struct wire *w, uint64_t number, uint8_t packet[FORGED_MAX], uint8_t payload_type)
{
	if (number % FORGED_BYES == 0 && w->fd == w->rtcp_fd)
		return forge_bye(w, packet);
	if (number % FORGED_BYES == 1 && w->hello != NULL && w->hello_len <= FORGED_MAX)
		return forge_hello(w, packet);
	forge_rtp(w, packet, payload_type);
	return FORGED_LEN;
}

void
wire_forge(struct wire *w, unsigned int n, uint8_t payload_type)
{
	static uint8_t packets[FORGED_BURST][FORGED_MAX];
	struct mmsghdr messages[FORGED_BURST];
	struct iovec parts[FORGED_BURST];

	while (n > 0) {
		unsigned int burst = n < FORGED_BURST ? n : FORGED_BURST;
		uint64_t number = w->forged + w->forged_rtcp + w->forged_dtls;
		int sent;

		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < burst; i++) {
			parts[i].iov_base = packets[i];
			parts[i].iov_len = forge(w, number + i, packets[i], payload_type);
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		sent = sendmmsg(w->fd, messages, burst, 0);
		n -= burst;
		for (int i = 0; i < sent; i++) {
			if (packets[i][0] < 64)
				w->forged_dtls++;
			else if (packets[i][1] == 0xc9)
				w->forged_rtcp++;
			else
				w->forged++;
		}
	}
}
