#include "delivery/site.h"

#include <string.h>

enum { IPV4_SITE_BYTES = 3, IPV6_SITE_BYTES = 4 };

static size_t start_of_label(struct slice host, size_t end)
{
    while (end > 0 && host.start[end - 1] != '.')
        end--;
    return end;
}

/* A country under which names are sold: example.co.uk is a domain, co.uk is none. The registries' whole list is long, and changes. */
static bool is_sold_under(struct slice label)
{
    static const char *const labels[] = { "ac", "co", "com", "edu", "gov", "ne", "net", "or", "org" };
    for (size_t i = 0; i < COUNT_OF(labels); i++)
        if (slice_equal(label, slice_of(labels[i])))
            return true;
    return false;
}

struct slice site_domain(struct slice host)
{
    size_t top = start_of_label(host, host.length), end = top > 0 ? top - 1 : 0, start = start_of_label(host, end);
    if (start > 0 && host.length - top == 2 && is_sold_under((struct slice){ host.start + start, end - start }))
        start = start_of_label(host, start - 1);
    return (struct slice){ host.start + start, host.length - start };
}

/* The name as the origin has it, in lower case. */
static struct slice name_of(const struct url *url)
{
    size_t start = url->https ? strlen("https://") : strlen("http://"), end = start;
    while (end < url->origin_length && url->origin[end] != ':')
        end++;
    return (struct slice){ url->origin + start, end - start };
}

uint64_t site_hash(struct hash_key key, const struct url *url)
{
    const char *bytes = (const char *)url->literal.bytes;
    switch (url->host_kind) {
    case GUARD_HOST_IS_IPV4:
        return hash_slice(key, (struct slice){ bytes, IPV4_SITE_BYTES });
    case GUARD_HOST_IS_IPV6:
        return hash_slice(key, (struct slice){ bytes, IPV6_SITE_BYTES });
    case GUARD_HOST_IS_NAME:
        break;
    }
    return hash_slice(key, site_domain(name_of(url)));
}
