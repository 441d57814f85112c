/* ITU-T G.711 decoding: one byte to one 16-bit sample, by table. @thread tool */
#ifndef G711_H
#define G711_H

#include <stdint.h>

int16_t g711_ulaw_decode(uint8_t code);
int16_t g711_alaw_decode(uint8_t code);

#endif
