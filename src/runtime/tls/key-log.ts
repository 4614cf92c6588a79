import { createWriteStream, type WriteStream } from 'node:fs';
import { putHex } from '../../protocol/bytes/octets.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import type { SessionKey } from '../../protocol/pana/session/session.js';

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

/** Takes the PANA keys of a daemon, and wipes them. */
export type KeySink = Pick<KeyLog, 'write' | 'close'>;

/** Opens what the option `key-log` names. Rejects with the system's error. */
export type OpenKeyLog = (path: string) => Promise<KeySink>;

/** A file with the PANA keys of a daemon, for `pana-mip6 decode --keys`. Written only if configured, for labs. */
export class KeyLog {
  readonly #stream: WriteStream;

  private constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  /** Opens a file for appending and creates it with mode 0600. Rejects with the system's error. */
  static async open(path: string): Promise<KeyLog> {
    const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
    await new Promise<void>((resolve, reject) => {
      stream.once('open', () => resolve());
      stream.once('error', reject);
    });
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
