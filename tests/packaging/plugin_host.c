/* Loads the plugin, has it ask, unloads it, and forks: the child must end as it wants to. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDS = 7 };

int main(int count, char **words)
{
    int (*ask)(void);
    int status = 0;
    pid_t child;
    void *symbol;
    void *plugin = count == 2 ? dlopen(words[1], RTLD_NOW) : NULL;

    if (plugin == NULL || (symbol = dlsym(plugin, "ask")) == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    memcpy(&ask, &symbol, sizeof ask);
    if (!ask()) {
        fputs("it made no client\n", stderr);
        return 1;
    }
    dlclose(plugin);
    if (dlopen(words[1], RTLD_NOW | RTLD_NOLOAD) != NULL) {
        fputs("it is still loaded, so this shows nothing\n", stderr);
        return 1;
    }
    child = fork();
    if (child == 0) {
        _exit(CHILDS);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != CHILDS) {
        fprintf(stderr, "the child ended with %#x\n", (unsigned)status);
        return 1;
    }
    return 0;
}
