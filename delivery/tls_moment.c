#include "delivery/tls_moment.h"

#include <openssl/asn1.h>
#include <time.h>

bool tls_moment_read(const void *time, int64_t *seconds)
{
    struct tm parts = { 0 };
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *seconds = (int64_t)timegm(&parts);
    return true;
}
