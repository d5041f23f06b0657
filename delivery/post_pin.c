#include "consumer/base/memory.h"
#include "delivery/post.h"
#include "delivery/post_options.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>

struct post_pin {
    struct curl_slist entry;
    char text[2 + GUARD_HOST_MAX + 6 + NAMES_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)]; /* "+host:port:address,…" */
};

/* The address at this place: those of one kind take turns, as libcurl hardly gets to the second while the first is silent. */
static const struct guard_address *address_at(const struct names_answer *answer, size_t place, uint64_t turn)
{
    bool v6 = answer->addresses[place].v6;
    size_t of_kind = 0, places[NAMES_ADDRESSES_MAX], rank = 0;
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->addresses[i].v6 != v6)
            continue;
        rank += i < place;
        places[of_kind++] = i;
    }
    return &answer->addresses[places[(rank + turn) % of_kind]];
}

static bool has_both_kinds(const struct names_answer *answer)
{
    size_t v6 = 0;
    for (size_t i = 0; i < answer->count; i++)
        v6 += answer->addresses[i].v6;
    return v6 > 0 && v6 < answer->count;
}

static const struct trouble {
    enum outcome_kind kind;
    const char *detail;
} troubles[] = {
    [NAMES_NOT_FOUND] = { OUTCOME_NAME_NOT_FOUND, "the name does not exist or has no address" },
    [NAMES_FAILED] = { OUTCOME_NAME_FAILED, "the name servers did not answer" },
    [NAMES_NOT_ASKED] = { OUTCOME_LOCAL, "no socket could be opened here" },
};

static bool may_be_dialled(struct post *post, const struct names_answer *answer)
{
    if (answer->count == 0) {
        const struct trouble *trouble = &troubles[answer->result == NAMES_FOUND ? NAMES_NOT_FOUND : answer->result];
        post_conclude_early(post, trouble->kind, trouble->detail);
        return false;
    }
    for (size_t i = 0; i < answer->count; i++) {
        if (guard_judge_address(post->shared->guard, &answer->addresses[i]) == GUARD_OK)
            continue;
        post->saw.blocked = true;
        post_conclude_early(post, OUTCOME_BLOCKED_ADDRESS, "the name has an address that may not be called");
        return false;
    }
    return true;
}

/* The answer as an entry of libcurl's own table of names. "+": it may be replaced, as it is by every post. Each lane has one table; an entry that
 * is left over is never used, because every post for a name brings its own, and would be judged by on_open_socket if it were. */
bool post_pin(struct post *post, const struct names_answer *answer)
{
    if (!may_be_dialled(post, answer))
        return false;
    if (post->pin == NULL)
        post->pin = memory_create(sizeof(*post->pin));
    char *pin = post->pin->text;
    size_t size = sizeof(post->pin->text);
    int length = snprintf(pin, size, "+%s:%u:", post->host, (unsigned)post->port);
    for (size_t i = 0; i < answer->count; i++) {
        const struct guard_address *address = address_at(answer, i, post->begin_us);
        char text[INET6_ADDRSTRLEN];
        inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, text, sizeof(text));
        length += snprintf(pin + length, size - (size_t)length, address->v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", text);
    }
    post->pin->entry = (struct curl_slist){ pin, NULL };
    curl_easy_setopt(post->easy, CURLOPT_RESOLVE, &post->pin->entry);
    if (has_both_kinds(answer))
        post_options_set_kinds(post->easy, true);
    post->pinned = true;
    return true;
}
