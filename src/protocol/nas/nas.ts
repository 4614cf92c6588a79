import { earliest } from '../bytes/deadline-queue.js';
import { Drbg } from '../bytes/drbg.js';
import { toHex } from '../bytes/octets.js';
import { SessionIds } from '../diameter/peer/identifiers.js';
import { wipeKeys } from '../diameter/wire/keys.js';
import { Paa, type PaaOutput } from '../pana/agent/paa.js';
import type { PaaClosed } from '../pana/session/paa-session.js';
import type { PacEndpoint } from '../pana/session/start.js';
import { AaaMessages, type NasOrigin } from './aaa-messages.js';
import type { NasConfig, NasInput, NasOutput, NasSessionView } from './alphabet.js';
import { Authentication } from './authentication.js';
import { type Client, Clients } from './clients.js';
import { Endings } from './endings.js';
import { Gate } from './gate.js';
import type { LocalHomeAgent } from './local-home-agent.js';
import { ServerRequests } from './server-requests.js';
import { guarded, say, subjectOf, TERMINATE, Tokens, type Turn } from './turn.js';

/** How long the NAS waits for PTA after `stop`, in milliseconds. */
export const PTA_AT_END = 1_000;

type Phase =
  | { readonly name: 'RUNNING' }
  /** Sessions are being terminated. At `until` the remaining ones end without PTA. */
  | { readonly name: 'TERMINATING'; readonly until: number }
  /** Waiting for the answers to STRs. */
  | { readonly name: 'TELLING' }
  | { readonly name: 'STOPPED' };

/**
 * The network access server. It combines the PAA, the pass-through authenticator of each session, the Diameter messages
 * to and from AAA servers, the decisions for the enforcement point, and the local home agent. An internal error ends
 * only the session concerned and is reported as an event.
 */
export class Nas {
  #config: NasConfig;
  readonly #drbg: Drbg;
  readonly #paa: Paa;
  readonly #clients = new Clients();
  readonly #serverRequests: ServerRequests;
  readonly #endings: Endings;
  readonly #gate: Gate;
  readonly #authentication: Authentication;
  readonly #sessionIds: SessionIds;
  #phase: Phase = { name: 'RUNNING' };

