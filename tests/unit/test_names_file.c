#include "delivery/names_file.h"

#include <criterion/criterion.h>

static const char *const good[] = {
    "nameserver 192.0.2.1",
    "nameserver 192.0.2.1\n",
    "search example.com\nnameserver 192.0.2.1\noptions ndots:5\n",
    "nameserver 127.0.\nnameserver 2001:db8::1\n",
    "  nameserver \t 192.0.2.1 \r\n",
    "nameserver 192.0.2.1 # the router",
    "nameserver 192.0.2.1;the router",
    "# one\n\n; two\nnameserver ::1",
};

static const char *const bad[] = {
    "",
    "\n\n",
    "# No nameservers known, see NetworkManager(8)\n",
    "; nameserver 192.0.2.1\n",
    "#nameserver 192.0.2.1",
    "options rotate # nameserver 192.0.2.1",
    "nameserver",
    "nameserver \n192.0.2.1",
    "nameserver 127.0.",
    "nameserver 192.0.2.1x",
    "nameserver 192.0.2.1:53",
    "nameserver fe80::1%no.such.one",
    "nameserver fe80::1%",
    "nameserver 192.0.2.1%lo",
    "nameservers 192.0.2.1",
    "nameserver=192.0.2.1",
    "nameserver 0000000000000000000000000000000000000000000000000000000000000000000000000000000192.0.2.1",
};

Test(names_file, names_a_server_with_an_address_on_a_line_of_its_own)
{
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect(names_file_names_a_server(slice_of(good[i]), false), "%s", good[i]);
}

Test(names_file, names_none_in_comments_and_halves)
{
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(names_file_names_a_server(slice_of(bad[i]), true), "%s", bad[i]);
    cr_expect_not(names_file_names_a_server((struct slice){ "nameserver 192.0.2\0.1", 21 }, true), "a NUL");
}

Test(names_file, may_name_an_interface_where_that_is_understood)
{
    cr_expect(names_file_names_a_server(SLICE("nameserver fe80::1%lo\n"), true));
    cr_expect_not(names_file_names_a_server(SLICE("nameserver fe80::1%lo\n"), false));
}
