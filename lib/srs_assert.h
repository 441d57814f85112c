/* Assertions: what only our own bug can break. Input from a peer or a disk is never asserted.
 * srs_assert stays on in production outside the packet loop; srs_assert_hot covers the loop in
 * debug, test and fuzz builds. Split `a && b` into two. */
#ifndef SRS_ASSERT_H
#define SRS_ASSERT_H

#include <assert.h>

_Noreturn void srs_assert_failed(const char *what, const char *file, int line);

#define srs_assert(what) ((what) ? (void)0 : srs_assert_failed(#what, __FILE__, __LINE__))

#ifdef SRS_ASSERT_HOT
#define srs_assert_hot(what) srs_assert(what)
#else
#define srs_assert_hot(what) ((void)sizeof(what))
#endif

#endif
