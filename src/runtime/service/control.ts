import { once } from 'node:events';
import { chmod, chown, lstat, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { CodedError } from '../../errors/coded-error.js';
import { isLoopback } from '../../protocol/bytes/address-set.js';
import { ConnectionSlots } from '../../protocol/fairness/connection-slots.js';
import { OperatorError } from '../system/failure.js';
import { makeFolder } from '../system/folder.js';
import { type Host, systemHost } from '../system/host.js';
import { visible } from '../system/terminal.js';
import { groupNumber } from '../system/user-group.js';
import { type Guard, isFault, unguarded } from './barrier.js';

/** Maximum size of a request body in octets. */
const MAX_BODY = 1024 * 1024;

/** How long a daemon may take to answer a control request, in milliseconds. */
const ANSWER_TIMEOUT = 30_000;

/** The running daemon refused the request; the message states the reason. */
export class ControlError extends CodedError<'ERR_CONTROL'> {
  override readonly name = 'ControlError';
  /** HTTP status. */
  readonly status: number;

  constructor(message: string, status = 400) {
    super('ERR_CONTROL', message);
    this.status = status;
  }
}

/** No daemon listens on this socket. */
export class NoDaemonError extends CodedError<'ERR_NO_DAEMON'> {
  override readonly name = 'NoDaemonError';

  constructor(message: string) {
    super('ERR_NO_DAEMON', message);
  }
}

export interface ControlCall {
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** An answer that a handler writes itself, such as one that goes on until the caller closes the connection. */
export class Streaming {
  readonly write: (response: ServerResponse) => void;

  constructor(write: (response: ServerResponse) => void) {
    this.write = write;
  }
}

/**
 * The handlers by method and path, for example `GET /status`. The result is sent as JSON, a string as plain text; a
 * `Streaming` writes its own answer.
 */
export type ControlRoutes = Readonly<Record<string, (call: ControlCall) => unknown>>;

/** Removes the stale socket of a killed daemon. Rejects with OperatorError if the path is anything else. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found && !found.isSocket()) {
    throw new OperatorError(
      `control.socket: ${path} exists and is not a socket: configure another path, or move the file away`,
    );
  }
  await rm(path, { force: true });
}

/** Gives the socket to a group. Rejects with OperatorError if the daemon may not. */
async function openToGroup(path: string, group: string): Promise<void> {
  const number = await groupNumber(group, 'control.group');
  try {
    await chown(path, -1, number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    throw new OperatorError(
      `control.group: the user of this daemon is not in the group ${group}: add it (with systemd, the drop-in operators.conf)`,
    );
  }
  await chmod(path, 0o660);
}

/** HTTP with JSON: on a UNIX socket for operators, and on TCP for metrics. */
export class ControlServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * The socket has mode 0600, or with `group` mode 0660. Rejects with OperatorError if another daemon answers on the socket
   * or the group cannot be used, or with the system's error.
   */
  static async onSocket(
    path: string,
    routes: ControlRoutes,
    guard: Guard = unguarded,
    group?: string,
  ): Promise<ControlServer> {
    if (await answers(path)) throw new OperatorError(`${path}: another daemon uses this control socket`);
    await makeFolder(dirname(path));
    await removeStale(path);
    const server = serverOf(routes, guard);
    // The socket must never be accessible to others, not even before chmod.
    const mask = process.umask(0o177);
    try {
      server.listen(path);
      await once(server, 'listening');
    } finally {
      process.umask(mask);
    }
    await chmod(path, 0o600);
    const opened = new ControlServer(server);
    if (group === undefined) return opened;
    try {
      await openToGroup(path, group);
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  /** `port` 0: any free port. Rejects with the system's error. */
  static async onTcp(
    host: string,
    port: number,
    routes: ControlRoutes,
    guard: Guard = unguarded,
    clock: Pick<Host, 'monotonic'> = systemHost,
  ): Promise<ControlServer> {
    const server = serverOf(routes, guard);
    // Anyone who reaches the port can connect: this host has priority, others get equal shares.
    const slots = new ConnectionSlots<Socket>(isLoopback);
    server.on('connection', (socket) => {
      socket.once('close', () => slots.leave(socket));
      slots.enter(socket, socket.remoteAddress ?? '', clock.monotonic())?.destroy();
    });
    server.listen({ host, port });
    await once(server, 'listening');
    return new ControlServer(server);
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
}

function serverOf(routes: ControlRoutes, guard: Guard): Server {
  return createServer({ requestTimeout: ANSWER_TIMEOUT, headersTimeout: 5_000 }, (incoming, response) => {
    // The caller gets an answer for every error.
    const refuse = (error: unknown) => {
      const status = error instanceof ControlError ? error.status : 500;
      reply(response, status, { error: error instanceof Error ? error.message : String(error) });
    };
    const answered = answer(routes, incoming).then((value) => {
      if (value instanceof Streaming) value.write(response);
      else reply(response, 200, value);
    });
    const served = answered.catch((error: unknown) => {
      if (isFault(error)) guard.fault('control', error);
      refuse(error);
    });
    void guard.settle('control', served, () => response.destroy());
  });
}

function reply(response: ServerResponse, status: number, value: unknown): void {
  const isText = typeof value === 'string';
  // Serialize before the header is written, because not every value can be serialized.
  const body = isText ? value : JSON.stringify(value ?? null);
  response.writeHead(status, { 'content-type': isText ? 'text/plain; version=0.0.4' : 'application/json' });
  response.end(body);
}

async function answer(routes: ControlRoutes, incoming: IncomingMessage): Promise<unknown> {
  const url = URL.canParse(incoming.url ?? '/', 'http://control')
    ? new URL(incoming.url ?? '/', 'http://control')
    : undefined;
  if (!url) throw new ControlError('invalid path', 400);
  const route = routes[`${incoming.method} ${url.pathname}`];
  if (!route) throw new ControlError(`unknown request: ${incoming.method} ${url.pathname}`, 404);
  return route({ query: url.searchParams, body: await bodyOf(incoming) });
}

/**
 * The body of a request as JSON; undefined: it has none. A body that is too long is read to its end, or until the
 * server's requestTimeout, and discarded. If the connection were closed at once, a caller that is still writing would
 * get EPIPE and no answer.
 */
async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of incoming as AsyncIterable<Buffer>) {
      length += part.length;
      if (length <= MAX_BODY) parts.push(part);
      else parts.length = 0;
    }
  } catch {
    // The caller closed the connection, which is not a fault. Nobody reads this answer.
    throw new ControlError('the connection was closed before the end of the request');
  }
  if (length > MAX_BODY) throw new ControlError(`the body has more than ${MAX_BODY} octets`, 413);
  if (length === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new ControlError('the body is not JSON');
  }
}

/** Whether a process listens on a UNIX socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Sends a request to the running daemon. `timeout`: milliseconds. Rejects with ControlError if the daemon refuses,
 * NoDaemonError if none runs, OperatorError if this user has no access.
 */
export function callDaemon(
  path: string,
  method: 'GET' | 'POST',
  route: string,
  body?: unknown,
  timeout = ANSWER_TIMEOUT,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    // No agent: it would keep the connection, and nothing would handle the connection's errors.
    const options = { socketPath: path, method, path: route, timeout, agent: false } as const;
    const outgoing = request(options, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', (error) => reject(connectionError(path, error)));
      incoming.on('end', () => {
        const octets = Buffer.concat(parts).toString('utf8');
        const isJson = incoming.headers['content-type'] === 'application/json';
        const value = isJson ? parsed(octets) : octets;
        if (value === undefined) reject(strange(path));
        else if (incoming.statusCode === 200) resolve(value);
        else reject(refusal(value, incoming.statusCode));
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new ControlError(`no answer within ${timeout / 1000} s`)));
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(connectionError(path, error)));
    outgoing.end(text);
  });
}

