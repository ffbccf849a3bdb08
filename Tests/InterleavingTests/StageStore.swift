@testable import MintCache

/// What all processes of a schedule share: the items of a store of one part or two.
final class SharedStore: @unchecked Sendable {
    private struct Item {
        var value: [UInt8]
        var cas: UInt64
        /// The id that was told of another item before a restart, which this one has too. To those who have read an id
        /// the two are never equal: that is not promised.
        var returned: UInt64?
    }

    /// Where an item is.
    struct Place: Hashable {
        var key: StoreKey
        var part: Int
    }

    private let stage: Stage
    private let groups: [StoreKey]
    let partCount: Int
    /// `nil` where the list of parts stays.
    let lists: MovingLists?
    private var items: [Place: Item] = [:]
    private var lastCAS: UInt64 = 0
    /// How often each part was started.
    private var starts: [UInt32]
    /// The CAS ids that were told last, and those that come again, each where it is not another's.
    private var told: [Place: UInt64] = [:]
    private var returning: [Place: UInt64] = [:]
    /// How often each group has got a stamp in each part, from an invalidation that was told of it.
    private(set) var stampings: [Place: Int] = [:]
    let leases = LeaseJudge()

    /// - Parameter groups: the generation keys of every value.
    init(_ stage: Stage, groups: [StoreKey], partCount: Int, lists: MovingLists? = nil) {
        self.lists = lists
        self.stage = stage
        self.groups = groups
        self.partCount = partCount
        starts = .init(repeating: 1, count: partCount)
    }

    /// The places of all items, in the same order each time.
    var places: [Place] {
        items.keys.sorted {
            ($0.part, $0.key.description) < ($1.part, $1.key.description)
        }
    }

    func part(of key: StoreKey) -> Int { key.bytes.reduce(0) { $0 &+ Int($1) } % partCount }

    func item(_ place: Place) -> StoreItem? {
        items[place].flatMap { item in
            StoreItem.CAS(rawValue: item.cas).map { StoreItem(value: item.value, cas: $0) }
        }
    }

    func write(_ value: [UInt8], to place: Place) {
        lastCAS += 1
        items[place] = Item(value: value, cas: lastCAS, returned: returning.removeValue(forKey: place))
    }

    /// Whether a CAS id is the one that an item has, and not one that was told before a restart.
    func matches(_ cas: StoreItem.CAS?, at place: Place) -> Bool {
        if let cas, cas.epoch != 0, cas.epoch != starts[place.part] {
            return PlantedMistake.toldOverRestart.isPlanted && items[place]?.returned == cas.rawValue
        }
        return items[place]?.cas == cas?.rawValue
    }

    /// What a write is told of an item that was read back.
    func tell(_ item: StoreItem, at place: Place) -> StoreWrite {
        told[place] = item.cas.rawValue
        return .stored(StoreItem.CAS(rawValue: item.cas.rawValue, epoch: starts[place.part]))
    }

    func noteStamping(_ place: Place) { stampings[place, default: 0] += 1 }

    func remove(_ place: Place) -> Bool { items.removeValue(forKey: place) != nil }

    /// The stamps that the groups have now in a part.
    func stamps(in part: Int) -> [GroupStamp?] {
        groups.map { key in
            items[Place(key: key, part: part)].flatMap {
                EnvelopeCoding.generation(in: $0.value[...], for: key)?.stamp
            }
        }
    }

    /// Whether a value has groups of its own that were invalidated since.
    func hasOutdatedOwnGroups(_ envelope: Envelope, in part: Int) -> Bool {
        guard case .value(let record) = envelope else { return false }
        return record.terms?.groups.contains { group in
            let item = items[Place(key: group.key, part: part)]
            let stamp = item.flatMap { EnvelopeCoding.generation(in: $0.value[...], for: group.key)?.stamp }
            return stamp?.hard != group.stamp.hard
        } ?? false
    }

    // MARK: Misfortunes

    func evict(_ place: Place) {
        stage.note("\(place.key) is evicted")
        _ = remove(place)
    }

    /// All that a part holds is lost, and CAS ids that it has told come again.
    func restart(_ part: Int) {
        stage.note("part \(part) is restarted")
        for place in places where place.part == part { _ = remove(place) }
        starts[part] += 1
        for (place, cas) in told where place.part == part { returning[place] = cas }
    }

    /// Bytes that nobody wrote there.
    func damage(_ place: Place, with other: Place) {
        guard var bytes = items[other]?.value else { return }
        // Twice is not as it was before.
        if place == other { bytes[bytes.count / 2] &+= 0x11 }
        stage.note("\(place.key) gets the bytes of \(other.key)\(place == other ? ", damaged" : "")")
        write(bytes, to: place)
    }
}

/// The store as one process sees it, or a part of it. Each operation waits for the schedule before it takes effect, and may fail before
/// that, or after, or fail and take effect later.
struct StageStore: CacheStore {
    let shared: SharedStore
    let stage: Stage
    let process: Int
    let clock: StageClock
    /// The part; `nil` for all of it.
    var part: Int?

    private struct Failure: Error {}

    var parts: [StorePart] {
        (shared.lists?.parts(process: process) ?? Array(0..<shared.partCount)).map(storePart)
    }

    func part(of key: StoreKey) -> StorePart { storePart(partNumber(of: key)) }

    func parts(of key: StoreKey) -> [StorePart] {
        (shared.lists?.parts(of: key, process: process) ?? [shared.part(of: key)]).map(storePart)
    }

    var listNumber: UInt32 { shared.lists?.number(process: process) ?? 0 }

