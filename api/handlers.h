// What answers each call; routes.c says which is which. routes.c also says on which thread.
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/request.h"

handler_fn health_get, ready_get, metrics_get, openapi_get;
handler_fn page_get, page_asset_get;
handler_fn runs_get, run_get, run_delete;
handler_fn temperature_get, engine_get, states_get, series_get, events_get, export_get, stream_get;
handler_fn alerts_get, alert_get, alert_acknowledge, alerts_test, receivers_get, rules_get,
    ingest_post;
handler_fn prom_query, prom_range, prom_series, prom_labels, prom_values;
handler_fn silences_get, silences_post, silence_delete;

// What each of them takes.
extern const struct parameter runs_parameters[], reading_parameters[], series_parameters[],
    events_parameters[], alerts_parameters[], silences_parameters[], prom_query_parameters[],
    prom_range_parameters[], prom_match_parameters[];

#endif
