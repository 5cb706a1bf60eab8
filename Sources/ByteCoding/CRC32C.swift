import CByteCoding

/// CRC32C (Castagnoli) of bytes, as the wire and the log use it.
///
/// Chainable: `crc32c(b, seed: crc32c(a))` is the checksum of `a` followed by `b`. Uses the
/// processor's instruction where it has one (about 8 GB/s), else tables.
package func crc32c(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { cbc_crc32c(seed, $0.baseAddress, $0.count) }
}

/// The same checksum by table, whatever the processor has.
package func crc32cSoftware(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { cbc_crc32c_software(seed, $0.baseAddress, $0.count) }
}
