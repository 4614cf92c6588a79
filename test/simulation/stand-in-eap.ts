import { createHmac } from 'node:crypto';
import { concat, equalOctets, toHex } from '../../src/protocol/bytes/octets.js';
import { Reader } from '../../src/protocol/bytes/reader.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { Writer } from '../../src/protocol/bytes/writer.js';
import type { EapKeys } from '../../src/protocol/eap/keys.js';
import type { Refusal } from '../../src/protocol/eap/refusal.js';
import type { PeerFailure } from '../../src/protocol/eap/tls-peer.js';
import type { VerifiedPeer } from '../../src/protocol/eap/verified-peer.js';
import type { CertificateList } from '../../src/protocol/x509/crl.js';
import type {
  PeerCredentials,
  PeerEngineAnswer,
  PeerHandshake,
  ServerEngine,
  ServerEngineAnswer,
  ServerEngineEnd,
  ServerHandshake,
  ServerJudge,
} from '../../src/runtime/eap/engine.js';
import type { Host } from '../../src/runtime/system/host.js';

/*
 * An engine in place of TLS, for runs of very many bootstraps: flights as in TLS 1.3, keys by HMAC from a secret of the
 * CA that both ends know, and answers before the call returns. It gives no security.
 *
 *     peer                                server
 *     HELLO nonce                   ->
 *                                   <-    HELLO nonce, name, proof
 *     CERTIFICATE, proof            ->
 *                                   <-    COMMIT 0x00, proof
 */
const HELLO = 1;
const CERTIFICATE = 2;
const COMMIT = 3;
const NONCE = 32;
const PROOF = 32;
const ALERT_RECORD = 21;
const OPAQUE_RECORD = 23;
const VERSION = 'TLSv1.3';

export interface StandInCertificate {
  /** Names as in VerifiedPeer.peerIds. */
  readonly names: readonly string[];
  readonly serial: string;
  /** Milliseconds since 1970, UTC. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A CA that issues and revokes certificates and has the secret for all proofs. */
export class StandInAuthority {
  readonly id: string;
  readonly #secret: Uint8Array;
  #last = 0;
  /** Serial numbers; each CRL is a new set. */
  revoked: ReadonlySet<string> = new Set();

  constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.id = toHex(this.prove('id').subarray(0, 8));
  }

