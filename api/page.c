// GET /: a page that lists the runs, with the script and the style that it loads. Everything comes
// from this daemon, and the policy in its headers allows nothing else.
#include "api/handlers.h"

#include <string.h>

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const char page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Pyrometer</title>\n"
    "<link rel=\"stylesheet\" href=\"/app.css\">\n"
    "<script src=\"/app.js\" defer></script>\n"
    "</head>\n"
    "<body>\n"
    "<header><h1>Pyrometer</h1><p id=\"note\" role=\"status\">Loading the runs.</p></header>\n"
    "<main>\n"
    "<section aria-labelledby=\"runs-title\">\n"
    "<h2 id=\"runs-title\">Runs</h2>\n"
    "<div class=\"scroll\"><table>\n"
    "<thead><tr><th>Run</th><th>Project</th><th>Status</th><th class=\"n\">Step</th>"
    "<th class=\"n\">Loss</th><th class=\"n\">Kinetic temperature</th><th>95% interval</th>"
    "<th class=\"n\">Stability</th><th class=\"n\">Alerts firing</th><th>Last "
    "seen</th></tr></thead>\n"
    "<tbody id=\"runs\"></tbody>\n"
    "</table></div>\n"
    "</section>\n"
    "<section aria-labelledby=\"alerts-title\">\n"
    "<h2 id=\"alerts-title\">Alerts firing</h2>\n"
    "<ul id=\"alerts\"></ul>\n"
    "</section>\n"
    "</main>\n"
    "<footer><a href=\"/api/v1/openapi.json\">API</a> <a href=\"/metrics\">Metrics</a></footer>\n"
    "<noscript>This page needs JavaScript; the same is at /api/v1/runs.</noscript>\n"
    "</body>\n"
    "</html>\n";

static const char style[] =
    ":root { --ink: #1c2126; --soft: #5b6670; --line: #d9dee3; --back: #fbfbfa; --panel: #fff;\n"
    "  --link: #0b5cad; --good: #1d7a46; --warn: #9a5b00; --bad: #b3261e; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --ink: #e6e9ec; --soft: #9aa5af; --line: #333a41; --back: #14171a; --panel: "
    "#1b1f23;\n"
    "    --link: #7db7f2; --good: #6fce97; --warn: #e8b25c; --bad: #ff8a80; }\n"
    "}\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; background: var(--back);\n"
    "  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }\n"
    "header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; }\n"
    "h1 { font-size: 1.4rem; margin: 0; }\n"
    "h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }\n"
    "#note, footer, .soft { color: var(--soft); }\n"
    "#note { margin: 0; }\n"
    ".scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px;\n"
    "  background: var(--panel); }\n"
    "table { border-collapse: collapse; width: 100%; }\n"
    "th, td { padding: .45rem .75rem; text-align: left; white-space: nowrap;\n"
    "  border-bottom: 1px solid var(--line); }\n"
    "tbody tr:last-child td { border-bottom: 0; }\n"
    "th { font-weight: 600; color: var(--soft); font-size: .85rem; }\n"
    ".n { text-align: right; font-variant-numeric: tabular-nums; }\n"
    "a { color: var(--link); }\n"
    ".running, .completed { color: var(--good); }\n"
    ".stalled, .warning { color: var(--warn); }\n"
    ".failed, .critical { color: var(--bad); font-weight: 600; }\n"
    "ul { list-style: none; margin: 0; padding: 0; }\n"
    "li { padding: .5rem .75rem; margin-bottom: .4rem; border: 1px solid var(--line);\n"
    "  border-radius: 6px; background: var(--panel); }\n"
    "footer { margin-top: 2rem; }\n";

