import CacheUtils
import Foundation
import Memcached
import TestSupport

/// `ShieldClient ADDRESS BOARD PROCESS`: one of the processes of `ShieldUnderLoadTests`, with 64 tasks that call until the
/// board says that it is over, or whoever started it has ended.
@main
enum ShieldClient {
    private struct DatabaseIsDead: Error {}

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let process = Int(arguments[3]) else { exit(2) }
        let board = try ShieldBoard(path: arguments[2])
        let store = try MemcachedStore(
            servers: [arguments[1]],
            configuration: .init(operationTimeout: .seconds(2), connectTimeout: .seconds(2)))
        let cache = Cache(
            store: store, namespace: "shop",
            policy: CachePolicy(maximumLoads: ShieldBoard.mostLoads, maximumWaitingLoads: 2 * ShieldBoard.tasks),
            troubleLevel: nil)
        let row = cache.cached("row", ttl: .seconds(600), groups: ["rows"]) { (key: Int) in
            board.begin(process)
            defer { board.end(process) }
            switch board.mode {
            case .quick, .over: await Task.yield()
            case .slow: try await Task.sleep(for: .milliseconds(20))
            case .dead: throw DatabaseIsDead()
            }
            return key
        }
        let parent = getppid()
        await withTaskGroup { group in
            for _ in 0..<ShieldBoard.tasks {
                group.addTask {
                    while board.mode != .over, getppid() == parent {
                        board.note(await outcome(of: row, Int.random(in: 0..<ShieldBoard.keys)), of: process)
                        // Others need the machine, too.
                        try? await Task.sleep(for: .milliseconds(40))
                    }
                }
            }
        }
        await store.shutdown()
    }

    private static func outcome(of row: CachedFunction<Int, Int>, _ key: Int) async -> ShieldBoard.Count {
        do {
            return try await row(key) == key ? .served : .wrong
        } catch is DatabaseIsDead {
            return .dead
        } catch let error as CacheError where error.code == .tooManyLoads {
            return .refused
        } catch {
            return .wrong
        }
    }
}
