#include "consumer/control_groups.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4096 };

struct group { /* one line of /proc/self/cgroup */
    char controllers[CONTROL_GROUPS_WORD_BYTES];
    char path[LINE_BYTES];
};

struct search {
    const char *root, *controller;
    control_groups_look *look;
    uint64_t least;
};

bool control_groups_read(const char *folder, const char *name, char word[CONTROL_GROUPS_WORD_BYTES])
{
    char path[PATH_BYTES + CONTROL_GROUPS_WORD_BYTES];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = fgets(word, CONTROL_GROUPS_WORD_BYTES, file) != NULL;
    fclose(file);
    return found;
}

/* The group's folder and all above it, up to the mount itself: in a container that is often the only one of them that can be seen. */
static void look_upwards(struct search *search, const char *mount, const char *path)
{
    char folder[PATH_BYTES];
    size_t top = strlen(mount);
    if (snprintf(folder, sizeof(folder), "%s%s", mount, path) >= (int)sizeof(folder))
        return;
    for (;;) {
        search->look(folder, &search->least);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < top)
            return;
        *slash = '\0';
    }
}

static bool is_among(const char *controller, const char *controllers)
{
    char list[CONTROL_GROUPS_WORD_BYTES + 2], item[CONTROL_GROUPS_WORD_BYTES + 2];
    snprintf(list, sizeof(list), ",%s,", controllers);
    snprintf(item, sizeof(item), ",%s,", controller);
    return strstr(list, item) != NULL;
}

/* "0::/path" is version 2, "4:cpu,cpuacct:/path" version 1. */
static bool read_group(const char *line, struct group *group)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL || (size_t)(path - controllers) > sizeof(group->controllers))
        return false;
    snprintf(group->controllers, sizeof(group->controllers), "%.*s", (int)(path - controllers - 1), controllers + 1);
    snprintf(group->path, sizeof(group->path), "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
    return true;
}

static void look_at_group(struct search *search, const struct group *group)
{
    char mount[PATH_BYTES];
    const char *names[] = { group->controllers, search->controller }; /* with one controller, or with a link, the folder is called after it */
    if (group->controllers[0] == '\0') {
        snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", search->root);
        look_upwards(search, mount, group->path);
        return;
    }
    for (size_t i = 0; is_among(search->controller, group->controllers) && i < 2; i++) {
        snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/%s", search->root, names[i]);
        look_upwards(search, mount, group->path);
    }
}

uint64_t control_groups_least(const char *root, const char *controller, control_groups_look *look)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    struct search search = { root, controller, look, UINT64_MAX };
    struct group group;
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), file) != NULL)
        if (read_group(line, &group))
            look_at_group(&search, &group);
    fclose(file);
    return search.least;
}
