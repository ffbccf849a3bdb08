// The C API as Swift sees it: libmemcached's own header and nothing else.
#include <libmemcached/memcached.h>
