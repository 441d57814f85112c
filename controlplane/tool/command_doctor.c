/* `doctor`: is this machine fit to record? One line a check: what is, and the command that mends it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "controlplane/sip/certificate.h"
#include "controlplane/tool/tool.h"

enum fitness { FIT, SO_SO, UNFIT };

struct doctor {
	const struct tool *tool;
	cJSON *rows;
	unsigned int n_unfit;
};

static void __attribute__((format(printf, 5, 6)))
row(struct doctor *d, enum fitness fitness, const char *check, const char *remedy, const char *format, ...)
{
	static const char *const words[] = { "ok", "warn", "FAIL" };
	char what[512];
	va_list args;
	cJSON *r;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	d->n_unfit += fitness == UNFIT;
	if (!d->tool->json) {
		printf("%-4s  %-12s  %s%s%s\n", words[fitness], check, what, fitness != FIT ? "; " : "",
		       fitness != FIT ? remedy : "");
		return;
	}
	r = cJSON_CreateObject();
	cJSON_AddStringToObject(r, "check", check);
	cJSON_AddStringToObject(r, "result", words[fitness]);
	cJSON_AddStringToObject(r, "what", what);
	cJSON_AddStringToObject(r, "remedy", fitness != FIT ? remedy : "");
	cJSON_AddItemToArray(d->rows, r);
}

/* First number in a file, or -1. */
static long long
number_in(const char *path)
{
	FILE *f = fopen(path, "r");
	long long v = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%lld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

static unsigned long long
meminfo_kib(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[256];
	unsigned long long v = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			v = strtoull(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	return v;
}

static bool
cpu_has(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[8192], word[64];
	bool found = false;

	if (f == NULL)
		return false;
	snprintf(word, sizeof(word), " %s ", flag);
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
			continue;
		line[strcspn(line, "\n")] = ' ';
		found = strstr(line, word) != NULL;
	}
	fclose(f);
	return found;
}

static void
check_cpu(struct doctor *d)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n >= 2)
		row(d, FIT, "cpu", "", "%ld CPUs online", n);
	else
		row(d, SO_SO, "cpu", "give it two or more, so that lcores have one of their own", "1 CPU online: everything shares it");
	if (!cpu_has("aes"))
		row(d, SO_SO, "crypto", "use a CPU with AES-NI for more than small sites", "no AES instructions: sealing is slow");
	else
		row(d, FIT, "crypto", "", "AES%s%s", cpu_has("vaes") ? ", VAES" : "", cpu_has("avx512f") ? ", AVX-512" : "");
}

static void
check_memory(struct doctor *d)
{
	struct config_arithmetic sums;
	long long huge = number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
	struct rlimit lock;

	config_arithmetic(d->tool->config, &sums);
	row(d, sums.fits ? FIT : UNFIT, "arithmetic", "lower limits.sessions_max or limits.stall_ms_max, or add memory", "%s", sums.sentence);
	if (huge > 0)
		row(d, FIT, "hugepages", "", "%lld free pages of 2 MiB", huge);
	else
		row(d, SO_SO, "hugepages", "echo 1024 > /proc/sys/vm/nr_hugepages (bare metal: hugepages=1024 on the kernel's command line)",
		    "none free: the recorder runs with --no-huge, slower at many streams");
	row(d, FIT, "memory", "", "%llu MiB available", meminfo_kib("MemAvailable") / 1024);
	getrlimit(RLIMIT_MEMLOCK, &lock);
	if (lock.rlim_cur >= (64u << 20) || geteuid() == 0)
		row(d, FIT, "memlock", "", "keys can be locked in memory");
	else
		row(d, SO_SO, "memlock", "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited", "only %llu KiB may be locked",
		    (unsigned long long)lock.rlim_cur / 1024);
}

