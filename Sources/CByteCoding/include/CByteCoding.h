#ifndef CBYTECODING_H
#define CBYTECODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The CRC32C of `count` bytes, going on from `seed` (0 at the start), with the
/// processor's instruction where it has one.
uint32_t cbc_crc32c(uint32_t seed, const void *bytes, size_t count);

/// The same by table: what runs where there is no instruction, and what tests compare with.
uint32_t cbc_crc32c_software(uint32_t seed, const void *bytes, size_t count);

/// Whether this processor has the instruction.
bool cbc_crc32c_is_hardware(void);

#endif
