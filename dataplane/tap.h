/* The kernel's side of a tap port: a check that there can be one, and its addresses. No shell, no other program.
 * @thread control, at start */
#ifndef TAP_H
#define TAP_H

#include <stddef.h>

#include "lib/srs_err.h"

/** Can an interface of this name be made? @param why one sentence with the remedy */
SRS_MUST_CHECK enum srs_err tap_check(const char *interface, char *why, size_t why_len);

/** Give the interface its addresses ("198.18.254.1/24", "fd00:ca57::1/64"; NULL or empty: none) and bring it up. */
SRS_MUST_CHECK enum srs_err tap_kernel_side(const char *interface, const char *address4, const char *address6,
                                            char *why, size_t why_len);

#endif
