#include "consumer/ledger.h"

#include "consumer/base/memory.h"

#include <stdlib.h>

enum { LEDGER_CAPACITY_MIN = 64 };

struct ledger_entry {
    int64_t offset;
    bool closed;
};

void ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){ .position = -1 };
}

void ledger_finish(struct ledger *ledger)
{
    free(ledger->entries);
    ledger_init(ledger);
}

static struct ledger_entry *entry_at(const struct ledger *ledger, uint32_t index)
{
    return &ledger->entries[(ledger->first + index) & (ledger->capacity - 1)];
}

static void grow(struct ledger *ledger)
{
    uint32_t capacity = ledger->capacity == 0 ? LEDGER_CAPACITY_MIN : ledger->capacity * 2;
    struct ledger_entry *entries = memory_create(capacity * sizeof(*entries));
    for (uint32_t i = 0; i < ledger->count; i++)
        entries[i] = *entry_at(ledger, i);
    free(ledger->entries);
    ledger->entries = entries;
    ledger->capacity = capacity;
    ledger->first = 0;
}

bool ledger_is_full(const struct ledger *ledger)
{
    return ledger->count >= LEDGER_OPEN_MAX;
}

uint64_t ledger_open(struct ledger *ledger, int64_t offset)
{
    assert(!ledger_is_full(ledger));
    assert(offset >= ledger->position);
    if (ledger->count == ledger->capacity)
        grow(ledger);
    uint64_t slot = ledger->first_slot + ledger->count;
    ledger->count++;
    *entry_at(ledger, ledger->count - 1) = (struct ledger_entry){ .offset = offset };
    ledger->position = offset + 1;
    return slot;
}

void ledger_close(struct ledger *ledger, uint64_t slot)
{
    assert(slot >= ledger->first_slot && slot - ledger->first_slot < ledger->count);
    struct ledger_entry *entry = entry_at(ledger, (uint32_t)(slot - ledger->first_slot));
    assert(!entry->closed);
    entry->closed = true;
    while (ledger->count > 0 && entry_at(ledger, 0)->closed) {
        ledger->first = (ledger->first + 1) & (ledger->capacity - 1);
        ledger->first_slot++;
        ledger->count--;
    }
}

void ledger_advance(struct ledger *ledger, int64_t position)
{
    if (position > ledger->position)
        ledger->position = position;
}

int64_t ledger_oldest_open(const struct ledger *ledger)
{
    return ledger->count == 0 ? -1 : entry_at(ledger, 0)->offset;
}

int64_t ledger_committable(const struct ledger *ledger)
{
    return ledger->count == 0 ? ledger->position : entry_at(ledger, 0)->offset;
}

uint32_t ledger_span(const struct ledger *ledger)
{
    return ledger->count;
}
