#if Configuration
package import Configuration

/// Reads that tell a value that is not there from one that cannot be read: the reader's own take both for `nil`.
extension ConfigReader {
    /// An integer; `nil` where there is none.
    package func checkedInt(_ key: ConfigKey) throws(CacheError) -> Int? {
        if let value = int(forKey: key) { return value }
        try checkAbsent(key, "a whole number")
        return nil
    }

    /// A number; `nil` where there is none.
    package func checkedDouble(_ key: ConfigKey) throws(CacheError) -> Double? {
        if let value = double(forKey: key) { return value }
        if let value = int(forKey: key) { return Double(value) }
        try checkAbsent(key, "a number")
        return nil
    }

    /// Whether something is so; `nil` where that is not said.
    package func checkedBool(_ key: ConfigKey) throws(CacheError) -> Bool? {
        if let value = bool(forKey: key) { return value }
        try checkAbsent(key, "true or false")
        return nil
    }

    /// Whole milliseconds; `nil` where there are none.
    package func checkedDuration(_ key: ConfigKey) throws(CacheError) -> Duration? {
        if let value = int(forKey: key) { return .milliseconds(value) }
        try checkAbsent(key, "whole milliseconds")
        return nil
    }

    /// A text, or a whole number as one: a version may be written without quotes; `nil` where there is none.
    package func checkedString(_ key: ConfigKey, isSecret: Bool = false) throws(CacheError) -> String? {
        if let value = string(forKey: key, isSecret: isSecret) { return value }
        if let value = int(forKey: key, isSecret: isSecret) { return "\(value)" }
        try checkAbsent(key, "a text")
        return nil
    }

    /// Texts, or whole numbers as such; `nil` where there are none.
    package func checkedStrings(_ key: ConfigKey) throws(CacheError) -> [String]? {
        if let values = stringArray(forKey: key) { return values }
        if let values = intArray(forKey: key) { return values.map { "\($0)" } }
        try checkAbsent(key, "a list of texts")
        return nil
    }

    /// - Throws: ``CacheError`` with code `invalidConfiguration` where there is a value of any kind.
    private func checkAbsent(_ key: ConfigKey, _ advice: String) throws(CacheError) {
        guard
            let value = string(forKey: key) ?? double(forKey: key).map({ "\($0)" })
                ?? bool(forKey: key).map({ "\($0)" })
        else { return }
        throw CacheError(.invalidConfiguration, "the configuration has '\(value)' for \(key): give \(advice)")
    }
}
#endif
