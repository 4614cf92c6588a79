import { pino } from 'pino';
import { aaaSchema } from '../../src/aaa/config/options.js';
import type { HomeAgentHooks } from '../../src/aaa/home-agent-hooks.js';
import { HomeServer } from '../../src/aaa/home-server.js';
import type { StoreCalls } from '../../src/aaa/measured-store.js';
import { AAA_METRICS } from '../../src/aaa/metrics.js';
import type { DiameterMessage } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DER } from '../../src/protocol/diameter/wire/commands.js';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import { EAP_CODE, EAP_TYPE, encodeEap } from '../../src/protocol/eap/codec.js';
import type { EapKeys } from '../../src/protocol/eap/keys.js';
import { plainSubscriber, type Subscriber } from '../../src/protocol/home/records.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { EapPeer } from '../../src/runtime/eap/peer.js';
import type { EapServerOptions } from '../../src/runtime/eap/server.js';
import { TlsServerEngine } from '../../src/runtime/eap/tls-server.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { eventually } from '../eventually.js';
import { grammarian } from '../protocol/diameter/messages.js';
import type { AskingNode } from '../runtime/diameter/asking-node.js';
import { makeNode } from '../runtime/diameter/rig.js';
import { SUBSCRIBER, type TestPki } from '../runtime/eap/eap-run.js';

const SERVER = 'aaa.home.example';

/** Settings of the server under test. */
export interface ApplicationChoice {
  readonly pki: TestPki;
  readonly paas: readonly string[];
  readonly conversations?: number;
  readonly eap?: Partial<EapServerOptions<Subscriber>>;
  /** The sessions that the store has: Origin-Host by Session-Id. */
  readonly sessions?: ReadonlyMap<string, string>;
  /** A real store instead of the stub. */
  readonly store?: StoreCalls;
  /** Whether the hook queue of every subscriber is full. */
  readonly isBehind?: boolean;
  /** Called for the home agent's hook; the key is wiped afterwards. */
  readonly onHook?: HomeAgentHooks['run'];
  /** Called with the keys of the clients of `enter`. */
  readonly onKeys?: (keys: EapKeys) => void;
}

/**
 * The AAA server's application on a loopback port and its PAAs. By default its store is a stub that accepts any client.
 */
export class Application {
  readonly application: HomeServer;
  readonly metrics = new Metrics('pana_aaa', AAA_METRICS);
  readonly #paas: readonly string[];
  readonly #onKeys: (keys: EapKeys) => void;
  readonly nodes = new Map<string, AskingNode>();
  /** All answers that the PAAs received, and the number of clients that derived keys. */
  readonly answers: DiameterMessage[] = [];
  keys = 0;
  #last = 0;

  constructor({
    pki,
    paas,
    conversations = 10_000,
    eap = {},
    sessions = new Map(),
    store: real,
    isBehind = false,
    onHook = () => Promise.resolve(true),
    onKeys = () => undefined,
  }: ApplicationChoice) {
    this.#paas = paas;
    this.#onKeys = onKeys;
    const options = aaaSchema.parse({
      store: 'nowhere.db',
      workers: 0,
      diameter: {
        host: SERVER,
        realm: 'home.example',
        listen: ['127.0.0.1'],
        port: 0,
        peers: paas.map((host) => ({ host })),
        conversations,
      },
      tls: { ca: 'ca.pem', certificate: 'certificate.pem', key: 'key.pem' },
    });
    const store: StoreCalls = real ?? {
      run: (operation: string, given: unknown) =>
        Promise.resolve(
          operation === 'originOfSession'
            ? sessions.get((given as { sessionId: string }).sessionId)
            : operation === 'bootstrap'
              ? { result: 'none', reason: 'no-home-agent', released: undefined }
              : operation === 'findSubscriber'
                ? { subscriber: plainSubscriber(SUBSCRIBER) }
                : operation === 'listSessions'
                  ? { items: [] }
                  : operation === 'endSessionsOf'
                    ? 0
                    : undefined,
        ) as never,
      administer: () => Promise.reject(new Error('no operator requests in this test')),
      close: () => Promise.resolve(),
    };
    this.application = new HomeServer(options, {
      log: pino({ level: 'silent' }),
      metrics: this.metrics,
      store,
      eap: {
        caPem: pki.ca.certificatePem,
        certificatePem: pki.server.certificatePem,
        keyPem: pki.server.keyPem,
        ...eap,
      },
      makeEngine: (options) => new TlsServerEngine(options),
      originState: 1,
      homeAgents: { run: onHook, isBehind: () => isBehind },
      services: { run: () => undefined, look: () => undefined },
      tls: undefined,
      report: () => undefined,
    });
  }

