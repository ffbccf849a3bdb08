import Foundation

/// A city of the system's time-zone table, as the demo's database has it.
struct City: Codable, Sendable {
    var name: String
    var zone: String
    var countries: [String]
    var coordinates: String
    /// The number of the query that read it, which tells the demo whether a value is older than an invalidation.
    var query: Int
}

/// The demo's database: the table of time zones that every system has, scanned anew by every query.
struct CityTable: Sendable {
    struct Missing: Error, CustomStringConvertible {
        let description =
            "neither zone1970.tab nor zone.tab is in /usr/share/zoneinfo: install the package tzdata"
    }

    /// How long a query takes besides the scan, as a database elsewhere would.
    static let roundTrip = Duration.milliseconds(20)

    private let path: String
    private let journal: LoadJournal

    init(journal: LoadJournal) throws {
        let candidates = ["zone1970.tab", "zone.tab"].map { "/usr/share/zoneinfo/\($0)" }
        guard let path = candidates.first(where: FileManager.default.fileExists(atPath:)) else { throw Missing() }
        self.path = path
        self.journal = journal
    }

    /// The names of all cities.
    func names() throws -> [String] { try rows().map(\.name) }

    /// Scans the table for a city.
    func city(_ name: String) async throws -> City? {
        let query = journal.begin(name)
        defer { journal.end(name) }
        var found = try rows().first { $0.name == name }
        found?.query = query
        try await Task.sleep(for: Self.roundTrip)
        return found
    }

    private func rows() throws -> [City] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").compactMap { line in
            guard !line.hasPrefix("#") else { return nil }
            let fields = line.split(separator: "\t")
            guard fields.count >= 3 else { return nil }
            return City(
                name: fields[2].split(separator: "/").last.map(String.init) ?? "",
                zone: String(fields[2]),
                countries: fields[0].split(separator: ",").map(String.init),
                coordinates: String(fields[1]),
                query: 0
            )
        }
    }
}
