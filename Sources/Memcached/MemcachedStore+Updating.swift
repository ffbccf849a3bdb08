import MintCache

/// The servers may change while the store is in use.
extension MemcachedStore {
    /// Takes the next step of a change of the list of servers: see ``ServerList``. Calls go on all the while.
    ///
    /// Servers that stay keep their connections. One that is in no list any more finishes what it was asked, and its
    /// connections are closed after another ``Configuration/operationTimeout``; loads that began on it and take longer
    /// are not stored. When this returns in all processes, and their invalidations that were under way have ended, all may
    /// take the next step. What the store has already is no step, and no error.
    ///
    /// - Parameters:
    ///   - current: where values are read and written from now on.
    ///   - previous: the list before, until no process uses it any more.
    ///   - next: the list that is to come.
    /// - Throws: ``CacheError`` with code `invalidServer` for lists that are not the next step, or malformed; `shutDown` when
    ///   the store was. Then nothing has changed.
    public func update(servers current: ServerList, previous: ServerList? = nil, next: ServerList? = nil) async throws {
        let gone = try replaceClients(ServerLists(current: current, previous: previous, next: next))
        guard !gone.isEmpty else { return }
        // In a task of its own, which the cancellation of this one does not reach.
        await Task { [pause = configuration.operationTimeout] in
            // Somebody may have looked up a server, and be about to ask it.
            try? await Task.sleep(for: pause)
            for client in gone { client.close() }
            fleet.left(gone)
        }.value
    }

    /// Changes the servers at once, without a number and so without any promise about keys that move: an invalidated value
    /// may come back. For stores whose values are never invalidated, or that are to be empty afterwards.
    ///
    /// - Throws: as ``update(servers:previous:next:)``; `invalidServer` also for a store whose lists have numbers.
    public func update(servers: [String]) async throws {
        try await update(servers: ServerList(servers, number: 0))
    }

    /// Replaces the fleet.
    ///
    /// - Returns: the clients of servers that are in no list any more.
    private func replaceClients(_ lists: ServerLists) throws -> [ServerClient] {
        try fleet.replace { fleet in
            guard !isClosed else { throw CacheError(.shutDown, "this store was shut down: make a new one") }
            if lists.isSame(as: fleet.lists) { return nil }
            try lists.validate(after: fleet.lists)
            var kept = [MemcachedServer.Endpoint: ServerClient](
                uniqueKeysWithValues: fleet.clients.map { ($0.state.server.identity, $0) })
            var added: [ServerClient] = []
            let clients = lists.servers.map { server in
                if let client = kept.removeValue(forKey: server.identity) { return client }
                added.append(makeClient(server))
                return added[added.count - 1]
            }
            do { try start(added) } catch {
                for client in added { client.close() }
                throw error
            }
            return Fleet(lists, clients)
        }
    }
}
