/* What Lua cannot see of the base layer: arena, pool, streams. */
#include "base/cpu.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tap.h"

#include <string.h>

static void streams (void) {
  /* Known answers distributed with Random123 (kat_vectors, philox4x32 10). */
  static const struct { fov_Stream s; uint64_t i; uint32_t out[4]; } known[] = {
    { { { 0, 0 }, 0, 0 }, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { { { ~0u, ~0u }, ~0ull, 0 }, ~0ull, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { { { 0xa4093822, 0x299f31d0 }, 0x0370734413198a2e, 0 }, 0x85a308d3243f6a88,
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } }
  };
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    fov_philox(&known[i].s, known[i].i, out);
    ok(memcmp(out, known[i].out, sizeof out) == 0, "Philox 4x32-10, known answer %d", i + 1);
  }
}

int main (void) {
  streams();
  return done();
}
