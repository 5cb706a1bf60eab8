import ByteCoding

/// Requests as bytes.
package enum OTLPRequest {
    /// Each resource of a request with its records, as a request of its own in protobuf, in their order.
    package static func resources(
        of request: [UInt8], _ signal: OTLPSignal, _ encoding: OTLPEncoding
    ) throws(OTLPError) -> [[UInt8]] {
        var bytes = request
        if encoding == .json {
            var transcoder = JSONTranscoder()
            do throws(TranscodingError) {
                try transcoder.transcode(request.span.bytes, as: signal.request)
            } catch {
                throw OTLPError(error)
            }
            bytes = transcoder.output.bytes
        }
        var found: [[UInt8]] = []
        var reader = ByteReader(bytes.span.bytes)
        do throws(ByteError) {
            while !reader.isAtEnd {
                let start = reader.position
                let tag = try reader.readVarint()
                try reader.skipField(tag)
                if tag == 0x0A { found.append(Array(bytes[start..<reader.position])) }
            }
        } catch {
            throw OTLPError(error)
        }
        return found
    }
}
