extension EnvelopeCoding {
    /// What an envelope is.
    enum Kind: UInt8 {
        case pending = 0
        case value = 1
        case generation = 2
        case mark = 3
        /// A value with terms of its own.
        case ownTerms = 4

        /// The size of the header and the fixed fields.
        var fixedSize: Int {
            switch self {
            case .pending: 32
            case .value, .ownTerms: 40
            case .generation: 20
            case .mark: 16
            }
        }
    }

    /// What is added to the kind.
    struct Flags: OptionSet {
        let rawValue: UInt8

        /// There is a claim.
        static let claimed = Flags(rawValue: 0x80)
        /// The value is settling, or what is loaded under the generation.
        static let settling = Flags(rawValue: 0x40)
        /// There is the number of a list of servers.
        static let numbered = Flags(rawValue: 0x20)
        /// The key was expired after the lease or the claim was taken, or the group.
        static let expired = Flags(rawValue: 0x10)
        /// The key was expired after the load of the value had begun.
        static let stale = Flags(rawValue: 0x08)

        static let kindMask: UInt8 = 0x07

        /// How many bytes they stand for.
        func size(_ kind: Kind) -> Int {
            switch kind {
            case .value, .ownTerms: (contains(.claimed) ? EnvelopeCoding.claimSize : 0) + (contains(.numbered) ? 4 : 0)
            case .generation: (contains(.expired) ? 8 : 0) + (contains(.settling) ? 8 : 0)
            case .pending, .mark: 0
            }
        }
    }

    struct Header {
        var kind: Kind
        var flags: Flags
        var stamps: Int
    }
}
