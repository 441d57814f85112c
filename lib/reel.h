/* The recording format, version 1: docs/format.md in C. Encodes, decodes and checks slots; knows no keys, no
 * files and no threads. A container (a segment, or a `.reel` with one recording) is a row of 4 KiB slots.
 *
 * Layers: slot (crc) > chunk (header, extension, AEAD body, tag) > frame. Keys, tags and signatures are crypto/'s.
 * The *_write functions leave the crc to reel_slot_finish(). @thread any; nothing here allocates. */
#ifndef REEL_H
#define REEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define REEL_SLOT_SIZE        4096
#define REEL_VERSION          1
#define REEL_ID_SIZE          16
#define REEL_TAG_SIZE         16
#define REEL_CRC_SIZE         4
#define REEL_CHUNK_HEADER_SIZE 64
#define REEL_COMMITMENT_SIZE  32	/* key commitment in chunk 0's extension */
#define REEL_ORIGIN_SIZE      12	/* salvage: part u32, chunk_no u64 */
#define REEL_EXTENSION_MAX    (REEL_COMMITMENT_SIZE + REEL_ORIGIN_SIZE)
#define REEL_BODY_MAX         (REEL_SLOT_SIZE - REEL_CHUNK_HEADER_SIZE - REEL_TAG_SIZE - REEL_CRC_SIZE) /* 4012 */
#define REEL_FRAME_HEADER_SIZE 12
#define REEL_JOINED_MAX       65536	/* a reader joins MORE pieces of media up to this */
#define REEL_DOCUMENT_MAX     262144	/* and of documents up to this */
#define REEL_STREAM_NONE      255	/* frames about the recording as a whole */
#define REEL_DIGEST_SIZE      32

enum reel_suite { REEL_SUITE_AES_256_GCM = 1, REEL_SUITE_CHACHA20_POLY1305 = 2 };
enum reel_container_kind { REEL_CONTAINER_SEGMENT = 1, REEL_CONTAINER_REEL = 2 };
enum reel_class { REEL_CLASS_MEDIA = 0, REEL_CLASS_DOCUMENTS = 1 };

/* What a slot holds, by its first four bytes. */
enum reel_slot_kind {
	REEL_SLOT_EMPTY = 0,	/* all zero: never written in this life of the file */
	REEL_SLOT_CONTAINER,	/* "CAPS" */
	REEL_SLOT_CHUNK,	/* "CHNK" */
	REEL_SLOT_ENVELOPE,	/* "ENVL" */
	REEL_SLOT_SEAL,		/* "SEAL" */
	REEL_SLOT_FOOTER,	/* "FOOT" */
	REEL_SLOT_DAMAGED,	/* crc wrong or magic unknown: torn, changed, or an earlier life's */
};

/* struct reel_chunk.flags */
#define REEL_CHUNK_END       0x0001	/* last chunk of its part */
#define REEL_CHUNK_FINAL     0x0002	/* and of the recording */
#define REEL_CHUNK_DOCUMENTS 0x0004	/* class: documents, else media */
#define REEL_CHUNK_CLEAR     0x0008	/* empty plaintext, body is AAD: integrity without secrecy */
#define REEL_CHUNK_COMMITMENT 0x0010	/* extension holds the key commitment (chunk 0) */
#define REEL_CHUNK_SALVAGE   0x0020	/* extension holds (part, chunk_no) of origin */

/* Frame kinds; the low six bits of the kind byte. */
enum reel_frame_kind {
	/* media class */
	REEL_FRAME_RTP = 1,	/* one RTP packet, header to last payload byte, as authenticated */
	REEL_FRAME_RTCP = 2,	/* one compound RTCP packet */
	REEL_FRAME_GAP = 3,	/* struct reel_gap */
	REEL_FRAME_MARK = 4,	/* struct reel_mark */
	/* documents class */
	REEL_FRAME_DESCRIPTION = 16, /* JSON: the recording and its streams as negotiated (docs/format.md) */
	REEL_FRAME_OFFER = 17,	/* SDP as received */
	REEL_FRAME_ANSWER = 18,	/* SDP as sent */
	REEL_FRAME_METADATA = 19, /* rs-metadata as received */
	REEL_FRAME_DEVIATIONS = 20, /* JSON: what the metadata or SDP broke, by line, path and rule */
	REEL_FRAME_BODY = 21,	/* another SIP body: content type, NUL, bytes */
	REEL_FRAME_EVENT = 22,	/* JSON: what somebody did to the recording: paused, masked, ... by whom and why */
	REEL_FRAME_RECEIPT = 23, /* JSON: number, time and fate of the METADATA that follows */
};
#define REEL_FRAME_MORE      0x80	/* further pieces of the same frame follow on this stream */
#define REEL_FRAME_REDACTED  0x40	/* secrets in it were overwritten by '*' before framing */
#define REEL_FRAME_KIND_MASK 0x3f

