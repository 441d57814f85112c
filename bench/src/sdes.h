/* One a=crypto line: a master key in SDP. @rfc 4568, 6188, 7714 §14.1 */
#ifndef SRC_SDES_H
#define SRC_SDES_H

#include "protect.h"
#include "text.h"

struct sdes_line {
	unsigned int tag;
	struct protect_keys keys;
};

/** Fresh random key and salt, and an MKI of `mki_len` random bytes. @return false: no random bytes to be had */
bool sdes_make(struct sdes_line *line, unsigned int tag, enum protect_suite suite, uint8_t mki_len);
/** Append the a=crypto line. `lifetime` as it shall stand there ("2^31"); NULL: none */
void sdes_write(const struct sdes_line *line, const char *lifetime, struct text *t);
/** Read the value of an a=crypto line with one key of the right length for its suite and no session parameters.
 * @return false, with the reason in `why` */
bool sdes_read(struct sdes_line *line, const char *value, char *why, size_t why_len);

#endif
