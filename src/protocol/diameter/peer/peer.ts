import { Drbg } from '../../bytes/drbg.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, CEA, CER, type CommandSpec, DPA, DPR, DWA, DWR } from '../wire/commands.js';
import { type Grammarian, isViolation, type Violation } from '../wire/grammar.js';
import { BaseMessages } from './base-messages.js';
import { CapabilitiesExchange, type LocalCapabilities, type PeerCapabilities } from './capabilities.js';
import type { EndToEndIdentifiers } from './identifiers.js';
import { Watchdog, type WatchdogAction, type WatchdogInput, type WatchdogStatus } from './watchdog.js';

/**
 * Wait before the first new attempt to connect, in milliseconds; it doubles up to Tc. Not RFC: RFC 6733 2.1 recommends
 * Tc from the first, which would keep a restarted peer out for half a minute.
 */
const FIRST_RETRY = 1_000;

/** How many times Tc to leave a peer alone that said BUSY or DO_NOT_WANT_TO_TALK_TO_YOU (RFC 6733 5.4.3). */
const UNWANTED_FACTOR = 10;

/**
 * How long a peer that says it has restarted waits until the connection that it had is taken for dead, in milliseconds:
 * time for one answer to DWR.
 */
const RESTART_PROBE = 3_000;

/** Share of a wait by which it is shorter or longer, so that not all nodes come back at once. */
const RETRY_JITTER = 0.1;

export const DISCONNECT_CAUSE = { REBOOTING: 0, BUSY: 1, DO_NOT_WANT_TO_TALK_TO_YOU: 2 } as const;

export interface PeerConfig {
  /** The peer's DiameterIdentity: whoever says another one is refused. */
  readonly host: string;
  /** It may bring requests of others. */
  readonly mayRelay: boolean;
  readonly local: LocalCapabilities;
  readonly identifiers: EndToEndIdentifiers;
  /** Twinit of the watchdog, milliseconds. */
  readonly watchdog: number;
  /** Tc: the longest wait before a new attempt to connect, milliseconds. */
  readonly reconnect: number;
  /** Limit of a connection attempt, a capabilities exchange and a disconnection, milliseconds. */
  readonly timeout: number;
  /** Whether we connect; otherwise only the peer does. */
  readonly initiates: boolean;
}

/** Names a transport connection; the driver gives each its own. */
export type ConnectionId = number;

