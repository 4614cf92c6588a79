import type { Drbg } from '../bytes/drbg.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import { isSuccess } from '../diameter/wire/result-codes.js';
import { fingerprint } from '../keys/kdf.js';
import type { AaaMessages } from './aaa-messages.js';
import type { AccessInput, AccessOutput, DerRequest } from './access.js';
import type { NasConfig } from './alphabet.js';
import type { Judged } from './answer.js';
import type { Client, Clients } from './clients.js';
import type { Enforcement } from './enforcement.js';
import { LocalHomeAgent } from './local-home-agent.js';
import { type SessionServer, serverOf } from './session-server.js';
import type { SessionTerminations } from './session-terminations.js';
import { guarded, type StepContext, say, subjectOf, type Tokens } from './step-context.js';

/** An unanswered DER. */
interface SentDer {
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
  readonly #terminations: SessionTerminations;
  readonly #enforcement: Enforcement;
  readonly #tokens: Tokens;
  readonly #drbg: Drbg;
  readonly #realm: string;
  readonly #asked = new Map<number, SentDer>();
  #local: LocalHomeAgent | undefined;

  constructor(
    parts: {
      readonly messages: AaaMessages;
      readonly clients: Clients;
      readonly terminations: SessionTerminations;
      readonly enforcement: Enforcement;
      readonly tokens: Tokens;
    },
    drbg: Drbg,
    realm: string,
  ) {
    this.#messages = parts.messages;
    this.#clients = parts.clients;
    this.#terminations = parts.terminations;
    this.#enforcement = parts.enforcement;
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

  step(context: StepContext, client: Client, input: AccessInput): void {
    for (const output of client.access.handle(input)) this.#perform(context, client, output);
  }

  /** Handles the answer to a DER, or the reason why there is none. */
  answered(context: StepContext, token: number, answer: DiameterMessage | string): void {
    const asked = this.#asked.get(token);
    this.#asked.delete(token);
    if (!asked) return;
    const { client, server } = asked;
    guarded(context, this.#isHere(client) ? client.panaSession : undefined, () => {
      const judged: Judged =
        typeof answer === 'string'
          ? { type: 'refusal', reason: answer }
          : this.#messages.judge(answer, client.sessionId, server);
      this.#judged(context, client, token, judged);
    });
  }

  /** Handles a successful authentication without a key for the promised PANA SA. */
  unkeyed(context: StepContext, client: Client, missing: 'msk' | 'nonce'): void {
    const reason = missing === 'msk' ? 'no EAP-Master-Session-Key of at least 64 octets' : 'the client sent no Nonce';
    say(context, { type: 'unkeyed', ...subjectOf(client), reason });
    this.#terminateUnusable(context, client, client.granted?.server);
  }

  /** Handles the end of a session. */
  ended(context: StepContext, client: Client): void {
    if (this.#local) context.out.push(...this.#local.takeDown(client));
  }

  #perform(context: StepContext, client: Client, output: AccessOutput): void {
    switch (output.type) {
      case 'request':
        this.#ask(context, client, output.request);
        break;
      case 'propose':
        this.#local?.propose(client, output.wish, this.#drbg);
        this.step(context, client, { type: 'proposal', local: client.local });
        break;
      case 'pana':
        if (output.input.type === 'eapSuccess' && output.input.authorized) {
          this.#enforcement.succeed(context, client, output.input);
        } else context.next.push({ type: 'session', sessionId: client.panaSession, input: output.input });
        break;
      case 'granted':
        this.#granted(context, client, output);
        break;
      case 'noMobility':
        say(context, { type: 'noMobility', ...subjectOf(client), reason: output.reason });
        break;
      case 'refused':
      case 'postponed': {
        const { type, resultCode } = output;
        say(context, { type, ...subjectOf(client), identity: client.access.identity, resultCode });
        break;
      }
      case 'dropped':
        say(context, { type: 'dropped', code: output.code, from: client.peer });
    }
  }

  #ask(context: StepContext, client: Client, request: DerRequest): void {
    const message = this.#messages.der(client.sessionId, request, client.peer);
    const token = this.#tokens.next();
    this.#asked.set(token, { client, server: request.server });
    client.asking = token;
    context.out.push({ type: 'ask', token, message });
  }

  #granted(context: StepContext, client: Client, output: Extract<AccessOutput, { type: 'granted' }>): void {
    const { userName, server, kind, grant, msk } = output;
    client.granted = { userName, server, kind, grant };
    const { assignment } = grant;
    if (kind !== 'local' || !assignment || !msk) {
      if (this.#local) context.out.push(...this.#local.takeDown(client));
      return;
    }
    const isRefresh = client.localUser !== undefined;
    for (const output of this.#local?.bringUp(client, userName, assignment, msk) ?? []) {
      context.out.push(output);
      if (output.type !== 'homeAgent' || !output.psk) continue;
      const event = { type: 'localHomeAgent', isRefresh, assignment, fingerprint: fingerprint(output.psk) } as const;
      say(context, { ...event, ...subjectOf(client) });
    }
  }

  #judged(context: StepContext, client: Client, token: number, judged: Judged): void {
    // The session may have ended, and a new session may have the same identifier.
    const isAwaited = this.#isHere(client) && client.asking === token;
    if (isAwaited) client.asking = undefined;
    if (judged.type === 'answer') {
      if (!isAwaited) {
        this.#late(context, client, judged);
        return;
      }
      if (judged.unfit !== undefined) say(context, { type: 'noMobility', ...subjectOf(client), reason: judged.unfit });
      this.step(context, client, { type: 'answer', answer: judged.answer });
      return;
    }
    const isUnusable = judged.type === 'unusable';
    say(context, { type: isUnusable ? 'unusable' : 'noAnswer', ...subjectOf(client), reason: judged.reason });
    if (isUnusable) this.#terminateUnusable(context, client, judged.server);
    if (isAwaited) this.step(context, client, { type: isUnusable ? 'unusable' : 'unreachable' });
  }

  /** Handles an answer for a session that has ended. After a success, an STR ends the session on the server. */
  #late(context: StepContext, client: Client, { answer }: Extract<Judged, { type: 'answer' }>): void {
    answer['EAP-Master-Session-Key']?.wipe();
    say(context, { type: 'dropped', code: 'unexpected', from: client.peer });
    if (!isSuccess(answer['Result-Code']) || this.#isHere(client)) return;
    this.#terminations.terminate(context, client, serverOf(answer), 'no-progress');
  }

  /**
   * RFC 6733 8.1: sends an STR immediately, because the granted service is not provided. The end of the PANA session
   * then needs no further STR.
   */
  #terminateUnusable(context: StepContext, client: Client, server: SessionServer | undefined): void {
    this.#terminations.terminate(context, client, server, 'unusable');
    if (client.granted) client.granted = { ...client.granted, server: undefined };
  }

  #isHere(client: Client): boolean {
    return this.#clients.ofPana(client.panaSession) === client;
  }
}
