import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { fromHex } from '../../protocol/bytes/octets.js';
import { Secret } from '../../protocol/bytes/secret.js';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../protocol/pana/wire/algorithms.js';
import type { PanaAvp, PanaMessage } from '../../protocol/pana/wire/codec.js';
import { AVPS, readPana } from '../../protocol/pana/wire/dictionary.js';
import { openEncapsulation } from '../../protocol/pana/wire/encryption.js';
import { type Encryption, type Protection, verifyAuth } from '../../protocol/pana/wire/keys.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { ENCRYPTION_LINES, KEY_LINE } from '../../runtime/tls/key-log.js';
import { SealKeys } from './seals.js';

interface Known {
  readonly keyId: number;
  readonly protection: Protection;
}

export interface Judgement {
  readonly right: boolean;
  readonly text: string;
}

/** The AVPs of an Encryption-Encap, and the key that opens it. */
export interface Opened {
  readonly avps: readonly PanaAvp[];
  readonly text: string;
}

interface OneWay {
  readonly name: string;
  readonly encryption: Encryption;
}

/** The PANA keys of a key file, by session. */
export class SessionKeys {
  readonly #keys = new Map<number, Known[]>();
  readonly #encryption = new Map<number, OneWay[]>();
  /** Those of sealed assignments. */
  readonly seals = new SealKeys();

  /** Throws OperatorError with file and line if the text is not a key file. */
  static read(text: string, file: string): SessionKeys {
    const keys = new SessionKeys();
    for (const [i, raw] of text.split('\n').entries()) {
      const line = raw.trim();
      if (line === '' || line.startsWith('#') || keys.seals.take(line)) continue;
      const [, name = '', session, keyId, integrity, key] =
        /^(PANA_\w+) ([0-9a-f]{8}) ([0-9a-f]{8}) (\d+) ((?:[0-9a-f]{2})+)$/.exec(line) ?? [];
      const cipher = ENCRYPTION_LINES.some((each) => each === name) && ENCRYPTION_ALGORITHMS.get(Number(integrity));
      if (cipher && session && keyId && key?.length === 2 * cipher.keyLength) {
        keys.#addEncryption(Number.parseInt(session, 16), name, {
          algorithm: cipher,
          keyId: Number.parseInt(keyId, 16),
          sends: Secret.take(fromHex(key)),
          receives: Secret.take(fromHex(key)),
        });
        continue;
      }
      const algorithm = INTEGRITY_ALGORITHMS.get(Number(integrity));
      if (name !== KEY_LINE || !session || !keyId || !key || !algorithm) {
        throw new OperatorError(`${file}:${i + 1}: not a line "${KEY_LINE} SESSION KEY-ID INTEGRITY-ALGORITHM KEY"`);
      }
      const id = Number.parseInt(session, 16);
      const known = {
        keyId: Number.parseInt(keyId, 16),
        protection: { integrity: algorithm, key: Secret.take(fromHex(key)) },
      };
      keys.#keys.set(id, [...(keys.#keys.get(id) ?? []), known]);
    }
    return keys;
  }

  #addEncryption(sessionId: number, name: string, encryption: Encryption): void {
    this.#encryption.set(sessionId, [...(this.#encryption.get(sessionId) ?? []), { name, encryption }]);
  }

  /**
   * The content of Encryption-Encap; undefined: it has none, or no key makes a valid message of it. A message does not
   * say which end sent it.
   */
  open(message: PanaMessage, vendorId: number): Opened | undefined {
    const at = message.avps.findIndex(isEncapsulation);
    if (at < 0) return undefined;
    for (const { name, encryption } of this.#encryption.get(message.sessionId) ?? []) {
      const avps = openedBy(message, encryption, vendorId);
      if (!avps) continue;
      const end = at + 1 + avps.length - message.avps.length;
      const keyId = encryption.keyId.toString(16).padStart(8, '0');
      return { avps: avps.slice(at, end), text: `opened with ${name} 0x${keyId}` };
    }
    return undefined;
  }

  /** Whether a message's AUTH is valid; undefined if it has none. */
  judge(message: PanaMessage, octets: Uint8Array): Judgement | undefined {
    if (!message.avps.some((avp) => avp.code === AVPS.AUTH.code && avp.vendorId === undefined)) return undefined;
    const known = this.#keys.get(message.sessionId);
    if (!known) return { right: false, text: 'no key of this session is known' };
    const right = known.find(({ protection }) => verifyAuth(protection, octets));
    if (!right) return { right: false, text: 'WRONG' };
    return { right: true, text: `valid, with key 0x${right.keyId.toString(16).padStart(8, '0')}` };
  }
}

function isEncapsulation({ code, vendorId }: PanaAvp): boolean {
  return code === AVPS['Encryption-Encap'].code && vendorId === undefined;
}

function openedBy(message: PanaMessage, encryption: Encryption, vendorId: number): readonly PanaAvp[] | undefined {
  try {
    const avps = openEncapsulation(message, encryption, vendorId);
    return typeof avps === 'string' || typeof readPana({ ...message, avps }, vendorId) === 'string' ? undefined : avps;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
