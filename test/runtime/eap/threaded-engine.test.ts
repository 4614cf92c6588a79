import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ServerEngineAnswer } from '../../../src/runtime/eap/engine.js';
import { own } from '../../../src/runtime/eap/engine-messages.js';
import { EapServer, type EapServerOptions } from '../../../src/runtime/eap/server.js';
import {
  CALM,
  CHECK_INTERVAL,
  type EngineThreadEvent,
  ThreadedTlsEngine,
} from '../../../src/runtime/eap/threaded-engine.js';
import { createPeerCredentials, type TlsPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { type Host, systemHost } from '../../../src/runtime/system/host.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';
import { Authority } from '../tls/certificates/authority.js';
import { type Ends, type Outcome, onlySubscriber, runEap, SUBSCRIBER, type TestPki } from './eap-run.js';
import { revocationOf } from './revocation-of.js';

/** Threads are compiled code, even when tests run from source. */
const PROGRAM = new URL('../../../dist/runtime/eap/engine-thread.js', import.meta.url);

/** First octets of flights that make a thread of `fragileProgram` end or hang. */
const THROW = 1;
const EXIT = 2;
const HANG = 3;

const LEAF = '08';

let root: Authority;
let issuing: Authority;
let pki: TestPki;

beforeAll(async () => {
  root = await Authority.root('root');
  issuing = await root.sub('issuing', { serial: '07' });
  const names = [{ type: 'dns', value: 'aaa.home.example' }] as const;
  const server = await root.issue({ subject: 'CN=aaa', serial: '05', names: [...names] });
  const leaf = await issuing.issue({ subject: `CN=${SUBSCRIBER}`, serial: LEAF });
  const client = { ...leaf, certificatePem: leaf.certificatePem + issuing.certificatePem };
  const ca = { certificatePem: root.certificatePem, keyPem: '' };
  pki = { ca, otherCa: ca, server, client };
});

interface Scene {
  readonly engine: ThreadedTlsEngine;
  readonly events: EngineThreadEvent[];
  readonly faults: unknown[];
  run(thread: number, ends?: Ends): Promise<Outcome>;
}

interface Choice {
  readonly program?: URL;
  readonly host?: Host;
  readonly options?: Partial<EapServerOptions<string>>;
}

function makeScene({ program = PROGRAM, host = systemHost, options: more = {} }: Choice = {}): Scene {
  const events: EngineThreadEvent[] = [];
  const faults: unknown[] = [];
  const options: EapServerOptions<string> = {
    caPem: pki.ca.certificatePem,
    certificatePem: pki.server.certificatePem,
    keyPem: pki.server.keyPem,
    authorize: onlySubscriber,
    host,
    guard: {
      run: (_where, action) => action(),
      settle: () => Promise.resolve(),
      fault: (_where, error) => faults.push(error),
    },
    ...more,
  };
  const engine = new ThreadedTlsEngine(options, { workers: 2, program, onEvent: (event) => events.push(event) });
  onTestFinished(() => engine.close());
  const eapServer = new EapServer(options, engine);
  return { engine, events, faults, run: (thread, ends) => runEap(pki, { eapServer, thread, ...ends }) };
}

function node(version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): TlsPeerCredentials {
  const { certificatePem, keyPem } = pki.client;
  const versions = { minVersion: version, maxVersion: version };
  return createPeerCredentials({
    caPem: root.certificatePem,
    certificatePem,
    keyPem,
    serverName: 'aaa.home.example',
    ...versions,
  });
}

/** A thread that ends or hangs on some flights, and runs the real program otherwise. */
const FRAGILE = new URL(
  `data:text/javascript,${encodeURIComponent(`
import { parentPort } from 'node:worker_threads';
await import('${PROGRAM.href}');
parentPort.on('message', (messages) => {
  const first = messages.map(({ flight }) => flight?.[0]);
  if (first.includes(${THROW})) throw new Error('broken');
  if (first.includes(${EXIT})) process.exit(7);
  while (first.includes(${HANG}));
});
`)}`,
);

/** Sends a flight to a thread. The result has the answer when it is there. */
function send(engine: ThreadedTlsEngine, thread: number, first: number): { answer: ServerEngineAnswer | undefined } {
  const sent: { answer: ServerEngineAnswer | undefined } = { answer: undefined };
  const flight = Uint8Array.of(first);
  engine.begin(flight, thread).exchange(flight, (answer) => {
    sent.answer = answer;
  });
  return sent;
}

const success = (resumed: boolean) => ({ type: 'success', resumed });

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('ThreadedTlsEngine, %s', (version) => {
  it('resumes a session in any thread, and derives the keys of the peer', async () => {
    const { run } = makeScene();
    const credentials = node(version);
    for (const [i, thread] of [0, 1, 0, 1].entries()) {
      const { answer, events } = await run(thread, { credentials });
      expect(answer).toMatchObject(success(i > 0));
      const keys = events.find((event) => event.type === 'keys');
      if (answer.type !== 'success' || keys?.type !== 'keys') throw new Error('no keys');
      for (const name of ['msk', 'emsk'] as const) expect(answer[name].octets()).toEqual(keys[name].octets());
      expect(answer.peer).toMatchObject({ serial: '8', peerIds: [SUBSCRIBER] });
    }
  });

  it('accepts only tickets of the current key, in all threads', async () => {
    const { engine, run } = makeScene();
    const credentials = node(version);
    await run(0, { credentials });
    engine.setTicketKey(new Uint8Array(48).fill(9));
    expect((await run(1, { credentials })).answer).toMatchObject(success(false));
    expect((await run(0, { credentials })).answer).toMatchObject(success(true));
    engine.setTicketKey(new Uint8Array(48).fill(9));
    expect((await run(1, { credentials })).answer).toMatchObject(success(true));
  });
});

describe('ThreadedTlsEngine', () => {
  it('refuses a certificate of a reloaded CRL in all threads, also in those that start later', async () => {
    const crls = async (serials: readonly string[]) =>
      revocationOf((await root.crl({ serials: [] })) + (await issuing.crl({ serials })));
    let learned = 0;
    const onLearned = () => {
      learned += 1;
    };
    const options = { revocation: await crls([]), onLearned };
    const { engine, events, run } = makeScene({ program: FRAGILE, options });
    const credentials = node();
    for (const thread of [0, 1]) expect((await run(thread, { credentials })).answer.type).toBe('success');
    // Thread 0 told the main thread, which knows the CRL's issuer now.
    expect(learned).toBe(1);
    expect(engine.judge.revocation?.unverified).toEqual([]);
    const { caPem, certificatePem, keyPem } = { caPem: root.certificatePem, ...pki.server };
    engine.reload({ caPem, certificatePem, keyPem, revocation: await crls([LEAF]) });
    const revoked = { type: 'failure', reason: 'revoked' };
    for (const thread of [0, 1]) expect((await run(thread, { credentials })).answer).toMatchObject(revoked);
    send(engine, 0, EXIT);
    await eventually(() => expect(events.at(-1)?.type).toBe('replaced'));
    expect((await run(0)).answer).toMatchObject(revoked);
  });

  it('throws for unusable credentials, and keeps the old ones in all threads', async () => {
    const { engine, run } = makeScene();
    const wrong = { caPem: root.certificatePem, certificatePem: pki.server.certificatePem, keyPem: pki.client.keyPem };
    expect(() => engine.reload(wrong)).toThrow();
    for (const thread of [0, 1]) expect((await run(thread)).answer.type).toBe('success');
  });

  it.each([
    ['throws', THROW, 'broken'],
    ['exits', EXIT, 'exit with status 7'],
  ])('loses only the handshakes of a thread that %s, and replaces it', async (_how, first, reason) => {
    const { engine, events, run } = makeScene({ program: FRAGILE });
    const credentials = node();
    await run(0, { credentials });
    const idle = engine.begin(Uint8Array.of(9), 0);
    const asked = send(engine, 0, first);
    const other = run(1);
    await eventually(() => expect(asked.answer).toEqual({ type: 'busy' }));
    expect((await other).answer.type).toBe('success');
    let answer: ServerEngineAnswer | undefined;
    idle.exchange(Uint8Array.of(9), (given) => {
      answer = given;
    });
    expect(answer).toEqual({ type: 'busy' });
    await eventually(() => expect(events.at(-1)?.type).toBe('replaced'));
    expect(events).toMatchObject([
      { type: 'ended', worker: 0, reason, handshakes: 2, pause: 0 },
      { type: 'replaced', worker: 0 },
    ]);
    expect(engine.running).toBe(2);
    // The new thread has the ticket key and the learned CA.
    expect((await run(0, { credentials })).answer).toMatchObject(success(true));
  });

  it('replaces a thread that does not answer', async () => {
    const host = new VirtualHost(undefined, Date.now());
    const { engine, events, run } = makeScene({ program: FRAGILE, host });
    await run(0);
    const asked = send(engine, 0, HANG);
    await new Promise(setImmediate);
    host.advance(2 * CHECK_INTERVAL);
    expect(asked.answer).toBeUndefined();
    host.advance(CHECK_INTERVAL);
    await eventually(() => expect(asked.answer).toEqual({ type: 'busy' }));
    expect(events).toMatchObject([{ type: 'ended', worker: 0, reason: 'it does not answer' }]);
  });

  it('pauses before it replaces a thread that ends again and again; meanwhile the main thread works', async () => {
    const host = new VirtualHost(undefined, Date.now());
    const program = new URL('data:text/javascript,throw new Error("broken")');
    const { engine, events, run } = makeScene({ program, host });
    const pauses = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    for (const [i, pause] of pauses.entries()) {
      await eventually(() => expect(events).toHaveLength(2 * (i + 1)));
      expect(events.slice(-2)).toMatchObject([
        { type: 'ended', reason: 'broken', pause },
        { type: 'ended', reason: 'broken', pause },
      ]);
      expect(engine.running).toBe(0);
      host.advance(pause);
    }
    await eventually(() => expect(engine.running).toBe(0));
    expect((await run(0)).answer.type).toBe('success');
    expect(CALM).toBe(60_000);
  });

  it('frees its threads, and answers handshakes that are open', async () => {
    const { engine, events, run } = makeScene();
    await run(0);
    const asked = send(engine, 1, 9);
    engine.close();
    await eventually(() => expect(asked.answer).toEqual({ type: 'busy' }));
    expect(events).toEqual([]);
  });
});

it('own copies exactly the octets, without the memory that a Buffer shares', () => {
  const copy = own(Buffer.from('x'));
  expect([copy.length, copy.buffer.byteLength]).toEqual([1, 1]);
});
