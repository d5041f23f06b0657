#include "delivery/delivery_inside.h"

#include <criterion/criterion.h>

/* Up to 20,000 of these are in memory while as many slow receivers are waited for: what is added here is added to each. A third of it is the URL's
 * origin, in one spelling. */
Test(delivery, a_delivery_stays_small)
{
    cr_assert_leq(sizeof(struct delivery), 832, "%zu bytes", sizeof(struct delivery));
}

Test(delivery, an_event_beside_its_bytes_stays_small)
{
    cr_assert_leq(sizeof(struct event), 224, "%zu bytes", sizeof(struct event));
}
