// A small server for tests: serves pages and the built scripts, and records the
// events that pages send to it.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const dist = new URL('../dist/', import.meta.url);

/**
 * The text of a script by the name a page asks for, composed as the server does it.
 *
 * @param {string} name
 */
export async function script(name) {
  const features = /^script\.(.+)\.js$/.exec(name)?.[1];
  const file = features ? 'footfall.extras.js' : /^pa-/.test(name) ? 'pa.js' : name;
  const text = await readFile(new URL(file, dist), 'utf8');
  return features ? text.replace('@features@', features) : text;
}

/**
 * @typedef {Record<string, any> & { n: string, u: string }} Event
 * @typedef {{
 *   port: number,
 *   events: Event[],
 *   statuses: number[],
 *   page(path: string, head: string, body?: string, status?: number): void,
 *   file(path: string, text: string): void,
 *   wait(count: number): Promise<Event[]>,
 *   close(): Promise<void>,
 * }} Recorder
 */

/**
 * Starts a recorder. statuses are the answers of the next events, in order; 202
 * when there are none left. events holds what was answered with 202.
 *
 * @returns {Promise<Recorder>}
 */
export async function record() {
  /** @type {Map<string, { status: number, type: string, text: string }>} */
  const files = new Map();
  /** @type {Event[]} */
  const events = [];
  /** @type {number[]} */
  const statuses = [];
  /** @type {{ count: number, done: (events: Event[]) => void }[]} */
  let waiting = [];

  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://any').pathname;
    if (path == '/api/event') {
      let text = '';
      for await (const chunk of request) text += chunk;
      const status = statuses.shift() ?? 202;
      if (status == 202) events.push({ ...JSON.parse(text), type: request.headers['content-type'] });
      response.writeHead(status, { 'Access-Control-Allow-Origin': '*' }).end('ok');
      waiting = waiting.filter(({ count, done }) => events.length < count || done(events));
      return;
    }
    const name = /^\/js\/(.+\.js)$/.exec(path)?.[1];
    const file = files.get(path) ?? (name && { status: 200, type: 'text/javascript', text: await script(name) });
    const { status, type, text } = file || { status: 404, type: 'text/plain', text: 'not found' };
    response.writeHead(status, { 'Content-Type': type }).end(text);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

  return {
    port,
    events,
    statuses,
    page(path, head, body = '', status = 200) {
      const text = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${path}</title><link rel="icon" href="data:,">${head}<body>${body}`;
      files.set(path, { status, type: 'text/html; charset=utf-8', text });
    },
    file(path, text) {
      files.set(path, { status: 200, type: 'text/javascript', text });
    },
    wait(count) {
      return new Promise((done) => {
        if (events.length >= count) done(events);
        else waiting.push({ count, done });
      });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
