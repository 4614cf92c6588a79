import { Drbg } from '../bytes/drbg.js';
import { answerTo, errorAnswer, type Origin } from './answers.js';
import { type DiameterMessage, FLAG } from './codec.js';
import { APPLICATION, CEA, CER, DPA, DPR, DWA, DWR } from './commands.js';
import { type Content, type Grammarian, isViolation } from './grammar.js';
import { isProtocolError, RESULT } from './result-codes.js';
import { Watchdog, type WatchdogAction, type WatchdogStatus } from './watchdog.js';

/** The two connections that a peer may have for a moment (RFC 6733 5.6): the one we opened and the one it opened. */
export type Side = 'I' | 'R';

export interface PeerConfig {
  readonly origin: Origin;
  /** Host-IP-Address of CER and CEA. */
  readonly addresses: readonly Uint8Array[];
  readonly productName: string;
  readonly vendorId: number;
  readonly originStateId: number;
  readonly applications: readonly number[];
  readonly supportedVendors: readonly number[];
  /** Milliseconds. */
  readonly watchdog: number;
  /** Tc: how long after a lost connection the next is tried. Milliseconds. */
  readonly reconnect: number;
  /** Limit of a connection attempt, a capabilities exchange and a disconnection. Milliseconds. */
  readonly timeout: number;
  /** Undefined: we never connect, the peer does. */
  readonly initiates: boolean;
}

export type DisconnectCause = 0 | 1 | 2;

export type PeerInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly cause: DisconnectCause }
  /** Our connection is there, or could not be made. */
  | { readonly type: 'connected' }
  | { readonly type: 'connectFailed' }
  /** The peer's connection, whose first message was this CER. */
  | { readonly type: 'accepted'; readonly cer: DiameterMessage }
  | { readonly type: 'message'; readonly side: Side; readonly message: DiameterMessage }
  | { readonly type: 'disconnected'; readonly side: Side }
  | { readonly type: 'tick' };

export type PeerOutput =
  | { readonly type: 'connect' }
  | { readonly type: 'send'; readonly side: Side; readonly message: DiameterMessage }
  /** Close a connection; `reject`: the one just accepted, which this machine never took. */
  | { readonly type: 'disconnect'; readonly side: Side; readonly reject: boolean }
  | { readonly type: 'open'; readonly side: Side; readonly peer: PeerCapabilities }
  | { readonly type: 'closed'; readonly reason: string }
  /** Requests and answers of applications. */
  | { readonly type: 'deliver'; readonly side: Side; readonly message: DiameterMessage }
  | { readonly type: 'failover' }
  | { readonly type: 'failback' };

export interface PeerCapabilities {
  readonly host: string;
  readonly realm: string;
  readonly productName: string | undefined;
  readonly originStateId: number | undefined;
  /** The peer relays for others (RFC 6733 2.4). */
  readonly relay: boolean;
}

type Timed = { readonly until: number };
type Held = { readonly cer: DiameterMessage };

type State =
  | { readonly name: 'Closed'; readonly retryAt: number | undefined }
  | ({ readonly name: 'Wait-Conn-Ack' } & Timed)
  | ({ readonly name: 'Wait-I-CEA' } & Timed)
  | ({ readonly name: 'Wait-Conn-Ack/Elect' } & Timed & Held)
  | ({ readonly name: 'Wait-Returns' } & Timed & Held)
  | { readonly name: 'I-Open' | 'R-Open' }
  | ({ readonly name: 'Closing'; readonly side: Side } & Timed);

/** The state machine of one peer, RFC 6733 5.6, with its watchdog. */
export class Peer {
  readonly #config: PeerConfig;
  readonly #grammarian: Grammarian;
  readonly #drbg: Drbg;
  readonly #watchdog: Watchdog;
  #state: State = { name: 'Closed', retryAt: undefined };
  #stopped = false;
  #hopByHop: number;
  #endToEnd: number;

