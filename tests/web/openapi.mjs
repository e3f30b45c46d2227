// The daemon's description of its API, judged by Redocly's linter: its recommended rules, warnings included.
import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {Daemon, ROOT, test} from './harness.mjs';

const LINTER = join(ROOT, 'web/node_modules/@redocly/openapi-core/lib/index.js');
const RULES = {
  'info-license': 'off', // the project has none yet
  'operation-4xx-response': 'off', // every call has a `default` answer, the problem document
};

// Without the linter (scripts/web.sh test fetches it) there is nothing to judge by.
if (existsSync(LINTER)) {
  test('OpenAPI: the linter has no complaint', async () => {
    const {createConfig, lintFromString} = await import(pathToFileURL(LINTER));
    const daemon = await Daemon.start(), document = await daemon.get('/api/v1/openapi.json');
    await daemon.stop();
    const config = await createConfig({extends: ['recommended-strict'], rules: RULES});
    const lint = source => lintFromString({source: JSON.stringify(source), absoluteRef: 'openapi.json', config});
    const said = (await lint(document)).map(problem => `${problem.ruleId}: ${problem.message} at ${problem.location[0]?.pointer}`);
    assert.deepEqual(said, []);
    for (const call of Object.values(document.paths)) Object.values(call).filter(o => o.responses).forEach(o => assert.ok(o.responses.default));
    delete document.paths['/api/v1/runs'].get.responses;
    assert.ok((await lint(document)).length > 0, 'the linter finds what is wrong');
  });
}
