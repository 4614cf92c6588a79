import type { Drbg } from '../bytes/drbg.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import { isSuccess } from '../diameter/wire/result-codes.js';
import { fingerprint } from '../keys/kdf.js';
import type { AaaMessages } from './aaa-messages.js';
import type { AccessInput, AccessOutput, DerRequest } from './access.js';
import type { NasConfig } from './alphabet.js';
import type { Judged } from './answer.js';
import type { Client, Clients } from './clients.js';
import type { Endings } from './endings.js';
import type { Gate } from './gate.js';
import { LocalHomeAgent } from './local-home-agent.js';
import { type SessionServer, serverOf } from './session-server.js';
import { guarded, say, subjectOf, type Tokens, type Turn } from './turn.js';

/** A DER without an answer so far. */
interface Asked {
  readonly client: Client;
  /** Destination-Host. */
  readonly server: string | undefined;
}

/**
 * Runs the pass-through authenticators of all clients, sends their requests to the AAA servers, and proposes the local
 * home agent.
 */
export class Authentication {
  readonly #messages: AaaMessages;
  readonly #clients: Clients;
  readonly #endings: Endings;
  readonly #gate: Gate;
  readonly #tokens: Tokens;
  readonly #drbg: Drbg;
  readonly #realm: string;
  readonly #asked = new Map<number, Asked>();
  #local: LocalHomeAgent | undefined;

  constructor(
    parts: {
      readonly messages: AaaMessages;
      readonly clients: Clients;
      readonly endings: Endings;
      readonly gate: Gate;
      readonly tokens: Tokens;
    },
    drbg: Drbg,
    realm: string,
  ) {
    this.#messages = parts.messages;
    this.#clients = parts.clients;
    this.#endings = parts.endings;
    this.#gate = parts.gate;
    this.#tokens = parts.tokens;
    this.#drbg = drbg;
    this.#realm = realm;
  }

  get localHomeAgent(): LocalHomeAgent | undefined {
    return this.#local;
  }

  configure({ local }: NasConfig): void {
    if (local && !this.#local?.isAt(local)) this.#local = new LocalHomeAgent(local, this.#realm);
    else this.#local?.reconfigure(local);
  }

  step(turn: Turn, client: Client, input: AccessInput): void {
    for (const output of client.access.handle(input)) this.#perform(turn, client, output);
  }

  /** Handles the answer to a DER, or the reason why there is none. */
  answered(turn: Turn, token: number, answer: DiameterMessage | string): void {
    const asked = this.#asked.get(token);
    this.#asked.delete(token);
    if (!asked) return;
    const { client, server } = asked;
    guarded(turn, this.#isHere(client) ? client.panaSession : undefined, () => {
      const judged: Judged =
        typeof answer === 'string'
          ? { type: 'refusal', reason: answer }
          : this.#messages.judge(answer, client.sessionId, server);
      this.#judged(turn, client, token, judged);
    });
  }

  /** Handles a successful authentication without a key for the promised PANA SA. */
  unkeyed(turn: Turn, client: Client, missing: 'msk' | 'nonce'): void {
    const reason = missing === 'msk' ? 'no EAP-Master-Session-Key of at least 64 octets' : 'the client sent no Nonce';
    say(turn, { type: 'unkeyed', ...subjectOf(client), reason });
    this.#tellUnusable(turn, client, client.granted?.server);
  }

  /** Handles the end of a session. */
  ended(turn: Turn, client: Client): void {
    if (this.#local) turn.out.push(...this.#local.takeDown(client));
  }

  #perform(turn: Turn, client: Client, output: AccessOutput): void {
    switch (output.type) {
      case 'request':
        this.#ask(turn, client, output.request);
        break;
      case 'propose':
        this.#local?.propose(client, output.wish, this.#drbg);
        this.step(turn, client, { type: 'proposal', local: client.local });
        break;
      case 'pana':
        if (output.input.type === 'eapSuccess' && output.input.authorized) {
          this.#gate.succeed(turn, client, output.input);
        } else turn.next.push({ type: 'session', sessionId: client.panaSession, input: output.input });
        break;
      case 'granted':
        this.#granted(turn, client, output);
        break;
      case 'noMobility':
        say(turn, { type: 'noMobility', ...subjectOf(client), reason: output.reason });
        break;
      case 'refused':
      case 'postponed': {
        const { type, resultCode } = output;
        say(turn, { type, ...subjectOf(client), identity: client.access.identity, resultCode });
        break;
      }
      case 'dropped':
        say(turn, { type: 'dropped', code: output.code, from: client.peer });
    }
  }

  #ask(turn: Turn, client: Client, request: DerRequest): void {
    const message = this.#messages.der(client.sessionId, request, client.peer.address);
    const token = this.#tokens.next();
    this.#asked.set(token, { client, server: request.server });
    client.asking = token;
    turn.out.push({ type: 'ask', token, message });
  }

  #granted(turn: Turn, client: Client, output: Extract<AccessOutput, { type: 'granted' }>): void {
    const { userName, server, kind, grant, msk } = output;
    client.granted = { userName, server, kind, grant };
    const { assignment } = grant;
    if (kind !== 'local' || !assignment || !msk) {
      if (this.#local) turn.out.push(...this.#local.takeDown(client));
      return;
    }
    const isRefresh = client.localUser !== undefined;
    for (const told of this.#local?.bringUp(client, userName, assignment, msk) ?? []) {
      turn.out.push(told);
      if (told.type !== 'homeAgent' || !told.psk) continue;
      const event = { type: 'localHomeAgent', isRefresh, assignment, fingerprint: fingerprint(told.psk) } as const;
      say(turn, { ...event, ...subjectOf(client) });
    }
  }

  #judged(turn: Turn, client: Client, token: number, judged: Judged): void {
    // The session may have ended, and a new session may have the same identifier.
    const isAwaited = this.#isHere(client) && client.asking === token;
    if (isAwaited) client.asking = undefined;
    if (judged.type === 'answer') {
      if (!isAwaited) {
        this.#late(turn, client, judged);
        return;
      }
      if (judged.unfit !== undefined) say(turn, { type: 'noMobility', ...subjectOf(client), reason: judged.unfit });
      this.step(turn, client, { type: 'answer', answer: judged.answer });
      return;
    }
    const isUnusable = judged.type === 'unusable';
    say(turn, { type: isUnusable ? 'unusable' : 'noAnswer', ...subjectOf(client), reason: judged.reason });
    if (isUnusable) this.#tellUnusable(turn, client, judged.server);
    if (isAwaited) this.step(turn, client, { type: isUnusable ? 'unusable' : 'unreachable' });
  }

  /** Handles an answer for a session that has ended. After a success, the server is told to end its session. */
  #late(turn: Turn, client: Client, { answer }: Extract<Judged, { type: 'answer' }>): void {
    answer['EAP-Master-Session-Key']?.wipe();
    say(turn, { type: 'dropped', code: 'unexpected', from: client.peer });
    if (!isSuccess(answer['Result-Code']) || this.#isHere(client)) return;
    this.#endings.tell(turn, client, serverOf(answer), 'no-progress');
  }

  /**
   * RFC 6733 8.1: a server that granted a service which is not provided is told immediately. Nothing remains to be
   * ended later.
   */
  #tellUnusable(turn: Turn, client: Client, server: SessionServer | undefined): void {
    this.#endings.tell(turn, client, server, 'unusable');
    if (client.granted) client.granted = { ...client.granted, server: undefined };
  }

  #isHere(client: Client): boolean {
    return this.#clients.ofPana(client.panaSession) === client;
  }
}
