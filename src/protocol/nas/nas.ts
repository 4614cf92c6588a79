import { earliest } from '../bytes/deadline-queue.js';
import { Drbg } from '../bytes/drbg.js';
import { toHex } from '../bytes/octets.js';
import { SessionIds } from '../diameter/peer/identifiers.js';
import { wipeKeys } from '../diameter/wire/keys.js';
import { Paa } from '../pana/agent/paa.js';
import type { PaaOutput } from '../pana/agent/paa-interface.js';
import type { PaaClosed, PaaSessionOutput } from '../pana/session/paa-interface.js';
import type { PacEndpoint } from '../pana/session/start.js';
import { AaaMessages, type NasOrigin } from './aaa-messages.js';
import type { NasConfig, NasInput, NasOutput, NasSessionView } from './alphabet.js';
import { Authentication } from './authentication.js';
import { type Client, Clients } from './clients.js';
import { Enforcement } from './enforcement.js';
import type { LocalHomeAgent } from './local-home-agent.js';
import { ServerRequests } from './server-requests.js';
import { SessionTerminations } from './session-terminations.js';
import { guarded, type StepContext, say, subjectOf, TERMINATE, Tokens } from './step-context.js';

/** How long the NAS waits for PTA after `stop`, in milliseconds. */
export const PTA_AT_END = 1_000;

