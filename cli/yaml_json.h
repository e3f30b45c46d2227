// A YAML file as a tree of JSON, as far as a program needs it that reads both.
#ifndef CLI_YAML_JSON_H
#define CLI_YAML_JSON_H

#include <cjson/cJSON.h>

#include "base/buf.h"

// Plain finite numbers, true, false and null become what they are in JSON, everything else text.
// The caller deletes the tree; NULL with a message that names file and line.
cJSON *yaml_json_read(const char *path, struct buf *messages);

#endif
