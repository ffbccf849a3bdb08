/// What is asked of the store for many values.
extension ReadThroughCache {
    /// What a part of the store answered.
    struct BatchAnswer {
        var numbers: [Int]
        /// What stands under the keys, and the groups that are the same for all; `nil`, reported, when the part failed.
        var found: (items: [StoreItem?], groups: ReadMachine.Groups)?
    }

    /// What stands under the keys of some elements, in one round trip to each part that has any of them.
    func ask(for numbers: [Int], of entries: [CacheEntry]) async throws -> [BatchAnswer] {
        guard let first = numbers.first else { return [] }
        if let warmGroups { warmGroups.note(entries[first].groups) }
        var parts: [(part: StorePart, numbers: [Int])] = []
        for number in numbers {
            let part = store.part(of: entries[number].key)
            if let place = parts.firstIndex(where: { $0.part.id == part.id }) {
                parts[place].numbers.append(number)
            } else {
                parts.append((part, [number]))
            }
        }
        if parts.count == 1 { return [try await ask(parts[0].part, for: numbers, of: entries)] }
        return try await withThrowingTaskGroup(of: BatchAnswer.self) { group in
            for (part, numbers) in parts { group.addTask { try await self.ask(part, for: numbers, of: entries) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func ask(_ part: StorePart, for numbers: [Int], of entries: [CacheEntry]) async throws -> BatchAnswer {
        let entry = entries[numbers[0]]
        var answer = BatchAnswer(numbers: numbers)
        // What has no stamp is given one, once: then it is read again.
        for hasPlanted in [false, true] {
            do {
                let items = try await part.store.get(numbers.map { entries[$0].key } + entry.groups)
                guard items.count == numbers.count + entry.groups.count else {
                    throw CacheError(
                        .storeFailure,
                        "the store gave \(items.count) items for \(numbers.count + entry.groups.count) keys: get(_:) is to "
                            + "give one for each")
                }
                let groups = groups(Array(items.suffix(entry.groups.count)), of: entry.groups)
                answer.found = (Array(items.prefix(numbers.count)), groups)
            } catch {
                try report(trouble: error, entry)
                answer.found = nil
                return answer
            }
            guard !hasPlanted, case .incomplete(let plantings)? = answer.found?.groups else { break }
            reportLost(plantings, answer, entries)
            guard try await plant(plantings, of: entry) != nil else { break }
        }
        return answer
    }

    /// Reports the groups that had a stamp when one of the values was cached, and have none.
    private func reportLost(_ plantings: [ReadMachine.Planting], _ answer: BatchAnswer, _ entries: [CacheEntry]) {
        guard let (items, groups) = answer.found else { return }
        for (number, item) in zip(answer.numbers, items) {
            guard let item, let envelope = EnvelopeCoding.envelope(in: item.value, for: entries[number].key) else {
                continue
            }
            let read = ReadMachine.Read(item: .init(cas: item.cas, envelope: envelope), groups: groups)
            guard read.item?.record != nil else { continue }
            return reportLost(plantings, read, entries[number])
        }
    }
}
