/* The SRTP protection profiles of DTLS, and which suite each one means. AES-192 and AES-256 in counter mode have none.
 * Pure. @thread any @rfc 5764 §4.1.2, 7714 §14.2 */
#ifndef DTLS_PROFILE_H
#define DTLS_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/srtp_suite.h"

#define DTLS_PROFILES_TEXT_MAX 128	/* all four names, colons between them */

/** Write the profiles of these suites, in their order, as OpenSSL takes them: names with colons between. Suites without
 * a profile, and those named twice, are left out. @return how many; 0: none, and `text` is "" */
unsigned int dtls_profiles_text(const enum srtp_suite suites[], unsigned int n, char text[DTLS_PROFILES_TEXT_MAX]);

/** @return SRTP_SUITE_NONE for a number that is none of ours */
enum srtp_suite dtls_profile_suite(uint16_t number);

#endif
