/* The engine for x86, behind unprotect.h: AES-CM suites in bursts across streams (tags first, ciphers of the survivors
 * after), AEAD suites packet by packet with prefetched keys. On intel-ipsec-mb; where the processor has 512-bit registers
 * tags come from hmac_lanes and AEAD from gcm_wide. For unprotect.c alone. @thread its own */
#ifndef UNPROTECT_IPSEC_MB_H
#define UNPROTECT_IPSEC_MB_H

#include "crypto/unprotect.h"

struct unprotect_ipsec_mb;

bool unprotect_ipsec_mb_runs(void);
struct unprotect_ipsec_mb *unprotect_ipsec_mb_create(void);	/* NULL: no memory, or not this machine */
void unprotect_ipsec_mb_portable(struct unprotect_ipsec_mb *e);
void unprotect_ipsec_mb_destroy(struct unprotect_ipsec_mb *e);	/* accepts NULL */
SRS_MUST_CHECK enum srs_err unprotect_ipsec_mb_init(struct unprotect_ctx *ctx, struct unprotect_ipsec_mb *e,
                                                    const struct srtp_master *master);
/** Every op has keys of this engine. */
void unprotect_ipsec_mb_burst(struct unprotect_ipsec_mb *e, struct unprotect_op *op[], uint16_t n);

#endif