  /** Starts the server and connects its PAAs. */
  async start(): Promise<this> {
    await this.application.start();
    const [{ port = 0 } = {}] = this.application.diameter.node.addresses;
    for (const host of this.#paas) {
      const { node } = makeNode(host, { peers: [{ host: SERVER, address: '127.0.0.1', port }] });
      this.nodes.set(host, node);
      await node.start();
    }
    await eventually(() => {
      for (const node of this.nodes.values()) if (!node.capabilitiesOf(SERVER)) throw new Error('not connected');
    });
    return this;
  }

  async stop(): Promise<void> {
    await this.application.stop();
  }

  async counter(name: string): Promise<number> {
    return (await this.metrics.counters())[name] ?? 0;
  }

  newSession(paa: string): string {
    this.#last += 1;
    return `${paa};1;${this.#last}`;
  }

  /** Sends one DER; resolves to its answer. */
  ask(
    paa: string,
    sessionId: string,
    address: string | undefined,
    payload: Uint8Array,
    more: object = {},
  ): Promise<DiameterMessage> {
    const message = grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': paa,
      'Origin-Realm': 'example',
      'Destination-Realm': 'home.example',
      'Auth-Request-Type': 3,
      'Calling-Station-Id': address,
      'EAP-Payload': payload,
      'MIP6-Feature-Vector': 1n,
      ...more,
    });
    return this.send(paa, message);
  }

  /** Sends a request as this PAA; resolves to its answer. */
  async send(paa: string, message: DiameterMessage): Promise<DiameterMessage> {
    const node = this.nodes.get(paa);
    if (!node) throw new Error(`no such PAA: ${paa}`);
    const answer = await node.request(message, { peers: [SERVER] }, 60_000);
    this.answers.push(answer);
    return answer;
  }

  /** Sends the first DER of a client, which contains its identity. */
  begin(paa: string, sessionId: string, address: string | undefined, more: object = {}): Promise<DiameterMessage> {
    return this.ask(paa, sessionId, address, response(0, EAP_TYPE.IDENTITY, Buffer.from('@home.example')), more);
  }

  /** Runs a client that answers EAP-TLS with a NAK; resolves to the last Result-Code. */
  async nak(paa: string, address: string): Promise<number> {
    const sessionId = this.newSession(paa);
    const answer = await this.begin(paa, sessionId, address);
    const request = grammarian.find(answer.avps, 'EAP-Payload');
    if (!request) return resultOf(answer);
    return resultOf(await this.ask(paa, sessionId, address, response(request[1] ?? 0, EAP_TYPE.NAK, Uint8Array.of(4))));
  }

  /** Runs an authentication to its end; resolves to the last Result-Code. */
  async enter(
    paa: string,
    address: string,
    credentials: PeerCredentials,
    sessionId = this.newSession(paa),
    more: object = {},
  ): Promise<number> {
    let onResponse: (packet: Uint8Array | undefined) => void = () => undefined;
    const peer = new EapPeer({ identity: '@home.example', mtu: 1100, credentials }, (event) => {
      if (event.type === 'response') onResponse(event.packet);
      else if (event.type !== 'keys') onResponse(undefined);
      else {
        this.keys += 1;
        this.#onKeys(event);
      }
    });
    try {
      let answer = await this.begin(paa, sessionId, address, more);
      for (;;) {
        const packet = grammarian.find(answer.avps, 'EAP-Payload');
        if (resultOf(answer) !== RESULT.MULTI_ROUND_AUTH || !packet) return resultOf(answer);
        const next = await new Promise<Uint8Array | undefined>((resolve) => {
          onResponse = resolve;
          peer.receive(packet);
        });
        if (!next) return 0;
        answer = await this.ask(paa, sessionId, address, next, more);
      }
    } finally {
      peer.close();
    }
  }
}

export function response(identifier: number, type: number, data: Uint8Array): Uint8Array {
  return encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data });
}

export function resultOf(message: DiameterMessage): number {
  return grammarian.find(message.avps, 'Result-Code') ?? 0;
}
