#include "consumer/http/payloads.h"

#include "consumer/base/hash.h"
#include "consumer/base/list.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, SHARE = 8 };

struct kept {
    struct link by_age; /* the one used longest ago comes first */
    struct kept *next;  /* in its bucket */
    size_t bucket, bytes;
    int32_t partition;
    int64_t offset;
    uint64_t digest;
    struct slice task_id;
    struct payload payload;
    char storage[];
};

struct payloads {
    struct list by_age;
    size_t bytes, bytes_max;
    struct hash_key hash_key;
    struct kept *buckets[BUCKETS];
};

struct payloads *payloads_create(size_t bytes_max)
{
    struct payloads *payloads = memory_create(sizeof *payloads);
    payloads->bytes_max = bytes_max;
    list_init(&payloads->by_age);
    random_bytes(&payloads->hash_key, sizeof payloads->hash_key);
    return payloads;
}

static void drop(struct payloads *payloads, struct kept *kept)
{
    struct kept **place = &payloads->buckets[kept->bucket];
    while (*place != kept)
        place = &(*place)->next;
    *place = kept->next;
    list_remove(&payloads->by_age, &kept->by_age);
    payloads->bytes -= kept->bytes;
    free(kept);
}

void payloads_destroy(struct payloads *payloads)
{
    if (payloads == NULL)
        return;
    while (!list_is_empty(&payloads->by_age))
        drop(payloads, container_of(list_first(&payloads->by_age), struct kept, by_age));
    free(payloads);
}

static struct kept *look(const struct payloads *payloads, const struct payload_key *key, size_t *bucket)
{
    *bucket = hash_slice(payloads->hash_key, key->task_id) % BUCKETS;
    struct kept *kept = payloads->buckets[*bucket];
    while (kept != NULL && (kept->digest != key->digest || kept->offset != key->offset || kept->partition != key->partition ||
                            !slice_equal(kept->task_id, key->task_id)))
        kept = kept->next;
    return kept;
}

bool payloads_find(struct payloads *payloads, const struct payload_key *key, struct payload *payload)
{
    size_t bucket;
    struct kept *kept = look(payloads, key, &bucket);
    if (kept == NULL)
        return false;
    list_remove(&payloads->by_age, &kept->by_age);
    list_append(&payloads->by_age, &kept->by_age);
    *payload = kept->payload;
    return true;
}

void payloads_keep(struct payloads *payloads, const struct payload_key *key, const struct payload *payload)
{
    size_t bucket, bytes = sizeof(struct kept) + key->task_id.length + payload->members.length;
    if (bytes > payloads->bytes_max / SHARE || look(payloads, key, &bucket) != NULL)
        return;
    while (payloads->bytes + bytes > payloads->bytes_max)
        drop(payloads, container_of(list_first(&payloads->by_age), struct kept, by_age));
    struct kept *kept = memory_create(bytes);
    kept->bucket = bucket;
    kept->bytes = bytes;
    kept->partition = key->partition;
    kept->offset = key->offset;
    kept->digest = key->digest;
    kept->task_id = (struct slice){ kept->storage, key->task_id.length };
    kept->payload = (struct payload){ { kept->storage + key->task_id.length, payload->members.length }, payload->has_url };
    memcpy(kept->storage, key->task_id.start, key->task_id.length);
    memcpy(kept->storage + key->task_id.length, payload->members.start, payload->members.length);
    kept->next = payloads->buckets[bucket];
    payloads->buckets[bucket] = kept;
    payloads->bytes += bytes;
    list_append(&payloads->by_age, &kept->by_age);
}
