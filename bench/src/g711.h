/* ITU-T G.711 encoding, for the simulator alone: the recorder's exporter has its own decoder, so that the two
 * check each other. */
#ifndef SRC_G711_H
#define SRC_G711_H

#include <stdint.h>

uint8_t g711_ulaw(int16_t sample);
uint8_t g711_alaw(int16_t sample);

#endif
