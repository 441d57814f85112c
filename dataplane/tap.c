#include "dataplane/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Packets that the kernel keeps for us while no lcore runs: its default of 1000 is 50 ms of 20,000 packets a second, and
 * a laptop's scheduler can keep an lcore away for longer. What does not fit is lost before any counter of ours. */
#define TAP_QUEUE_PACKETS 16384

/* <linux/ipv6.h> clashes with <netinet/in.h>; this is its part of the kernel's interface. */
struct tap_in6_ifreq {
	struct in6_addr address;
	uint32_t prefix_len;
	int interface_i;
};

enum srs_err
tap_check(const char *interface, char *why, size_t why_len)
{
	int fd;

	if (interface == NULL || interface[0] == '\0' || strlen(interface) >= IFNAMSIZ) {
		snprintf(why, why_len, "media.device: an interface name has 1 to %d characters.", IFNAMSIZ - 1);
		return SRS_ERR_INVALID;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EACCES || errno == EPERM)
			snprintf(why, why_len, "The tap port needs CAP_NET_ADMIN: run as root.");
		else
			snprintf(why, why_len, "/dev/net/tun cannot be opened (%s): run \"modprobe tun\".", strerror(errno));
		return SRS_ERR_IO;
	}
	close(fd);
	if (geteuid() != 0) {
		snprintf(why, why_len, "The tap port needs CAP_NET_ADMIN: run as root.");
		return SRS_ERR_IO;
	}
	if (if_nametoindex(interface) != 0) {
		snprintf(why, why_len, "Interface %s is there already: stop the recorder that has it, or run \"ip link del %s\".",
		         interface, interface);
		return SRS_ERR_STATE;
	}
	return SRS_OK;
}

/* "address/prefix" -> bytes and prefix. */
static bool
prefix_read(int family, const char *text, void *address, unsigned int *prefix)
{
	char copy[INET6_ADDRSTRLEN + 8];
	char *slash, *end;
	unsigned long n;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (slash == NULL)
		return false;
	*slash++ = '\0';
	n = strtoul(slash, &end, 10);
	if (end == slash || *end != '\0' || n > (family == AF_INET ? 32u : 128u))
		return false;
	*prefix = (unsigned int)n;
	return inet_pton(family, copy, address) == 1;
}

static bool
address4_set(int fd, const char *interface, const char *text)
{
	struct ifreq r = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	unsigned int prefix;

	if (!prefix_read(AF_INET, text, &sin.sin_addr, &prefix)) {
		errno = EINVAL;
		return false;
	}
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	memcpy(&r.ifr_addr, &sin, sizeof(sin));
	if (ioctl(fd, SIOCSIFADDR, &r) != 0)
		return false;
	sin.sin_addr.s_addr = prefix == 0 ? 0 : htonl(UINT32_MAX << (32 - prefix));
	memcpy(&r.ifr_netmask, &sin, sizeof(sin));
	return ioctl(fd, SIOCSIFNETMASK, &r) == 0;
}

/* Nobody else is on this link: without this the address would wait for duplicate detection. */
static void
dad_off(const char *interface)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad", interface);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "0", 1) != 1)
		errno = 0;	/* then it waits a second */
	close(fd);
}

static bool
address6_set(const char *interface, const char *text)
{
	struct tap_in6_ifreq r = { 0 };
	unsigned int prefix;
	bool ok = false;
	int fd;

	if (!prefix_read(AF_INET6, text, &r.address, &prefix)) {
		errno = EINVAL;
		return false;
	}
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	r.prefix_len = prefix;
	r.interface_i = (int)if_nametoindex(interface);
	ok = ioctl(fd, SIOCSIFADDR, &r) == 0 || errno == EEXIST;
	close(fd);
	return ok;
}

static bool
queue_set(int fd, const char *interface)
{
	struct ifreq r = { .ifr_qlen = TAP_QUEUE_PACKETS };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	return ioctl(fd, SIOCSIFTXQLEN, &r) == 0;
}

static bool
interface_up(int fd, const char *interface)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &r) != 0)
		return false;
	r.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

uint64_t
tap_dropped(const char *interface)
{
	char path[96];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/tx_dropped", interface);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

enum srs_err
tap_kernel_side(const char *interface, const char *address4, const char *address6, char *why, size_t why_len)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *what = "a socket";
	bool ok = fd >= 0;

	if (ok && address4 != NULL && address4[0] != '\0') {
		what = address4;
		ok = address4_set(fd, interface, address4);
	}
	if (ok) {
		what = "a longer queue";
		ok = queue_set(fd, interface);
	}
	if (ok) {
		dad_off(interface);
		what = "up";
		ok = interface_up(fd, interface);
	}
	if (ok && address6 != NULL && address6[0] != '\0') {
		what = address6;
		ok = address6_set(interface, address6);
	}
	if (!ok)
		snprintf(why, why_len, "Interface %s does not take %s: %s.", interface, what, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? SRS_OK : SRS_ERR_IO;
}