// Names come from jobs: they are only ever set as text, never as markup.
static const char script[] =
    "'use strict';\n"
    "const REFRESH_MS = 3000;\n"
    "const MISSING = '\\u2013';\n"
    "const known = new Map();\n"
    "\n"
    "async function load(path) {\n"
    "  const before = known.get(path);\n"
    "  const headers = before ? {'If-None-Match': before.etag} : {};\n"
    "  const answer = await fetch(path, {headers, cache: 'no-store'});\n"
    "  if (answer.status === 304) return before.data;\n"
    "  const data = await answer.json();\n"
    "  if (!answer.ok) throw new Error(data.detail || data.title);\n"
    "  known.set(path, {etag: answer.headers.get('ETag') || '', data});\n"
    "  return data;\n"
    "}\n"
    "\n"
    "function number(x) {\n"
    "  if (typeof x === 'string') return x;\n"
    "  return typeof x === 'number' ? Number(x.toPrecision(4)).toString() : MISSING;\n"
    "}\n"
    "\n"
    "function ago(time) {\n"
    "  if (!time) return MISSING;\n"
    "  const s = Math.max(0, Math.round(Date.now() / 1000 - time));\n"
    "  if (s < 90) return s + ' s ago';\n"
    "  if (s < 5400) return Math.round(s / 60) + ' min ago';\n"
    "  return s < 129600 ? Math.round(s / 3600) + ' h ago' : new Date(time * "
    "1000).toLocaleString();\n"
    "}\n"
    "\n"
    "function cell(row, text, kind, link) {\n"
    "  const td = row.insertCell();\n"
    "  if (kind) td.className = kind;\n"
    "  const into = link ? td.appendChild(document.createElement('a')) : td;\n"
    "  if (link) into.href = link;\n"
    "  into.textContent = text;\n"
    "  return td;\n"
    "}\n"
    "\n"
    "function addRun(body, run) {\n"
    "  const row = body.insertRow();\n"
    "  const reading = run.temperature || {};\n"
    "  const kinetic = (reading.global && reading.global.kinetic) || {};\n"
    "  const bounded = typeof kinetic.low === 'number';\n"
    "  cell(row, run.run, '', '/api/v1/runs/' + encodeURIComponent(run.run));\n"
    "  cell(row, run.project || MISSING);\n"
    "  cell(row, run.status, run.status);\n"
    "  cell(row, number(run.last_step), 'n');\n"
    "  cell(row, number(run.loss), 'n');\n"
    "  cell(row, number(kinetic.value), 'n').title = kinetic.reason || '';\n"
    "  cell(row, bounded ? number(kinetic.low) + ' to ' + number(kinetic.high) : MISSING, "
    "'soft');\n"
    "  cell(row, number(reading.stability), 'n');\n"
    "  cell(row, String(run.alerts.firing), run.alerts.firing ? 'n critical' : 'n');\n"
    "  cell(row, ago(run.last_seen), 'soft');\n"
    "}\n"
    "\n"
    "function addAlert(list, alert) {\n"
    "  const item = list.appendChild(document.createElement('li'));\n"
    "  const severity = item.appendChild(document.createElement('span'));\n"
    "  severity.className = alert.severity;\n"
    "  severity.textContent = alert.severity;\n"
    "  item.append(' ' + alert.run + ', step ' + alert.step + ': ' + alert.summary);\n"
    "}\n"
    "\n"
    "async function refresh() {\n"
    "  const note = document.getElementById('note');\n"
    "  try {\n"
    "    const [runs, alerts] = await Promise.all(\n"
    "      [load('/api/v1/runs?limit=200'), load('/api/v1/alerts?state=firing&limit=50')]);\n"
    "    const body = document.getElementById('runs');\n"
    "    body.replaceChildren();\n"
    "    runs.runs.forEach(run => addRun(body, run));\n"
    "    const list = document.getElementById('alerts');\n"
    "    list.replaceChildren();\n"
    "    alerts.alerts.forEach(alert => addAlert(list, alert));\n"
    "    if (!alerts.alerts.length) list.textContent = 'None.';\n"
    "    note.textContent = runs.runs.length ? '' : 'No runs yet. Start a job and it appears "
    "here.';\n"
    "  } catch (error) {\n"
    "    note.textContent = 'The daemon does not answer: ' + error.message;\n"
    "  }\n"
    "  setTimeout(refresh, REFRESH_MS);\n"
    "}\n"
    "refresh();\n";

static enum MHD_Result answer_file(struct request *q, const char *type, const char *text) {
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                             MHD_RESPMEM_PERSISTENT);
    CHECK(r != NULL);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    answer_header(r, "Content-Security-Policy", POLICY);
    answer_header(r, "Referrer-Policy", "no-referrer");
    return answer_response(q, MHD_HTTP_OK, r);
}

enum MHD_Result page_get(struct request *q) {
    return answer_file(q, "text/html; charset=utf-8", page);
}

enum MHD_Result page_script_get(struct request *q) {
    return answer_file(q, "text/javascript; charset=utf-8", script);
}

enum MHD_Result page_style_get(struct request *q) {
    return answer_file(q, "text/css; charset=utf-8", style);
}
