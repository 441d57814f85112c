#include "controlplane/tool/g711.h"

#define ULAW_BIAS 0x84

/* ITU-T G.711 table 2: inverted bits; sign, three bits of segment, four of step. */
int16_t
g711_ulaw_decode(uint8_t code)
{
	int value;

	code = (uint8_t)~code;
	value = ((code & 0x0f) << 3) + ULAW_BIAS;
	value <<= (code & 0x70) >> 4;
	value -= ULAW_BIAS;
	return (int16_t)((code & 0x80) != 0 ? -value : value);
}

/* ITU-T G.711 table 1: even bits inverted; the sign bit is set for positive values. */
int16_t
g711_alaw_decode(uint8_t code)
{
	int segment, value;

	code ^= 0x55;
	segment = (code & 0x70) >> 4;
	value = (code & 0x0f) << 4;
	value += segment == 0 ? 8 : 0x108;
	if (segment > 1)
		value <<= segment - 1;
	return (int16_t)((code & 0x80) != 0 ? value : -value);
}
