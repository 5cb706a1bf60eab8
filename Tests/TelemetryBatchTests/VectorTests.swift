import ByteCoding
import TelemetryBatch
import Testing

@Suite("Vectors of batches")
struct VectorTests {
    @Test func `every valid case is taken, and reads as its model says`() throws {
        for example in validCases {
            let bytes = example.bytes ?? example.model?.encoded() ?? []
            let batch = try Batch(bytes)
            let read = BatchModel(batch)
            if let model = example.model {
                #expect(read.json(batch.summary) == model.json(batch.summary), "\(example.name)")
                #expect(read.encoded() == bytes, "\(example.name)")
            }
        }
        #expect(validCases.count >= 25)
    }

    @Test func `every invalid case gets its error`() {
        for example in invalidCases {
            let bytes = example.bytes
            var found: WireError?
            do throws(BatchError) {
                _ = try BatchValidator.validate(bytes.span.bytes)
            } catch {
                found = error.code
            }
            #expect(found == example.error, "\(example.name)")
        }
        #expect(invalidCases.count >= 40)
        #expect(Set(invalidCases.map(\.name)).count == invalidCases.count)
    }
}
