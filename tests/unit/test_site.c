#include "delivery/site.h"

#include <criterion/criterion.h>

static uint64_t hash_of(const char *text)
{
    static struct guard guard = { .allow_http = true };
    struct url url;
    cr_assert_eq(guard_judge_url(&guard, slice_of(text), &url), GUARD_OK, "%s", text);
    return site_hash((struct hash_key){ 1, 2 }, &url);
}

Test(site, a_domain_is_two_labels_or_three_where_names_are_sold_under_a_country)
{
    static const char *const cases[][2] = {
        { "example.com", "example.com" },
        { "a.b.example.com", "example.com" },
        { "example.co.uk", "example.co.uk" },
        { "a.b.example.co.uk", "example.co.uk" },
        { "co.uk", "co.uk" },
        { "a.example.uk", "example.uk" },
        { "com", "com" },
        { "", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect(slice_is(site_domain(slice_of(cases[i][0])), cases[i][1]), "%s", cases[i][0]);
}

Test(site, names_ports_and_addresses_of_one_stranger_are_one_site)
{
    static const char *const same[][2] = {
        { "https://a.evil.com/x", "https://b.evil.com/y" },
        { "https://a.evil.com/", "http://A.EVIL.com:8080/" },
        { "https://8.8.8.8/", "https://8.8.8.9:444/" },
        { "https://[2606:4700:1:2::3]/", "https://[2606:4700:2:4::5]:444/" },
    };
    for (size_t i = 0; i < COUNT_OF(same); i++)
        cr_expect_eq(hash_of(same[i][0]), hash_of(same[i][1]), "%s", same[i][0]);
}

Test(site, other_domains_and_networks_are_other_sites)
{
    static const char *const all[] = {
        "https://evil.com/", "https://good.com/",         "https://evil.org/",         "https://evil.com.au/", "https://8.8.8.8/",
        "https://8.8.9.8/",  "https://[2606:4700:1::3]/", "https://[2606:4701:1::3]/", "https://evil.co.uk",   "https://good.co.uk:8443",
    };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t k = 0; k < i; k++)
            cr_expect_neq(hash_of(all[i]), hash_of(all[k]), "%s, %s", all[i], all[k]);
}
