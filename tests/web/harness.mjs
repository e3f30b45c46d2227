// What the browser tests stand on: a real daemon, jobs that speak its protocol, Chromium.
//
// The programs are those in $PYROMETERD (default: build/ of the checkout). Nothing here sleeps for a
// fixed time: `eventually` and Playwright ask again until a deadline that only a defect reaches.
import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {gunzipSync} from 'node:zlib';

export const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const BIN = resolve(process.env.PYROMETERD || join(ROOT, 'build'));
const WEB = join(ROOT, 'web');
const require = createRequire(join(WEB, 'package.json'));
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
export const TIMEOUT = 20000;

export async function eventually(ask, what) {
  const deadline = Date.now() + TIMEOUT;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, `${what} did not come about in ${TIMEOUT / 1000} s`);
    await new Promise(done => setTimeout(done, 20));
  }
}

export class Daemon {
  // In a directory of its own, or in `home`, which stays.
  static async start(config, home) {
    const daemon = new Daemon();
    daemon.stays = !!home;
    daemon.home = home || mkdtempSync(join(tmpdir(), 'pyro-web-'));
    const endpoints = join(daemon.home, 'data', 'endpoints.json');
    rmSync(endpoints, {force: true}); // of a daemon before this one
    const args = ['--data', join(daemon.home, 'data'), '--ingest', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    if (config) {
      writeFileSync(join(daemon.home, 'pyrometer.yaml'), config(daemon.home));
      args.push('--config', join(daemon.home, 'pyrometer.yaml'));
    }
    // Into a file: a pipe that nobody reads while this program waits would hold the daemon up.
    const log = openSync(join(daemon.home, 'stderr'), 'w');
    daemon.process = spawn(join(BIN, 'pyrometerd'), args, {stdio: ['ignore', log, log], env: {...process.env, NOTIFY_SOCKET: ''}});
    closeSync(log);
    await eventually(() => {
      assert.equal(daemon.process.exitCode, null, daemon.said());
      return existsSync(endpoints) && readFileSync(endpoints, 'utf8').trim().endsWith('}');
    }, 'endpoints.json');
    const where = JSON.parse(readFileSync(endpoints, 'utf8'));
    daemon.ingest = where.ingest[0];
    daemon.url = `http://${where.http}`;
    await eventually(async () => (await fetch(`${daemon.url}/healthz`).catch(() => ({}))).ok, '/healthz');
    return daemon;
  }

  async stop() {
    if (this.process.exitCode === null) {
      this.process.kill('SIGTERM');
      await eventually(() => this.process.exitCode !== null || this.process.signalCode, 'the end of the daemon');
    }
    const said = this.said();
    if (!this.stays) rmSync(this.home, {recursive: true, force: true});
    assert.equal(this.process.exitCode, 0, said);
  }

  said() {
    return readFileSync(join(this.home, 'stderr'), 'utf8').slice(-2000);
  }

  async get(path) {
    const answer = await fetch(this.url + path);
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.json();
  }

  replay(name, run = name) {
    const done = spawnSync(join(BIN, 'pyrometer'), ['replay', join(ROOT, 'tests/data', `${name}.ndjson.gz`), '--ingest', this.ingest, '--run', run],
      {encoding: 'utf8'});
    assert.equal(done.status, 0, done.stderr);
  }

  // The newest reading's step is the run's last.
  settled(run, step) {
    return eventually(async () => (await this.get(`/api/v1/runs/${run}/temperature`)).step === step, `the reading of ${run} at ${step}`);
  }
}

// A recording's lines: hello first.
export const recording = name =>
  gunzipSync(readFileSync(join(ROOT, 'tests/data', `${name}.ndjson.gz`))).toString().trim().split('\n').map(line => JSON.parse(line));

// A job on a connection of its own.
export class Job {
  static async open(daemon, hello) {
    const job = new Job();
    const [host, port] = daemon.ingest.split(':');
    job.replies = [];
    job.socket = connect(Number(port), host);
    let rest = '';
    job.socket.on('data', data => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      job.replies.push(...lines.map(line => JSON.parse(line)));
    });
    job.socket.on('error', () => {});
    job.send({type: 'hello', protocol: 1, ...hello});
    await eventually(() => job.replies.find(r => r.type === 'welcome'), 'a welcome');
    return job;
  }

