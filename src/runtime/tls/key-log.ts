import type { WriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { putHex, toHex } from '../../protocol/bytes/octets.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import { emskName, sealingKey } from '../../protocol/keys/kdf.js';
import type { SessionKey } from '../../protocol/pana/session/session.js';
import type { SealContext } from '../../protocol/pana/wire/sealed-assignment.js';
import type { Logger } from '../log/events.js';
import { StartError } from '../system/failure.js';

/**
 * First word of a line of a key file. Session, Key-Id, Integrity-Algorithm and key follow, all in hexadecimal except
 * Integrity-Algorithm.
 */
export const KEY_LINE = 'PANA_AUTH_KEY';

/**
 * First words of the lines with the keys of RFC 6786: that of messages of the PaC, and that of messages of the PAA. They
 * have Encryption-Algorithm in place of Integrity-Algorithm.
 */
export const ENCRYPTION_LINES = ['PANA_PAC_ENCR_KEY', 'PANA_PAA_ENCR_KEY'] as const;

/** First word of the line of a node for a sealed assignment. EMSKname, the requested capability and the key follow. */
export const SEALING_LINE = 'MIP6_SEALING_KEY';

/** Takes the keys of a daemon, and wipes them. */
export type KeySink = Pick<KeyLog, 'write' | 'writeSealing' | 'close'>;

/** Opens what the option `key-log` names. Rejects with the system's error. */
export type OpenKeyLog = (path: string) => Promise<KeySink>;

/** Warns at each start that keys are written. */
export function warnOfKeyLog(log: Logger, path: string): void {
  const reason = `key-log: keys of all sessions are written to ${path}; who reads it can read and forge their messages`;
  log.warn({ reason }, 'weak setting');
}

/** A file with the PANA keys of a daemon, for `pana-mip6 decode --keys`. Written only if configured, for labs. */
export class KeyLog {
  readonly #stream: WriteStream;

  private constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  /**
   * Opens a file for appending and creates it with mode 0600. Rejects with the system's error, or with StartError if others
   * can read it: in /tmp anyone can create the file first.
   */
  static async open(path: string): Promise<KeyLog> {
    const file = await open(path, 'a', 0o600);
    const { mode, uid } = await file.stat();
    const isOwn = uid === (process.geteuid?.() ?? uid) && (mode & 0o077) === 0;
    if (!isOwn) {
      await file.close();
      throw new StartError(`key-log: ${path} belongs to another user, or others may read it: remove it first`);
    }
    const stream = file.createWriteStream();
    // A write error is ignored: it affects only decoding of captures.
    stream.on('error', () => undefined);
    return new KeyLog(stream);
  }

  /** Writes keys and wipes them. */
  write({ sessionId, keyId, integrity, key, encryption }: SessionKey): void {
    const number = (value: number) => value.toString(16).padStart(8, '0');
    const place = `${number(sessionId)} ${number(keyId)}`;
    this.#line(`${KEY_LINE} ${place} ${integrity} `, key);
    if (!encryption) return;
    const [pac, paa] = ENCRYPTION_LINES;
    this.#line(`${pac} ${place} ${encryption.algorithm} `, encryption.pac);
    this.#line(`${paa} ${place} ${encryption.algorithm} `, encryption.paa);
  }

  /**
   * Writes the key of a sealed assignment, from which neither the EMSK nor the IKE key can be computed. The EMSK is only
   * read.
   */
  writeSealing({ emsk, sessionId, wish }: SealContext): void {
    const request = wish.toString(16).padStart(8, '0');
    this.#line(`${SEALING_LINE} ${toHex(emskName(sessionId))} ${request} `, sealingKey(emsk));
  }

  #line(text: string, key: Secret): void {
    const start = Buffer.from(text);
    const line = Buffer.allocUnsafeSlow(start.length + 2 * key.length + 1);
    line.set(start);
    key.use((octets) => putHex(octets, line, start.length));
    line[line.length - 1] = 0x0a;
    key.wipe();
    this.#stream.write(line, () => line.fill(0));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#stream.end(() => resolve());
    });
  }
}
