/* The kernel's side of a tap port: a check that there can be one, and its addresses. No shell, no other program.
 * @thread control, at start */
#ifndef TAP_H
#define TAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/srs_err.h"

/** Can an interface of this name be made? @param why one sentence with the remedy */
SRS_MUST_CHECK enum srs_err tap_check(const char *interface, char *why, size_t why_len);

/** Give the interface its addresses ("198.18.254.1/24", "fd00:ca57::1/64"; NULL or empty: none) and bring it up. */
SRS_MUST_CHECK enum srs_err tap_kernel_side(const char *interface, const char *address4, const char *address6,
                                            char *why, size_t why_len);

/** Packets that the kernel had for the tap and dropped, because its queue was full: the lcore was too slow. No
 * counter of the driver knows them. @thread any */
uint64_t tap_dropped(const char *interface);

#endif