  issue(names: readonly string[], notBefore = 0, notAfter = Date.UTC(2100, 0, 1)): StandInCertificate {
    this.#last += 1;
    return { names, serial: this.#last.toString(16), notBefore, notAfter };
  }

  /** Issues a new CRL, which servers load when they reload. */
  revoke(serial: string): void {
    this.revoked = new Set([...this.revoked, serial]);
  }

  prove(what: string, ...parts: readonly Uint8Array[]): Uint8Array {
    return this.#mac('sha256', what, parts);
  }

  /** The caller owns the keys. */
  keys(nonces: Uint8Array): EapKeys {
    const key = (what: string) => Secret.take(this.#mac('sha512', what, [nonces]));
    const sessionId = concat(Uint8Array.of(13), this.#mac('sha512', 'session', [nonces]));
    return { msk: key('msk'), emsk: key('emsk'), sessionId };
  }

  #mac(hash: string, what: string, parts: readonly Uint8Array[]): Uint8Array {
    const mac = createHmac(hash, this.#secret).update(what);
    for (const part of parts) mac.update(part);
    return new Uint8Array(mac.digest());
  }
}

/** Flights are TLS records, so that the server's search for certificates skips them. */
function record(kind: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(Uint8Array.of(kind), ...parts);
  return new Writer(body.length + 5).u8(OPAQUE_RECORD).u16(0x0303).u16(body.length).bytes(body).finish();
}

/** The content of a record of this kind; undefined for any other. */
function bodyOf(flight: Uint8Array, kind: number): Reader | undefined {
  return flight[0] === OPAQUE_RECORD && flight[5] === kind ? new Reader(flight.slice(6)) : undefined;
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (octets: Uint8Array) => JSON.parse(new TextDecoder().decode(octets)) as unknown;

export interface StandInPeerOptions {
  readonly authority: StandInAuthority;
  /** Called for each run. */
  readonly certificate: () => StandInCertificate;
  /** The server must have this name or one below it. */
  readonly serverName: string;
  readonly host: Host;
}

export class StandInPeer implements PeerCredentials {
  readonly #options: StandInPeerOptions;

  constructor(options: StandInPeerOptions) {
    this.#options = options;
  }

  open(): PeerHandshake {
    return new StandInPeerHandshake(this.#options);
  }
}

class StandInPeerHandshake implements PeerHandshake {
  readonly #options: StandInPeerOptions;
  readonly #nonce: Uint8Array;
  #nonces: Uint8Array | undefined;

  constructor(options: StandInPeerOptions) {
    this.#options = options;
    this.#nonce = options.host.random(NONCE);
  }

  exchange(flight: Uint8Array, answer: (answer: PeerEngineAnswer) => void): void {
    answer(this.#answer(flight));
  }

  finish(): EapKeys {
    if (!this.#nonces) throw new Error('finish before the handshake is complete');
    return this.#options.authority.keys(this.#nonces);
  }

  forget(): void {
    // There are no tickets.
  }

  close(): void {
    // Nothing to release.
  }

  destroy(): void {
    // Nothing to release.
  }

  #answer(flight: Uint8Array): PeerEngineAnswer {
    const { authority, certificate, serverName } = this.#options;
    const none = { type: 'flight', applicationData: new Uint8Array(0), secured: undefined } as const;
    if (flight.length === 0) return { ...none, flight: record(HELLO, this.#nonce) };
    if (!this.#nonces) {
      const hello = bodyOf(flight, HELLO);
      if (!hello) return failed('tls-alert', 'no hello');
      const nonce = hello.bytes(NONCE);
      const proof = hello.bytes(PROOF);
      const name = hello.rest();
      if (!equalOctets(proof, authority.prove('server', this.#nonce, nonce, name))) {
        return failed('server-certificate', 'other-ca');
      }
      const own = new TextDecoder().decode(name);
      if (own !== serverName && !own.endsWith(`.${serverName}`)) return failed('server-name', own);
      this.#nonces = concat(this.#nonce, nonce);
      const shown = encode(certificate());
      const reply = record(CERTIFICATE, authority.prove('client', this.#nonces, shown), shown);
      return { ...none, flight: reply, secured: { tlsVersion: VERSION, resumed: false } };
    }
    const commit = bodyOf(flight, COMMIT);
    const proof = commit?.bytes(PROOF);
    const said = commit?.rest() ?? new Uint8Array(0);
    if (!proof || !equalOctets(proof, authority.prove('commit', this.#nonces, said))) {
      return failed('tls-alert', 'no commitment');
    }
    const secured = { tlsVersion: VERSION, resumed: false };
    return { type: 'flight', flight: new Uint8Array(0), applicationData: said, secured };
  }
}

function failed(reason: PeerFailure, detail: string): PeerEngineAnswer {
  return { type: 'failed', reason, detail };
}

export interface StandInServerOptions {
  readonly authority: StandInAuthority;
  readonly name: string;
  readonly host: Host;
}

/** `O`: passed on by EapServer. */
export class StandInServer<O> implements ServerEngine<O> {
  readonly #options: StandInServerOptions;
  #revoked: ReadonlySet<string>;

  constructor(options: StandInServerOptions) {
    this.#options = options;
    this.#revoked = options.authority.revoked;
  }

  get judge(): ServerJudge {
    const { authority } = this.#options;
    const list = { serials: this.#revoked } as CertificateList;
    return {
      revocation: { inForce: () => [{ issuerId: authority.id, list }], unverified: [] },
      revokedIssuers: () => [],
    };
  }

  begin(): ServerHandshake {
    return new StandInServerHandshake(this.#options, () => this.#revoked);
  }

  /** Loads the newest CRL. */
  reload(): void {
    this.#revoked = this.#options.authority.revoked;
  }

  setTicketKey(): void {
    // There are no tickets.
  }

  close(): void {
    // Nothing to release.
  }
}

class StandInServerHandshake implements ServerHandshake {
  readonly #options: StandInServerOptions;
  readonly #revoked: () => ReadonlySet<string>;
  #nonces: Uint8Array | undefined;

  constructor(options: StandInServerOptions, revoked: () => ReadonlySet<string>) {
    this.#options = options;
    this.#revoked = revoked;
  }

  exchange(flight: Uint8Array, answer: (answer: ServerEngineAnswer) => void): void {
    answer(this.#answer(flight));
  }

  commit(applicationData: Uint8Array, answer: (answer: ServerEngineEnd) => void): void {
    const { authority } = this.#options;
    if (!this.#nonces) throw new Error('commit before the handshake is complete');
    const flight = record(COMMIT, authority.prove('commit', this.#nonces, applicationData), applicationData);
    answer({ type: 'finished', flight, keys: authority.keys(this.#nonces) });
  }

  destroy(): void {
    // Nothing to release.
  }

  #answer(flight: Uint8Array): ServerEngineAnswer {
    const { authority, name, host } = this.#options;
    if (flight[0] === ALERT_RECORD) return refused('tls-alert', `alert ${flight[6]}`);
    const hello = this.#nonces ? undefined : bodyOf(flight, HELLO);
    if (hello) {
      const nonce = host.random(NONCE);
      const own = new TextEncoder().encode(name);
      const theirs = hello.bytes(NONCE);
      this.#nonces = concat(theirs, nonce);
      return { type: 'flight', flight: record(HELLO, nonce, authority.prove('server', theirs, nonce, own), own) };
    }
    const shown = bodyOf(flight, CERTIFICATE);
    if (!shown || !this.#nonces) return refused('tls-alert', 'out of order');
    const proof = shown.bytes(PROOF);
    const octets = shown.rest();
    if (!equalOctets(proof, authority.prove('client', this.#nonces, octets))) return refused('other-ca', 'proof');
    return this.#judge(decode(octets) as StandInCertificate);
  }

  #judge({ names, serial, notBefore, notAfter }: StandInCertificate): ServerEngineAnswer {
    const { authority, host } = this.#options;
    const now = host.wall();
    if (now < notBefore) return refused('not-yet-valid', serial);
    if (now >= notAfter) return refused('expired', serial);
    if (this.#revoked().has(serial)) return refused('revoked', serial);
    const fingerprint256 = toHex(authority.prove('fingerprint', encode(serial)));
    const subject = names[0] ?? '';
    const known = { peerIds: names, dnsNames: [], serial, issuerId: authority.id, fingerprint256, notAfter, subject };
    const peer: VerifiedPeer = { ...known, path: [] };
    return { type: 'verified', peer, tlsVersion: VERSION, resumed: false, applicationData: 0 };
  }
}

function refused(reason: Refusal, detail: string): ServerEngineAnswer {
  return { type: 'failed', reason, detail };
}