export type PeerInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly cause: number }
  /** The connection that `connect` asked for, from this address of ours; or it could not be made. */
  | { readonly type: 'connected'; readonly connection: ConnectionId; readonly address: Uint8Array }
  | { readonly type: 'connectFailed'; readonly reason: string }
  /** A connection of the peer's to this address of ours, whose first message was this CER. */
  | {
      readonly type: 'accepted';
      readonly connection: ConnectionId;
      readonly cer: DiameterMessage;
      readonly address: Uint8Array;
    }
  | { readonly type: 'message'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  | { readonly type: 'disconnected'; readonly connection: ConnectionId }
  | { readonly type: 'tick' };

export type PeerOutput =
  | { readonly type: 'connect' }
  /** Give up the attempt that is under way. */
  | { readonly type: 'abort' }
  | { readonly type: 'send'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  /** Close it once everything is sent. */
  | { readonly type: 'disconnect'; readonly connection: ConnectionId }
  | { readonly type: 'open'; readonly connection: ConnectionId; readonly peer: PeerCapabilities }
  /** No connection is left, or none was made: what waits for an answer will not get it. */
  | { readonly type: 'closed'; readonly reason: string }
  /** A connection of the peer's was turned away, whatever the state of the peer. */
  | { readonly type: 'rejected'; readonly reason: string }
  /** A request or an answer of an application. */
  | { readonly type: 'deliver'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  | { readonly type: 'dropped'; readonly code: 'unexpected-message' }
  /** RFC 3539: move what waits for an answer to another peer; and: the peer is to be trusted again. */
  | { readonly type: 'failover' }
  | { readonly type: 'failback' };

/** A connection of the peer's whose CER is good, and not answered yet. */
interface Introduced {
  readonly connection: ConnectionId;
  readonly cer: DiameterMessage;
  readonly address: Uint8Array;
  readonly peer: PeerCapabilities;
}

/** A second connection of a peer that says it has restarted, while we ask the first whether it is alive. */
interface Contender {
  readonly responded: Introduced;
  /** Hop-by-Hop of the DWR on the first connection. */
  readonly probe: number;
  readonly until: number;
}

interface Open<Name extends string> {
  readonly name: Name;
  readonly connection: ConnectionId;
  readonly peer: PeerCapabilities;
  readonly contender: Contender | undefined;
}

type State =
  | { readonly name: 'Closed'; readonly retryAt: number | undefined }
  | { readonly name: 'Wait-Conn-Ack'; readonly until: number }
  | { readonly name: 'Wait-I-CEA'; readonly until: number; readonly initiated: ConnectionId; readonly cer: number }
  | { readonly name: 'Wait-Conn-Ack/Elect'; readonly until: number; readonly responded: Introduced }
  | {
      readonly name: 'Wait-Returns';
      readonly until: number;
      readonly initiated: ConnectionId;
      /** Hop-by-Hop of our CER. */
      readonly cer: number;
      readonly responded: Introduced;
    }
  | Open<'I-Open'>
  | Open<'R-Open'>
  | {
      readonly name: 'Closing';
      readonly until: number;
      readonly connection: ConnectionId;
      /** Hop-by-Hop of our DPR; undefined: the peer said DPR. */
      readonly dpr: number | undefined;
      /** Whether the peer said that it will not want us again soon. */
      readonly unwanted: boolean;
    };

/** The state machine of one peer, RFC 6733 5.6, with its watchdog. I-: connections of ours, R-: of the peer's. */
export class Peer {
  readonly #config: PeerConfig;
  readonly #grammarian: Grammarian;
  readonly #exchange: CapabilitiesExchange;
  readonly #base: BaseMessages;
  readonly #drbg: Drbg;
  readonly #watchdog: Watchdog;
  #state: State = { name: 'Closed', retryAt: undefined };
  #stopped = false;
  /** Attempts since the last open connection. */
  #attempts = 0;
  #hopByHop: number;
  /** Hop-by-Hop of each DWR that the open connection has not answered. */
  readonly #probes = new Set<number>();

  constructor(config: PeerConfig, grammarian: Grammarian, seed: Uint8Array) {
    this.#config = config;
    this.#grammarian = grammarian;
    this.#exchange = new CapabilitiesExchange(config.local, grammarian, config.mayRelay);
    this.#base = new BaseMessages(grammarian, config.local);
    this.#drbg = new Drbg(seed);
    this.#watchdog = new Watchdog(config.watchdog, xorshift(this.#drbg.u32()));
    this.#hopByHop = this.#drbg.u32();
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  get watchdog(): WatchdogStatus {
    return this.#watchdog.status;
  }

  /** The open connection, trusted or not. */
  get connection(): ConnectionId | undefined {
    const state = this.#state;
    return state.name === 'I-Open' || state.name === 'R-Open' ? state.connection : undefined;
  }

  /** Whether requests should go to this peer (RFC 3539 3.4.1). */
  get trusted(): boolean {
    return this.connection !== undefined && this.#watchdog.status === 'OKAY';
  }

  /** What the peer says of itself, while it is open. */
  get capabilities(): PeerCapabilities | undefined {
    const state = this.#state;
    return state.name === 'I-Open' || state.name === 'R-Open' ? state.peer : undefined;
  }

  get deadline(): number | undefined {
    const state = this.#state;
    if (state.name === 'Closed') return state.retryAt;
    if ('until' in state) return state.until;
    const { deadline } = this.#watchdog;
    const { contender } = state;
    return contender && (deadline === undefined || contender.until < deadline) ? contender.until : deadline;
  }

  /** A Hop-by-Hop identifier for the connection (RFC 6733 3). */
  nextHopByHop(): number {
    this.#hopByHop = (this.#hopByHop + 1) >>> 0;
    return this.#hopByHop;
  }

  handle(input: PeerInput, now: number): PeerOutput[] {
    switch (input.type) {
      case 'start':
        this.#stopped = false;
        // Closed     Start                            | I-Snd-Conn-Req                   | Wait-Conn-Ack
        return this.#state.name === 'Closed' && this.#config.initiates ? this.#connect(now) : [];
      case 'stop':
        this.#stopped = true;
        return this.#stop(input.cause, now);
      case 'connected':
        return this.#connected(input.connection, input.address, now);
      case 'connectFailed':
        return this.#connectFailed(input.reason, now);
      case 'accepted':
        return this.#accepted(input, now);
      case 'message':
        return this.#message(input.connection, input.message, now);
      case 'disconnected':
        return this.#disconnected(input.connection, now);
      case 'tick':
        return this.#tick(now);
    }
  }

  // ------------------------------------------------------------------------------------------------ coming up

  #connect(now: number): PeerOutput[] {
    this.#attempts += 1;
    this.#state = { name: 'Wait-Conn-Ack', until: now + this.#config.timeout };
    return [{ type: 'connect' }];
  }

  #connected(initiated: ConnectionId, address: Uint8Array, now: number): PeerOutput[] {
    const state = this.#state;
    const until = now + this.#config.timeout;
    switch (state.name) {
      // Wait-Conn-Ack        I-Rcv-Conn-Ack         | I-Snd-CER                        | Wait-I-CEA
      case 'Wait-Conn-Ack': {
        const asked = this.#ask(initiated, this.#exchange.request(address));
        this.#state = { name: 'Wait-I-CEA', until, initiated, cer: asked.message.hopByHop };
        return [asked];
      }
      // Wait-Conn-Ack/Elect  I-Rcv-Conn-Ack         | I-Snd-CER, Elect                 | Wait-Returns
      case 'Wait-Conn-Ack/Elect': {
        const asked = this.#ask(initiated, this.#exchange.request(address));
        const { responded } = state;
        this.#state = { name: 'Wait-Returns', until, initiated, cer: asked.message.hopByHop, responded };
        return [asked, ...this.#elect(initiated, responded, now)];
      }
      default:
        return [{ type: 'disconnect', connection: initiated }];
    }
  }

  #connectFailed(reason: string, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // Wait-Conn-Ack        I-Rcv-Conn-Nack        | cleanup                          | Closed
      case 'Wait-Conn-Ack':
        return this.#close(reason, now);
      // Wait-Conn-Ack/Elect  I-Rcv-Conn-Nack        | R-Snd-CEA                        | R-Open
      case 'Wait-Conn-Ack/Elect':
        return this.#openResponder(state.responded, now);
      default:
        return [];
    }
  }

  #accepted(input: Extract<PeerInput, { type: 'accepted' }>, now: number): PeerOutput[] {
    const { connection, cer, address } = input;
    if (this.#stopped) return this.#reject(connection, 'stopped');
    const peer = this.#exchange.readRequest(cer, this.#config.host);
    if (isViolation(peer)) return this.#refuse(connection, cer, peer);
    const responded: Introduced = { connection, cer, address, peer };
    const until = now + this.#config.timeout;
    const state = this.#state;
    switch (state.name) {
      // Closed         R-Conn-CER                   | R-Accept, process CER, R-Snd-CEA | R-Open
      case 'Closed':
        return this.#openResponder(responded, now);
      // Wait-Conn-Ack  R-Conn-CER                   | R-Accept, process CER            | Wait-Conn-Ack/Elect
      case 'Wait-Conn-Ack':
        this.#state = { name: 'Wait-Conn-Ack/Elect', until, responded };
        return [];
      // Wait-I-CEA     R-Conn-CER                   | R-Accept, process CER, Elect     | Wait-Returns
      case 'Wait-I-CEA':
        this.#state = { name: 'Wait-Returns', until, initiated: state.initiated, cer: state.cer, responded };
        return this.#elect(state.initiated, responded, now);
      case 'I-Open':
      case 'R-Open':
        if (!state.contender && hasRestarted(state.peer, peer)) return this.#contend(state, responded, now);
        return this.#reject(connection, 'there is a connection');
      // Wait-Conn-Ack/Elect, Wait-Returns, Open  R-Conn-CER | R-Reject                | same
      default:
        return this.#reject(connection, 'there is a connection');
    }
  }

  /**
   * Not RFC: a peer that comes back with a greater Origin-State-Id (RFC 6733 8.16) may have lost the connection that we
   * still hold; to reject it would keep it out until the watchdog has noticed. The claim alone ends nothing: it waits for
   * its CEA until the old connection is closed or has left a DWR unanswered.
   */
  #contend(state: Open<'I-Open'> | Open<'R-Open'>, responded: Introduced, now: number): PeerOutput[] {
    const asked = this.#probe(state.connection);
    const contender = { responded, probe: asked.message.hopByHop, until: now + RESTART_PROBE };
    this.#state = { ...state, contender };
    return [asked];
  }

  /** The open connection is dead; a new one that waits takes its place. */
  #lost(reason: string, outputs: readonly PeerOutput[], now: number): PeerOutput[] {
    const state = this.#state;
    const waiting = 'contender' in state ? state.contender?.responded : undefined;
    return [...outputs, ...this.#close(reason, now), ...(waiting ? this.#openResponder(waiting, now) : [])];
  }

  /** The open connection lives or ends in order: another one is turned away. */
  #dismiss(): PeerOutput[] {
    const state = this.#state;
    if ((state.name !== 'I-Open' && state.name !== 'R-Open') || !state.contender) return [];
    this.#state = { ...state, contender: undefined };
    return this.#reject(state.contender.responded.connection, 'another connection of this peer is open');
  }

  /** RFC 6733 5.6.4: the lexically greater Origin-Host keeps the connection that it responded to. */
  #elect(initiated: ConnectionId, responded: Introduced, now: number): PeerOutput[] {
    if (this.#config.local.origin.host.toLowerCase() <= responded.peer.host.toLowerCase()) return [];
    // Wait-Returns   Win-Election                   | I-Disc, R-Snd-CEA                | R-Open
    return [{ type: 'disconnect', connection: initiated }, ...this.#openResponder(responded, now)];
  }

  #openResponder({ connection, cer, address, peer }: Introduced, now: number): PeerOutput[] {
    const message = this.#exchange.answer(cer, address);
    return [{ type: 'send', connection, message }, ...this.#opened('R-Open', connection, peer, now)];
  }

  #opened(name: 'I-Open' | 'R-Open', connection: ConnectionId, peer: PeerCapabilities, now: number): PeerOutput[] {
    this.#state = { name, connection, peer, contender: undefined };
    this.#attempts = 0;
    this.#probes.clear();
    return [{ type: 'open', connection, peer }, ...this.#watched('up', connection, now)];
  }

  #reject(connection: ConnectionId, reason: string): PeerOutput[] {
    return [
      { type: 'disconnect', connection },
      { type: 'rejected', reason },
    ];
  }

  #refuse(connection: ConnectionId, cer: DiameterMessage, violation: Violation): PeerOutput[] {
    const message = this.#exchange.refusal(cer, violation);
    return [{ type: 'send', connection, message }, ...this.#reject(connection, `CER: ${violation.text}`)];
  }

  // ------------------------------------------------------------------------------------------------ messages

  #message(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      case 'I-Open':
      case 'R-Open':
        return connection === state.connection ? this.#inOpen(connection, message, now) : unexpected();
      case 'Closing':
        return connection === state.connection ? this.#inClosing(state, message, now) : unexpected();
      case 'Wait-I-CEA':
      case 'Wait-Returns':
        return connection === state.initiated ? this.#inWaitForCea(message, now) : unexpected();
      default:
        return unexpected();
    }
  }

  #inWaitForCea(message: DiameterMessage, now: number): PeerOutput[] {
    const state = this.#state;
    if (state.name !== 'Wait-I-CEA' && state.name !== 'Wait-Returns') return [];
    // An answer to something else is no answer to our CER (RFC 6733 3).
    if (isBase(message, CEA) && message.hopByHop !== state.cer) return unexpected();
    // Wait-I-CEA     I-Rcv-Non-CEA                  | error                            | Closed
    if (!isBase(message, CEA)) return this.#fail(`no CEA but command ${message.commandCode}`, now);
    // Wait-I-CEA     I-Rcv-CEA                      | process CEA                      | I-Open
    // Wait-Returns   I-Rcv-CEA                      | R-Disc                           | I-Open
    const peer = this.#exchange.readAnswer(message, this.#config.host);
    if (isViolation(peer)) return this.#fail(`CEA: ${peer.text}`, now);
    const other: PeerOutput[] =
      state.name === 'Wait-Returns' ? [{ type: 'disconnect', connection: state.responded.connection }] : [];
    return [...other, ...this.#opened('I-Open', state.initiated, peer, now)];
  }

  // I-Open, R-Open  Rcv-Message                     | process                          | same
  // I-Open, R-Open  Rcv-DWR                         | process DWR, Snd-DWA             | same
  // I-Open, R-Open  Rcv-DWA                         | process DWA                      | same
  // I-Open, R-Open  Rcv-DPR                         | Snd-DPA                          | Closing
  #inOpen(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    if (isBase(message, DWA)) return this.#inOpenDwa(connection, message, now);
    const watched = this.#watched('message', connection, now);
    if (isBase(message, DWR)) return [...watched, { type: 'send', connection, message: this.#base.dwa(message) }];
    if (isBase(message, DPR)) {
      const cause = this.#grammarian.find(message.avps, 'Disconnect-Cause') ?? DISCONNECT_CAUSE.REBOOTING;
      const unwanted = cause !== DISCONNECT_CAUSE.REBOOTING;
      const dismissed = this.#dismiss();
      this.#state = { name: 'Closing', until: now + this.#config.timeout, connection, dpr: undefined, unwanted };
      return [...watched, ...dismissed, { type: 'send', connection, message: this.#base.dpa(message) }];
    }
    if (isBase(message, CER) || isBase(message, CEA) || isBase(message, DPA)) return [...watched, ...unexpected()];
    // Not RFC: in REOPEN too, where RFC 3539 throws away what is no DWA: the peer asked because it trusts the connection.
    watched.push({ type: 'deliver', connection, message });
    return watched;
  }

  #inOpenDwa(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    if (!this.#probes.delete(message.hopByHop)) return unexpected();
    const state = this.#state;
    const lives = 'contender' in state && state.contender?.probe === message.hopByHop;
    return [...(lives ? this.#dismiss() : []), ...this.#watched('dwa', connection, now)];
  }

  #inClosing(state: Extract<State, { name: 'Closing' }>, message: DiameterMessage, now: number): PeerOutput[] {
    const { connection, unwanted } = state;
    // Closing         Rcv-DPA                       | Disc                             | Closed
    if (isBase(message, DPA)) {
      if (message.hopByHop !== state.dpr) return unexpected();
      return [{ type: 'disconnect', connection }, ...this.#closeInOrder('disconnected', unwanted, now)];
    }
    // Both said DPR at once: no row in RFC 6733, but an answer is due.
    if (isBase(message, DPR)) return [{ type: 'send', connection, message: this.#base.dpa(message) }];
    // What was asked before is still answered.
    if ((message.flags & FLAG.R) === 0 && message.applicationId !== APPLICATION.COMMON) {
      return [{ type: 'deliver', connection, message }];
    }
    return unexpected();
  }

  // ------------------------------------------------------------------------------------------------ going down

  #disconnected(connection: ConnectionId, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // Wait-I-CEA           I-Peer-Disc            | I-Disc                           | Closed
      case 'Wait-I-CEA':
        return connection === state.initiated ? this.#close('closed before its CEA', now) : [];
      // Wait-Conn-Ack/Elect  R-Peer-Disc            | R-Disc                           | Wait-Conn-Ack
      case 'Wait-Conn-Ack/Elect':
        if (connection === state.responded.connection) this.#state = { name: 'Wait-Conn-Ack', until: state.until };
        return [];
      // Wait-Returns         I-Peer-Disc            | I-Disc, R-Snd-CEA                | R-Open
      // Wait-Returns         R-Peer-Disc            | R-Disc                           | Wait-I-CEA
      case 'Wait-Returns':
        if (connection === state.initiated) return this.#openResponder(state.responded, now);
        if (connection === state.responded.connection) {
          this.#state = { name: 'Wait-I-CEA', until: state.until, initiated: state.initiated, cer: state.cer };
        }
        return [];
      // I-Open, R-Open       Peer-Disc              | Disc                             | Closed
      case 'I-Open':
      case 'R-Open':
        if (connection === state.contender?.responded.connection) {
          this.#state = { ...state, contender: undefined };
          return [];
        }
        if (connection !== state.connection) return [];
        return this.#lost('connection lost', this.#watched('down', connection, now), now);
      // Closing              Peer-Disc              | Disc                             | Closed
      case 'Closing':
        return connection === state.connection ? this.#closeInOrder('disconnected', state.unwanted, now) : [];
      default:
        return [];
    }
  }

  #tick(now: number): PeerOutput[] {
    const state = this.#state;
    if (state.name === 'Closed') {
      return state.retryAt !== undefined && now >= state.retryAt ? this.#connect(now) : [];
    }
    if (state.name === 'I-Open' || state.name === 'R-Open') {
      const { connection, contender } = state;
      if (contender && now >= contender.until) {
        const dead: PeerOutput[] = [{ type: 'disconnect', connection }, ...this.#watched('down', connection, now)];
        return this.#lost('the peer has restarted', dead, now);
      }
      return this.#watched('timeout', connection, now);
    }
    // Wait-…, Closing      Timeout                  | error                            | Closed
    return now >= state.until ? this.#fail(`timeout in ${state.name}`, now) : [];
  }

  #stop(cause: number, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // I-Open, R-Open       Stop                   | Snd-DPR                          | Closing
      case 'I-Open':
      case 'R-Open': {
        const { connection } = state;
        const dismissed = this.#dismiss();
        const asked = this.#ask(connection, this.#base.dpr(cause));
        const { hopByHop: dpr } = asked.message;
        this.#state = { name: 'Closing', until: now + this.#config.timeout, connection, dpr, unwanted: false };
        return [...dismissed, asked];
      }
      case 'Closed':
        this.#state = { name: 'Closed', retryAt: undefined };
        return [];
      case 'Closing':
        return [];
      default:
        return this.#fail('stopped', now);
    }
  }

  /** Gives everything up. */
  #fail(reason: string, now: number): PeerOutput[] {
    const state = this.#state;
    const out: PeerOutput[] = [];
    if (state.name === 'Wait-Conn-Ack' || state.name === 'Wait-Conn-Ack/Elect') out.push({ type: 'abort' });
    if ('initiated' in state) out.push({ type: 'disconnect', connection: state.initiated });
    if ('responded' in state) out.push({ type: 'disconnect', connection: state.responded.connection });
    if (state.name === 'Closing') {
      out.push({ type: 'disconnect', connection: state.connection });
      return [...out, ...this.#closeInOrder(reason, state.unwanted, now)];
    }
    return [...out, ...this.#close(reason, now)];
  }

  #closeInOrder(reason: string, unwanted: boolean, now: number): PeerOutput[] {
    this.#watchdog.handle('reset', now);
    return this.#close(reason, now, unwanted);
  }

  #close(reason: string, now: number, unwanted = false): PeerOutput[] {
    const { reconnect, initiates } = this.#config;
    const wait = unwanted
      ? reconnect * UNWANTED_FACTOR
      : Math.min(reconnect, FIRST_RETRY * 2 ** Math.max(0, this.#attempts - 1));
    const jittered = wait * (1 - RETRY_JITTER + 2 * RETRY_JITTER * this.#drbg.unit());
    this.#state = { name: 'Closed', retryAt: initiates && !this.#stopped ? now + jittered : undefined };
    return [{ type: 'closed', reason }];
  }

  // ------------------------------------------------------------------------------------------------ watchdog

  /** Steps the watchdog and does what it says. */
  #watched(input: WatchdogInput, connection: ConnectionId, now: number): PeerOutput[] {
    const actions = this.#watchdog.handle(input, now);
    return actions.length === 0 ? [] : actions.flatMap((action) => this.#guard(action, connection, now));
  }

  #guard(action: WatchdogAction, connection: ConnectionId, now: number): PeerOutput[] {
    switch (action) {
      case 'sendDwr':
        return [this.#probe(connection)];
      case 'close':
        return this.#lost('no answer to the watchdog', [{ type: 'disconnect', connection }], now);
      case 'failover':
      case 'failback':
        return [{ type: action }];
    }
  }

  // ------------------------------------------------------------------------------------------------ writing

  #probe(connection: ConnectionId): Sent {
    const asked = this.#ask(connection, this.#base.dwr());
    this.#probes.add(asked.message.hopByHop);
    return asked;
  }

  #ask(connection: ConnectionId, message: DiameterMessage): Sent {
    const identifiers = { hopByHop: this.nextHopByHop(), endToEnd: this.#config.identifiers.next() };
    return { type: 'send', connection, message: { ...message, ...identifiers } };
  }
}

type Sent = Extract<PeerOutput, { type: 'send' }>;

/** Whether a message is this one of the base protocol, whose application is 0. */
function isBase({ commandCode, flags, applicationId }: DiameterMessage, spec: CommandSpec): boolean {
  return (
    commandCode === spec.code &&
    applicationId === APPLICATION.COMMON &&
    (flags & FLAG.R) === (spec.request ? FLAG.R : 0)
  );
}

function hasRestarted(before: PeerCapabilities, after: PeerCapabilities): boolean {
  return (after.originStateId ?? 0) > (before.originStateId ?? 0) && (before.originStateId ?? 0) > 0;
}

function unexpected(): PeerOutput[] {
  return [{ type: 'dropped', code: 'unexpected-message' }];
}

/** Uniform in [0, 1), for the jitter of a timer that each message sets anew: cheap, and no secret (xorshift32). */
function xorshift(seed: number): () => number {
  let state = seed || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
