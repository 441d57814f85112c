/* The error codes of the whole project. The list is short because callers branch on what to do;
 * details belong in the log line or in the caller's `why` buffer, never in new codes. */
#ifndef SRS_ERR_H
#define SRS_ERR_H

#define SRS_MUST_CHECK __attribute__((warn_unused_result))

enum srs_err {
	SRS_OK = 0,
	SRS_ERR_INVALID,	/* the peer, the operator or the disk gave nonsense */
	SRS_ERR_UNSUPPORTED,	/* well formed, but nothing we do */
	SRS_ERR_LIMIT,		/* a named bound was hit */
	SRS_ERR_AUTH,		/* a tag, signature or credential did not verify */
	SRS_ERR_NOMEM,		/* memory or a pool is used up */
	SRS_ERR_IO,		/* the system or a device failed */
	SRS_ERR_STATE,		/* not allowed now */
};

/** A stable lower-case word for logs: "ok", "invalid", ... @thread any */
const char *srs_err_name(enum srs_err err);

#endif
