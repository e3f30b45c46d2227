// Layers as heat engines, as JSON. HTTP thread only.
#ifndef API_ENGINE_H
#define API_ENGINE_H

#include "api/emit.h"
#include "runs/snapshot.h"

// The short form within a layer of a reading: `engine` and, on request, the object `activation`.
// Returns the layer's class.
enum engine_class engine_emit_short(struct emit *e, const struct snapshot *s, size_t layer,
                                    bool with_activation);

#endif
