#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The zone that this process's user lives in.
package enum LocalZone {
    /// Seconds east of UTC at a moment, in seconds since 1970.
    package static func secondsEast(at seconds: Int64) -> Int64 {
        var moment = time_t(seconds)
        var fields = tm()
        guard localtime_r(&moment, &fields) != nil else { return 0 }
        return Int64(fields.tm_gmtoff)
    }
}
