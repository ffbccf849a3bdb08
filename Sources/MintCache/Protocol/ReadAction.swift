extension ReadMachine {
    /// What a call does next.
    enum Action {
        /// Write stamps for the groups that have none, then read again.
        case plant([Planting])
        /// The value is fresh, or of a load that began after this refresh did: done.
        case serve(CachedRecord)
        /// The value is stale and someone refreshes it, or the last try failed a moment ago, which is said: done.
        case serveStale(CachedRecord, CacheEvent.Reason?)
        /// The value is stale and nobody refreshes it: claim it. Lost: someone else does, so serve it stale.
        case claim(Acquisition, serving: CachedRecord)
        /// Take the lease. Lost: read again.
        case acquire(Acquisition)
        /// Read again at once.
        case readAgain
        /// Someone else holds the lease. Share the load if it is one of this process, under the stamps that were read;
        /// else wait for its fill, or pause, and read again.
        case wait(Wait)
        /// A load failed a moment ago, and its error is shared.
        case fail(RecentFailures.Failure)
        /// The longest wait is over, or the store takes no stamps: load, and do not store.
        case loadWithoutLease

        /// Whether it takes the lease for a load.
        var isLoad: Bool {
            switch self {
            case .acquire, .claim: true
            default: false
            }
        }

        /// What it would serve. If that cannot be decoded, it is garbage: see ``Read/withGarbage(_:)``.
        var record: CachedRecord? {
            switch self {
            case .serve(let record), .serveStale(let record, _), .claim(_, serving: let record): record
            case .plant, .acquire, .readAgain, .wait, .fail, .loadWithoutLease: nil
            }
        }
    }

    /// Waiting for the load that holds a lease.
    struct Wait {
        var token: LoadToken
        /// For how long, where that is another process's.
        var pause: Duration
        /// Under which stamps its load may be shared; `nil` for none.
        var stamps: GroupStamps?

        /// Whether a load may be shared: it is fresh by what was read.
        func shares(_ acquisition: Acquisition) -> Bool {
            PlantedMistake.joinWhateverTheStamps.isPlanted || stamps == acquisition.stamps
        }
    }

    /// When something was read.
    struct Moment {
        /// By the clock that leases and freshness are counted in.
        var wall: WallTime
        /// By the clock that nobody can set.
        var elapsed: Duration
    }
}