  /** `seed`: 32 octets. */
  constructor(origin: NasOrigin, config: NasConfig, seed: Uint8Array) {
    const tokens = new Tokens();
    this.#config = config;
    this.#drbg = new Drbg(seed);
    this.#paa = new Paa(config.paa, this.#drbg.bytes(32));
    this.#sessionIds = new SessionIds(origin.host, origin.stateId);
    const messages = new AaaMessages(origin);
    this.#endings = new Endings(messages, tokens);
    this.#gate = new Gate(tokens);
    this.#serverRequests = new ServerRequests(messages, this.#clients);
    const parts = { messages, clients: this.#clients, endings: this.#endings, gate: this.#gate, tokens };
    this.#authentication = new Authentication(parts, this.#drbg, origin.realm);
    this.#authentication.configure(config);
  }

  get deadline(): number | undefined {
    if (!this.#listens) return undefined;
    const until = this.#phase.name === 'TERMINATING' ? this.#phase.until : undefined;
    return earliest([this.#paa.deadline, this.#endings.deadline, this.#gate.deadline, until]);
  }

  /** Number of sessions, including half-open ones. */
  get size(): number {
    return this.#paa.size;
  }

  /** Number of sessions without a completed first authentication. */
  get halfOpen(): number {
    return this.#paa.halfOpen;
  }

  /** For display only. */
  get localHomeAgent(): Pick<LocalHomeAgent, 'config' | 'used' | 'isAt'> | undefined {
    return this.#authentication.localHomeAgent;
  }

  has(sessionId: number): boolean {
    return this.#clients.ofPana(sessionId) !== undefined;
  }

  *list(now: number): Generator<NasSessionView> {
    for (const view of this.#paa.list(now)) {
      const client = this.#clients.ofPana(view.sessionId);
      yield {
        ...view,
        nai: client?.granted?.userName ?? client?.access.identity,
        assignment: client?.granted?.grant.assignment,
        diameterSession: client?.sessionId,
      };
    }
  }

  handle(input: NasInput, now: number): NasOutput[] {
    if (input.type === 'configure') this.#config = input.config;
    const turn: Turn = { now, during: input.type, config: this.#config, out: [], next: [] };
    guarded(turn, undefined, () => this.#take(input, turn));
    this.#drain(turn);
    if (this.#phase.name !== 'RUNNING') this.#end(turn);
    return turn.out;
  }

  #take(input: NasInput, turn: Turn): void {
    switch (input.type) {
      case 'datagram':
      case 'invite':
        if (this.#listens) turn.next.push(input);
        break;
      case 'tick':
        this.#tick(turn);
        break;
      case 'answer':
        if (!this.#endings.settle(turn, input.token, input.message)) {
          this.#authentication.answered(turn, input.token, input.message);
        }
        wipeKeys(input.message.avps);
        break;
      case 'unreachable':
        if (!this.#endings.settle(turn, input.token, undefined)) {
          this.#authentication.answered(turn, input.token, input.reason);
        }
        break;
      case 'permitted':
        this.#gate.release(turn, input.token);
        break;
      case 'serverAsks':
        this.#serverRequests.serve(turn, input);
        break;
      case 'command': {
        const { sessionId, command } = input;
        turn.next.push({ type: 'session', sessionId, input: command === 'terminate' ? TERMINATE : { type: command } });
        break;
      }
      case 'configure':
        turn.next.push({ type: 'configure', config: input.config.paa });
        this.#authentication.configure(input.config);
        break;
      case 'stop':
        this.#stop(turn);
    }
  }

  /** Whether datagrams are processed. */
  get #listens(): boolean {
    return this.#phase.name === 'RUNNING' || this.#phase.name === 'TERMINATING';
  }

  #tick(turn: Turn): void {
    this.#endings.tick(turn);
    this.#gate.tick(turn);
    const { deadline } = this.#paa;
    if (deadline !== undefined && deadline <= turn.now) turn.next.push({ type: 'tick' });
  }

  // RUNNING      stop                             | Tx PTR to all       | TERMINATING
  #stop(turn: Turn): void {
    if (this.#phase.name !== 'RUNNING') return;
    this.#phase = { name: 'TERMINATING', until: turn.now + PTA_AT_END };
    for (const { sessionId } of this.#paa.list(turn.now)) {
      turn.next.push({ type: 'session', sessionId, input: TERMINATE });
    }
  }

  // TERMINATING  no session is left, or the time is over | Tx STR       | TELLING
  // TELLING      each STR has an answer, or gets none    | stopped      | STOPPED
  #end(turn: Turn): void {
    if (this.#phase.name === 'TERMINATING' && (this.#paa.size === 0 || turn.now >= this.#phase.until)) {
      // A client that has not answered gets no more messages, but its server and the hooks are told.
      for (const client of [...this.#clients.all()]) {
        this.#closed(turn, client, 'administrative');
        turn.next.push({ type: 'session', sessionId: client.panaSession, input: { type: 'abandon' } });
      }
      this.#drain(turn);
      this.#endings.giveUp();
      this.#phase = { name: 'TELLING' };
    }
    if (this.#phase.name !== 'TELLING' || this.#endings.asked > 0) return;
    this.#phase = { name: 'STOPPED' };
    turn.out.push({ type: 'stopped' });
  }

  // ------------------------------------------------------------------------------------------------------------ PANA

  #drain(turn: Turn): void {
    for (let step = turn.next.shift(); step; step = turn.next.shift()) {
      const input = step;
      const sessionId = input.type === 'session' ? input.sessionId : undefined;
      const outputs = guarded(turn, sessionId, () => this.#paa.handle(input, turn.now));
      for (const output of outputs ?? []) {
        guarded(turn, 'sessionId' in output ? output.sessionId : undefined, () => this.#perform(turn, output));
      }
    }
  }

  #perform(turn: Turn, output: PaaOutput): void {
    switch (output.type) {
      case 'send':
        turn.out.push(output);
        break;
      case 'dropped':
      case 'uninvited':
        say(turn, output);
        break;
      case 'fault':
        say(turn, { type: 'fault', during: turn.during, error: output.error });
        break;
      case 'moved':
        this.#moved(turn, output);
        break;
      case 'session':
        this.#sessionEvent(turn, output);
    }
  }

  #sessionEvent(turn: Turn, { sessionId, peer, event }: Extract<PaaOutput, { type: 'session' }>): void {
    const client = this.#clients.ofPana(sessionId);
    switch (event.type) {
      case 'eapStart': {
        const { wish, asked } = event;
        this.#authentication.step(turn, client ?? this.#begin(turn, sessionId, peer), { type: 'start', wish, asked });
        break;
      }
      case 'eapPacket':
        if (client) this.#authentication.step(turn, client, { type: 'packet', packet: event.packet });
        break;
      case 'authorized':
        if (client) this.#authorized(turn, client, event.reauthentication);
        break;
      case 'unkeyed':
        if (client) this.#authentication.unkeyed(turn, client, event.missing);
        break;
      case 'key':
        turn.out.push({ type: 'key', key: event });
        break;
      case 'closed':
        if (client) this.#closed(turn, client, event.cause);
    }
  }

  #begin(turn: Turn, panaSession: number, peer: PacEndpoint): Client {
    const { sessionLifetime } = turn.config;
    const [identifier = 0] = this.#drbg.bytes(1);
    const sessionId = this.#sessionIds.next(toHex(this.#drbg.bytes(4)));
    return this.#clients.add(panaSession, sessionId, peer, { sessionLifetime }, identifier, turn.now);
  }

  #authorized(turn: Turn, client: Client, reauthentication: boolean): void {
    const { granted } = client;
    if (!granted) return;
    const { grant, kind } = granted;
    const type = reauthentication ? 'reauthenticated' : 'authorized';
    say(turn, { type, ...subjectOf(client), grant, kind, elapsed: turn.now - client.startedAt });
    for (const older of this.#clients.admit(client, turn.config.sessionsPerSubscriber)) {
      turn.next.push({ type: 'session', sessionId: older.panaSession, input: { type: 'replace' } });
    }
    this.#gate.admit(turn, client);
  }

  #moved(turn: Turn, { sessionId, from, peer }: Extract<PaaOutput, { type: 'moved' }>): void {
    const client = this.#clients.ofPana(sessionId);
    if (!client) return;
    client.peer = peer;
    say(turn, { type: 'moved', ...subjectOf(client), from: from.address });
    this.#gate.move(turn, client);
  }

  #closed(turn: Turn, client: Client, cause: PaaClosed): void {
    this.#clients.remove(client);
    say(turn, { type: 'ended', ...subjectOf(client), cause });
    // The server has a session even if the client has not learned of its success.
    if (client.granted) this.#endings.tell(turn, client, client.granted.server, cause);
    this.#gate.expel(turn, client);
    this.#authentication.ended(turn, client);
  }
}
