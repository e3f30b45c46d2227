// Every maximum in one place. What a peer or a file can make large is bounded here before memory is
// spent on it. Where a setting can move a bound, the constant is the furthest it can be moved.
#ifndef CONFIG_LIMITS_H
#define CONFIG_LIMITS_H

// What one run may be made of
#define LIMIT_LAYERS 100000          // layers a run
#define LIMIT_RUN_NAME 128           // bytes of a run's name
#define LIMIT_PROJECT_NAME 128       // bytes of a project's name
#define LIMIT_LAYER_NAME 256         // bytes of a layer's name
#define LIMIT_CUSTOM_STATS 64        // statistics of its own that a step may carry
#define LIMIT_STAT_NAME 64           // bytes of such a statistic's name
#define LIMIT_SCALARS 256            // scalars a step
#define LIMIT_SCALAR_NAME 128        // bytes of a scalar's name
#define LIMIT_OUTPUT_BINS 4096       // bins of a histogram of outputs
#define LIMIT_EVENT_NAME 128         // bytes of an event's name
#define LIMIT_EVENT_DATA_BYTES 65536 // bytes of an event's data

// What one message may be
#define LIMIT_JSON_DEPTH 32                             // nested objects and arrays
#define LIMIT_MESSAGE_BYTES_DEFAULT (UINT64_C(1) << 20) // a line or a frame, unless configured
#define LIMIT_MESSAGE_BYTES_MAX (UINT64_C(64) << 20)    // the most that can be configured
#define LIMIT_MESSAGE_BYTES_MIN (UINT64_C(1) << 10)     // the least: a hello must fit
#define LIMIT_QUEUE_BYTES_MIN (UINT64_C(1) << 20)       // waiting for the disk, all runs together
#define LIMIT_QUEUE_BYTES_MAX (UINT64_C(16) << 30)

// What the ranks of one run may make the daemon keep (ingest.max_queue bounds the bytes)
#define LIMIT_RANKS 4096          // ranks of a run
#define LIMIT_RANK_AHEAD 64       // messages of a rank that wait for the other ranks
#define LIMIT_RANK_WAIT_MS_MIN 10 // the range of ingest.rank_wait
#define LIMIT_RANK_WAIT_MS_MAX 3600000

// How many may talk at once
#define LIMIT_CONNECTIONS 4096       // ingest connections
#define LIMIT_HTTP_CONNECTIONS 16384 // HTTP connections
#define LIMIT_STREAMS 8192           // subscribers of server-sent events
#define LIMIT_HEARTBEAT_MS_MIN 10    // the range of http.heartbeat
#define LIMIT_HEARTBEAT_MS_MAX 600000
#define LIMIT_HTTP_WORKERS 4 // threads that read the store for HTTP
#define LIMIT_ORIGINS 16     // sites whose pages may use the API
#define LIMIT_LISTENERS 16   // ingest addresses

// What one HTTP request may take that draws or walks runs; a sanitizer makes all of it slower
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_HTTP_REQUEST_S 200
#else
#define LIMIT_HTTP_REQUEST_S 20
#endif

// What TLS may cost, for ingest and HTTP
#define LIMIT_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define LIMIT_TLS_FILE_BYTES (1 << 20)   // a certificate chain, a key
#define LIMIT_HANDSHAKE_BYTES (32 << 10) // one message of an ingest connection's handshake
#define LIMIT_HANDSHAKE_WAIT_MS_MIN 10   // the range of ingest.tls.handshake_wait
#define LIMIT_HANDSHAKE_WAIT_MS_MAX 3600000

// What one HTTP request may ask for
#define LIMIT_SERIES_POINTS 100000                 // points a request for series
#define LIMIT_SERIES 1000                          // series a request
#define LIMIT_PAGE 1000                            // entries a page of a list
#define LIMIT_PAGE_DEFAULT 100                     // entries when the request does not say
#define LIMIT_HTTP_BODY_BYTES (UINT64_C(64) << 20) // body of a POST

// What people may ask about alerts
#define LIMIT_SILENCES 1000       // kept at once
#define LIMIT_SILENCE_MATCHERS 16 // of a silence
#define LIMIT_SILENCE_VALUE 512   // bytes of a matcher's value
#define LIMIT_SILENCE_TEXT 1024   // bytes of its comment, of its author
#define LIMIT_NOTICES 10000       // that wait for one receiver

#define LIMIT_HTTP_FORM_BYTES 65536 // body of a POST that is not ingest

// What one receiver of remote write may have waiting (remote_write[].max_queue)
#define LIMIT_REMOTE_QUEUE_MIN (UINT64_C(64) << 10)
#define LIMIT_REMOTE_QUEUE_MAX (UINT64_C(16) << 30)

// The configuration itself
#define LIMIT_CONFIG_BYTES (1 << 20)     // the file
#define LIMIT_CONFIG_KEYS 256            // keys of one mapping in it
#define LIMIT_CONFIG_DEPTH 16            // lists and mappings inside each other
#define LIMIT_CONFIG_ERRORS 20           // errors shown at once
#define LIMIT_CONFIG_MESSAGE_BYTES 65536 // all messages about one file
#define LIMIT_CONFIG_TEXT 4096           // bytes of one value
#define LIMIT_CONFIG_GLOB 256            // bytes of a glob
#define LIMIT_RULE_NAME 64               // bytes of a rule's name
#define LIMIT_RULE_WORDS 16              // labels, and annotations, of a rule
#define LIMIT_RULES 256                  // entries under alerts.rules
#define LIMIT_WEBHOOKS 16                // entries under alerts.webhooks
#define LIMIT_REMOTE_WRITE 16            // entries under remote_write
#define LIMIT_RECEIVER_NAME 128          // bytes of the name that such an entry may give
#define LIMIT_TOKEN_BYTES 4096           // a token file

#endif
