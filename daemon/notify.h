// Telling the service manager how the daemon is: one datagram to $NOTIFY_SOCKET, sd_notify(3)'s
// protocol without its library. Any thread, as long as nobody changes the environment meanwhile.
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

// Sends assignments, one a line: "READY=1\nSTATUS=3 runs". Returns 0 when they were sent or when no
// service manager listens, else a negative errno; the daemon goes on either way.
int notify_send(const char *state);

// How often "WATCHDOG=1" must be sent: half of what the service manager waits. 0: it does not wait.
uint64_t notify_watchdog_interval_ms(void);

#endif
