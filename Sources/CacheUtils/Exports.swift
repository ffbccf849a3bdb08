// What a server author names next to `Cache` comes with this import. What the cache is made of is in `MintCache`.
@_exported public import struct MintCache.BackgroundContext
@_exported public import protocol MintCache.CacheClock
@_exported public import struct MintCache.CacheError
@_exported public import struct MintCache.CacheEvent
@_exported public import struct MintCache.CacheLoad
@_exported public import protocol MintCache.CacheObserver
@_exported public import struct MintCache.CachePolicy
@_exported public import protocol MintCache.CacheStore
@_exported public import struct MintCache.DrainResult
@_exported public import class MintCache.InMemoryStore
@_exported public import struct MintCache.PendingInvalidation
@_exported public import struct MintCache.StoreItem
@_exported public import struct MintCache.StoreKey
@_exported public import struct MintCache.StorePart
@_exported public import struct MintCache.StoreWrite
@_exported public import struct MintCache.SystemClock
@_exported public import struct MintCache.UniqueValue
