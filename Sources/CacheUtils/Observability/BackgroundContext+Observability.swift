import Logging
public import MintCache
#if Tracing
import Tracing
#endif

extension BackgroundContext {
    /// What logs and spans need: the logger of the task, and its service context where the trait `Tracing` is on. So what a
    /// refresh logs belongs to the request that began it, and its spans to the trace.
    public static let observability = BackgroundContext {
        let logger = Logger.current
        #if Tracing
        let context = ServiceContext.current
        return { refresh in
            await withLogger(logger) { _ in await ServiceContext.$current.withValue(context) { await refresh() } }
        }
        #else
        return { refresh in await withLogger(logger) { _ in await refresh() } }
        #endif
    }
}
