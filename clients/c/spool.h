// What could not be delivered yet, on disk: bounded, compressed, resumable. The Python client's
// spools have the same form, and `pyrometer sync` delivers either.
//
// A spool is a directory ROOT/RUN.MICROSECONDS.PID of segments, 000001.ndjson.gz and so on, each a
// recording by itself: a hello and then lines in order. What was flushed survives the process: a
// segment is a chain of gzip members, and one that was cut off costs its own lines only. The file
// `lock` is held with flock() while the process lives, which tells the spools of the living from
// those left behind; those of the same run are adopted and delivered first.
//
// One thread uses a spool: the client's. Nothing here waits for anything but the disk.
#ifndef CLIENTS_C_SPOOL_H
#define CLIENTS_C_SPOOL_H

#include "clients/c/text.h"

struct pyr_spool;

// root: a directory, made when it is needed. The hellos, one line each, are copied; `again` heads
// the segments that are begun after pyr_spool_hello_said(). NULL when memory is short.
struct pyr_spool *pyr_spool_new(const char *root, const char *run, const struct pyr_text *first,
                                const struct pyr_text *again, uint64_t bytes_max);
// Flushes; removes directories in which nothing is left.
void pyr_spool_free(struct pyr_spool *s);
// In the child of a fork: lets go of the locks and no more.
void pyr_spool_after_fork(struct pyr_spool *s);

// Takes over what earlier processes of this run left behind.
void pyr_spool_adopt(struct pyr_spool *s);
void pyr_spool_hello_said(struct pyr_spool *s);

// False: the disk does not take it, nor anything until pyr_spool_try_again(); see
// pyr_spool_fault(). The line stays the caller's; those appended before that are not on disk are
// there for pyr_spool_take_back().
bool pyr_spool_append(struct pyr_spool *s, const char *line, size_t n);
// What was appended is with the operating system after this. False as above.
bool pyr_spool_flush(struct pyr_spool *s);
// After some time, or at once: a disk that took nothing may have room again. Not before
// pyr_spool_take_back().
void pyr_spool_try_again(struct pyr_spool *s, bool at_once);
// NULL: the disk takes what comes. Else why it does not.
const char *pyr_spool_fault(const struct pyr_spool *s);

bool pyr_spool_is_empty(const struct pyr_spool *s);
uint64_t pyr_spool_lines(const struct pyr_spool *s);   // in it, without hellos
uint64_t pyr_spool_dropped(const struct pyr_spool *s); // lines that gave way to newer ones

// Reads the oldest segment, line by line, hellos and ends left out; what was cut off is left out
// too. `adopted` is told of each: whether an earlier process wrote it. False when there is no
// memory for it now (`take` says so by false) or the file cannot be opened: it is there another
// time.
typedef bool pyr_spool_line(void *context, const char *line, size_t n, bool adopted);
bool pyr_spool_read(struct pyr_spool *s, pyr_spool_line *take, void *context);
// Behind a fault: the lines that are not on disk, the newest first; once.
void pyr_spool_take_back(struct pyr_spool *s, pyr_spool_line *take, void *context);
// It was not delivered, and is read again. Until then, or until pyr_spool_remove(), it does not
// give way to what is newer.
void pyr_spool_keep(struct pyr_spool *s);
// The oldest segment was delivered.
void pyr_spool_remove(struct pyr_spool *s);

#endif
