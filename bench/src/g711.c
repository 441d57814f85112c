#include "g711.h"

#define ULAW_BIAS 0x84
#define ULAW_CLIP 32635

/* Position of the highest bit of `magnitude` above bit `low`, at most 7: the segment number of both laws. */
static int
segment_of(int magnitude, int low)
{
	int segment = 0;

	while (segment < 7 && magnitude >> (low + segment + 1) != 0)
		segment++;
	return segment;
}

uint8_t
g711_ulaw(int16_t sample)
{
	int magnitude = sample < 0 ? -(int)sample : sample;
	int segment;

	if (magnitude > ULAW_CLIP)
		magnitude = ULAW_CLIP;
	magnitude += ULAW_BIAS;
	segment = segment_of(magnitude, 7);
	return (uint8_t) ~((sample < 0 ? 0x80 : 0) | segment << 4 | (magnitude >> (segment + 3) & 0x0f));
}

uint8_t
g711_alaw(int16_t sample)
{
	int magnitude = (sample < 0 ? -(int)sample - 1 : sample) >> 3; /* 13 bits */
	int segment;
	int code;

	if (magnitude < 32) {
		code = magnitude >> 1;
	} else {
		segment = segment_of(magnitude, 4);
		code = segment << 4 | (magnitude >> segment & 0x0f);
	}
	return (uint8_t)((code | (sample < 0 ? 0 : 0x80)) ^ 0x55);
}
