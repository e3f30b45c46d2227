// What the files of the store's upkeep share.
#ifndef STORAGE_UPKEEP_STATE_H
#define STORAGE_UPKEEP_STATE_H

#include "storage/upkeep.h"

struct upkeep {
    struct connection *c;
    struct codec *codec;
    double aged_to; // nothing is left that is older
};

// Gives up to so many free pages back. 1 when there were some, 0, -1.
int upkeep_give_back(struct upkeep *u, int64_t pages) WARN_UNUSED;

#endif
