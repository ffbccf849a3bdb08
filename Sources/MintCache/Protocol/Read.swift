extension ReadMachine {
    /// What was read, and what this process knows of it.
    struct Read {
        /// Under the value key.
        var item: ValueItem?
        var groups: Groups
        /// What this process knows of the load that holds the lease.
        var leaseHere = FlightTable.State.unknown
        /// The last load, if it failed and nothing has changed since.
        var failure: RecentFailures.Failure?
        /// Why the item is nothing to us, where more is known than its bytes say.
        var garbage: CacheEvent.Reason?
        /// Whether the value is to be refreshed before it is stale.
        var isEarly = false
        /// Whether an invalidation of it was pending here when the read began: then it may be what that was to remove,
        /// though that has succeeded since.
        var wasPending = false

        /// The same with bytes of its own, to be kept for as long as a load takes: as they were read, they keep all that
        /// was read with them.
        func detached() -> Read {
            guard var record = item?.record else { return self }
            record.payload.bytes = Array(record.payload.bytes)[...]
            var read = self
            read.item?.envelope = .value(record)
            return read
        }

        /// The same with an item that is nothing to us, but for the lease that runs on it and the window that it remembers.
        func withGarbage(_ reason: CacheEvent.Reason) -> Read {
            let item = item.map { item in
                ValueItem(cas: item.cas, envelope: item.envelope?.lease.map { .later($0) })
            }
            return Read(item: item, groups: groups, leaseHere: leaseHere, garbage: reason, wasPending: wasPending)
        }

        /// Whether a window runs in which what is loaded is settling.
        func isSettling(at now: WallTime) -> Bool {
            if case .stamps(let reading) = groups, now < reading.settlingUntil { return true }
            return item?.envelope.map { now < $0.settlingUntil } ?? false
        }

        /// Why what was read is no hit.
        var missReason: CacheEvent.Reason {
            if let garbage { return garbage }
            guard let item else { return .absent }
            switch (item.envelope, groups) {
            case (nil, _): return .foreignBytes
            case (.later, _): return .laterEnvelope
            case (.pending, _), (.mark, _): return .absent
            case (.value, .incomplete): return .stampLost
            case (.value(let record), .stamps(let reading)):
                let own = GroupStamps(record.terms?.groups.map(\.stamp) ?? [])
                let current = GroupStamps(reading.own?.map(\.stamp) ?? [])
                return reason(
                    GroupStamps(Array(record.stamps) + own), GroupStamps(Array(reading.stamps) + current))
            }
        }

        /// Why a value under some stamps is no hit under those that stand there now.
        private func reason(_ stored: GroupStamps, _ current: GroupStamps) -> CacheEvent.Reason {
            guard stored.count == current.count,
                zip(stored, current).allSatisfy({ $0.isOfSameGroup(as: $1) })
            else { return .otherGroups }
            let changed = zip(stored, current).filter { $0 != $1 }
            if changed.allSatisfy({ $0.0.hard == $0.1.hard }) { return .expired }
            return changed.contains { !$0.1.isPlanted } ? .groupInvalidated : .stampLost
        }
    }

    /// What was read under the value key.
    struct ValueItem {
        var cas: StoreItem.CAS
        /// `nil` for bytes that are no envelope of this key.
        var envelope: Envelope?

        var record: CachedRecord? {
            if case .value(let record) = envelope { record } else { nil }
        }
    }

    /// What was read under the generation keys.
    enum Groups {
        case stamps(GroupReading)
        /// Some have no stamp.
        case incomplete([Planting])
    }

    /// A generation key to be given its first stamp.
    struct Planting: Equatable {
        var group: Int
        var stamp: GroupStamp
        /// The undecodable item that stands there; `nil` when nothing does.
        var over: StoreItem.CAS?
    }
}
