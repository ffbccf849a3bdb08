import CacheUtils
import Foundation
import Memcached

// One process of a release, for scripts/test-migration, which builds it with either edition of this package and says line
// by line what it is to do. Its database is a file with a number.
let (server, database) = (CommandLine.arguments[1], CommandLine.arguments[2])
let store = try MemcachedStore(servers: [server])
#if SECOND_EDITION
let cache = Cache(
    store: store, namespace: "shop", version: "8", firstEditionVersions: ["7"], canInvalidateAll: true)
#else
let cache = Cache(store: store, namespace: "shop", version: "7")
#endif
let row = cache.cached("row", ttl: .seconds(600), groups: ["rows"]) { (_: Int) in
    let text = try String(contentsOfFile: database, encoding: .utf8)
    return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
}

func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

while let line = readLine() {
    var answer = "done"
    switch line {
    case "get": answer = "\(try await row(1))"
    case "invalidate": try await row.invalidate(1)
    case "invalidate group": try await cache.invalidate(group: "rows")
    #if SECOND_EDITION
    case "invalidate all": try await cache.invalidateAll()
    #endif
    default: answer = "?"
    }
    // What was loaded is stored before the next line: the first edition returns then.
    #if SECOND_EDITION
    await cache.drain()
    #endif
    say(answer)
}
await store.shutdown()
