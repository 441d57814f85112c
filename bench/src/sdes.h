/* One a=crypto line: master keys in SDP. @rfc 4568, 6188, 7714 §14.1 */
#ifndef SRC_SDES_H
#define SRC_SDES_H

#include "protect.h"
#include "text.h"

#define SDES_KEYS_MAX 4

struct sdes_line {
	unsigned int tag;
	unsigned int n_keys;	/* inline keys; more than one only with MKIs that tell them apart */
	struct protect_keys keys[SDES_KEYS_MAX];
};

/** `n_keys` fresh random keys and salts, each with an MKI of `mki_len` random bytes (the first byte counts).
 * @return false: no random bytes to be had */
bool sdes_make(struct sdes_line *line, unsigned int tag, enum protect_suite suite, unsigned int n_keys, uint8_t mki_len);
/** Append the a=crypto line. `lifetime` as it shall stand there ("2^31"); NULL: none */
void sdes_write(const struct sdes_line *line, const char *lifetime, struct text *t);
/** Read the value of an a=crypto line with a single key of the right length for its suite and no session parameters.
 * @return false, with the reason in `why` */
bool sdes_read(struct sdes_line *line, const char *value, char *why, size_t why_len);

#endif
