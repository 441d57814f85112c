/* The folder of a file keystore and the files in it: permissions, whole-file reads, atomic writes, PEM. What the
 * files mean is crypto/keystore's business. Messages go to `why` as one sentence with the remedy.
 * @thread keys, or the tool */
#ifndef KEYFILE_H
#define KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define KEYFILE_LEN_MAX 4096	/* larger files are not ours */

struct keyfile_folder {
	int fd;
	const char *path;	/* for messages; borrowed */
	char *why;
	size_t why_len;
};

/** Open the folder, with `create` make it (0700). @return STATE (none yet), AUTH (open to others), IO */
SRS_MUST_CHECK enum srs_err keyfile_folder_open(struct keyfile_folder *folder, bool create);
void keyfile_folder_close(struct keyfile_folder *folder);
/** One process at a time makes keys. @return IO */
SRS_MUST_CHECK enum srs_err keyfile_folder_lock(struct keyfile_folder *folder);
void keyfile_folder_unlock(struct keyfile_folder *folder);

/**
 * Read a whole file into secret memory.
 *
 * @param bytes  KEYFILE_LEN_MAX bytes of secret_alloc()
 * @param len    0 with OK: there is no such file
 * @return       AUTH (open to others), INVALID (empty, too large, not a file), IO
 */
SRS_MUST_CHECK enum srs_err keyfile_read(struct keyfile_folder *folder, const char *name, bool is_secret,
                                         uint8_t *bytes, size_t *len);
/** Write whole or not at all (0600): temporary file, fsync, rename, fsync of the folder. @return IO */
SRS_MUST_CHECK enum srs_err keyfile_write(struct keyfile_folder *folder, const char *name, struct span bytes);

enum keyfile_pem { KEYFILE_X25519, KEYFILE_ED25519 };
/** Raw private key from a PKCS#8 PEM text. @return INVALID: not one, encrypted, or of another kind */
SRS_MUST_CHECK enum srs_err keyfile_pem_private(struct span pem, enum keyfile_pem kind, uint8_t key[32]);
/** Raw public key from a SubjectPublicKeyInfo PEM text. @return INVALID */
SRS_MUST_CHECK enum srs_err keyfile_pem_public(struct span pem, enum keyfile_pem kind, uint8_t key[32]);
/** The PEM texts of a private key and of its public half. @return LIMIT, NOMEM */
SRS_MUST_CHECK enum srs_err keyfile_pem_private_write(enum keyfile_pem kind, const uint8_t key[32], uint8_t *pem,
                                                      size_t pem_max, size_t *len);
SRS_MUST_CHECK enum srs_err keyfile_pem_public_write(enum keyfile_pem kind, const uint8_t public_key[32],
                                                     uint8_t *pem, size_t pem_max, size_t *len);

#endif
