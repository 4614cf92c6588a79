import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { isLoopback, withoutScope } from '../../protocol/bytes/address-set.js';
import { ConnectionSlots } from '../../protocol/fairness/connection-slots.js';
import { type Guard, isFault } from '../service/barrier.js';
import { ControlError } from '../service/control.js';
import type { Host } from '../system/host.js';
import type { Asset } from './assets.js';
import type { Live } from './live.js';
import { type EndedLogin, type Login, type LoginResult, Logins, OPERATOR_NAME } from './login.js';
import { type RequestProblem, requestProblem } from './request-checks.js';

/** Maximum size of a request body in octets, and of the headers. */
const MAX_BODY = 16 * 1024;
const MAX_HEADERS = 16 * 1024;

/**
 * Time limits in milliseconds: of a request with its headers or of a TLS handshake, of a connection between requests, and
 * of silence; and how often requests are looked at for this.
 */
const REQUEST_TIMEOUT = 10_000;
const LOOK_INTERVAL = 1_000;
const KEEP_ALIVE_TIMEOUT = 5_000;
const SILENCE_TIMEOUT = 60_000;

/** How long a browser is remembered, in seconds. */
const KNOWN_AGE = 180 * 86_400;

/**
 * Sent with every answer. Scripts, styles and images come from this server only, none is in a page itself, and no page of
 * others shows this one.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const PROBLEMS: Readonly<Record<RequestProblem, string>> = {
  host: 'the Host header names another server: use the address in control.web, or list the name in control.web-hosts',
  origin: 'the request comes from a page of another site',
};

/** What a page may ask for and do, by name. `who`: the operator, for audit trails. */
export interface WebActions {
  readonly lists: Readonly<Record<string, (query: URLSearchParams) => Promise<unknown>>>;
  readonly actions: Readonly<Record<string, (body: unknown, who: string) => unknown>>;
}

export interface WebServerOptions {
  /** `pana-paa` */
  readonly daemon: string;
  readonly host: string;
  readonly port: number;
  /** Further host names of this server. */
  readonly names: readonly string[];
  readonly token: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** How long a request or a TLS handshake may take, in milliseconds. */
  readonly patience?: number;
}

export interface WebServerParts extends WebActions {
  readonly assets: ReadonlyMap<string, Asset>;
  readonly live: Live;
  readonly guard: Guard;
  readonly clock: Host;
  /** Logins that operators have ended, and what keeps them. */
  readonly ended?: readonly EndedLogin[];
  readonly onEnded?: (ended: readonly EndedLogin[]) => void;
  /** Reports a login or a failed one. */
  readonly onLogin: (event: {
    readonly outcome: LoginResult['result'];
    readonly operator: string;
    readonly address: string;
  }) => void;
}

/** Serves the page of a daemon to operators who have logged in. */
export class WebServer {
  readonly #server: Server | HttpsServer;
  readonly #options: WebServerOptions;
  readonly #parts: WebServerParts;
  readonly #logins: Logins;
  /** Connections without an open page. */
  readonly #slots = new ConnectionSlots<Socket>(isLoopback);
  /** TCP connections by their other end: a request over TLS does not tell its own. */
  readonly #sockets = new Map<string, Socket>();