/** The JSON value; undefined: the text is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The error of an answer that refuses the request. */
function refusal(answer: unknown, status: number | undefined): ControlError {
  const { error } = Object(answer) as { error?: unknown };
  return new ControlError(visible(typeof error === 'string' ? error : `status ${status}`));
}

function strange(path: string): ControlError {
  return new ControlError(`${path}: the answer is not that of a daemon: does another program listen there?`);
}

/** The error for the operator if the daemon cannot be reached. */
function connectionError(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new NoDaemonError(`no daemon runs with the control socket ${path}: start it, or give --control.socket`);
  }
  if (error.code === 'EACCES')
    return new OperatorError(
      `${path}: only the user that the daemon runs as may control it, and the members of control.group`,
    );
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    return new ControlError(`${path}: the connection ended before the answer did: the daemon stopped, or was killed`);
  }
  return error.code?.startsWith('HPE_') ? strange(path) : error;
}

/**
 * Reads an answer of JSON lines that goes on, and calls `take` for each line. Resolves when the daemon ends the answer or
 * stops, or when `signal` aborts. Rejects as `callDaemon` does if the answer does not begin.
 */
export function followDaemon(
  path: string,
  route: string,
  take: (line: unknown) => void,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, method: 'GET', path: route, agent: false, signal }, (incoming) => {
      const lines = createInterface({ input: incoming });
      // The daemon stopped or was killed, or the signal has aborted. The interface repeats the error.
      incoming.on('error', () => resolve());
      lines.on('error', () => resolve());
      if (incoming.statusCode === 200) {
        lines.on('line', (line) => {
          const value = parsed(line);
          if (value !== undefined) {
            take(value);
            return;
          }
          reject(strange(path));
          outgoing.destroy();
        });
        lines.on('close', resolve);
        return;
      }
      lines.once('line', (line) => {
        reject(refusal(parsed(line), incoming.statusCode));
      });
    });
    outgoing.on('error', (error) => (signal?.aborted ? resolve() : reject(connectionError(path, error))));
    outgoing.end();
  });
}