/* Why frames are missing; the values are on disk, the names in every report. */
enum reel_reason {
	REEL_REASON_NONE = 0,
	REEL_REASON_NO_CHUNK = 1,	/* storage was behind: no empty chunk */
	REEL_REASON_DISK_FULL = 2,
	REEL_REASON_WRITE_ERROR = 3,
	REEL_REASON_PAUSED = 4,
	REEL_REASON_TOO_LONG = 5,	/* larger than REEL_JOINED_MAX */
	REEL_REASONS_MAX = 8,
};
const char *reel_reason_name(enum reel_reason reason);

enum reel_mark_kind {
	REEL_MARK_SSRC = 1,	/* a stream's SSRC context begins in this part */
	REEL_MARK_SSRC_GONE = 2,	/* evicted, or ended by RTCP BYE */
	REEL_MARK_CLOCK_STEP = 3,
	REEL_MARK_PAUSED = 4,
	REEL_MARK_RESUMED = 5,
	REEL_MARK_HIDDEN = 6,	/* an INFO body while paused: only its length */
	REEL_MARK_SEAM = 7,	/* goes on here after a replaced dialog or a lost device */
};

/* ---- slots ---- */

/** crc32c of a slot, seeded with (container UUID, slot number), over all but its last four bytes. */
uint32_t reel_slot_crc(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, const uint8_t slot[REEL_SLOT_SIZE]);

/** Zero [used, SLOT_SIZE-4) and write the crc. */
void reel_slot_finish(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE], size_t used);

/** The crc in two steps, for a slot that is whole before it has a place: first over its bytes alone, then its place
 * joined to that. The same result as reel_slot_finish(). */
uint32_t reel_slot_bytes_crc(const uint8_t slot[REEL_SLOT_SIZE]);
void reel_slot_place(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE],
                     uint32_t bytes_crc);

/** Kind of a slot after checking its crc. */
enum reel_slot_kind reel_slot_kind(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no,
                                   const uint8_t slot[REEL_SLOT_SIZE]);

/* ---- container header: slot 0 ---- */

struct reel_container {
	enum reel_container_kind kind;
	uint32_t writer_id;
	uint8_t uuid[REEL_ID_SIZE];
	uint64_t sequence;	/* counts this writer's segments */
	uint64_t created_wall_ns;
	uint64_t n_slots;	/* whole file, slot 0 and footer area with it */
	uint64_t footer_slot;	/* first slot of the reserved footer area; n_slots when there is none */
};

/** The whole slot, digest and crc too. */
void reel_container_write(const struct reel_container *c, uint8_t slot[REEL_SLOT_SIZE]);
/** Also checks digest and crc. @return INVALID, UNSUPPORTED (version) */
SRS_MUST_CHECK enum srs_err reel_container_read(struct reel_container *c, const uint8_t slot[REEL_SLOT_SIZE]);

/* ---- chunk ---- */

struct reel_chunk {
	enum reel_suite suite;
	uint16_t flags;
	uint64_t chunk_no;
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	uint64_t first_wall_ns;	/* packet time of the first frame */
	uint32_t body_len;
	uint32_t n_frames;
	/* extension */
	uint8_t commitment[REEL_COMMITMENT_SIZE];	/* with REEL_CHUNK_COMMITMENT */
	uint32_t origin_part;		/* with REEL_CHUNK_SALVAGE */
	uint64_t origin_chunk_no;
};

