// A thread that packs: it reads the journal by a connection of its own and makes parcels
// (storage/parcel.h), which the writer puts into the store. It gives way to the other threads.
#ifndef DAEMON_PACKER_H
#define DAEMON_PACKER_H

#include "storage/compact.h"

struct packer;

enum packer_state {
    PACKER_RESTING, // nothing is asked of it
    PACKER_WORKING,
    PACKER_READY,   // a parcel is there
    PACKER_NOTHING, // it looked and found nothing to pack
    PACKER_FAILED
};

// `ready` is called on its thread when it has an answer.
struct packer *packer_start(const char *directory, void (*ready)(void *), void *context);
// These are the writer's. Asks it to look; to be called only where it does not work. The parcel it
// gave goes back.
void packer_ask(struct packer *p);
enum packer_state packer_look(struct packer *p);
// With PACKER_READY; its own again at the next packer_ask().
struct parcel *packer_parcel(struct packer *p);
// With PACKER_FAILED.
const char *packer_error(struct packer *p);
// Until it does not work any more.
void packer_wait(struct packer *p);
// Lets it finish what it is at; its parcel is dropped.
void packer_stop(struct packer *p);

#endif
