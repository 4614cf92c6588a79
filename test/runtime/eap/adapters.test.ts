import { beforeAll, describe, expect, it } from 'vitest';
import { EAP_TYPE } from '../../../src/protocol/eap/codec.js';
import { ACKNOWLEDGEMENT, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import type { EapPeerEvent } from '../../../src/protocol/eap/peer.js';
import type { PeerCredentials, ServerEngine } from '../../../src/runtime/eap/engine.js';
import { EapPeer } from '../../../src/runtime/eap/peer.js';
import { type ConversationParts, EapServer, type GrantedTurn } from '../../../src/runtime/eap/server.js';
import { createPeerCredentials, type TlsPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { type Guard, unguarded } from '../../../src/runtime/service/barrier.js';
import { eventually } from '../../eventually.js';
import { CLIENT, EMPTY, fragmentOf, keysOf, record, request, response, ZERO } from '../../protocol/eap/method-rig.js';
import { makePki, makeServer, type TestPki } from './eap-run.js';

const START = encodeEapTls({ ...ACKNOWLEDGEMENT, start: true });
const secured = { tlsVersion: 'TLSv1.2', resumed: false } as const;

/** Collects faults, and calls the end handler of what failed. */
class CountingGuard implements Guard {
  readonly faults: unknown[] = [];

  run<T>(_where: string, action: () => T, end?: (error: unknown) => void): T | undefined {
    try {
      return action();
    } catch (error) {
      this.faults.push(error);
      end?.(error);
      return undefined;
    }
  }

  settle = unguarded.settle;

  fault(_where: string, error: unknown): void {
    this.faults.push(error);
  }
}

describe('A fault of the TLS engine at the EAP peer', () => {
  const run = (credentials: PeerCredentials) => {
    const guard = new CountingGuard();
    const events: EapPeerEvent[] = [];
    const options = { identity: '@home.example', mtu: 1000, credentials, guard };
    const peer = new EapPeer(options, (event) => events.push(event));
    peer.receive(request(1, EAP_TYPE.EAP_TLS, START));
    return { peer, guard, events };
  };
  const engine = { finish: () => keysOf(), forget: () => undefined, destroy: () => undefined };
  const failed = { type: 'failed', reason: 'protocol', detail: 'internal error' };

  it('fails the authentication, in an exchange and in the export of keys', () => {
    const fault = { type: 'fault', error: new Error('broken') } as const;
    const told = run({ open: () => ({ ...engine, exchange: (_flight, answer) => answer(fault) }) });
    expect(told.events).toEqual([failed]);
    const thrown = run({
      open: () => ({
        ...engine,
        exchange: (_flight, answer) => answer({ type: 'flight', flight: record(1), applicationData: EMPTY, secured }),
        finish: () => {
          throw fault.error;
        },
      }),
    });
    expect(thrown.events).toEqual([failed]);
    expect(told.guard.faults).toEqual([fault.error]);
    expect(thrown.guard.faults).toEqual([fault.error]);
    thrown.peer.receive(request(2, EAP_TYPE.IDENTITY, EMPTY));
    expect(thrown.events).toHaveLength(1);
  });
});

describe('A fault of the TLS engine at the EAP server', () => {
  const broken = new Error('broken');
  const verified = {
    type: 'verified',
    peer: CLIENT,
    tlsVersion: 'TLSv1.2',
    resumed: false,
    applicationData: 0,
  } as const;
  const whole = {
    exchange: (_flight: Uint8Array, answer: (answer: typeof verified) => void) => answer(verified),
    commit: () => {
      throw broken;
    },
    destroy: () => undefined,
  };

  async function converse(
    begin: ServerEngine<unknown>['begin'],
    guard?: Guard,
    parts: Partial<ConversationParts> = {},
  ) {
    const engine: ServerEngine<unknown> = {
      judge: { revocation: undefined, revokedIssuers: () => [] },
      begin,
      reload: () => undefined,
      setTicketKey: () => undefined,
      close: () => undefined,
    };
    const authorize = () => Promise.resolve({ ok: true, identity: 'mn', grant: 'yes' } as const);
    const options = { caPem: '', certificatePem: '', keyPem: '', authorize, guard };
    const conversation = new EapServer<string>(options, engine).conversation({ mtu: 1000, ...parts });
    const asked = await conversation.handle(EMPTY);
    const start = await conversation.handle(response(asked.packet?.[1] ?? 0, EAP_TYPE.IDENTITY, ZERO));
    const hello = response(
      start.packet?.[1] ?? 0,
      EAP_TYPE.EAP_TLS,
      encodeEapTls({ ...ACKNOWLEDGEMENT, fragment: record(1) }),
    );
    return { conversation, hello };
  }

  const places: [string, ServerEngine<unknown>['begin']][] = [
    [
      'at the start',
      () => {
        throw broken;
      },
    ],
    ['in its flight', () => ({ ...whole, exchange: (_flight, answer) => answer({ type: 'fault', error: broken }) })],
    ['at the commitment', () => whole],
    ['in the last flight', () => ({ ...whole, commit: (_data, answer) => answer({ type: 'fault', error: broken }) })],
  ];

  it.each(places)('fails the client %s and returns its turn', async (_where, begin) => {
    const guard = new CountingGuard();
    let turns = 0;
    const turn = async () => {
      turns += 1;
      const done = () => {
        turns -= 1;
      };
      return { engine: 0, done };
    };
    const { conversation, hello } = await converse(begin, guard, { turn });
    const answer = await conversation.handle(hello);
    expect(answer).toMatchObject({ type: 'failure', reason: 'protocol', detail: 'internal error' });
    expect(guard.faults).toEqual([broken]);
    expect(turns).toBe(0);
  });

  it.each(places)('is passed to the caller if there is no guard: %s', async (_where, begin) => {
    const { conversation, hello } = await converse(begin);
    await expect(conversation.handle(hello)).rejects.toBe(broken);
  });

  it.each(places.slice(1))('destroys the handshake: %s', async (_where, begin) => {
    let freed = 0;
    const counted = () => ({
      ...begin(new Uint8Array(0)),
      destroy: () => {
        freed += 1;
      },
    });
    const { conversation, hello } = await converse(counted, new CountingGuard());
    await conversation.handle(hello);
    expect(freed).toBe(1);
  });

  it('is not reported when closing destroys the handshake', async () => {
    let freed = 0;
    const silent = {
      ...whole,
      exchange: () => undefined,
      destroy: () => {
        freed += 1;
      },
    };
    const guard = new CountingGuard();
    const { conversation, hello } = await converse(() => silent, guard);
    const answer = conversation.handle(hello);
    expect(freed).toBe(0);
    conversation.close();
    expect(freed).toBe(1);
    expect(await answer).toMatchObject({ type: 'invalid', reason: 'the conversation is over' });
    expect(guard.faults).toEqual([]);
  });

  it('is not reported when the engine grants no turn: the client gets the answer "busy"', async () => {
    const guard = new CountingGuard();
    const { conversation, hello } = await converse(() => whole, guard, { turn: () => Promise.resolve(undefined) });
    expect(await conversation.handle(hello)).toEqual({ type: 'busy', packet: undefined });
    expect(guard.faults).toEqual([]);
  });

  it('is not reported when closing before the turn prevents the handshake', async () => {
    let begun = 0;
    let turns = 0;
    let grant: (turn: GrantedTurn) => void = () => undefined;
    const turn = () =>
      new Promise<GrantedTurn>((resolve) => {
        grant = resolve;
      });
    const begin = () => {
      begun += 1;
      return whole;
    };
    const { conversation, hello } = await converse(begin, new CountingGuard(), { turn });
    const answer = conversation.handle(hello);
    conversation.close();
    expect(await answer).toMatchObject({ type: 'invalid', reason: 'the conversation is over' });
    turns += 1;
    const done = () => {
      turns -= 1;
    };
    grant({ engine: 0, done });
    await eventually(() => expect(turns).toBe(0));
    expect(begun).toBe(0);
  });
});

describe("An EAP conversation that is closed while Node's TLS is working", () => {
  let pki: TestPki;
  let credentials: TlsPeerCredentials;

  beforeAll(async () => {
    pki = await makePki('p256');
    const { certificatePem, keyPem } = pki.client;
    const caPem = pki.ca.certificatePem;
    credentials = createPeerCredentials({ caPem, certificatePem, keyPem, serverName: 'aaa.home.example' });
  });

  it.each([1, 2])('answers at once without a fault: at flight %i', async (last) => {
    const guard = new CountingGuard();
    const conversation = makeServer(pki, { serverOptions: { guard } }).conversation({ mtu: 60_000 });
    const handshake = credentials.open();
    const flight = (given: Uint8Array) =>
      new Promise<Uint8Array>((resolve) => {
        handshake.exchange(given, (answer) => resolve(answer.type === 'flight' ? answer.flight : EMPTY));
      });
    const say = (identifier: number, fragment: Uint8Array) =>
      conversation.handle(response(identifier, EAP_TYPE.EAP_TLS, encodeEapTls({ ...ACKNOWLEDGEMENT, fragment })));
    const asked = await conversation.handle(EMPTY);
    let answer = await conversation.handle(response(asked.packet?.[1] ?? 0, EAP_TYPE.IDENTITY, ZERO));
    let given: Uint8Array = EMPTY;
    for (let turn = 1; turn < last; turn += 1) {
      answer = await say(answer.packet?.[1] ?? 0, await flight(given));
      given = fragmentOf(answer.packet ?? EMPTY);
    }
    const pending = say(answer.packet?.[1] ?? 0, await flight(given));
    conversation.close();
    expect(await pending).toMatchObject({ type: 'invalid', reason: 'the conversation is over' });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(guard.faults).toEqual([]);
    handshake.destroy();
  });
});
