#include "lib/srs_err.h"

const char *
srs_err_name(enum srs_err err)
{
	switch (err) {
	case SRS_OK:
		return "ok";
	case SRS_ERR_INVALID:
		return "invalid";
	case SRS_ERR_UNSUPPORTED:
		return "unsupported";
	case SRS_ERR_LIMIT:
		return "limit";
	case SRS_ERR_AUTH:
		return "auth";
	case SRS_ERR_NOMEM:
		return "nomem";
	case SRS_ERR_IO:
		return "io";
	case SRS_ERR_STATE:
		return "state";
	}
	return "unknown";
}