/** Bytes of header and extension: what is AAD (with a CLEAR body, that too). */
size_t reel_chunk_head_len(uint16_t flags);
/** Largest body of a chunk with these flags. */
size_t reel_chunk_body_max(uint16_t flags);
/** Write header and extension to the front of `slot`. @return head length */
size_t reel_chunk_head_write(const struct reel_chunk *c, uint8_t slot[REEL_SLOT_SIZE]);
/** Read and check them (lengths, flags, suite, zero bytes up to the crc). The crc is the caller's business. */
SRS_MUST_CHECK enum srs_err reel_chunk_head_read(struct reel_chunk *c, const uint8_t slot[REEL_SLOT_SIZE]);
/** The bytes that the leaf digest covers: header, extension, body (cipher text), tag. */
struct span reel_chunk_signed(const struct reel_chunk *c, const uint8_t slot[REEL_SLOT_SIZE]);
/** The AEAD nonce of a chunk: four zero bytes, chunk_no. */
void reel_chunk_nonce(const struct reel_chunk *c, uint8_t nonce[12]);

/* ---- frame ---- */

struct reel_frame {
	uint8_t kind;		/* enum reel_frame_kind */
	uint8_t flags;		/* REEL_FRAME_MORE, REEL_FRAME_REDACTED */
	uint8_t stream;		/* number within the part, or REEL_STREAM_NONE */
	uint32_t seq_ext;	/* low 32 bits of the packet index (RTP); else 0 */
	uint64_t wall_ns;	/* chunk's first_wall_ns + delta */
	struct span bytes;
};

/** The next frame of an opened body; `*at` is an offset. @return LIMIT at the end, INVALID on nonsense */
SRS_MUST_CHECK enum srs_err reel_frame_next(struct reel_frame *f, struct span body, uint64_t first_wall_ns,
                                            size_t *at);

struct reel_gap {
	enum reel_reason reason;
	uint64_t n_frames;
	uint64_t first_wall_ns, last_wall_ns;
};
#define REEL_GAP_SIZE 28
void reel_gap_write(const struct reel_gap *g, uint8_t bytes[REEL_GAP_SIZE]);
SRS_MUST_CHECK enum srs_err reel_gap_read(struct reel_gap *g, struct span bytes);

struct reel_mark {
	enum reel_mark_kind kind;
	uint32_t ssrc;
	uint64_t index;		/* full packet index (SSRC) */
	uint16_t generation;	/* key generation */
	uint8_t payload_type;
	uint8_t ip_version;	/* 4 or 6; 0: no source */
	uint8_t ip[16];
	uint16_t udp_port;
	int64_t value;		/* CLOCK_STEP: ns; HIDDEN: length */
};
#define REEL_MARK_SIZE 48
void reel_mark_write(const struct reel_mark *m, uint8_t bytes[REEL_MARK_SIZE]);
SRS_MUST_CHECK enum srs_err reel_mark_read(struct reel_mark *m, struct span bytes);

/* ---- envelope: the wrapped DEK of one part ---- */

#define REEL_STANZAS_MAX  36
struct reel_stanza {
	uint8_t kek_id[REEL_ID_SIZE];
	uint32_t kek_version;
	uint8_t ephemeral[32];	/* X25519 public key */
	uint8_t wrapped[48];	/* interval key, then tag */
};
struct reel_envelope {
	enum reel_suite suite;
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	uint8_t interval_id[REEL_ID_SIZE];
	uint8_t nonce[12];
	uint8_t wrapped_dek[48];	/* DEK, then tag */
	uint16_t n_stanzas;
	struct reel_stanza stanzas[REEL_STANZAS_MAX];
};
/** Fill `slot` but for its crc. @return bytes used */
size_t reel_envelope_write(const struct reel_envelope *e, uint8_t slot[REEL_SLOT_SIZE]);
SRS_MUST_CHECK enum srs_err reel_envelope_read(struct reel_envelope *e, const uint8_t slot[REEL_SLOT_SIZE]);

/* ---- seal: the signed summary of one part ---- */

#define REEL_SEAL_STREAMS_MAX 1020
#define REEL_SEAL_SLOTS_MAX   64
#define REEL_SEAL_BODY_MAX    (REEL_SEAL_SLOTS_MAX * 4000)
#define REEL_PATH_MAX         16

