import { type EapKeys, wipeKeys } from './keys.js';

export type PeerFailure =
  | 'server-certificate'
  | 'server-name'
  | 'extended-master-secret'
  | 'tls-alert'
  | 'fragments'
  | 'too-many-rounds'
  | 'refused'
  | 'protocol';

/** AlertDescription, RFC 8446 6. */
const BAD_CERTIFICATE = 42;
const HANDSHAKE_FAILURE = 40;

const NOTHING = new Uint8Array(0);

/**
 * Answers to questions. Each except `fault` has the token of its question; an answer to an older question is ignored.
 */
export type PeerTlsInput =
  /**
   * The engine's next flight. `secured`: the handshake is complete on this side and the server's identity is accepted.
   * `applicationData`: all application data that the server has sent so far.
   */
  | {
      readonly type: 'flight';
      readonly token: number;
      readonly flight: Uint8Array;
      readonly applicationData: Uint8Array;
      readonly secured: { readonly tlsVersion: string; readonly resumed: boolean } | undefined;
    }
  /** The machine takes ownership of the keys. */
  | { readonly type: 'finished'; readonly token: number; readonly keys: EapKeys }
  | { readonly type: 'failed'; readonly token: number; readonly reason: PeerFailure; readonly detail: string }
  /** An internal error: the method ends and sends nothing to the server. */
  | { readonly type: 'fault' };

export type PeerTlsQuestion =
  /** Pass this flight of the server (empty at the start) to the engine. Answered by flight or failed. */
  | { readonly type: 'handshake'; readonly token: number; readonly flight: Uint8Array }
  /** Export the keys and store the server's session ticket. Answered by finished. */
  | { readonly type: 'finish'; readonly token: number }
  /** The server refused access later: discard its session ticket. */
  | { readonly type: 'forget' }
  /** No more questions follow; the engine may free the handshake. */
  | { readonly type: 'abandon' };

export type PeerTlsStep =
  | PeerTlsQuestion
  | { readonly type: 'send'; readonly flight: Uint8Array }
  | ({ readonly type: 'keys'; readonly tlsVersion: string; readonly resumed: boolean } & EapKeys)
  | { readonly type: 'gaveUp'; readonly reason: PeerFailure; readonly detail: string };

type State =
  /** The server has not sent EAP-TLS Start yet. */
  | { readonly name: 'IDLE' }
  | { readonly name: 'ENGINE' }
  /** Waiting for a flight of the server. */
  | { readonly name: 'SERVER' }
  | { readonly name: 'FINISH'; readonly flight: Uint8Array; readonly tlsVersion: string; readonly resumed: boolean }
  | { readonly name: 'KEYED' }
  /** An alert was sent; waiting for EAP-Failure. */
  | { readonly name: 'FAILED'; readonly reason: PeerFailure; readonly detail: string }
  | { readonly name: 'OVER' };

/**
 * EAP-TLS on the peer, from whole flights to keys. The keys become available when the server has committed to success
 * (RFC 9190 2.5).
 */
export class TlsPeer {
  #state: State = { name: 'IDLE' };
  #token = 0;
  #heard = false;

  /** Whether an answer of the engine is pending. */
  get busy(): boolean {
    const { name } = this.#state;
    return name === 'ENGINE' || name === 'FINISH';
  }

  get begun(): boolean {
    return this.#state.name !== 'IDLE';
  }

  /** Whether the server has sent TLS. */
  get heard(): boolean {
    return this.#heard;
  }

  get keyed(): boolean {
    return this.#state.name === 'KEYED';
  }

  /** Why an alert was sent; undefined if none was sent. */
  get failure(): { readonly reason: PeerFailure; readonly detail: string } | undefined {
    return this.#state.name === 'FAILED' ? this.#state : undefined;
  }

  /** Processes a whole flight of the server; it is empty at Start. */
  flight(flight: Uint8Array): PeerTlsStep[] {
    const state = this.#state;
    if (state.name === 'FAILED') return [{ type: 'send', flight: alertFor(state.reason) }];
    // The server has committed to success and the handshake was freed, so later flights are only acknowledged.
    if (state.name === 'KEYED') return [{ type: 'send', flight: NOTHING }];
    if (state.name !== 'IDLE' && state.name !== 'SERVER') return [];
    this.#heard ||= flight.length > 0;
    this.#state = { name: 'ENGINE' };
    return [{ type: 'handshake', token: this.#ask(), flight }];
  }

  answered(input: PeerTlsInput): PeerTlsStep[] {
    if (input.type === 'fault') return this.#state.name === 'OVER' ? [] : this.#giveUp('internal error');
    const steps = input.token === this.#token && this.busy ? this.#answered(input) : undefined;
    if (steps) return steps;
    if (input.type === 'finished') wipeKeys(input.keys);
    return [];
  }

  close(): void {
    this.#state = { name: 'OVER' };
  }

  /** Handles the answer to the current question. Undefined: the input answers another one. */
  #answered(input: Exclude<PeerTlsInput, { type: 'fault' }>): PeerTlsStep[] | undefined {
    const state = this.#state;
    if (state.name === 'ENGINE' && input.type === 'failed') {
      const { reason, detail } = input;
      this.#state = { name: 'FAILED', reason, detail };
      return [{ type: 'abandon' }, { type: 'send', flight: alertFor(reason) }];
    }
    if (state.name === 'ENGINE' && input.type === 'flight') {
      const { flight, applicationData, secured } = input;
      const committed = commitment(secured?.tlsVersion, applicationData);
      if (committed === 'wrong') return this.#giveUp('application data other than the octet 0x00 of RFC 9190');
      if (committed === 'awaited' || !secured) {
        this.#state = { name: 'SERVER' };
        return [{ type: 'send', flight }];
      }
      this.#state = { name: 'FINISH', flight, ...secured };
      return [{ type: 'finish', token: this.#ask() }];
    }
    if (state.name === 'FINISH' && input.type === 'finished') {
      const { flight, tlsVersion, resumed } = state;
      this.#state = { name: 'KEYED' };
      return [{ type: 'abandon' }, { type: 'keys', ...input.keys, tlsVersion, resumed }, { type: 'send', flight }];
    }
    return undefined;
  }

  #giveUp(detail: string): PeerTlsStep[] {
    this.#state = { name: 'OVER' };
    return [{ type: 'gaveUp', reason: 'protocol', detail }];
  }

  #ask(): number {
    this.#token += 1;
    return this.#token;
  }
}

/**
 * RFC 9190 2.5: with TLS 1.3 the server commits to success with application data of exactly one octet, 0x00. With TLS
 * 1.2 it sends none; its Finished is sufficient (RFC 5216 2.1.1). Application data before the handshake is complete is
 * an error.
 */
function commitment(tlsVersion: string | undefined, data: Uint8Array): 'made' | 'awaited' | 'wrong' {
  if (data.length === 0) return tlsVersion === undefined || tlsVersion === 'TLSv1.3' ? 'awaited' : 'made';
  return tlsVersion === 'TLSv1.3' && data.length === 1 && data[0] === 0 ? 'made' : 'wrong';
}

/**
 * A fatal alert record in clear (RFC 8446 6). Node's engine sends no alert when it rejects a certificate, and without
 * one the server would wait.
 */
function alertFor(reason: PeerFailure): Uint8Array {
  const description = reason.startsWith('server') ? BAD_CERTIFICATE : HANDSHAKE_FAILURE;
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description);
}
