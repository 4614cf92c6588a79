import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { ControlError } from '../../../src/runtime/service/control.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { readAssets } from '../../../src/runtime/web/assets.js';
import { Live } from '../../../src/runtime/web/live.js';
import { Picture } from '../../../src/runtime/web/picture.js';
import { requestProblem } from '../../../src/runtime/web/request-checks.js';
import { WebServer } from '../../../src/runtime/web/web-server.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';
import { event } from './fed-event.js';

const TOKEN = 'a'.repeat(40);

let server: WebServer;
let picture: Picture;
let live: Live;
let done: unknown[];
let logins: string[];

beforeEach(async () => {
  picture = new Picture('pana-paa');
  live = new Live(
    picture,
    systemHost,
    () => undefined,
    () => undefined,
  );
  done = [];
  logins = [];
  server = await WebServer.open(
    { daemon: 'pana-paa', host: '127.0.0.1', port: 0, names: ['paa.access.example'], token: TOKEN, tls: undefined },
    {
      assets: await readAssets(),
      live,
      guard: unguarded,
      clock: new VirtualHost(),
      lists: { sessions: (query) => Promise.resolve({ items: [query.get('of')] }) },
      actions: {
        disconnect: (body, who) => {
          done.push([body, who]);
          return {};
        },
        refuse: () => {
          throw new ControlError('no such session');
        },
      },
      onLogin: ({ outcome }) => logins.push(outcome),
    },
  );
});
afterEach(() => server.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request as a browser on the page would, but for `headers`; undefined removes one. */
async function ask(
  method: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>> = {},
  body?: string,
): Promise<Answer> {
  const own = `127.0.0.1:${server.port}`;
  const usual = method === 'POST' ? { origin: `http://${own}`, 'content-type': 'application/json' } : {};
  const all = Object.entries({ host: own, ...usual, ...headers }).filter(([, value]) => value !== undefined);
  const outgoing = request({
    host: '127.0.0.1',
    port: server.port,
    method,
    path,
    headers: Object.fromEntries(all) as Record<string, string>,
    agent: false,
    setHost: false,
  });
  outgoing.end(body);
  const [incoming] = await once(outgoing, 'response');
  let text = '';
  for await (const part of incoming) text += part;
  return { status: incoming.statusCode, headers: incoming.headers, text };
}

async function cookie(): Promise<string> {
  const { headers } = await ask('POST', '/login', {}, JSON.stringify({ token: TOKEN, operator: 'alice' }));
  return (headers['set-cookie'] ?? []).map((one) => one.split(';', 1)[0]).join('; ');
}

describe('The web page', () => {
  it('shows the login page, and the page itself only after a login', async () => {
    const before = await ask('GET', '/');
    expect([before.status, before.text.includes('id="login"')]).toEqual([200, true]);
    expect(before.headers['cache-control']).toBe('no-store');
    const own = await cookie();
    const after = await ask('GET', '/', { cookie: own });
    expect([after.status, after.text.includes('/assets/app.js')]).toEqual([200, true]);
    for (const path of ['/api/live', '/api/list/sessions', '/api/session']) {
      expect((await ask('GET', path)).status).toBe(401);
    }
    expect((await ask('POST', '/api/do/disconnect', {}, '{}')).status).toBe(401);
    expect((await ask('GET', '/api/list/sessions?of=mn', { cookie: own })).text).toBe('{"items":["mn"]}');
  });

  it('sets cookies that scripts and other sites do not get, and no token in an address', async () => {
    const { headers, text } = await ask('POST', '/login', {}, JSON.stringify({ token: TOKEN, operator: 'alice' }));
    const cookies = headers['set-cookie'] ?? [];
    expect(cookies.map((one) => one.replace(/=[^;]+/, ''))).toEqual([
      'pana-paa-login; Path=/; HttpOnly; SameSite=Strict',
      'pana-paa-known; Path=/; HttpOnly; SameSite=Strict; Max-Age=15552000',
    ]);
    expect(cookies.join('') + text).not.toContain(TOKEN);
    expect((await ask('GET', `/api/session?token=${TOKEN}`)).status).toBe(401);
    expect((await ask('GET', `/login?token=${TOKEN}&operator=alice`)).status).toBe(404);
  });

  it('refuses wrong tokens, then does not look at more of them', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      statuses.push((await ask('POST', '/login', {}, JSON.stringify({ token: `wrong${i}`, operator: 'm' }))).status);
    }
    expect(statuses).toEqual([...Array(10).fill(403), 429, 429]);
    expect(logins).toEqual([...Array(10).fill('wrong'), 'limited', 'limited']);
    for (const body of [
      '{}',
      '[]',
      'null',
      '"x"',
      '{"token":1,"operator":"a"}',
      `{"token":"${TOKEN}","operator":"\\u202e"}`,
    ]) {
      expect((await ask('POST', '/login', {}, body)).status).toBe(400);
    }
  });

  it('refuses requests of pages of other sites, and of names that resolve to it', async () => {
    const own = await cookie();
    const port = server.port;
    const post = async (headers: Record<string, string | undefined>) =>
      (await ask('POST', '/api/do/disconnect', { cookie: own, ...headers }, '{}')).status;
    expect(await post({})).toBe(200);
    expect(await post({ host: `localhost:${port}`, origin: `http://localhost:${port}` })).toBe(200);
    expect(await post({ host: 'paa.access.example', origin: 'http://paa.access.example' })).toBe(200);
    for (const headers of [
      { origin: undefined },
      { origin: 'null' },
      { origin: 'https://evil.example' },
      { origin: `http://127.0.0.1:${port + 1}` },
      { origin: `https://127.0.0.1:${port}` },
      { host: `evil.example:${port}`, origin: `http://evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}`, origin: `http://127.0.0.1.evil.example:${port}` },
      { host: '192.0.2.1', origin: 'http://192.0.2.1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      expect(await post(headers)).toBe(403);
    }
    expect(done).toHaveLength(3);
    const get = async (headers: Record<string, string>) => (await ask('GET', '/', headers)).status;
    expect(await get({ host: 'evil.example' })).toBe(403);
    expect(await get({ origin: 'http://evil.example' })).toBe(403);
    expect(await get({ 'sec-fetch-site': 'none' })).toBe(200);
  });

  it('acts only by POST with JSON, and states who asked', async () => {
    const own = await cookie();
    const act = (type: string) =>
      ask('POST', '/api/do/disconnect', { cookie: own, 'content-type': type }, '{"session":"1"}');
    expect((await ask('GET', '/api/do/disconnect', { cookie: own })).status).toBe(404);
    expect((await act('text/plain')).status).toBe(415);
    expect((await act('application/json')).status).toBe(200);
    expect(done).toEqual([[{ session: '1' }, 'alice (web, 127.0.0.1)']]);
    const refused = await ask('POST', '/api/do/refuse', { cookie: own }, '{}');
    expect([refused.status, refused.text]).toEqual([400, '{"error":"no such session"}']);
    for (const name of ['__proto__', 'toString', 'constructor', '']) {
      expect((await ask('POST', `/api/do/${name}`, { cookie: own }, '{}')).status).toBe(404);
      expect((await ask('GET', `/api/list/${name}`, { cookie: own })).status).toBe(404);
    }
    expect((await ask('PUT', '/', { cookie: own, origin: `http://127.0.0.1:${server.port}` })).status).toBe(405);
  });

  it('ends a login', async () => {
    const own = await cookie();
    expect((await ask('POST', '/logout', { cookie: own }, '{}')).status).toBe(200);
    expect((await ask('GET', '/api/session', { cookie: own })).status).toBe(401);
  });

  it('sends its policy with every answer, and files from the package only', async () => {
    for (const path of ['/', '/assets/app.js', '/assets/style.css', '/assets/logo.svg', '/nothing', '/api/live']) {
      const { headers } = await ask('GET', path);
      expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect([headers['x-content-type-options'], headers['x-frame-options']]).toEqual(['nosniff', 'DENY']);
    }
    const first = await ask('GET', '/assets/app.js');
    expect([first.status, first.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
    const again = await ask('GET', '/assets/app.js', { 'if-none-match': String(first.headers.etag) });
    expect([again.status, again.text]).toEqual([304, '']);
    for (const path of ['/assets/../package.json', '/assets/%2e%2e/package.json', '/assets/index.html', '/assets/']) {
      expect((await ask('GET', path)).status).toBe(404);
    }
  });

  it('has no script or style within a page, and nothing from elsewhere', async () => {
    for (const [name, { octets }] of await readAssets()) {
      const text = octets.toString();
      if (name.endsWith('.html')) {
        expect(text).not.toMatch(
          /<script(?![^>]*\bsrc="\/assets\/[\w.-]+"><\/script>)|<style|\son\w+=|\sstyle=|javascript:/,
        );
      }
      expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
        /https?:\/\/|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/,
      );
    }
  });

  it('refuses long bodies and headers, and ends slow requests', async () => {
    const own = await cookie();
    const long = JSON.stringify({ session: 'x'.repeat(20_000) });
    expect((await ask('POST', '/api/do/disconnect', { cookie: own }, long).catch(() => ({ status: 413 }))).status).toBe(
      413,
    );
    expect((await ask('GET', '/', { cookie: 'x'.repeat(20_000) })).status).toBe(431);
    expect((await ask('POST', '/login', {}, '{"token":')).status).toBe(400);
    expect(done).toEqual([]);
  });
});

describe('The live picture', () => {
  /** Opens a stream. Returns what has arrived so far. */
  async function open(own: string): Promise<{ text: () => string; close: () => void }> {
    let text = '';
    const socket = connect(server.port, '127.0.0.1');
    socket.on('data', (part) => (text += part));
    socket.write(`GET /api/live HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\ncookie: ${own}\r\n\r\n`);
    await eventually(() => expect(text).toContain('event: snapshot'));
    return { text: () => text, close: () => socket.destroy() };
  }

  it('is sent whole, then as changes, with hostile text as JSON', async () => {
    const hostile = '</script><img src=x onerror=alert(1)>\u202e\n\ndata: {"event":"snapshot"}\u2028';
    const page = await open(await cookie());
    picture.handle(event(1, 'authentication failed', { identity: hostile, reason: 'no-subscriber' }));
    await eventually(() => expect(page.text()).toMatch(/event: change\ndata: [^\n]*\n\n/));
    const [, line = ''] = /event: change\ndata: ([^\n]*)\n\n/.exec(page.text()) ?? [];
    expect(JSON.parse(line).log[0].identity).toBe(hostile);
    page.close();
    await eventually(() => expect(live.size).toBe(0));
  });

  it('is open to eight pages of a login, and ends with it', async () => {
    const own = await cookie();
    const pages = await Promise.all(Array.from({ length: 8 }, () => open(own)));
    expect((await ask('GET', '/api/live', { cookie: own })).status).toBe(503);
    await open(await cookie());
    expect(live.size).toBe(9);
    await ask('POST', '/logout', { cookie: own }, '{}');
    await eventually(() => expect(live.size).toBe(1));
    for (const page of pages) page.close();
  });

  it('sends a page that reads slowly a snapshot when it has caught up', () => {
    const host = new VirtualHost();
    const written: string[] = [];
    const response = {
      writableLength: 0,
      writeHead: () => undefined,
      flushHeaders: () => undefined,
      once: () => undefined,
      write: (text: string) => written.push(text.split('\n', 1)[0] ?? ''),
    };
    const slow = new Live(
      picture,
      host,
      () => undefined,
      () => undefined,
    );
    slow.open(response as never, 'login');
    const step = (unread: number) => {
      response.writableLength = unread;
      picture.handle(event(host.wall(), 'ready'));
      host.advance(100);
    };
    for (const unread of [0, 0, 1_000_000, 1_000_000, 10, 0, 0]) step(unread);
    expect(written).toEqual(['event: snapshot', 'event: change', 'event: snapshot', 'event: change']);
  });
});

describe('requestProblem', () => {
  const facts = {
    method: 'POST',
    host: '[2001:db8::1]:443',
    origin: 'https://[2001:db8::1]:443',
    site: 'same-origin',
    localAddress: '2001:db8::1',
    scheme: 'https',
  } as const;

  it.each([
    [{}, undefined],
    [{ host: 'localhost', origin: 'https://localhost' }, 'host'],
    [{ host: undefined }, 'host'],
    [{ host: '' }, 'host'],
    [{ host: 'a@127.0.0.1', localAddress: '127.0.0.1' }, 'host'],
    [{ host: '127.0.0.1', origin: 'https://127.0.0.1', localAddress: '::ffff:127.0.0.1' }, undefined],
    [{ origin: 'http://[2001:db8::1]:443' }, 'origin'],
    [{ site: 'none' }, 'origin'],
    [{ method: 'GET', origin: undefined, site: 'none' }, undefined],
    [{ method: 'GET', origin: undefined, site: 'cross-site' }, 'origin'],
  ])('of %j is %s', (changed, problem) => {
    expect(requestProblem({ ...facts, ...changed }, [])).toBe(problem);
  });
});