  send(...messages) {
    this.socket.write(messages.map(message => `${JSON.stringify(message)}\n`).join(''));
  }

  acknowledged(step) {
    return eventually(() => this.replies.some(r => r.type === 'ack' && r.step >= step), `the acknowledgement of step ${step}`);
  }

  close() {
    this.socket.destroy();
  }
}

export class Browser {
  static async start() {
    assert.ok(CHROMIUM, 'chromium is not installed; scripts/web.sh test installs it');
    const browser = new Browser();
    const {chromium} = require('playwright-core');
    browser.chromium = await chromium.launch({executablePath: CHROMIUM, args: FLAGS});
    browser.axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    return browser;
  }

  stop() {
    return this.chromium.close();
  }

  // A page in a profile of its own, at rest; `faults` gathers what may not be: errors on the console, exceptions, requests to
  // another host. options: width, height, theme ('light', 'dark'), allow (a pattern of console errors)
  async open(daemon, path, options = {}) {
    const context = await this.chromium.newContext({viewport: {width: options.width || 1280, height: options.height || 900},
      colorScheme: options.theme || 'light', hasTouch: !!options.touch, reducedMotion: 'reduce'});
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT);
    page.faults = [];
    page.requests = [];
    page.awaited = new Set(); // requests without their answer; event streams never have all of theirs
    page.on('console', message => {
      if (message.type() === 'error' && !(options.allow && options.allow.test(message.text()))) page.faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', error => page.faults.push(`exception: ${error.stack}`));
    page.on('request', request => {
      page.requests.push(request.url());
      if (!/\/stream(\?|$)/.test(request.url())) page.awaited.add(request);
      if (!request.url().startsWith(`${daemon.url}/`)) page.faults.push(`a request to ${request.url()}`);
    });
    for (const end of ['requestfinished', 'requestfailed']) page.on(end, request => page.awaited.delete(request));
    await page.goto(daemon.url + path);
    await this.settled(page);
    return page;
  }

  // Waits until the page asks for nothing more, what came is drawn, and its fonts are there: four frames bring no
  // new request. What a test does to a page comes to rest the same way; a page of a live run rests between its looks.
  async settled(page) {
    await eventually(async () => {
      const before = page.requests.length;
      await page.evaluate(async () => {
        await document.fonts.ready;
        for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame);
      });
      return !page.awaited.size && page.requests.length === before;
    }, 'a page at rest');
  }

  async close(page) {
    const {faults} = page;
    await page.context().close();
    assert.deepEqual(faults, []);
  }

  // What axe-core finds of serious faults. The page's policy lets no script in, the devtools do.
  async accessibility(page) {
    await page.evaluate(this.axe);
    const {violations} = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
    return violations.filter(v => ['serious', 'critical'].includes(v.impact))
      .map(v => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map(n => `${n.target} ${n.failureSummary}`).join('; ')}`);
  }
}

const tests = [];

export function test(name, run) {
  tests.push({name, run});
}

// Runs all tests, one after the other, and says so in the way of tests/run.sh.
export async function runAll(title) {
  const only = process.argv[2];
  let passed = 0, failed = 0;
  for (const {name, run} of tests) {
    if (only && !name.includes(only) && !['start', 'stop'].includes(name)) continue;
    try {
      await run();
      passed++;
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}\n${error.stack}`);
    }
  }
  console.log(`${title}: ${passed} passed, ${failed} failed, 0 skipped`);
  return failed || !passed ? 1 : 0;
}
