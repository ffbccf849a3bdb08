/// What is asked of the store for many values.
extension ReadThroughCache {
    /// What the parts of the store answered.
    struct BatchAnswer {
        /// What stands under the keys, in their order, and maybe more.
        var items: [StoreItem?]
        /// What stands under the groups, which are the same for all keys, in each part that was asked; `nil` where it
        /// failed, reported, or is not to be asked.
        var partGroups: [ReadMachine.Groups?]
        /// The part of each key; empty when all are of one.
        var parts: [Int] = []

        /// What stands under the groups of a key, by its place; `nil` when its part failed.
        func groups(_ place: Int) -> ReadMachine.Groups? { partGroups[parts.isEmpty ? 0 : parts[place]] }
    }

    /// What a part of the store answered: what stands under the keys and more, and the groups.
    private typealias PartAnswer = (items: [StoreItem?], groups: ReadMachine.Groups)

    /// What stands under some keys, by their numbers, in one round trip to each part that has any of them.
    func ask(
        for numbers: [Int], of keys: [StoreKey], _ options: CacheEntry.Options
    ) async throws -> BatchAnswer {
        if isDisabled { return BatchAnswer(items: [], partGroups: [nil]) }
        if let warmGroups { warmGroups.note(options.groups) }
        var parts: [(part: StorePart, places: [Int])] = []
        for (place, number) in numbers.enumerated() {
            let part = store.part(of: keys[number])
            if let known = parts.firstIndex(where: { $0.part.id == part.id }) {
                parts[known].places.append(place)
            } else {
                parts.append((part, [place]))
            }
        }
        if parts.count == 1 {
            let asked = numbers.count == keys.count ? keys : numbers.map { keys[$0] }
            let answer = try await ask(parts[0].part, for: asked, options)
            return BatchAnswer(items: answer?.items ?? [], partGroups: [answer?.groups])
        }
        return try await withThrowingTaskGroup(of: (Int, PartAnswer?).self) { group in
            for (number, (part, places)) in parts.enumerated() {
                let keys = places.map { keys[numbers[$0]] }
                group.addTask { (number, try await self.ask(part, for: keys, options)) }
            }
            var all = BatchAnswer(
                items: Array(repeating: nil, count: numbers.count),
                partGroups: Array(repeating: nil, count: parts.count),
                parts: Array(repeating: 0, count: numbers.count))
            for try await (number, answer) in group {
                all.partGroups[number] = answer?.groups
                for (index, place) in parts[number].places.enumerated() {
                    all.parts[place] = number
                    all.items[place] = answer?.items[index]
                }
            }
            return all
        }
    }

    /// - Returns: `nil`, reported, when the part failed.
    private func ask(
        _ part: StorePart, for keys: [StoreKey], _ options: CacheEntry.Options
    ) async throws -> PartAnswer? {
        let entry = CacheEntry(key: keys[0], options: options)
        var answer: PartAnswer
        var hasPlanted = false
        repeat {
            do {
                let items = try await part.store.get(entry.groups.isEmpty ? keys : keys + entry.groups)
                guard items.count == keys.count + entry.groups.count else {
                    throw CacheError(
                        .storeFailure,
                        "the store gave \(items.count) items for \(keys.count + entry.groups.count) keys: get(_:) is to give "
                            + "one for each")
                }
                answer = (items, groups(Array(items[keys.count...]), of: entry.groups))
            } catch {
                try report(trouble: error, entry)
                return nil
            }
            // What has no stamp is given one, once: then it is read again.
            guard !hasPlanted, case .incomplete(let plantings) = answer.groups else { break }
            reportLost(plantings, answer, keys, options)
            guard try await plant(plantings, of: entry) != nil else { return nil }
            hasPlanted = true
        } while true
        return answer
    }

    /// Reports the groups that had a stamp when one of the values was cached, and have none.
    private func reportLost(
        _ plantings: [ReadMachine.Planting], _ answer: PartAnswer, _ keys: [StoreKey], _ options: CacheEntry.Options
    ) {
        for (key, item) in zip(keys, answer.items) {
            guard let item, case .value(let record)? = EnvelopeCoding.envelope(in: item.value, for: key) else {
                continue
            }
            let read = ReadMachine.Read(
                item: .init(cas: item.cas, envelope: .value(record)), groups: answer.groups)
            return reportLost(plantings, read, CacheEntry(key: key, options: options))
        }
    }
}
