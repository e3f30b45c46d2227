// The dashboard's tests; the last line is `N passed, N failed, N skipped`. With a word, only those whose names hold
// it (and the start and the stop of the daemon).
import './modules.mjs';
import './pages.mjs';
import './grafana.mjs';
import './openapi.mjs';
import {runAll} from './harness.mjs';

process.exit(await runAll('dashboard, Chromium'));
