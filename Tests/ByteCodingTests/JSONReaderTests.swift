import ByteCoding
import Testing

/// What a text holds, read value by value and written again.
private func copied(_ text: String, depthMax: Int = 8) throws(JSONError) -> String {
    let bytes = Array(text.utf8)
    var reader = JSONReader(bytes.span.bytes, depthMax: depthMax)
    var writer = JSONWriter()
    try copy(&reader, to: &writer)
    try reader.end()
    return writer.text
}

private func copy(_ reader: inout JSONReader, to writer: inout JSONWriter) throws(JSONError) {
    switch try reader.peek() {
    case .object:
        try reader.enterObject()
        writer.beginObject()
        while let key = try reader.nextKey() {
            writer.key(text(key, reader))
            try copy(&reader, to: &writer)
        }
        writer.endObject()
    case .array:
        try reader.enterArray()
        writer.beginArray()
        while try reader.nextElement() { try copy(&reader, to: &writer) }
        writer.endArray()
    case .string: writer.string(text(try reader.string(), reader))
    case .number:
        let number = reader.bytes.extracting(try reader.number())
        writer.raw(number.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    case .bool: writer.bool(try reader.bool())
    case .null:
        try reader.null()
        writer.null()
    }
}

private func text(_ text: JSONText, _ reader: borrowing JSONReader) -> String {
    var plain = ByteWriter()
    reader.unescape(text, into: &plain)
    return String(decoding: plain.bytes, as: UTF8.self)
}

@Suite struct JSONReaderTests {
    @Test func `values are read in their order`() throws {
        let text = #"{"a":[1,-2.5e+10,0,"x",[],{}],"":{"b":null,"b":true},"c":false}"#
        #expect(try copied(text) == text)
        #expect(
            try copied(" {\t\"a\" :\r\n[ 1 , 2 ] , \"b\" : { } } ") == #"{"a":[1,2],"b":{}}"#)
        for scalar in ["0", "-0", "1.5", "true", "false", "null", #""""#, #""é𝄞""#] {
            #expect(try copied(scalar) == scalar)
        }
    }

    @Test func `escapes are undone`() throws {
        #expect(
            try copied(#""\"\\\/\b\f\n\r\t\u0041\u00fc\uD834\udd1e""#)
                == #""\"\\/\u0008\u000c\n\r\tAü𝄞""#)
    }

    @Test(arguments: [#"\ud800"#, #"\ud800\u0041"#, #"\udc00"#, #"\ud800\ud800"#])
    func `half of a surrogate pair is repaired`(_ escapes: String) throws {
        let bytes = Array("\"\(escapes)\"".utf8)
        var reader = JSONReader(bytes.span.bytes, depthMax: 1)
        var plain = ByteWriter()
        let found = try reader.string()
        let isRepaired = reader.unescape(found, into: &plain)
        #expect(isRepaired)
        #expect(String(decoding: plain.bytes, as: UTF8.self).contains("\u{FFFD}"))
    }

    static let broken = [
        "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"",
        "\"\\u123g\"", "\"\n\"", "\"\u{0}\"", "01", "-", "+1", "1.", ".5", "1e", "1e+", "--1",
        "tru",
        "True", "nulll", "nan", "[1]]", "1 1", "{}{}", "\u{FEFF}{}", "'a'", "\u{0B}1",
    ]

    @Test(arguments: broken)
    func `what the grammar does not have is an error within the text`(_ text: String) {
        do throws(JSONError) {
            let found = try copied(text)
            Issue.record("\(text.debugDescription) was read as \(found)")
        } catch {
            #expect(error.position <= text.utf8.count)
        }
    }

    @Test func `depth is limited`() throws {
        #expect(try copied("[[{\"a\":[]}]]", depthMax: 4) == "[[{\"a\":[]}]]")
        #expect(throws: JSONError.tooDeep(at: 8)) { try copied("[[{\"a\": [1]}]]", depthMax: 3) }
        // Siblings are not inside one another.
        #expect(try copied("[[],[],[],{}]", depthMax: 2) == "[[],[],[],{}]")
    }

    @Test func `what is passed over must be JSON too`() throws {
        let bytes = Array(#"[{"a":[1,{"b":"\u0041"}]},[],{},null,0]"#.utf8)
        var reader = JSONReader(bytes.span.bytes, depthMax: 4)
        try reader.enterArray()
        var held: [Bool] = []
        while try reader.nextElement() { held.append(try reader.skipValue()) }
        try reader.end()
        #expect(held == [true, false, false, false, true])
        for text in ["[[}]", "{\"a\":[1,]}", "[\"\\q\"]"] {
            let bytes = Array(text.utf8)
            #expect(throws: JSONError.self) {
                var reader = JSONReader(bytes.span.bytes, depthMax: 4)
                try reader.skipValue()
            }
        }
    }

    @Test func `every length and place of a quote is found`() throws {
        for length in 0..<40 {
            for character in ["é", "a", "\\\"", "\u{7F}"] {
                let text = String(repeating: "x", count: length) + character
                #expect(try copied("\"\(text)yyyyyyyyy\"").utf8.count >= length + 12)
            }
        }
    }

    @Test func `integers, hexadecimal and base64 are written`() {
        var writer = JSONWriter()
        writer.beginArray()
        for value in [Int64.min, -1, 0, 9, 10, Int64.max] { writer.integer(value) }
        writer.quoted(UInt64.max)
        let bytes: [UInt8] = [0xFF, 0xE0, 0x01, 0x7F]
        writer.hexadecimal(bytes.span.bytes)
        for count in 0...4 { writer.base64(Array(bytes[..<count]).span.bytes) }
        writer.endArray()
        #expect(
            writer.text
                == #"[-9223372036854775808,-1,0,9,10,9223372036854775807,"18446744073709551615","ffe0017f","","/w==","/+A=","/+AB","/+ABfw=="]"#
        )
    }
}
