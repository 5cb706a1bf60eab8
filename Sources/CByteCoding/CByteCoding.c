#include "CByteCoding.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif
#endif

typedef uint32_t (*crc_function)(uint32_t, const unsigned char *, size_t);

// Slicing by 8: eight tables let eight bytes be folded with independent loads.
static uint32_t table[8][256];
static atomic_int table_state; // 0 not made, 1 made

static void make_table(void) {
    if (atomic_load_explicit(&table_state, memory_order_acquire) == 1) { return; }
    uint32_t made[8][256];
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
        }
        made[0][n] = crc;
    }
    for (uint32_t n = 0; n < 256; n++) {
        for (int k = 1; k < 8; k++) {
            made[k][n] = (made[k - 1][n] >> 8) ^ made[0][made[k - 1][n] & 0xFF];
        }
    }
    // Two threads may both get here; they copy the same words.
    memcpy(table, made, sizeof(table));
    atomic_store_explicit(&table_state, 1, memory_order_release);
}

static uint32_t fold_software(uint32_t crc, const unsigned char *bytes, size_t count) {
    make_table();
    while (count >= 8) {
        uint32_t low = crc ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8
            | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24);
        crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF]
            ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24]
            ^ table[3][bytes[4]] ^ table[2][bytes[5]] ^ table[1][bytes[6]] ^ table[0][bytes[7]];
        bytes += 8;
        count -= 8;
    }
    while (count--) { crc = (crc >> 8) ^ table[0][(crc ^ *bytes++) & 0xFF]; }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t fold_hardware(uint32_t crc, const unsigned char *bytes, size_t count) {
    uint64_t wide = crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        wide = _mm_crc32_u64(wide, word);
        bytes += 8;
        count -= 8;
    }
    crc = (uint32_t)wide;
    while (count--) { crc = _mm_crc32_u8(crc, *bytes++); }
    return crc;
}

static bool has_instruction(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2);
}
#elif defined(__aarch64__)
__attribute__((target("crc")))
static uint32_t fold_hardware(uint32_t crc, const unsigned char *bytes, size_t count) {
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        crc = __crc32cd(crc, word);
        bytes += 8;
        count -= 8;
    }
    while (count--) { crc = __crc32cb(crc, *bytes++); }
    return crc;
}

static bool has_instruction(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
    return true; // Every Apple processor of this architecture has it.
#endif
}
#else
static uint32_t fold_hardware(uint32_t crc, const unsigned char *bytes, size_t count) {
    return fold_software(crc, bytes, count);
}

static bool has_instruction(void) { return false; }
#endif

// 0 not asked yet, 1 software, 2 hardware: asked once, since CPUID may trap to a hypervisor.
static atomic_int choice;

bool cbc_crc32c_is_hardware(void) {
    int chosen = atomic_load_explicit(&choice, memory_order_relaxed);
    if (chosen == 0) {
        chosen = has_instruction() ? 2 : 1;
        atomic_store_explicit(&choice, chosen, memory_order_relaxed);
    }
    return chosen == 2;
}

uint32_t cbc_crc32c_software(uint32_t seed, const void *bytes, size_t count) {
    return ~fold_software(~seed, bytes, count);
}

uint32_t cbc_crc32c(uint32_t seed, const void *bytes, size_t count) {
    return cbc_crc32c_is_hardware() ? ~fold_hardware(~seed, bytes, count)
                                    : ~fold_software(~seed, bytes, count);
}
