import { fromHex } from '../../protocol/bytes/octets.js';
import { Secret } from '../../protocol/bytes/secret.js';
import { INTEGRITY_ALGORITHMS } from '../../protocol/pana/wire/algorithms.js';
import type { PanaMessage } from '../../protocol/pana/wire/codec.js';
import { AVPS } from '../../protocol/pana/wire/dictionary.js';
import { type Protection, verifyAuth } from '../../protocol/pana/wire/keys.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { KEY_LINE } from '../../runtime/tls/key-log.js';

interface Known {
  readonly keyId: number;
  readonly protection: Protection;
}

export interface Judgement {
  readonly right: boolean;
  readonly text: string;
}

/** The PANA_AUTH_KEYs of a key file, by session. */
export class SessionKeys {
  readonly #keys = new Map<number, Known[]>();

  /** Throws OperatorError with file and line if the text is not a key file. */
  static read(text: string, file: string): SessionKeys {
    const keys = new SessionKeys();
    for (const [i, raw] of text.split('\n').entries()) {
      const line = raw.trim();
      if (line === '' || line.startsWith('#')) continue;
      const [, session, keyId, integrity, key] =
        /^(?:PANA_AUTH_KEY) ([0-9a-f]{8}) ([0-9a-f]{8}) (\d+) ((?:[0-9a-f]{2})+)$/.exec(line) ?? [];
      const algorithm = INTEGRITY_ALGORITHMS.get(Number(integrity));
      if (session === undefined || keyId === undefined || key === undefined || !algorithm) {
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
