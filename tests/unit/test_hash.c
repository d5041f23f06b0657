/* SipHash-2-4 against the reference implementation's vectors. */
#include "consumer/base/hash.h"

#include <criterion/criterion.h>

static const struct hash_key reference_key = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };

/* The hash of the bytes 00 01 02 … of that length. */
static const uint64_t reference[] = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
    0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
};

Test(hash, gives_the_reference_vectors)
{
    char bytes[COUNT_OF(reference)];
    for (size_t length = 0; length < COUNT_OF(reference); length++) {
        uint64_t hash = hash_slice(reference_key, (struct slice){ bytes, length });
        cr_assert(hash == reference[length], "length %zu: %016lx", length, (unsigned long)hash);
        bytes[length] = (char)length;
    }
}

Test(hash, does_not_depend_on_alignment)
{
    char bytes[32];
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 15; i++)
            bytes[shift + i] = (char)i;
        cr_assert(hash_slice(reference_key, (struct slice){ bytes + shift, 15 }) == reference[15]);
    }
}

Test(hash, differs_with_the_key_and_with_every_byte)
{
    struct hash_key other = { reference_key.k0, reference_key.k1 ^ 1 };
    cr_assert(hash_slice(reference_key, SLICE("task-1")) != hash_slice(other, SLICE("task-1")));
    cr_assert(hash_slice(reference_key, SLICE("task-1")) != hash_slice(reference_key, SLICE("task-2")));
    cr_assert(hash_slice(reference_key, SLICE("a")) != hash_slice(reference_key, SLICE("a\0")));
}

Test(hash, takes_the_empty_slice)
{
    cr_assert(hash_slice(reference_key, (struct slice){ NULL, 0 }) == reference[0]);
}