static void
check_network(struct doctor *d)
{
	const struct config *c = d->tool->config;
	long long low = number_in("/proc/sys/net/ipv4/ip_local_port_range");
	DIR *iommu = opendir("/sys/class/iommu");
	bool has_iommu = false;

	if (iommu != NULL) {
		for (struct dirent *e; (e = readdir(iommu)) != NULL;)
			has_iommu |= e->d_name[0] != '.';
		closedir(iommu);
	}
	row(d, has_iommu ? FIT : SO_SO, "iommu", "for a vfio-bound NIC: intel_iommu=on iommu=pt on the kernel's command line",
	    has_iommu ? "there is one" : "none: no matter for tap, needed for vfio");
	row(d, access("/sys/module/vfio_pci", F_OK) == 0 ? FIT : SO_SO, "vfio", "for a NIC of its own: modprobe vfio-pci",
	    access("/sys/module/vfio_pci", F_OK) == 0 ? "vfio-pci is loaded" : "vfio-pci is not loaded: no matter for tap");
	if (c->media.profile == CONFIG_PROFILE_TAP) {
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

		if (fd >= 0)
			row(d, FIT, "tap", "", "/dev/net/tun opens");
		else
			row(d, UNFIT, "tap", "modprobe tun, and run as root", "/dev/net/tun: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	if (low > 0 && c->media.rtp_port_max >= low)
		row(d, SO_SO, "ports", "set net.ipv4.ip_local_reserved_ports to the RTP range, or lower media.rtp_port_max",
		    "RTP ports to %u reach into the kernel's own from %lld", c->media.rtp_port_max, low);
	else
		row(d, FIT, "ports", "", "RTP %u to %u, the kernel's own from %lld", c->media.rtp_port_min,
		    c->media.rtp_port_max, low);
}

static void
check_clock(struct doctor *d)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);
	bool constant = cpu_has("constant_tsc") && cpu_has("nonstop_tsc");

	if (state != TIME_ERROR && (t.status & STA_UNSYNC) == 0)
		row(d, FIT, "clock", "", "synchronised, error at most %ld ms", t.maxerror / 1000);
	else
		row(d, SO_SO, "clock", "apt-get install chrony", "not synchronised: times in recordings may be off");
	row(d, constant ? FIT : SO_SO, "tsc", "use a machine with an invariant TSC", constant ? "invariant" : "not invariant: packet times drift");
}

static void
check_disks(struct doctor *d)
{
	const struct config *c = d->tool->config;

	for (unsigned int i = 0; i < c->storage.n_devices; i++) {
		const char *path = c->storage.devices[i];
		struct statvfs v;
		struct stat st;
		unsigned long long free_mib;

		if (stat(path, &st) != 0) {
			row(d, SO_SO, "disk", "it is made at the first start; its parent must be writable", "%s does not exist yet", path);
			continue;
		}
		if (statvfs(path, &v) != 0) {
			row(d, UNFIT, "disk", "mount it, or change storage.devices", "%s: %s", path, strerror(errno));
			continue;
		}
		free_mib = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
		row(d, free_mib > 4ull * c->storage.segment_mib ? FIT : free_mib > c->storage.reserve_mib ? SO_SO : UNFIT, "disk",
		    "free space, or lower storage.segment_mib", "%s: %llu MiB free, segments of %u MiB", path, free_mib,
		    c->storage.segment_mib);
	}
}

static void
check_limits(struct doctor *d)
{
	struct rlimit files;
	rlim_t need = d->tool->config->sip.connections_max + 256;

	getrlimit(RLIMIT_NOFILE, &files);
	row(d, files.rlim_cur >= need ? FIT : SO_SO, "files", "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
	    "%llu open files allowed, %llu may be needed", (unsigned long long)files.rlim_cur, (unsigned long long)need);
	row(d, geteuid() == 0 ? FIT : SO_SO, "user", "run the recorder as root, or with CAP_NET_ADMIN and CAP_IPC_LOCK",
	    geteuid() == 0 ? "root" : "not root");
}

static void
check_srtp(struct doctor *d)
{
	const struct config *c = d->tool->config;
	char required[64] = "nobody";

	if (c->srtp.n_required_from != 0)
		(void)snprintf(required, sizeof(required), "who is in srtp.required_from (%u)", c->srtp.n_required_from);
	if (!c->srtp.enabled)
		row(d, FIT, "srtp", "", "not accepted (srtp.enabled is false)");
	else if (c->srtp.sdes_unprotected == CONFIG_SDES_ALLOW)
		row(d, SO_SO, "srtp", "set srtp.sdes_unprotected to refuse where clients can use TLS",
		    "keys in SDP are taken over UDP and TCP too; %u suites, required of %s", c->srtp.n_suites, required);
	else
		row(d, FIT, "srtp", "", "keys in SDP are taken over TLS only; %u suites, required of %s", c->srtp.n_suites, required);
}

