// Sending one recorded file to a daemon's ingest, for `replay` and `sync`.
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "cli/cli.h"

// speed: times the recorded pace, 0 as fast as possible. cut_off_is_fine: a file whose end is
// missing is sent as far as it goes. True when every step was acknowledged; else it has been said
// why.
bool replay_file(const struct cli *cli, const char *path, double speed, bool cut_off_is_fine);

#endif
