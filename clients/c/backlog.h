// Between the queue in memory and the spool on disk. While there is no daemon the queue's messages
// go to the spool; once there is something in it, it is delivered first, a segment at a time, and
// the queue waits. All of it is the client's thread's.
#ifndef CLIENTS_C_BACKLOG_H
#define CLIENTS_C_BACKLOG_H

#include "clients/c/client.h"

// Takes over what earlier processes of the run left behind.
void pyr_backlog_adopt(struct pyrometer *p);
// The queue that is sent from now: `flight`, filled from the spool, or the job's own. Reads the
// next segment where that is due.
struct pyr_queue *pyr_backlog_source(struct pyrometer *p);
// What was in flight when a connection ended is still on disk, and is read again.
void pyr_backlog_rewind(struct pyrometer *p);
// Removes the segment in flight when all of it was settled, and tells the counters.
void pyr_backlog_settled(struct pyrometer *p);
// The queue's messages go to disk, the end only when nothing else will be tried (`last`).
void pyr_backlog_spill(struct pyrometer *p, bool last);
// Whether messages go to disk when they cannot be sent.
bool pyr_backlog_can_spill(const struct pyrometer *p);

#endif
