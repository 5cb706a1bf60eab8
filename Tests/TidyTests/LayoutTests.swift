import FoundationEssentials
import Testing

@Suite struct LayoutTests {
    @Test func `the top of the repository holds only what was agreed`() throws {
        let agreed: Set = [
            "Package.swift", "Package.resolved", "Sources", "Tests", "contrib", "runbook",
            "README.md", "LICENSE",
        ]
        let found = try Repository.names(in: "").filter { !$0.hasPrefix(".") }
        #expect(Set(found).isSubset(of: agreed), "\(Set(found).subtracting(agreed))")
    }

    @Test func `tests mirror the targets`() throws {
        let targets = Set(try Repository.names(in: "Sources"))
        let beside: Set = [
            "TidyTests", "EndToEnd", "Witness", "SimulationKit", "Damage", "Simulator",
            "SimulatorTests", "Fuzz", "Sanitizers", "OTLP",
        ]
        for folder in try Repository.names(in: "Tests") where !beside.contains(folder) {
            #expect(folder.hasSuffix("Tests") && targets.contains(String(folder.dropLast(5))))
        }
    }

    @Test func `links in documents lead to files that are there`() throws {
        for file in try Repository.textFiles() where file.path.hasSuffix(".md") {
            let folder = file.path.split(separator: "/").dropLast().joined(separator: "/")
            for index in file.lines(with: "](") {
                for link in links(in: file.line(index)) {
                    let target = Repository.root + "/" + folder + "/" + link
                    let there = FileManager.default.fileExists(atPath: target)
                    #expect(there, "\(file.path):\(index + 1): \(link)")
                }
            }
        }
    }

    @Test func `every runbook page and heading that a journal entry names is there`() throws {
        let catalog = try SourceFile(path: "contrib/systemd/codex-telemetry.catalog")
        var named = 0
        for index in catalog.lines(with: "runbook/") {
            let line = catalog.line(index)
            guard !line.hasPrefix("#"), let start = line.firstRange(of: "runbook/")?.lowerBound
            else { continue }
            named += 1
            let parts = line[start...].split(separator: "#")
            let page = try SourceFile(path: String(parts[0]))
            guard parts.count > 1 else { continue }
            let headings = page.lines(with: "#").map(page.line).filter { $0.hasPrefix("#") }
                .map(anchor)
            #expect(headings.contains(String(parts[1])), "\(line)")
        }
        #expect(named == 16)
    }

    /// What a heading is called in a link: lower case, blanks as hyphens, no punctuation.
    private func anchor(_ heading: Substring) -> String {
        String(
            heading.drop { $0 == "#" || $0 == " " }.lowercased().compactMap { character in
                character == " " ? "-" : character.isLetter || character == "-" ? character : nil
            })
    }

    /// Relative targets of `[text](target)`, without their anchors.
    private func links(in line: Substring) -> [Substring] {
        line.split(separator: "](").dropFirst().compactMap { rest in
            guard let end = rest.firstIndex(of: ")") else { return nil }
            let link = rest[..<end].split(separator: "#", omittingEmptySubsequences: false)[0]
            return link.isEmpty || link.contains(":") ? nil : link
        }
    }
}
