/* Certificate messages of both protocols, whole and cut at every byte. */
#include "delivery/tls_chain.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 4096 };

struct message {
    char bytes[BYTES_MAX];
    size_t length;
};

static void add_number(struct message *message, size_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        message->bytes[message->length++] = (char)(number >> 8 * (bytes - 1 - i));
}

static struct message make(size_t certificates, const char *certificate, size_t length, bool tls13)
{
    struct message message = { .length = 0 };
    size_t each = 3 + length + (tls13 ? 2U + 4U : 0U), list = certificates * each;
    add_number(&message, 11, 1);
    add_number(&message, (tls13 ? 1U : 0U) + 3 + list, 3);
    if (tls13)
        add_number(&message, 0, 1);
    add_number(&message, list, 3);
    for (size_t i = 0; i < certificates; i++) {
        add_number(&message, length, 3);
        memcpy(message.bytes + message.length, certificate, length);
        message.length += length;
        if (tls13) {
            add_number(&message, 4, 2);
            add_number(&message, 0x00050000, 4);
        }
    }
    return message;
}

static bool may_be_read(const struct message *message, size_t length, bool tls13)
{
    char *copy = malloc(length + 1); /* so that a sanitizer sees a byte too many */
    memcpy(copy, message->bytes, length);
    bool may = tls_chain_may_be_read((struct slice){ copy, length }, tls13);
    free(copy);
    return may;
}

Test(tls_chain, ten_certificates_are_enough)
{
    for (int tls13 = 0; tls13 < 2; tls13++) {
        struct message most = make(TLS_CHAIN_MAX, "certificate", 11, tls13), more = make(TLS_CHAIN_MAX + 1, "certificate", 11, tls13);
        cr_expect(may_be_read(&most, most.length, tls13));
        cr_expect_not(may_be_read(&more, more.length, tls13));
        for (size_t length = 0; length < most.length; length++)
            cr_expect(may_be_read(&most, length, tls13), "%zu", length);
    }
}

Test(tls_chain, empty_certificates_count_as_well)
{
    struct message more = make(TLS_CHAIN_MAX + 1, "", 0, false);
    cr_expect_not(may_be_read(&more, more.length, false));
}

#define EC    "\x2a\x86\x48\xce\x3d\x02\x01"
#define P_256 "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define P_224 "\x06\x05\x2b\x81\x04\x00\x21"
#define KEY(text, may)                                                                                                                               \
    {                                                                                                                                                \
        text, sizeof(text) - 1, may                                                                                                                  \
    }

Test(tls_chain, keys_on_curves_are_points_with_both_coordinates_on_a_curve_with_a_name)
{
    static const struct {
        const char *key;
        size_t length;
        bool may;
    } cases[] = {
        KEY(EC P_256 "\x03\x42\x00\x04 both", true),
        KEY(EC P_224 "\x03\x3a\x00\x04 both", true),
        KEY(EC P_256 "\x03\x81\x42\x00\x04 both", true), /* lengths in BER */
        KEY(EC P_256 "\x03\x84\x00\x00\x00\x42\x00\x04 both", true),
        KEY(EC P_256 "\x03\x22\x00\x02 one", false),
        KEY(EC P_256 "\x03\x22\x00\x03 one", false),
        KEY(EC P_256 "\x03\x42\x00\x06 both, one of them again", false),
        KEY(EC P_256 "\x03\x81\x22\x00\x02 one", false),
        KEY(EC P_256 "\x03\x84\x00\x00\x00\x22\x00\x02 one", false),
        KEY(EC P_256 "\x23\x80\x03\x42\x00\x04 in pieces", false),
        KEY(EC "\x06\x81\x05\x2b\x81\x04\x00\x21\x03\x1d\x00\x02 one", false),
        KEY(EC "\x30\x10\x02\x01\x01 a description", false),
        KEY("\x2a\x81\x1c\xcf\x55\x01\x82\x2d" P_224, false),
        KEY(EC P_256 "\x03\x42\x00\x04 both" EC P_224 "\x03\x1d\x00\x02 one", false),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct message message = make(1, cases[i].key, cases[i].length, i % 2 == 0);
        cr_expect_eq(may_be_read(&message, message.length, i % 2 == 0), cases[i].may, "%zu", i);
    }
}

/* Both lists with so many algorithms, behind an extension of another kind. */
static struct message make_request(size_t algorithms)
{
    struct message message = { .length = 0 };
    size_t list = 2 + 2 * algorithms, extensions = 4 + 8 + 2 * (4 + list);
    add_number(&message, 13, 1);
    add_number(&message, 1 + 3 + 2 + extensions, 3);
    add_number(&message, 3, 1);
    add_number(&message, 0x313233, 3);
    add_number(&message, extensions, 2);
    add_number(&message, 47, 2);
    add_number(&message, 8, 2);
    add_number(&message, 0x000d0fff, 4);
    add_number(&message, 0, 4);
    for (int type = 13; type <= 50; type += 37) {
        add_number(&message, (size_t)type, 2);
        add_number(&message, list, 2);
        add_number(&message, 2 * algorithms, 2);
        for (size_t i = 0; i < algorithms; i++)
            add_number(&message, 0x0804, 2);
    }
    return message;
}

Test(tls_chain, a_request_names_a_hundred_algorithms_at_most)
{
    struct message most = make_request(TLS_CHAIN_ALGORITHMS_MAX - 1), more = make_request(TLS_CHAIN_ALGORITHMS_MAX);
    cr_expect(tls_chain_may_be_asked_for((struct slice){ most.bytes, most.length }));
    cr_expect_not(tls_chain_may_be_asked_for((struct slice){ more.bytes, more.length }));
    for (size_t length = 0; length < most.length; length++) {
        char *copy = malloc(length + 1);
        memcpy(copy, most.bytes, length);
        cr_expect(tls_chain_may_be_asked_for((struct slice){ copy, length }), "%zu", length);
        free(copy);
    }
}
