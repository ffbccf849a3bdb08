// What a server author names next to `Cache` (`InMemoryStore`, `CacheStore`, `CacheError`, …) comes with this import.
@_exported public import MintCache
