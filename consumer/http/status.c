#include "consumer/http/status.h"

void status_lock(const struct service_status *status)
{
    for (size_t i = 0; i < status->worker_count; i++)
        pthread_mutex_lock(&status->workers[i]->lock);
}

void status_unlock(const struct service_status *status)
{
    for (size_t i = 0; i < status->worker_count; i++)
        pthread_mutex_unlock(&status->workers[i]->lock);
}
