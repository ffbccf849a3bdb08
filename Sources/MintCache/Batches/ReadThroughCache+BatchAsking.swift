/// What is asked of the store for many values.
extension ReadThroughCache {
    /// What the parts of the store answered.
    struct BatchAnswer {
        /// What stands under the keys, in their order, and maybe more.
        var items: [StoreItem?]
        /// What stands under groups; `nil` where a part failed, reported, or is not to be asked.
        var groups: [ReadMachine.Groups?]
        /// Which of them are those of each key; empty when the first are of all.
        var indices: [Int] = []

        /// What stands under the groups of all keys, where that is the same.
        var groupsOfAll: ReadMachine.Groups? { indices.isEmpty ? groups[0] : nil }

        /// What stands under the groups of a key, by its place; `nil` when its part failed.
        func groups(_ place: Int) -> ReadMachine.Groups? { groups[indices.isEmpty ? 0 : indices[place]] }
    }

    /// What a part of the store answered: what stands under the keys and more, and what stands under the groups of each,
    /// or of all.
    private typealias PartAnswer = (items: [StoreItem?], groups: [ReadMachine.Groups])

    /// What stands under some entries, by their numbers, in one round trip to each part that has any of them.
    func ask(for numbers: [Int], of entries: BatchEntries) async throws -> BatchAnswer {
        if isDisabled { return BatchAnswer(items: [], groups: [nil]) }
        if let warmGroups { warmGroups.note(entries.groups(of: numbers)) }
        // Most stores have one, which need not be looked up for each key.
        let all = store.parts
        let parts =
            all.count == 1
            ? [(part: all[0], places: Array(numbers.indices))]
            : numbers.places { store.part(of: entries.keys[$0]) }
        if parts.count == 1 {
            guard let answer = try await ask(parts[0].part, for: numbers, of: entries) else {
                return BatchAnswer(items: [], groups: [nil])
            }
            return BatchAnswer(
                items: answer.items, groups: answer.groups,
                indices: entries.haveSameGroups ? [] : Array(numbers.indices))
        }
        return try await withThrowingTaskGroup(of: ([Int], PartAnswer?).self) { group in
            for (part, places) in parts {
                group.addTask { (places, try await self.ask(part, for: places.map { numbers[$0] }, of: entries)) }
            }
            var all = BatchAnswer(
                items: Array(repeating: nil, count: numbers.count), groups: [],
                indices: Array(repeating: 0, count: numbers.count))
            for try await (places, answer) in group {
                let first = all.groups.count
                all.groups += answer?.groups ?? [nil]
                let haveSameGroups = all.groups.count == first + 1
                for (index, place) in places.enumerated() {
                    all.indices[place] = haveSameGroups ? first : first + index
                    all.items[place] = answer?.items[index]
                }
            }
            return all
        }
    }

    /// - Returns: `nil`, reported, when the part failed.
    private func ask(
        _ part: StorePart, for numbers: [Int], of entries: BatchEntries
    ) async throws -> PartAnswer? {
        let keys = numbers.count == entries.keys.count ? entries.keys : numbers.map { entries.keys[$0] }
        let groups = entries.groups(of: numbers)
        do {
            var items = try await get(keys, with: groups, in: part)
            // What has no stamp is given one, once: then it is read again.
            if case .incomplete(let plantings) = self.groups(Array(items[keys.count...]), of: groups) {
                reportLost(plantings.map { groups[$0.group] }, items, numbers, of: entries)
                try await plant(plantings, of: groups, entries[numbers[0]], in: part.store)
                items = try await get(keys, with: groups, in: part)
            }
            return (items, self.groups(items, of: groups, numbers, entries))
        } catch {
            try report(trouble: error, entries[numbers[0]])
            return nil
        }
    }

    private func get(_ keys: [StoreKey], with groups: [StoreKey], in part: StorePart) async throws -> [StoreItem?] {
        let items = try await part.store.get(groups.isEmpty ? keys : keys + groups)
        guard items.count == keys.count + groups.count else {
            throw CacheError(
                .storeFailure,
                "the store gave \(items.count) items for \(keys.count + groups.count) keys: get(_:) is to give one for each"
            )
        }
        return items
    }

    /// What stands under the groups of each entry, or of all.
    ///
    /// - Parameter items: of the keys, and then of the groups of all.
    private func groups(
        _ items: [StoreItem?], of groups: [StoreKey], _ numbers: [Int], _ entries: BatchEntries
    ) -> [ReadMachine.Groups] {
        let generations = items[numbers.count...]
        if entries.haveSameGroups { return [self.groups(Array(generations), of: groups)] }
        let all = Dictionary(zip(groups, generations)) { first, _ in first }
        return numbers.map { number in
            let groups = entries[number].groups
            return self.groups(groups.map { all[$0] ?? nil }, of: groups)
        }
    }

    /// Reports the groups that had a stamp when one of the values was cached, and have none.
    private func reportLost(_ groups: [StoreKey], _ items: [StoreItem?], _ numbers: [Int], of entries: BatchEntries) {
        var lost = Set(groups)
        for (number, item) in zip(numbers, items) where !lost.isEmpty {
            let entry = entries[number]
            guard let item, case .value(let record)? = EnvelopeCoding.envelope(in: item.value, for: entry.key),
                record.stamps.count == entry.groups.count
            else { continue }
            for group in entry.groups {
                guard let group = lost.remove(group) else { continue }
                report(CacheEvent(kind: .stampLost, key: group, function: entry.options.function))
            }
        }
    }
}