    func accepts(listNumber: UInt32, for key: StoreKey) -> Bool {
        shared.lists?.accepts(listNumber, for: key, process: process) ?? (listNumber == 0)
    }

    private func storePart(_ number: Int) -> StorePart { StorePart(id: number, store: onPart(number)) }

    private func partNumber(of key: StoreKey) -> Int {
        shared.lists?.part(of: key, process: process) ?? shared.part(of: key)
    }

    private func onPart(_ part: Int) -> StageStore {
        var store = self
        store.part = part
        return store
    }

    private func place(_ key: StoreKey) -> SharedStore.Place { .init(key: key, part: part ?? partNumber(of: key)) }

    /// What becomes of an operation.
    private func perform<Result>(
        _ what: String, isWrite: Bool = true, failsOnceIn failures: Int = 16,
        _ effect: @escaping @Sendable () -> Result
    ) async throws -> Result {
        await stage.wait(what, process: process)
        guard !stage.isCalm, !stage.isReliable, stage.choices.oneIn(failures) else {
            let result = effect()
            // The answer takes its time.
            if !stage.isCalm, stage.choices.oneIn(4) { await stage.wait("gets the answer: \(what)", process: process) }
            return result
        }
        switch stage.choices.choose(isWrite ? 3 : 1) {
        case 0: stage.note("  which fails")
        case 1:
            stage.note("  which takes effect and fails")
            _ = effect()
        default:
            stage.note("  which fails, and will take effect later")
            Task {
                await stage.wait("late: \(what)", process: -1)
                _ = effect()
            }
        }
        stage.noteFailure(in: process)
        throw Failure()
    }

    /// A write that may end a load, or begin one: whoever takes leases over is judged by what became of it.
    private func judged(_ key: StoreKey, _ value: [UInt8], _ write: () async throws -> StoreWrite) async throws
        -> StoreWrite
    {
        let envelope = EnvelopeCoding.envelope(in: value[...], for: key)
        shared.leases.begin(envelope, by: process)
        defer { shared.leases.end(envelope) }
        do { return try await write() } catch {
            let old = shared.item(place(key)).flatMap { EnvelopeCoding.envelope(in: $0.value, for: key) }
            shared.leases.fail(envelope, over: old, by: process)
            throw error
        }
    }

    func getForUpdate(_ key: StoreKey) async throws -> StoreItem? {
        do { return try await get(key) } catch {
            shared.leases.failRead(by: process)
            throw error
        }
    }

    func get(_ key: StoreKey) async throws -> StoreItem? {
        try await perform("get \(key)", isWrite: false) { [shared, place = place(key)] in
            shared.item(place)
        }
    }

    /// Each key is read by itself, the first one first or last, as a fleet of servers does; or all at once.
    func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        guard !stage.isCalm, stage.choices.oneIn(2) else {
            return try await perform("get \(keys)", isWrite: false) { [self] in keys.map { shared.item(place($0)) } }
        }
        var items = [StoreItem?](repeating: nil, count: keys.count)
        let order = stage.choices.oneIn(2) ? Array(keys.indices) : keys.indices.reversed()
        for index in order { items[index] = try await get(keys[index]) }
        return items
    }

    func get(_ key: StoreKey, with others: [StoreKey]) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let part = partNumber(of: key)
        guard PlantedMistake.stampsOfAnotherServer.isPlanted else {
            let items = try await onPart(part).get([key] + others)
            return (items[0], Array(items.dropFirst()))
        }
        let stamps = try await onPart(shared.partCount - 1 - part).get(others)
        return (try await get(key), stamps)
    }

    func get(
        _ key: StoreKey, with others: [StoreKey], after writes: [UniqueValue]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let own = partNumber(of: key)
        let part = onPart(PlantedMistake.stampsOfAnotherServer.isPlanted ? shared.partCount - 1 - own : own)
        for write in writes {
            _ = try await part.writeUnique(write.key, value: write.value, over: write.over, expiry: write.expiry)
        }
        return try await get(key, with: others)
    }

    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        let place = place(key)
        // Often in one part only.
        try await perform("set \(key)", failsOnceIn: shared.partCount > 1 ? 4 : 16) { [shared] in
            shared.write(value, to: place)
        }
        shared.noteStamping(place)
    }

    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await judged(key, value) { try await put(value, under: key, over: nil) }
    }

    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        try await judged(key, value) { try await put(value, under: key, over: cas) }
    }

    /// Acknowledged, or read back some time later; then its CAS id is told.
    func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        try await judged(key, value) {
            let write = try await put(value, under: key, over: cas)
            guard !stage.isCalm, stage.choices.oneIn(2) else { return write }
            guard let item = try await get(key) else { return cas == nil ? .gone : .notStored }
            guard Array(item.value) == value || PlantedMistake.confirmWhateverStands.isPlanted else {
                return .notStored
            }
            return shared.tell(item, at: place(key))
        }
    }

    private func put(_ value: [UInt8], under key: StoreKey, over cas: StoreItem.CAS?) async throws -> StoreWrite {
        try await perform(cas == nil ? "add \(key)" : "cas \(key)") { [self] in
            let place = place(key)
            let item = shared.item(place)
            guard shared.matches(cas, at: place) else { return .notStored }
            if let item {
                shared.leases.check(
                    Array(item.value), value, of: key, by: process, at: clock.now, shared.stamps(in: place.part), stage
                ) { shared.hasOutdatedOwnGroups($0, in: place.part) }
            }
            shared.write(value, to: place)
            return .stored()
        }
    }

    func delete(_ key: StoreKey) async throws -> Bool {
        try await perform("delete \(key)") { [shared, place = place(key)] in shared.remove(place) }
    }
}
