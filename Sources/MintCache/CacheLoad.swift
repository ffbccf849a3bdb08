/// What a loader can know of the load that it runs for.
public enum CacheLoad {
    /// Whether the load began within the window of an invalidation with `settlingFor`: a replica that lags may not know
    /// yet what was invalidated, and the primary is to be asked. What is loaded is cached until the end of the window at
    /// most, all the same.
    ///
    /// Without a lease nobody knows of a window but where an invalidation of this process has failed, or where the store
    /// was read and no lease could be had.
    @TaskLocal public static var isSettling = false
}
