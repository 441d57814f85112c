/* Bytes as a YAML file (first byte even) or as a .env file (odd): never a crash, and a refusal always has a sentence. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char path[64], why[CONFIG_WHY_MAX];
	struct config_sources from = { 0 };
	struct config_arithmetic sum;
	struct config *c;
	int fd;

	if (len == 0)
		return 0;
	fd = memfd_create("fuzz_config", MFD_CLOEXEC);
	if (fd < 0 || write(fd, bytes + 1, len - 1) != (ssize_t)(len - 1))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	from.yaml_path = bytes[0] % 2 == 0 ? path : NULL;
	from.env_path = bytes[0] % 2 == 0 ? NULL : path;
	if (config_load(&c, &from, why, sizeof(why)) == SRS_OK) {
		config_arithmetic(c, &sum);
		config_free(c);
	} else if (why[0] == '\0') {
		abort();
	}
	close(fd);
	return 0;
}