type Phase =
  | { readonly name: 'RUNNING' }
  /** Sessions are being terminated. At `until` the remaining ones end without PTA. */
  | { readonly name: 'TERMINATING'; readonly until: number }
  /** Waiting for the answers to STRs. */
  | { readonly name: 'WAIT_STA' }
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
  readonly #terminations: SessionTerminations;
  readonly #enforcement: Enforcement;
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
    this.#terminations = new SessionTerminations(messages, tokens);
    this.#enforcement = new Enforcement(tokens);
    this.#serverRequests = new ServerRequests(messages, this.#clients, this.#enforcement, this.#terminations);
    const parts = {
      messages,
      clients: this.#clients,
      terminations: this.#terminations,
      enforcement: this.#enforcement,
      tokens,
    };
    this.#authentication = new Authentication(parts, this.#drbg, origin.realm);
    this.#authentication.configure(config);
  }

  get deadline(): number | undefined {
    if (!this.#listens) return undefined;
    const until = this.#phase.name === 'TERMINATING' ? this.#phase.until : undefined;
    return earliest([this.#paa.deadline, this.#terminations.deadline, this.#enforcement.deadline, until]);
  }

  /** Number of sessions, including half-open ones. */
  get size(): number {
    return this.#paa.size;
  }

  /** Number of sessions without a completed first authentication. */
  get halfOpen(): number {
    return this.#paa.halfOpen;
  }

  /** Number of authenticated sessions that encrypt AVPs. */
  get encrypting(): number {
    return this.#paa.encrypting;
  }

  /** Number of sessions of clients that are authenticated, and are not in this network yet (RFC 5873). */
  get preAuthenticated(): number {
    return this.#paa.preAuthenticated;
  }

  /** The local home agent; undefined: there is none. */
  get localHomeAgent(): Pick<LocalHomeAgent, 'config' | 'used' | 'isAt'> | undefined {
    return this.#authentication.localHomeAgent;
  }

  has(sessionId: number): boolean {
    return this.#clients.ofPana(sessionId) !== undefined;
  }

  /** The PANA session of a Diameter Session-Id; undefined: there is none. */
  sessionOf(diameterSession: string): number | undefined {
    return this.#clients.ofDiameter(diameterSession)?.panaSession;
  }

  /** The session at the AAA server of a PANA session; undefined: there is none. */
  aaaSessionOf(sessionId: number): string | undefined {
    return this.#clients.ofPana(sessionId)?.sessionId;
  }

  /** The sessions, for display. */
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
    const context: StepContext = { now, during: input.type, config: this.#config, out: [], next: [] };
    guarded(context, undefined, () => this.#take(input, context));
    this.#drain(context);
    if (this.#phase.name !== 'RUNNING') this.#end(context);
    return context.out;
  }

  #take(input: NasInput, context: StepContext): void {
    switch (input.type) {
      case 'datagram':
      case 'invite':
        if (this.#listens) context.next.push(input);
        break;
      case 'tick':
        this.#tick(context);
        break;
      case 'answer':
        if (!this.#terminations.answered(context, input.token, input.message)) {
          this.#authentication.answered(context, input.token, input.message);
        }
        wipeKeys(input.message.avps);
        break;
      case 'unreachable':
        if (!this.#terminations.answered(context, input.token, undefined)) {
          this.#authentication.answered(context, input.token, input.reason);
        }
        break;
      case 'permitted':
        this.#enforcement.release(context, input.token);
        break;
      case 'serverRequest':
        this.#serverRequests.serve(context, input);
        break;
      case 'command': {
        const { sessionId, command } = input;
        const client = this.#clients.ofPana(sessionId);
        if (command === 'terminate' && client) {
          this.#enforcement.bar(context, client);
          this.#terminations.terminateEarly(context, client);
        }
        context.next.push({
          type: 'session',
          sessionId,
          input: command === 'terminate' ? TERMINATE : { type: command },
        });
        break;
      }
      case 'configure':
        context.next.push({ type: 'configure', config: input.config.paa });
        this.#authentication.configure(input.config);
        break;
      case 'stop':
        this.#stop(context);
    }
  }

  /** Whether datagrams are processed. */
  get #listens(): boolean {
    return this.#phase.name === 'RUNNING' || this.#phase.name === 'TERMINATING';
  }

  #tick(context: StepContext): void {
    this.#terminations.tick(context);
    this.#enforcement.tick(context);
    const { deadline } = this.#paa;
    if (deadline !== undefined && deadline <= context.now) context.next.push({ type: 'tick' });
  }

  // RUNNING      stop                             | Tx PTR to all       | TERMINATING
  #stop(context: StepContext): void {
    if (this.#phase.name !== 'RUNNING') return;
    this.#phase = { name: 'TERMINATING', until: context.now + PTA_AT_END };
    for (const { sessionId } of this.#paa.list(context.now)) {
      context.next.push({ type: 'session', sessionId, input: TERMINATE });
    }
  }

  // TERMINATING  no session is left, or time limit       | Tx STR       | WAIT_STA
  // WAIT_STA     each STR was answered or given up       | stopped      | STOPPED
  #end(context: StepContext): void {
    if (this.#phase.name === 'TERMINATING' && (this.#paa.size === 0 || context.now >= this.#phase.until)) {
      // A client that has not answered gets no more messages, but its session ends on the server and in the hooks.
      for (const client of [...this.#clients.all()]) {
        this.#closed(context, client, 'administrative');
        context.next.push({ type: 'session', sessionId: client.panaSession, input: { type: 'abandon' } });
      }
      this.#drain(context);
      this.#terminations.giveUp();
      this.#phase = { name: 'WAIT_STA' };
    }
    if (this.#phase.name !== 'WAIT_STA' || this.#terminations.pending > 0) return;
    this.#phase = { name: 'STOPPED' };
    context.out.push({ type: 'stopped' });
  }

  // ------------------------------------------------------------------------------------------------------------ PANA

  #drain(context: StepContext): void {
    for (let step = context.next.shift(); step; step = context.next.shift()) {
      const input = step;
      const sessionId = input.type === 'session' ? input.sessionId : undefined;
      const outputs = guarded(context, sessionId, () => this.#paa.handle(input, context.now));
      for (const output of outputs ?? []) {
        guarded(context, 'sessionId' in output ? output.sessionId : undefined, () => this.#perform(context, output));
      }
    }
  }

  #perform(context: StepContext, output: PaaOutput): void {
    switch (output.type) {
      case 'send':
        context.out.push(output);
        break;
      case 'dropped':
      case 'uninvited':
        say(context, output);
        break;
      case 'fault':
        say(context, { type: 'fault', during: context.during, error: output.error });
        break;
      case 'moved':
        this.#moved(context, output);
        break;
      case 'session':
        this.#sessionEvent(context, output);
    }
  }

  #sessionEvent(context: StepContext, { sessionId, peer, event }: Extract<PaaOutput, { type: 'session' }>): void {
    const client = this.#clients.ofPana(sessionId);
    switch (event.type) {
      case 'eapStart': {
        const { wish, asked, preAuthentication: isElsewhere } = event;
        const one = client ?? this.#begin(context, sessionId, peer);
        if (!client) one.preAuthenticated = isElsewhere;
        // The home agent stays with the session that the client has where it is.
        const longest = isElsewhere ? context.config.preAuthenticationLifetime : undefined;
        this.#authentication.step(context, one, {
          type: 'start',
          wish: isElsewhere ? undefined : wish,
          asked,
          longest,
        });
        break;
      }
      case 'eapPacket':
        if (client) this.#authentication.step(context, client, { type: 'packet', packet: event.packet });
        break;
      case 'authorized':
        if (client) this.#authorized(context, client, event);
        break;
      case 'arrived':
        if (client) this.#arrived(context, client);
        break;
      case 'unkeyed':
        if (client) this.#authentication.unkeyed(context, client, event.missing);
        break;
      case 'key':
        context.out.push({ type: 'key', key: event });
        break;
      case 'closed':
        if (client) this.#closed(context, client, event.cause);
    }
  }

  #begin(context: StepContext, panaSession: number, peer: PacEndpoint): Client {
    const { sessionLifetime, emptyStart } = context.config;
    const [identifier = 0] = this.#drbg.bytes(1);
    const sessionId = this.#sessionIds.next(toHex(this.#drbg.bytes(4)));
    return this.#clients.add(panaSession, sessionId, peer, { sessionLifetime, emptyStart }, identifier, context.now);
  }

  #authorized(
    context: StepContext,
    client: Client,
    { reauthentication, encryption }: Extract<PaaSessionOutput, { type: 'authorized' }>,
  ): void {
    const { granted } = client;
    if (!granted) return;
    const { grant, kind } = granted;
    client.encryption = encryption;
    if (client.preAuthenticated) {
      say(context, { type: 'preAuthenticated', ...subjectOf(client), grant, reauthentication, encryption });
      this.#replace(context, this.#clients.admit(client, 1));
      return;
    }
    const type = reauthentication ? 'reauthenticated' : 'authorized';
    const elapsed = context.now - client.startedAt;
    say(context, { type, ...subjectOf(client), grant, kind, encryption, elapsed, preAuthenticated: false });
    this.#replace(context, this.#clients.admit(client, context.config.sessionsPerSubscriber));
    this.#enforcement.admit(context, client);
  }

  #replace(context: StepContext, clients: readonly Client[]): void {
    for (const { panaSession: sessionId } of clients) {
      context.next.push({ type: 'session', sessionId, input: { type: 'replace' } });
    }
  }

  /** RFC 5873 3: a pre-authenticated client has come. From now on it is like any other. */
  #arrived(context: StepContext, client: Client): void {
    const { granted, encryption } = client;
    if (!granted || !client.preAuthenticated) return;
    client.preAuthenticated = false;
    const { grant, kind } = granted;
    const elapsed = context.now - client.startedAt;
    say(context, {
      type: 'authorized',
      ...subjectOf(client),
      grant,
      kind,
      encryption,
      elapsed,
      preAuthenticated: true,
    });
    this.#replace(context, this.#clients.admit(client, context.config.sessionsPerSubscriber));
    this.#enforcement.welcome(context, client);
  }

  #moved(context: StepContext, { sessionId, from, peer }: Extract<PaaOutput, { type: 'moved' }>): void {
    const client = this.#clients.ofPana(sessionId);
    if (!client) return;
    client.peer = peer;
    say(context, { type: 'moved', ...subjectOf(client), from: from.address });
    this.#enforcement.move(context, client);
  }

  #closed(context: StepContext, client: Client, cause: PaaClosed): void {
    this.#clients.remove(client);
    say(context, { type: 'ended', ...subjectOf(client), cause });
    // The server has a session even if the client has not learned of its success.
    if (client.granted) this.#terminations.terminate(context, client, client.granted.server, cause);
    this.#enforcement.expel(context, client);
    this.#authentication.ended(context, client);
  }
}