  private constructor(options: WebServerOptions, parts: WebServerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#logins = new Logins(options.token, parts.clock, parts.ended, parts.onEnded);
    const { patience = REQUEST_TIMEOUT } = options;
    const limits = {
      requestTimeout: patience,
      headersTimeout: patience / 2,
      connectionsCheckingInterval: Math.min(LOOK_INTERVAL, patience),
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      maxHeaderSize: MAX_HEADERS,
    };
    const { tls } = options;
    const serve = (incoming: IncomingMessage, response: ServerResponse) => this.#serve(incoming, response);
    this.#server = tls
      ? createHttps({ ...limits, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: patience }, serve)
      : createHttp(limits, serve);
    this.#server.timeout = SILENCE_TIMEOUT;
    this.#server.on('connection', (socket: Socket) => {
      const place = remotePlace(socket);
      this.#sockets.set(place, socket);
      socket.once('close', () => {
        this.#slots.leave(socket);
        this.#sockets.delete(place);
      });
      this.#slots.enter(socket, socket.remoteAddress ?? '', parts.clock.monotonic())?.destroy();
    });
  }

  /** `port` 0: any free port. Rejects with the system's error. */
  static async open(options: WebServerOptions, parts: WebServerParts): Promise<WebServer> {
    const web = new WebServer(options, parts);
    web.#server.listen({ host: options.host, port: options.port });
    await once(web.#server, 'listening');
    return web;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const { guard } = this.#parts;
    const served = this.#answer(incoming, response).catch((error: unknown) => {
      const status = error instanceof ControlError ? error.status : 500;
      if (isFault(error)) guard.fault('control', error);
      if (response.headersSent) response.destroy();
      else sendJson(response, status, { error: error instanceof Error ? error.message : String(error) });
    });
    void guard.settle('control', served, () => response.destroy());
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers, socket } = incoming;
    const problem = requestProblem(
      {
        method,
        host: headers.host,
        origin: headers.origin,
        site: headers['sec-fetch-site'] as string | undefined,
        localAddress: socket.localAddress ?? '',
        scheme: this.#options.tls ? 'https' : 'http',
      },
      this.#options.names,
    );
    if (problem) throw new ControlError(PROBLEMS[problem], 403);
    const target = incoming.url ?? '/';
    if (!target.startsWith('/') || !URL.canParse(target, 'http://web')) throw new ControlError('invalid path', 400);
    const url = new URL(target, 'http://web');
    if (method === 'GET') await this.#get(url, incoming, response);
    else if (method === 'POST') await this.#post(url, incoming, response);
    else throw new ControlError('only GET and POST', 405);
  }

  // ------------------------------------------------------------------------------------------------------- requests

  async #get({ pathname, searchParams }: URL, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const login = this.#loginOf(incoming);
    if (pathname === '/') {
      this.#sendAsset(login ? 'index.html' : 'login.html', incoming, response, true);
    } else if (pathname.startsWith('/assets/')) {
      this.#sendAsset(pathname.slice('/assets/'.length), incoming, response, false);
    } else if (!login) {
      throw new ControlError('log in first', pathname.startsWith('/api/') ? 401 : 404);
    } else if (pathname === '/api/session') {
      sendJson(response, 200, { operator: login.operator, daemon: this.#options.daemon });
    } else if (pathname === '/api/live') {
      if (!this.#parts.live.admits(login.nonce)) throw new ControlError('too many open pages', 503);
      // Strangers with many connections cannot end an open page.
      const socket = this.#sockets.get(remotePlace(incoming.socket));
      if (socket) this.#slots.leave(socket);
      this.#parts.live.open(response, login.nonce);
    } else {
      const list = own(this.#parts.lists, pathname, '/api/list/');
      if (!list) throw new ControlError('not found', 404);
      sendJson(response, 200, await list(searchParams));
    }
  }

  async #post({ pathname }: URL, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (pathname === '/login') {
      this.#logIn(await bodyOf(incoming), incoming, response);
      return;
    }
    const login = this.#loginOf(incoming);
    if (!login) throw new ControlError('log in first', 401);
    const body = await bodyOf(incoming);
    if (pathname === '/logout') {
      this.#logins.end(login);
      this.#parts.live.end(login.nonce);
      response.setHeader('set-cookie', this.#cookie('login', '', 0));
      sendJson(response, 200, {});
      return;
    }
    const action = own(this.#parts.actions, pathname, '/api/do/');
    if (!action) throw new ControlError('not found', 404);
    const who = `${login.operator} (web, ${withoutScope(incoming.socket.remoteAddress)})`;
    sendJson(response, 200, await action(body, who));
  }

  // ---------------------------------------------------------------------------------------------------------- logins

  #logIn(body: unknown, incoming: IncomingMessage, response: ServerResponse): void {
    const { token, operator } = (body ?? {}) as { token?: unknown; operator?: unknown };
    if (typeof token !== 'string' || typeof operator !== 'string' || !OPERATOR_NAME.test(operator)) {
      throw new ControlError('give your name (letters, digits, . _ @ + -, at most 64) and the token', 400);
    }
    const address = withoutScope(incoming.socket.remoteAddress);
    const outcome = this.#logins.login(token, operator, address, cookiesOf(incoming).get(this.#cookieName('known')));
    this.#parts.onLogin({ outcome: outcome.result, operator, address });
    if (outcome.result === 'limited') {
      response.setHeader('retry-after', '10');
      throw new ControlError('too many wrong tokens from your address: wait ten seconds', 429);
    }
    if (outcome.result === 'wrong') throw new ControlError('wrong token', 403);
    this.#slots.accepted(incoming.socket.remoteAddress ?? '');
    response.setHeader('set-cookie', [
      this.#cookie('login', outcome.login, undefined),
      this.#cookie('known', outcome.known, KNOWN_AGE),
    ]);
    sendJson(response, 200, {});
  }

  #loginOf(incoming: IncomingMessage): Login | undefined {
    return this.#logins.check(cookiesOf(incoming).get(this.#cookieName('login')));
  }

  /** Cookies ignore ports, so each daemon of a host has its own names. */
  #cookieName(use: 'login' | 'known'): string {
    return `${this.#options.tls ? '__Host-' : ''}${this.#options.daemon}-${use}`;
  }

  /** `age`: seconds; undefined: until the browser ends. */
  #cookie(use: 'login' | 'known', value: string, age: number | undefined): string {
    const secure = this.#options.tls ? '; Secure' : '';
    const lifetime = age === undefined ? '' : `; Max-Age=${age}`;
    return `${this.#cookieName(use)}=${value}; Path=/; HttpOnly; SameSite=Strict${secure}${lifetime}`;
  }

  #sendAsset(name: string, incoming: IncomingMessage, response: ServerResponse, isPage: boolean): void {
    const asset = this.#parts.assets.get(name);
    if (!asset || (!isPage && name.endsWith('.html'))) throw new ControlError('not found', 404);
    // Which page "/" is depends on the login.
    response.setHeader('cache-control', isPage ? 'no-store' : 'no-cache');
    response.setHeader('content-type', asset.type);
    if (!isPage) response.setHeader('etag', asset.etag);
    if (!isPage && incoming.headers['if-none-match'] === asset.etag) response.writeHead(304).end();
    else response.end(asset.octets);
  }
}

/** The other end of a connection. */
function remotePlace({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** An own property of a record, by the rest of a path. */
function own<T>(record: Readonly<Record<string, T>>, path: string, prefix: string): T | undefined {
  const name = path.startsWith(prefix) ? path.slice(prefix.length) : '';
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value ?? null);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(body);
}

function cookiesOf({ headers }: IncomingMessage): ReadonlyMap<string, string> {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('=', 2) as [string, string?]);
  return new Map(pairs.map(([name, value = '']) => [name, value]));
}

/** The body of a request, which must be JSON: pages of other sites can send other types without being asked. */
async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/i.test(incoming.headers['content-type'] ?? '')) {
    throw new ControlError('the body must be application/json', 415);
  }
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of incoming as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_BODY) throw new ControlError(`the body has more than ${MAX_BODY} octets`, 413);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ControlError) throw error;
    throw new ControlError('the connection was closed before the end of the request', 400);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new ControlError('the body is not JSON', 400);
  }
}
