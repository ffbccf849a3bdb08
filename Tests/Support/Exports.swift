// What a user's own tests have, ours have too.
@_exported public import CacheUtilsTesting