/* Totals per (stream, SSRC, key generation). expected = recorded + paused + own drops + lost after append + upstream */
struct reel_seal_stream {
	uint8_t stream;
	uint8_t payload_type;	/* last seen */
	uint16_t generation;
	uint32_t ssrc;
	uint64_t first_index, highest_index;	/* RFC 3550 A.3 on the 48-bit index */
	uint64_t recorded;	/* unique packets in the recording */
	uint64_t duplicates;	/* and replays, counted apart from loss */
	uint64_t rtcp;		/* RTCP packets recorded */
	uint64_t missing[REEL_REASONS_MAX];	/* by enum reel_reason */
};
struct reel_seal_missing {	/* INTERRUPTED: chunk numbers not found */
	uint64_t first, last;
};
struct reel_seal {
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	bool final, interrupted;
	uint64_t n_chunks;	/* in the tree */
	uint64_t n_frames;
	uint64_t first_wall_ns, last_wall_ns;
	uint8_t root[REEL_DIGEST_SIZE];		/* Merkle root over (chunk_no, leaf) */
	uint8_t previous[REEL_DIGEST_SIZE];	/* digest of the previous part's seal; zero for part 0 */
	uint32_t bound_ms;	/* a power cut loses at most this much */
	char reason[64];	/* why it ended: "bye", "shutdown", "interrupted", ... NUL-padded */
	char node[64];
	uint16_t n_streams;
	const struct reel_seal_stream *streams;
	uint16_t n_missing;
	const struct reel_seal_missing *missing;
};
/* One signature covers all seals of a commit: root of a tree of seal digests, this seal's place in it. */
struct reel_proof {
	uint32_t index, n_leaves;
	uint8_t n_path;
	uint8_t path[REEL_PATH_MAX][REEL_DIGEST_SIZE];
	uint8_t commit_root[REEL_DIGEST_SIZE];
	uint8_t node_key_id[REEL_ID_SIZE];
	uint8_t signature[64];	/* Ed25519 over "capstan commit v1" || n_leaves || commit_root */
};

/** What is signed for a commit: the label, n_leaves, commit root. */
#define REEL_COMMIT_MESSAGE_SIZE 53
void reel_commit_message(const struct reel_proof *proof, uint8_t message[REEL_COMMIT_MESSAGE_SIZE]);

/** Encode the signed body. @param out at least REEL_SEAL_BODY_MAX @return bytes, 0 when it does not fit */
size_t reel_seal_body_write(const struct reel_seal *s, uint8_t *out, size_t out_len);
/** Encode proof and body into slots (crc left to reel_slot_finish). @return number of slots, 0: does not fit */
unsigned int reel_seal_slots_write(const struct reel_seal *s, struct span body, const struct reel_proof *proof,
                                   uint8_t (*slots)[REEL_SLOT_SIZE], unsigned int slots_max);
/** Which recording, part and piece a SEAL slot belongs to, and how many pieces there are. */
struct reel_seal_piece {
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	uint8_t piece, n_pieces;
	uint16_t flags;	/* REEL_CHUNK_FINAL; bit 8: interrupted */
	struct span bytes;
};
SRS_MUST_CHECK enum srs_err reel_seal_piece_read(struct reel_seal_piece *p, const uint8_t slot[REEL_SLOT_SIZE]);
/** Does the unsigned head of a piece say what the signed body says? A reader refuses the seal otherwise. */
bool reel_seal_piece_agrees(const struct reel_seal_piece *p, const struct reel_seal *s);
/** Decode the joined pieces. Arrays go to the caller's room. `body` is the signed part of `joined`. */
SRS_MUST_CHECK enum srs_err reel_seal_read(struct reel_seal *s, struct reel_proof *proof, struct span *body,
                                           struct span joined, struct reel_seal_stream *streams,
                                           uint16_t streams_max, struct reel_seal_missing *missing,
                                           uint16_t missing_max);

/* ---- footer: the index of a finished segment ---- */

struct reel_footer_entry {
	uint8_t recording[REEL_ID_SIZE];
	uint64_t chunk_no;	/* CHUNK; SEAL: piece */
	uint32_t part;
	uint8_t kind;		/* enum reel_slot_kind */
	uint8_t flags;		/* low byte of the chunk's flags */
};
#define REEL_FOOTER_ENTRIES_PER_SLOT 125
/** Slots that the footer of a container with `n_slots` needs. */
uint64_t reel_footer_slots(uint64_t n_slots);
size_t reel_footer_write(uint64_t first_entry_slot, const struct reel_footer_entry *e, unsigned int n,
                         uint8_t slot[REEL_SLOT_SIZE]);
SRS_MUST_CHECK enum srs_err reel_footer_read(uint64_t *first_entry_slot, struct reel_footer_entry *e,
                                             unsigned int *n, const uint8_t slot[REEL_SLOT_SIZE]);

#endif