  constructor(config: PeerConfig, grammarian: Grammarian, seed: Uint8Array) {
    this.#config = config;
    this.#grammarian = grammarian;
    this.#drbg = new Drbg(seed);
    this.#watchdog = new Watchdog(config.watchdog, () => this.#drbg.unit());
    this.#hopByHop = this.#drbg.u32();
    this.#endToEnd = this.#drbg.u32();
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  get watchdog(): WatchdogStatus {
    return this.#watchdog.status;
  }

  /** The connection to send on; undefined if there is none, or it is not to be trusted yet (RFC 3539 3.4.1). */
  get open(): Side | undefined {
    const { name } = this.#state;
    if (name !== 'I-Open' && name !== 'R-Open') return undefined;
    return this.#watchdog.status === 'OKAY' ? sideOf(name) : undefined;
  }

  get deadline(): number | undefined {
    const state = this.#state;
    if (state.name === 'Closed') return state.retryAt;
    if ('until' in state) return state.until;
    return this.#watchdog.deadline;
  }

  /** A Hop-by-Hop identifier for this connection (RFC 6733 3). */
  nextHopByHop(): number {
    this.#hopByHop = (this.#hopByHop + 1) >>> 0;
    return this.#hopByHop;
  }

  handle(input: PeerInput, now: number): PeerOutput[] {
    const state = this.#state;
    switch (input.type) {
      // Closed     Start                                | I-Snd-Conn-Req               | Wait-Conn-Ack
      case 'start':
        this.#stopped = false;
        return state.name === 'Closed' && this.#config.initiates ? this.#connect(now) : [];
      case 'stop':
        this.#stopped = true;
        return this.#stop(input.cause, now);
      case 'connected':
        return this.#connected(state, now);
      case 'connectFailed':
        return this.#connectFailed(state, now);
      case 'accepted':
        return this.#accepted(state, input.cer, now);
      case 'message':
        return this.#message(state, input.side, input.message, now);
      case 'disconnected':
        return this.#disconnected(state, input.side, now);
      case 'tick':
        return this.#tick(state, now);
    }
  }

  #connect(now: number): PeerOutput[] {
    this.#state = { name: 'Wait-Conn-Ack', until: now + this.#config.timeout };
    return [{ type: 'connect' }];
  }

  #connected(state: State, now: number): PeerOutput[] {
    const until = now + this.#config.timeout;
    // Wait-Conn-Ack        I-Rcv-Conn-Ack             | I-Snd-CER                    | Wait-I-CEA
    if (state.name === 'Wait-Conn-Ack') {
      this.#state = { name: 'Wait-I-CEA', until };
      return [this.#cer()];
    }
    // Wait-Conn-Ack/Elect  I-Rcv-Conn-Ack             | I-Snd-CER, Elect             | Wait-Returns
    if (state.name === 'Wait-Conn-Ack/Elect') {
      this.#state = { name: 'Wait-Returns', until, cer: state.cer };
      return [this.#cer(), ...this.#elect(state.cer, now)];
    }
    return [{ type: 'disconnect', side: 'I', reject: false }];
  }

  #connectFailed(state: State, now: number): PeerOutput[] {
    // Wait-Conn-Ack        I-Rcv-Conn-Nack            | cleanup                      | Closed
    if (state.name === 'Wait-Conn-Ack') return this.#close(now, 'cannot connect');
    // Wait-Conn-Ack/Elect  I-Rcv-Conn-Nack            | R-Snd-CEA                    | R-Open
    if (state.name === 'Wait-Conn-Ack/Elect') return this.#openResponder(state.cer, now);
    return [];
  }

