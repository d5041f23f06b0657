#include "consumer/base/list.h"

#include <criterion/criterion.h>
#include <signal.h>

struct item {
    int number;
    struct link link;
};

static int number_of(struct link *link)
{
    return container_of(link, struct item, link)->number;
}

Test(list, gives_links_in_the_order_they_came)
{
    struct list list;
    struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
    list_init(&list);
    for (size_t i = 0; i < 3; i++)
        list_append(&list, &items[i].link);
    cr_assert_eq(list.length, 3);
    for (int expected = 1; expected <= 3; expected++)
        cr_assert_eq(number_of(list_take(&list)), expected);
    cr_assert_null(list_take(&list));
    cr_assert_null(list_first(&list));
    cr_assert(list_is_empty(&list));
}

Test(list, a_zeroed_or_removed_link_is_on_no_list)
{
    struct list list;
    struct item item = { 0 };
    list_init(&list);
    cr_assert(link_is_free(&item.link));
    list_append(&list, &item.link);
    cr_assert_not(link_is_free(&item.link));
    list_remove(&list, &item.link);
    cr_assert(link_is_free(&item.link));
    cr_assert(list_is_empty(&list));
}

Test(list, removes_from_the_middle)
{
    struct list list;
    struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
    list_init(&list);
    for (size_t i = 0; i < 3; i++)
        list_append(&list, &items[i].link);
    list_remove(&list, &items[1].link);
    cr_assert_eq(list.length, 2);
    cr_assert_eq(number_of(list_take(&list)), 1);
    cr_assert_eq(number_of(list_take(&list)), 3);
}

Test(list, each_visits_all_and_lets_the_body_remove_the_link_it_is_at)
{
    struct list list;
    struct item items[4] = { { .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 4 } };
    int sum = 0;
    list_init(&list);
    for (size_t i = 0; i < 4; i++)
        list_append(&list, &items[i].link);
    LIST_EACH (&list, link) {
        sum += number_of(link);
        if (number_of(link) % 2 == 0)
            list_remove(&list, link);
    }
    cr_assert_eq(sum, 10);
    cr_assert_eq(list.length, 2);
}

Test(list, refuses_a_link_that_is_on_a_list_already, .signal = SIGABRT)
{
    struct list list;
    struct item item = { 0 };
    list_init(&list);
    list_append(&list, &item.link);
    list_append(&list, &item.link);
}

Test(list, refuses_to_remove_a_free_link, .signal = SIGABRT)
{
    struct list list;
    struct item item = { 0 };
    list_init(&list);
    list_remove(&list, &item.link);
}
