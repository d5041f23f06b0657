#include "delivery/egress.h"

void egress_init(struct egress *egress)
{
    *egress = (struct egress){ 0 };
    list_init(&egress->tried);
}

void egress_forget(struct egress *egress, struct egress_mark *mark)
{
    if (link_is_free(&mark->link))
        return;
    list_remove(&egress->tried, &mark->link);
    egress->failed -= mark->failed;
}

static struct egress_mark *oldest(const struct egress *egress)
{
    struct link *link = list_first(&egress->tried);
    return link == NULL ? NULL : container_of(link, struct egress_mark, link);
}

static void forget_old_tries(struct egress *egress, uint64_t now_ms)
{
    for (struct egress_mark *mark = oldest(egress); mark != NULL && now_ms - mark->tried_ms > EGRESS_TRIED_MS; mark = oldest(egress))
        egress_forget(egress, mark);
}

static void note_try(struct egress *egress, struct egress_mark *mark, bool failed, uint64_t now_ms)
{
    egress_forget(egress, mark);
    mark->tried_ms = now_ms;
    mark->failed = failed;
    list_append(&egress->tried, &mark->link);
    egress->failed += failed;
    if (!egress->down) /* else they are kept until it ends */
        forget_old_tries(egress, now_ms);
}

static void recover(struct egress *egress, uint64_t now_ms)
{
    egress->down = false;
    egress->lost_ms += now_ms - egress->down_since_ms;
    egress->up_since_ms = now_ms;
    for (struct egress_mark *mark = oldest(egress); mark != NULL; mark = oldest(egress)) {
        mark->connected &= !mark->failed; /* so that the same origins cannot trip it again and again */
        egress_forget(egress, mark);
    }
}

void egress_note_heard(struct egress *egress, uint64_t now_ms)
{
    if (egress->down)
        recover(egress, now_ms);
}

void egress_note_connected(struct egress *egress, struct egress_mark *mark, uint64_t now_ms)
{
    egress_note_heard(egress, now_ms);
    mark->connected = true;
    mark->connected_ms = now_ms;
    note_try(egress, mark, false, now_ms);
}

static bool nearly_all_fail(const struct egress *egress)
{
    size_t tried = egress->tried.length;
    return tried >= EGRESS_TRIED_MIN && (uint64_t)egress->failed * 100 >= tried * EGRESS_FAILED_PERCENT;
}

static void break_down(struct egress *egress, uint64_t now_ms)
{
    egress->down = true;
    egress->down_since_ms = now_ms;
    egress->probes = 0;
    egress->probe_ms = now_ms + EGRESS_PROBE_MS;
}

void egress_note_failed(struct egress *egress, struct egress_mark *mark, uint64_t now_ms)
{
    if (!egress_knows(egress, mark, now_ms)) {
        egress_forget(egress, mark);
        return;
    }
    note_try(egress, mark, true, now_ms);
    if (!egress->down && nearly_all_fail(egress))
        break_down(egress, now_ms);
}

bool egress_knows(const struct egress *egress, const struct egress_mark *mark, uint64_t now_ms)
{
    uint64_t judged_ms = egress->down ? egress->down_since_ms : now_ms;
    return mark->connected && judged_ms <= mark->connected_ms + EGRESS_KNOWN_MS;
}

bool egress_may_probe(const struct egress *egress, uint64_t now_ms)
{
    return egress->down && now_ms >= egress->probe_ms;
}

/* The site that was probed longest ago comes first, and of one site an origin that may well connect. */
uint64_t egress_probe_rank(const struct egress *egress, const struct egress_mark *mark, uint64_t now_ms)
{
    bool known = egress_knows(egress, mark, now_ms), for_any = egress->probes % EGRESS_ANY_PROBE == EGRESS_ANY_PROBE - 1;
    uint64_t rank = 2 * egress->probed_ms[mark->site % EGRESS_SITES] + (known && !mark->failed ? 0 : 1);
    return known || for_any ? rank : rank + UINT64_MAX / 2;
}

void egress_note_probe(struct egress *egress, const struct egress_mark *mark, uint64_t now_ms)
{
    egress->probes++;
    egress->probed_ms[mark->site % EGRESS_SITES] = now_ms;
    egress->probe_ms = now_ms + EGRESS_PROBE_MS;
}

uint64_t egress_working_ms(const struct egress *egress, uint64_t now_ms)
{
    return now_ms - egress->lost_ms - (egress->down ? now_ms - egress->down_since_ms : 0);
}
