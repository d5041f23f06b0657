/* C11's threads by way of POSIX's, for ThreadSanitizer: librdkafka (Debian's) uses the former, which the sanitizer neither sees nor follows, so that
 * the program would not even start. Linked into the jobhook of the preset tsan only; takes the place of glibc's functions. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

/* glibc makes them alike (threads.h(7): "implemented in terms of"). */
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mutex");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a condition");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "a once");

struct start {
    thrd_start_t function;
    void *argument;
};

static int result_of(int error)
{
    return error == 0 ? thrd_success : thrd_error;
}

static void *run(void *context)
{
    struct start start = *(struct start *)context;
    free(context);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof(*start));
    *start = (struct start){ function, argument };
    return result_of(pthread_create(thread, NULL, run, start));
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned = NULL;
    int error = pthread_join(thread, &returned);
    if (result != NULL)
        *result = (int)(intptr_t)returned;
    return result_of(error);
}

thrd_t thrd_current(void)
{
    return pthread_self();
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(error);
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return pthread_mutex_trylock((pthread_mutex_t *)mutex) == 0 ? thrd_success : thrd_busy;
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    int error = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return error == ETIMEDOUT ? thrd_timedout : result_of(error);
}

void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)flag, function);
}
