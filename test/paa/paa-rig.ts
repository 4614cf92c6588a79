import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { Place } from '../../dist/lab/lab.js';
import { BenchNode } from '../../src/load/node.js';
import { PaaDaemon } from '../../src/paa/daemon.js';
import { paaSchema } from '../../src/paa/options.js';
import { answerTo } from '../../src/protocol/diameter/wire/answers.js';
import { type Avp, type DiameterMessage, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DEA, DER, STA, STR } from '../../src/protocol/diameter/wire/commands.js';
import { isProtocolError } from '../../src/protocol/diameter/wire/result-codes.js';
import { EAP_TYPE } from '../../src/protocol/eap/codec.js';
import type { LogLine } from '../../src/runtime/cli/ladder.js';
import type { EapConversation } from '../../src/runtime/eap/server.js';
import { eventually } from '../eventually.js';
import { grammarian } from '../protocol/diameter/messages.js';
import type { AskingNode } from '../runtime/diameter/asking-node.js';
import { makeNode, stopNodes } from '../runtime/diameter/rig.js';
import { clientCredentials, makeServer, SUBSCRIBER, type TestPki } from '../runtime/eap/eap-run.js';

export const SERVER = 'aaa.home.example';
const PAA = 'paa.access.example';

/** Changes the AVPs of a success answer. `avps` has the order of DEA. */
export type Twist = (avps: readonly Avp[]) => Avp[];

/** An AAA server with real EAP whose success answers can be changed by the test. */
export class TwistedServer {
  readonly node: AskingNode;
  /** STRs received. */
  readonly ended: DiameterMessage[] = [];
  readonly #pki: TestPki;
  readonly #conversations = new Map<string, EapConversation<string>>();
  twist: Twist = (avps) => [...avps];
  /** If set, the server delays its success answers until this promise resolves. */
  hold: Promise<void> | undefined;
  /** Result-Codes of the next STAs; later ones are 2001. */
  readonly results: number[] = [];
  /** The number of success answers so far. */
  successes = 0;
  /** Additional AVPs of a success answer, such as Session-Binding. */
  more: object = {};
  host: string;

  constructor(pki: TestPki, host = SERVER) {
    this.#pki = pki;
    this.host = host;
    const { node } = makeNode(host, {
      origin: { host, realm: 'home.example' },
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: PAA }],
      onRequest: (message) => (message.commandCode === DER.code ? this.#der(message) : this.#str(message)),
    });
    this.node = node;
  }

  get sessions(): readonly string[] {
    return [...this.#conversations.keys()];
  }

  async #der(message: DiameterMessage): Promise<DiameterMessage> {
    const sessionId = grammarian.find(message.avps, 'Session-Id') ?? '';
    const payload = grammarian.find(message.avps, 'EAP-Payload') ?? new Uint8Array(0);
    if (payload[4] === EAP_TYPE.IDENTITY || !this.#conversations.has(sessionId)) {
      this.#conversations.set(sessionId, makeServer(this.#pki).conversation({ mtu: 1100 }));
    }
    const answer = await this.#conversations.get(sessionId)?.handle(payload);
    const success = answer?.type === 'success' ? answer : undefined;
    if (success) {
      this.successes += 1;
      await this.hold;
    }
    const avps = grammarian.write(DEA, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Result-Code': success ? 2001 : answer?.type === 'request' ? 1001 : 4001,
      'Origin-Host': this.host,
      'Origin-Realm': 'home.example',
      'EAP-Payload': answer?.packet,
      ...(success ? { 'EAP-Master-Session-Key': success.msk, 'User-Name': SUBSCRIBER, 'Session-Timeout': 600 } : {}),
      ...(success ? this.more : {}),
    });
    return answerTo(message, success ? this.twist(avps) : avps);
  }

  #str(message: DiameterMessage): Promise<DiameterMessage> {
    if (message.commandCode === STR.code) this.ended.push(message);
    const resultCode = this.results.shift() ?? 2001;
    const content = {
      'Session-Id': grammarian.find(message.avps, 'Session-Id') ?? '',
      'Result-Code': resultCode,
      'Origin-Host': this.host,
      'Origin-Realm': 'home.example',
    };
    const answer = answerTo(message, grammarian.write(STA, content));
    return Promise.resolve({ ...answer, flags: answer.flags | (isProtocolError(resultCode) ? FLAG.E : 0) });
  }
}

export interface Scene {
  readonly servers: readonly TwistedServer[];
  readonly lines: LogLine[];
  /** Its sessions. */
  sessions(): readonly { readonly diameterSession?: string }[];
  /** Adds a node that has sent nothing yet. */
  node(): BenchNode;
}

/** Starts a PAA in this process on the loopback, connected to these servers. */
export async function paaScene(pki: TestPki, hosts: readonly string[] = [SERVER]): Promise<Scene> {
  const servers = hosts.map((host) => new TwistedServer(pki, host));
  await Promise.all(servers.map(({ node }) => node.start()));
  const folder = await mkdtemp(join(tmpdir(), 'pana-paa-'));
  const options = paaSchema.parse({
    control: { socket: join(folder, 'control.sock') },
    pana: { listen: ['127.0.0.1'], port: 0, interface: 'lo' },
    diameter: {
      host: PAA,
      realm: 'access.example',
      peers: servers.map(({ node, host }, priority) => ({
        host,
        priority,
        address: '127.0.0.1',
        port: node.addresses[0]?.port,
      })),
    },
    hooks: { 'state-dir': folder },
  });
  const lines: LogLine[] = [];
  const log = pino({ level: 'trace' }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const daemon = await PaaDaemon.start(options, log);
  const nodes: BenchNode[] = [];
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.abandon()));
    await daemon.stop();
    await stopNodes();
    await rm(folder, { recursive: true, force: true });
  });
  await eventually(() => {
    if (lines.filter(({ msg }) => msg === 'peer connected').length < servers.length)
      throw new Error('not all servers are connected');
  });
  const { listening } = lines.find(({ msg }) => msg === 'ready') ?? {};
  const [place] = (listening ?? []) as Place[];
  if (!place) throw new Error('the PAA has no listening address');
  const credentials = () => clientCredentials(pki);
  return {
    servers,
    lines,
    sessions: () => daemon.sessions() as { diameterSession?: string }[],
    node: () => {
      const node = new BenchNode(place, credentials());
      nodes.push(node);
      return node;
    },
  };
}