  #accepted(state: State, cer: DiameterMessage, now: number): PeerOutput[] {
    const until = now + this.#config.timeout;
    switch (state.name) {
      // Closed     R-Conn-CER                           | R-Accept, process CER, R-Snd-CEA | R-Open
      case 'Closed':
        return this.#stopped ? [{ type: 'disconnect', side: 'R', reject: true }] : this.#openResponder(cer, now);
      // Wait-Conn-Ack  R-Conn-CER                       | R-Accept, process CER        | Wait-Conn-Ack/Elect
      case 'Wait-Conn-Ack':
        this.#state = { name: 'Wait-Conn-Ack/Elect', until, cer };
        return [];
      // Wait-I-CEA R-Conn-CER                           | R-Accept, process CER, Elect | Wait-Returns
      case 'Wait-I-CEA':
        this.#state = { name: 'Wait-Returns', until, cer };
        return this.#elect(cer, now);
      // Wait-Conn-Ack/Elect, Wait-Returns, Open  R-Conn-CER | R-Reject                 | same
      default:
        return [{ type: 'disconnect', side: 'R', reject: true }];
    }
  }

  /** RFC 6733 5.6.4: the lexically greater Origin-Host keeps the connection that it responded to. */
  #elect(cer: DiameterMessage, now: number): PeerOutput[] {
    const theirs = this.#grammarian.find(cer.avps, 'Origin-Host')?.toLowerCase() ?? '';
    if (this.#config.origin.host.toLowerCase() <= theirs) return [];
    // Wait-Returns  Win-Election                      | I-Disc, R-Snd-CEA            | R-Open
    return [{ type: 'disconnect', side: 'I', reject: false }, ...this.#openResponder(cer, now)];
  }

  #message(state: State, side: Side, message: DiameterMessage, now: number): PeerOutput[] {
    const { commandCode, flags } = message;
    const request = (flags & FLAG.R) !== 0;
    if (state.name === 'I-Open' || state.name === 'R-Open') {
      return side === sideOf(state.name) ? this.#inOpen(side, message, now) : [];
    }
    if (state.name === 'Closing') {
      // Closing    Rcv-DPA                              | Disc                         | Closed
      if (!request && commandCode === DPA.code) return [disconnect(side), ...this.#close(now, 'disconnected')];
      return [];
    }
    if (side === 'R' || (state.name !== 'Wait-I-CEA' && state.name !== 'Wait-Returns')) return [];
    // Wait-I-CEA I-Rcv-Non-CEA                        | error                        | Closed
    if (request || commandCode !== CEA.code) return this.#failed(state, now, `no CEA but command ${commandCode}`);
    // Wait-I-CEA   I-Rcv-CEA                          | process CEA                  | I-Open
    // Wait-Returns I-Rcv-CEA                          | R-Disc                       | I-Open
    const cea = this.#grammarian.read(CEA, message);
    if (isViolation(cea)) return this.#failed(state, now, `CEA: ${cea.text}`);
    if (cea['Result-Code'] !== RESULT.SUCCESS)
      return this.#failed(state, now, `CEA with Result-Code ${cea['Result-Code']}`);
    if (!this.#haveCommonApplication(cea)) return this.#failed(state, now, 'no common application');
    const out: PeerOutput[] = state.name === 'Wait-Returns' ? [disconnect('R')] : [];
    return [...out, ...this.#opened('I', capabilitiesOf(cea), now)];
  }

  #inOpen(side: Side, message: DiameterMessage, now: number): PeerOutput[] {
    const { commandCode, flags, applicationId } = message;
    const request = (flags & FLAG.R) !== 0;
    if (applicationId === APPLICATION.COMMON && commandCode === DWR.code) {
      if (request) return [...this.#watched('message', side, now), this.#answerDwr(side, message)];
      return this.#watched('dwa', side, now);
    }
    const out = this.#watched('message', side, now);
    if (request && applicationId === APPLICATION.COMMON && commandCode === DPR.code) {
      // Open       Rcv-DPR                              | Snd-DPA                      | Closing
      this.#state = { name: 'Closing', side, until: now + this.#config.timeout };
      const answer = answerTo(
        message,
        this.#grammarian.write(DPA, { 'Result-Code': RESULT.SUCCESS, ...this.#origin() }),
      );
      return [...out, ...this.#watched('down', side, now), { type: 'send', side, message: answer }];
    }
    if (applicationId === APPLICATION.COMMON && commandCode === CER.code) return out;
    return [...out, { type: 'deliver', side, message }];
  }

  #answerDwr(side: Side, message: DiameterMessage): PeerOutput {
    const dwr = this.#grammarian.read(DWR, message);
    if (isViolation(dwr)) {
      return { type: 'send', side, message: errorAnswer(this.#grammarian, this.#config.origin, message, dwr) };
    }
    const content = { 'Result-Code': RESULT.SUCCESS, ...this.#origin(), 'Origin-State-Id': this.#config.originStateId };
    return { type: 'send', side, message: answerTo(message, this.#grammarian.write(DWA, content)) };
  }

  #disconnected(state: State, side: Side, now: number): PeerOutput[] {
    switch (state.name) {
      // Wait-I-CEA   I-Peer-Disc                        | I-Disc                       | Closed
      case 'Wait-I-CEA':
        return side === 'I' ? this.#close(now, 'closed before CEA') : [];
      // Wait-Conn-Ack/Elect  R-Peer-Disc                | R-Disc                       | Wait-Conn-Ack
      case 'Wait-Conn-Ack/Elect':
        if (side === 'R') this.#state = { name: 'Wait-Conn-Ack', until: state.until };
        return [];
      // Wait-Returns I-Peer-Disc                        | I-Disc, R-Snd-CEA            | R-Open
      // Wait-Returns R-Peer-Disc                        | R-Disc                       | Wait-I-CEA
      case 'Wait-Returns':
        if (side === 'I') return this.#openResponder(state.cer, now);
        this.#state = { name: 'Wait-I-CEA', until: state.until };
        return [];
      // Open       Peer-Disc                            | Disc                         | Closed
      case 'I-Open':
      case 'R-Open':
        return side === sideOf(state.name)
          ? [...this.#watched('down', side, now), ...this.#close(now, 'connection lost')]
          : [];
      // Closing    Peer-Disc                            | Disc                         | Closed
      case 'Closing':
        return side === state.side ? this.#close(now, 'disconnected') : [];
      default:
        return [];
    }
  }

  #tick(state: State, now: number): PeerOutput[] {
    if (state.name === 'Closed') {
      return state.retryAt !== undefined && now >= state.retryAt && !this.#stopped ? this.#connect(now) : [];
    }
    // Wait-…, Closing  Timeout                        | error                        | Closed
    if ('until' in state) return now >= state.until ? this.#failed(state, now, `timeout in ${state.name}`) : [];
    return this.#watched('timeout', sideOf(state.name), now);
  }

  /** Steps the watchdog and does what it says. */
  #watched(input: Parameters<Watchdog['handle']>[0], side: Side, now: number): PeerOutput[] {
    return this.#watchdog.handle(input, now).flatMap((action) => this.#watchdogAction(action, side, now));
  }

  #watchdogAction(action: WatchdogAction, side: Side, now: number): PeerOutput[] {
    switch (action) {
      case 'sendDwr': {
        const content = { ...this.#origin(), 'Origin-State-Id': this.#config.originStateId };
        return [
          { type: 'send', side, message: this.#request(this.#grammarian.message(DWR, APPLICATION.COMMON, content)) },
        ];
      }
      case 'close':
        return [disconnect(side), ...this.#close(now, 'watchdog')];
      case 'failover':
      case 'failback':
        return [{ type: action }];
      case 'open':
        return [];
    }
  }

  #stop(cause: DisconnectCause, now: number): PeerOutput[] {
    const state = this.#state;
    // Open       Stop                                 | Snd-DPR                      | Closing
    if (state.name === 'I-Open' || state.name === 'R-Open') {
      const side = sideOf(state.name);
      const content = { ...this.#origin(), 'Disconnect-Cause': cause };
      const message = this.#request(this.#grammarian.message(DPR, APPLICATION.COMMON, content));
      this.#watchdog.handle('down', now);
      this.#state = { name: 'Closing', side, until: now + this.#config.timeout };
      return [{ type: 'send', side, message }];
    }
    return state.name === 'Closed' || state.name === 'Closing' ? [] : this.#failed(state, now, 'stopped');
  }

  #failed(state: State, now: number, reason: string): PeerOutput[] {
    const sides: Side[] =
      state.name === 'Closing'
        ? [state.side]
        : state.name === 'Wait-Conn-Ack/Elect' || state.name === 'Wait-Returns'
          ? ['I', 'R']
          : ['I'];
    return [...sides.map(disconnect), ...this.#close(now, reason)];
  }

  #close(now: number, reason: string): PeerOutput[] {
    const wait = this.#config.reconnect * (0.9 + 0.2 * this.#drbg.unit());
    const again = this.#config.initiates && !this.#stopped;
    this.#state = { name: 'Closed', retryAt: again ? now + wait : undefined };
    return [{ type: 'closed', reason }];
  }

  #openResponder(cer: DiameterMessage, now: number): PeerOutput[] {
    const read = this.#grammarian.read(CER, cer);
    const refuse = (message: DiameterMessage, reason: string): PeerOutput[] => [
      { type: 'send', side: 'R', message },
      disconnect('R'),
      ...this.#close(now, reason),
    ];
    if (isViolation(read))
      return refuse(errorAnswer(this.#grammarian, this.#config.origin, cer, read), `CER: ${read.text}`);
    if (!this.#haveCommonApplication(read)) {
      return refuse(this.#cea(cer, RESULT.NO_COMMON_APPLICATION), 'no common application');
    }
    return [
      { type: 'send', side: 'R', message: this.#cea(cer, RESULT.SUCCESS) },
      ...this.#opened('R', capabilitiesOf(read), now),
    ];
  }

  #opened(side: Side, peer: PeerCapabilities, now: number): PeerOutput[] {
    this.#state = { name: side === 'I' ? 'I-Open' : 'R-Open' };
    return [{ type: 'open', side, peer }, ...this.#watched('up', side, now)];
  }

  /** RFC 6733 5.3: one application in common, or a relay, which has all. */
  #haveCommonApplication(capabilities: Content<typeof CER> | Content<typeof CEA>): boolean {
    const theirs = applicationsOf(capabilities);
    return (
      theirs.includes(APPLICATION.RELAY) ||
      this.#config.applications.some((id) => id === APPLICATION.RELAY || theirs.includes(id))
    );
  }

  #cer(): PeerOutput {
    const message = this.#grammarian.message(CER, APPLICATION.COMMON, this.#capabilities());
    return { type: 'send', side: 'I', message: this.#request(message) };
  }

  #cea(cer: DiameterMessage, resultCode: number): DiameterMessage {
    const avps = this.#grammarian.write(CEA, { 'Result-Code': resultCode, ...this.#capabilities() });
    const answer = answerTo(cer, avps);
    return isProtocolError(resultCode) ? { ...answer, flags: answer.flags | FLAG.E } : answer;
  }

  #capabilities() {
    const { addresses, vendorId, productName, originStateId, applications, supportedVendors } = this.#config;
    return {
      ...this.#origin(),
      'Host-IP-Address': addresses,
      'Vendor-Id': vendorId,
      'Product-Name': productName,
      'Origin-State-Id': originStateId,
      'Supported-Vendor-Id': supportedVendors,
      'Auth-Application-Id': applications,
      'Inband-Security-Id': [0],
    } as const;
  }

  #origin() {
    const { host, realm } = this.#config.origin;
    return { 'Origin-Host': host, 'Origin-Realm': realm } as const;
  }

  #request(message: DiameterMessage): DiameterMessage {
    this.#endToEnd = (this.#endToEnd + 1) >>> 0;
    return { ...message, hopByHop: this.nextHopByHop(), endToEnd: this.#endToEnd };
  }
}

function sideOf(name: 'I-Open' | 'R-Open'): Side {
  return name === 'I-Open' ? 'I' : 'R';
}

function disconnect(side: Side): PeerOutput {
  return { type: 'disconnect', side, reject: false };
}

function applicationsOf(capabilities: Content<typeof CER> | Content<typeof CEA>): number[] {
  const specific = capabilities['Vendor-Specific-Application-Id'] ?? [];
  return [
    ...(capabilities['Auth-Application-Id'] ?? []),
    ...(capabilities['Acct-Application-Id'] ?? []),
    ...specific.flatMap((id) => [id['Auth-Application-Id'], id['Acct-Application-Id']]),
  ].filter((id) => id !== undefined);
}

function capabilitiesOf(capabilities: Content<typeof CER> | Content<typeof CEA>): PeerCapabilities {
  return {
    host: capabilities['Origin-Host'],
    realm: capabilities['Origin-Realm'],
    productName: capabilities['Product-Name'],
    originStateId: capabilities['Origin-State-Id'],
    relay: applicationsOf(capabilities).includes(APPLICATION.RELAY),
  };
}
