/* What we read of DTLS ourselves, before OpenSSL does. Pure. @thread any @rfc 6347 §4.1, §4.2.2 */
#ifndef DTLS_RECORD_H
#define DTLS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

#define DTLS_RANDOM_SIZE       32
#define DTLS_RECORDS_MAX       32	/* in a datagram: a flight has fewer */
#define DTLS_SEALED_LENGTH_MIN 25	/* AES-GCM: nonce 8, a byte, tag 16 */

/** Is the datagram made of whole DTLS records, and each protected one long enough for its tag? OpenSSL 3.0 ends an
 * association for a forged record that is shorter, though nothing of it was authenticated: such datagrams are kept
 * from it. */
bool dtls_record_is_sound(struct span datagram);

/** Does the datagram start with an unprotected ClientHello, or its first fragment? That decides which handshake it
 * belongs to: a peer that begins anew does so on the address and port of what was before.
 * @param random  the client's random with true: the same in all ClientHellos of one handshake, with cookie or without */
bool dtls_record_hello(struct span datagram, uint8_t random[DTLS_RANDOM_SIZE]);

#endif
