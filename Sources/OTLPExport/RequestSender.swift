package import OTLPCodec

/// A request as it goes out.
package struct OutgoingRequest: Sendable {
    /// What it carries.
    package let signal: OTLPSignal
    /// Where to.
    package let url: String
    /// All headers but those of the connection.
    package let headers: [OTLPExportConfiguration.Header]
    /// As it is sent.
    package let body: [UInt8]
}

/// The way to a backend: HTTP, gRPC, or a test's.
package protocol RequestSender: AnyObject {
    /// Sends; does not wait. `completion` is called once, on any thread.
    func send(
        _ request: OutgoingRequest, timeout: Duration,
        completion: @escaping @Sendable (SendOutcome) -> Void)
    /// Lets go of the backend; what is under way, and what is sent after it, fails.
    func close()
}
