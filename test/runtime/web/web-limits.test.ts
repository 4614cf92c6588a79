import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { issueCertificate, makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { Live } from '../../../src/runtime/web/live.js';
import { Picture } from '../../../src/runtime/web/picture.js';
import { WebServer, type WebServerOptions } from '../../../src/runtime/web/web-server.js';
import { eventually, within } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';
import { event } from './fed-event.js';

const TOKEN = 'a'.repeat(40);
const LOGIN = JSON.stringify({ token: TOKEN, operator: 'alice' });
const ignore = () => undefined;

/** What each test must close. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function serve(more: Partial<WebServerOptions> = {}) {
  const host = new VirtualHost();
  const picture = new Picture('pana-paa');
  const live = new Live(picture, host, ignore, ignore);
  const server = await WebServer.open(
    { daemon: 'pana-paa', host: '127.0.0.1', port: 0, names: [], token: TOKEN, tls: undefined, ...more },
    {
      assets: new Map([['login.html', { type: 'text/html', octets: Buffer.from('the login'), etag: '"1"' }]]),
      live,
      guard: unguarded,
      clock: host,
      lists: {},
      actions: {},
      onLogin: ignore,
    },
  );
  opened.push(() => server.close());
  return { server, host, picture, live };
}

/** A connection, and what came over it. */
function open(port: number, sent: string): { readonly socket: Socket; readonly text: () => string } {
  let text = '';
  const socket = connect(port, '127.0.0.1');
  socket.on('data', (part) => (text += part)).on('error', ignore);
  socket.write(sent);
  opened.push(() => socket.destroy());
  return { socket, text: () => text };
}

const get = (port: number, path: string, cookie = '') =>
  `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncookie: ${cookie}\r\n\r\n`;

/** Logs in. Returns the cookie. */
async function logIn(port: number): Promise<string> {
  const own = `127.0.0.1:${port}`;
  const head = `POST /login HTTP/1.1\r\nhost: ${own}\r\norigin: http://${own}\r\ncontent-type: application/json\r\n`;
  const { socket, text } = open(port, `${head}content-length: ${LOGIN.length}\r\n\r\n${LOGIN}`);
  await eventually(() => expect(text()).toContain('200 OK'));
  socket.destroy();
  return /set-cookie: ([^;]+)/i.exec(text())?.[1] ?? '';
}

describe('Connections that cost the web page something', () => {
  it('end if a request, its body or a TLS handshake is not complete in time', async () => {
    const ca = await makeCa('Test CA', 'p256', validFor(1));
    const { certificatePem: cert, keyPem: key } = await issueCertificate(
      ca,
      { kind: 'server', hosts: ['localhost'] },
      validFor(1),
    );
    for (const tls of [undefined, { cert, key }]) {
      const { server } = await serve({ patience: 200, tls });
      const post = `POST /login HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\norigin: http://127.0.0.1:${server.port}\r\n`;
      const slow = ['', 'GET / HT', `${post}content-type: application/json\r\ncontent-length: 20\r\n\r\n{`];
      const sockets = slow.slice(tls ? 0 : 1).map((begin) => open(server.port, begin).socket);
      // Less than the silence that any connection is allowed.
      await within(Promise.all(sockets.map((socket) => once(socket, 'close'))), 'the server ends them', 30_000);
    }
  });

  it('are limited in number: new ones replace the oldest, but neither open pages nor those of operators', async () => {
    // No connection ends because this test takes long.
    const { server, host, live } = await serve({ patience: 600_000 });
    const cookie = await logIn(server.port);
    const page = open(server.port, get(server.port, '/api/live', cookie));
    await eventually(() => expect(live.size).toBe(1));
    const idle: Socket[] = [];
    for (let i = 0; i < 600; i += 1) {
      const { socket } = open(server.port, 'GET');
      await once(socket, 'connect');
      idle.push(socket);
    }
    const last = open(server.port, get(server.port, '/'));
    await eventually(() => expect(last.text()).toContain('the login'));
    await eventually(() => expect(idle.filter(({ destroyed }) => destroyed).length).toBeGreaterThanOrEqual(88));
    expect(idle.filter(({ destroyed }) => destroyed).length).toBeLessThan(100);
    host.advance(100);
    await eventually(() => expect(page.text()).toContain('event: snapshot'));
    expect(live.size).toBe(1);
  });

  it('cost no more memory if a page reads nothing, and get the whole state when it reads again', async () => {
    const { server, host, picture, live } = await serve();
    const responses: ServerResponse[] = [];
    const openPage = live.open.bind(live);
    live.open = (response, login) => {
      responses.push(response);
      openPage(response, login);
    };
    const { socket, text } = open(server.port, get(server.port, '/api/live', await logIn(server.port)));
    await eventually(() => expect(live.size).toBe(1));
    host.advance(100);
    await eventually(() => expect(text()).toContain('event: snapshot'));
    socket.pause();
    // 30 MB of changes. The system's buffers take some of them.
    for (let i = 0; i < 300; i += 1) {
      for (let k = 0; k < 300; k += 1) picture.handle(event(i, 'hook output', { line: 'x'.repeat(300) }));
      host.advance(100);
      await new Promise(setImmediate);
    }
    expect(responses[0]?.writableLength).toBeGreaterThan(100_000);
    expect(responses[0]?.writableLength).toBeLessThan(1_000_000);
    socket.resume();
    await eventually(() => {
      host.advance(100);
      expect(text().match(/event: snapshot/g)).toHaveLength(2);
    });
    expect(text().length).toBeLessThan(15_000_000);
  });
});

describe('The web page over TLS', () => {
  it('answers over TLS 1.2 and later only, with cookies that only TLS carries', async () => {
    const ca = await makeCa('Test CA', 'p256', validFor(1));
    const { certificatePem: cert, keyPem: key } = await issueCertificate(
      ca,
      { kind: 'server', hosts: ['paa.access.example'] },
      validFor(1),
    );
    const names = ['paa.access.example'];
    const { server, live } = await serve({ host: '0.0.0.0', names, tls: { cert, key } });
    const own = `paa.access.example:${server.port}`;
    const common = { host: '127.0.0.1', port: server.port, servername: names[0], ca: ca.certificatePem, agent: false };
    const ask = async (method: string, path: string, headers: Record<string, string>, body?: string) => {
      const outgoing = request({ ...common, method, path, headers: { host: own, ...headers } });
      outgoing.end(body);
      const [incoming] = await once(outgoing, 'response');
      return incoming;
    };
    const posted = (origin: string) => ask('POST', '/login', { origin, 'content-type': 'application/json' }, LOGIN);
    expect((await posted(`http://${own}`)).statusCode).toBe(403);
    const accepted = await posted(`https://${own}`);
    const cookies: string[] = accepted.headers['set-cookie'];
    expect(cookies.map((one) => one.replace(/=[^;]+/, ''))).toEqual([
      '__Host-pana-paa-login; Path=/; HttpOnly; SameSite=Strict; Secure',
      '__Host-pana-paa-known; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=15552000',
    ]);
    const [cookie = ''] = (cookies[0] ?? '').split(';');
    expect((await ask('GET', '/api/session', { cookie })).statusCode).toBe(200);
    expect((await ask('GET', '/api/session', { cookie: cookie.replace('__Host-', '') })).statusCode).toBe(401);

    const { socket, text } = open(server.port, get(server.port, '/', cookie));
    await once(socket, 'close');
    expect(text()).not.toContain('the login');
    const old = connectTls({ ...common, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' });
    await expect(once(old, 'secureConnect')).rejects.toThrow(/protocol version|unsupported protocol/i);

    // An open page stays, however many connections strangers open.
    const page = await ask('GET', '/api/live', { cookie });
    expect(page.statusCode).toBe(200);
    for (let i = 0; i < 520; i += 1) await once(open(server.port, '').socket, 'connect');
    await eventually(async () => expect((await ask('GET', '/api/session', { cookie })).statusCode).toBe(200));
    expect(live.size).toBe(1);
    page.destroy();
  });
});
