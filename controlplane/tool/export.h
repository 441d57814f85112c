/* Exports of one recording: audio for ears, the sealed slots for another machine, packets for an analyser.
 * Each writes `<path>.part` and renames it when whole. @thread tool */
#ifndef EXPORT_H
#define EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/tool/tape.h"
#include "controlplane/tool/timeline.h"
#include "lib/srs_err.h"

struct export_progress {
	void (*on_step)(void *ctx, uint64_t done, uint64_t of);	/* or NULL */
	void *ctx;
};

/**
 * 16-bit WAV at 8 kHz: a channel a stream, in order of stream number; gaps are silence; PCMU and PCMA are decoded.
 *
 * @param on_note  a sentence for each stream whose codec cannot be decoded here (its channel stays silent)
 * @return         UNSUPPORTED when no stream at all could be decoded; IO, NOMEM
 */
SRS_MUST_CHECK enum srs_err export_wav(const struct timeline *t, const char *path,
                                       void (*on_note)(void *ctx, const char *sentence), void *ctx,
                                       const struct export_progress *progress, char *why, size_t why_len);

/** A `.reel`: every slot still sealed, crc made anew for the new place. Needs no key. */
SRS_MUST_CHECK enum srs_err export_reel(const struct tape *t, const char *path, char *why, size_t why_len);

/** RTP and RTCP as UDP/IP packets with their packet times: one pcapng with a comment that names the recording. */
SRS_MUST_CHECK enum srs_err export_pcapng(const struct tape *t, struct keystore *ks, const char *path,
                                          void (*on_damage)(void *ctx, const char *sentence), void *ctx, char *why,
                                          size_t why_len);

#endif
