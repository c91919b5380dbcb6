// A real node for tests: starts the development binary on a folder of its own
// and speaks to it as any client does.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const binary = process.env.E2E_BINARY ?? fileURLToPath(new URL('../../bin/footfall-dev', import.meta.url));
const run = promisify(execFile);

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((done) => server.close(done));
  return port;
}

/**
 * Asks again until the answer is there; what is asked for arrives by itself.
 *
 * @template T
 * @param {string} what
 * @param {() => Promise<T | undefined | false>} ask
 * @returns {Promise<T>}
 */
export async function until(what, ask) {
  const deadline = Date.now() + 30_000;
  /** @type {unknown} */
  let last;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    await pause(100);
  }
  throw new Error(`${what}: not within 30 s`, { cause: last });
}

/**
 * Starts a node with the given sites.
 *
 * @param {string[]} sites domains
 */
export async function startNode(sites) {
  const data = await mkdtemp(join(tmpdir(), 'footfall-tracker-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  // Asking again and again needs more questions than a key has by default.
  const node = spawn(binary, ['serve', '--data', data, '--listen', url.slice('http://'.length), '--api-keys-per-hour', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  node.stderr.on('data', (text) => (said = (said + text).slice(-4000)));
  const ended = new Promise((done) => {
    node.once('exit', done);
    node.once('error', done);
  });

  /** Runs a subcommand on the node. @param {...string} words */
  const command = async (...words) => (await run(binary, [...words, '--data', data, '--server', url])).stdout.trim();

  async function stop() {
    node.kill('SIGTERM');
    const killer = setTimeout(() => node.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(killer);
    await rm(data, { recursive: true, force: true });
  }

  try {
    const died = ended.then(() => {
      throw new Error(`the node ended: ${said}`);
    });
    await Promise.race([died, until(`the node at ${url}`, async () => (await fetch(url + '/readyz')).ok)]);
    died.catch(() => {}); // from here on it ends when stop is called
    for (const site of sites) await command('site', 'add', site, '--timezone', 'UTC');
    const key = await command('key', 'create', '--scope', 'stats:read', '--name', 'tests');
    return {
      url,
      stop,
      /**
       * Makes a goal of a custom event that earns money.
       *
       * @param {string} site
       * @param {string} event
       * @param {string} currency
       */
      async earn(site, event, currency) {
        const token = (await readFile(join(data, 'token'), 'utf8')).trim();
        const response = await fetch(`${url}/v1/sites/${site}/goals`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ goal_type: 'event', event_name: event, currency }),
        });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      },
      /**
       * The rows that answer a question over today's and yesterday's events,
       * each as its dimensions and its metrics.
       *
       * @param {string} site
       * @param {string[]} metrics
       * @param {Record<string, unknown>} [more]
       * @returns {Promise<[string[], any[]][]>}
       */
      async query(site, metrics, more = {}) {
        const days = [Date.now() - 86_400_000, Date.now()].map((ms) => new Date(ms).toISOString().slice(0, 10));
        const response = await fetch(url + '/api/v2/query', {
          method: 'POST',
          headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ site_id: site, metrics, date_range: days, ...more }),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${response.status} ${text}`);
        return JSON.parse(text).results.map((/** @type {any} */ row) => [row.dimensions, row.metrics]);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @typedef {Awaited<ReturnType<typeof startNode>>} Node */