static void
check_certificate(struct doctor *d)
{
	const struct config *c = d->tool->config;
	struct certificate own;
	char why[CONFIG_WHY_MAX];
	long days;

	if (certificate_load(&own, c->tls.certificate, c->tls.key, why, sizeof(why))) {
		row(d, UNFIT, "tls", "docs/operations.md shows how to make a certificate; ENABLE_TLS=false does without", "%s", why);
		return;
	}
	days = certificate_seconds_left(own.leaf) / (24 * 3600);
	if (certificate_seconds_left(own.leaf) < 0)
		row(d, UNFIT, "tls", "renew it, then SIGHUP: clients refuse to connect", "%.300s is over", c->tls.certificate);
	else if (certificate_seconds_left(own.leaf) < CERTIFICATE_WARN_S)
		row(d, SO_SO, "tls", "renew it, then SIGHUP", "%.300s ends in %ld days", c->tls.certificate, days);
	else
		row(d, FIT, "tls", "", "SIP over TLS with %.300s, good for %ld days", c->tls.certificate, days);
	certificate_release(&own);
}

static void
check_tls(struct doctor *d)
{
	const struct config *c = d->tool->config;
	struct x509_store_st *authorities;
	char why[CONFIG_WHY_MAX];

	if (!c->tls.on) {
		row(d, FIT, "tls", "", "no SIP over TLS");
		return;
	}
	check_certificate(d);
	if (certificate_file_is_open(c->tls.key))
		row(d, SO_SO, "tls", "chmod 0600 it", "every user of this host can read the key %.300s", c->tls.key);
	if (*c->tls.client_ca != '\0' && certificate_store_load(&authorities, c->tls.client_ca, why, sizeof(why)))
		row(d, UNFIT, "tls", "name the PEM file of who signs the clients' certificates in tls.client_ca", "%s", why);
	else if (*c->tls.client_ca != '\0')
		certificate_store_release(authorities);
}

static void
check_keys(struct doctor *d)
{
	const struct config *c = d->tool->config;
	char why[CONFIG_WHY_MAX];
	struct stat st;
	struct keystore *ks;

	if (!c->keys.encrypt_recordings || !c->keys.encrypt_metadata)
		row(d, SO_SO, "encryption", "set keys.encrypt_recordings and keys.encrypt_metadata to true",
		    "%s are stored in clear (sealed all the same)",
		    c->keys.encrypt_recordings ? "metadata" : c->keys.encrypt_metadata ? "recordings" : "recordings and metadata");
	if (stat(c->keys.path, &st) != 0) {
		row(d, SO_SO, "keys", "it is made at the first start", "no keystore in %s yet", c->keys.path);
		return;
	}
	ks = tool_keystore(d->tool, why, sizeof(why));
	if (ks != NULL)
		row(d, FIT, "keys", "", "keystore %s opens", c->keys.path);
	else
		row(d, UNFIT, "keys", "see docs/operations.md", "%s", why);
	keystore_close(ks);
}

int
command_doctor(struct tool *t)
{
	struct doctor d = { .tool = t, .rows = cJSON_CreateArray() };
	cJSON *document;

	check_cpu(&d);
	check_memory(&d);
	check_network(&d);
	check_clock(&d);
	check_disks(&d);
	check_limits(&d);
	check_keys(&d);
	check_srtp(&d);
	check_tls(&d);
	if (!t->json) {
		cJSON_Delete(d.rows);
		return d.n_unfit > 0 ? TOOL_DAMAGED : TOOL_OK;
	}
	document = cJSON_CreateObject();
	cJSON_AddBoolToObject(document, "ok", d.n_unfit == 0);
	cJSON_AddItemToObject(document, "checks", d.rows);
	return tool_print_json(document, d.n_unfit > 0 ? TOOL_DAMAGED : TOOL_OK);
}
