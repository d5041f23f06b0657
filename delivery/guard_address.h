/* Addresses as text, for the guard's two halves: guard.c reads URLs, guard_address.c judges addresses. Pure. */
#ifndef JOBHOOK_DELIVERY_GUARD_ADDRESS_H
#define JOBHOOK_DELIVERY_GUARD_ADDRESS_H

#include "delivery/guard.h"

/* Four decimal numbers without leading zeros. Whatever else C libraries take for an address (octal, hexadecimal, fewer parts) is none. */
MUST_USE bool guard_address_read_v4(struct slice text, struct guard_address *address);
/* RFC 4291 §2.2, without brackets and zone. */
MUST_USE bool guard_address_read_v6(struct slice text, struct guard_address *address);
/* ::ffff:0:0/96: an IPv4 address in the clothes of IPv6. */
bool guard_address_is_mapped(const struct guard_address *address);

#endif
