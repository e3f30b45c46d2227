// A set of texts that grows one by one and is read sorted. One thread.
#ifndef API_TEXTS_H
#define API_TEXTS_H

#include <stddef.h>

struct texts {
    char **at; // sorted and without repetition after texts_sort()
    size_t n, cap;
};

void texts_add(struct texts *t, const char *text); // copied
void texts_sort(struct texts *t);
void texts_free(struct texts *t);

#endif
