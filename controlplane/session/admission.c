#include "controlplane/session/admission.h"

#include <stddef.h>
#include <stdlib.h>

#include "crypto/secret.h"

static const char *
admission_obstacle(const struct admission_view *v, unsigned int n_streams)
{
	if (v->stopping)
		return "The recorder is shutting down, send calls to another one";
	if (v->draining)
		return "The recorder is draining, send calls to another one";
	if (v->sessions >= v->sessions_max)
		return "Too many recording sessions, limits.sessions_max is reached";
	if (v->src_sessions_max != 0 && v->src_sessions >= v->src_sessions_max)
		return "Too many recording sessions of this client, sessions_max of its profile in src is reached";
	if (v->lag_ms > ADMISSION_LAG_MS_MAX)
		return "The recorder is overloaded, its control loop is late";
	if (!v->room.storage_ok)
		return "Storage is full or has failed, free or mend the vault's device";
	if (!v->catalog_has_room)
		return "The catalog is behind, its queue is full";
	if (v->keys_ready == 0)
		return "No recording key is ready, the key service is behind";
	if (v->room.sessions_free == 0)
		return "Too many recordings, limits.recordings_max is reached";
	if (v->room.streams_free == 0 || v->room.streams_free < n_streams)
		return "Too many media streams, limits.streams_max is reached";
	if (v->handshakes_free < v->handshakes_need)
		return "Too many DTLS handshakes are under way, srtp.dtls_handshakes_max is reached";
	if (v->pairs_free == 0 || v->pairs_free < n_streams)
		return "No media port is free, widen media.rtp_port_min to rtp_port_max";
	if (v->room.chunks_free_percent < ADMISSION_CHUNKS_PERCENT_MIN)
		return "Storage is behind, the chunk pool is nearly used up";
	return NULL;
}

bool
admission_allows(const struct admission_view *v, unsigned int n_streams, uint32_t retry_after_s,
                 struct sip_refusal *why)
{
	const char *obstacle = admission_obstacle(v, n_streams);

	if (obstacle == NULL)
		return true;
	*why = (struct sip_refusal){
		.status = 503,
		.warning = obstacle,
		.retry_after_s = admission_retry_after(retry_after_s),
	};
	return false;
}

unsigned int
admission_retry_after(uint32_t retry_after_s)
{
	uint32_t random;

	if (retry_after_s <= 1 || secret_random(&random, sizeof(random)) != SRS_OK)
		return 1;
	return 1 + random % retry_after_s;
}
