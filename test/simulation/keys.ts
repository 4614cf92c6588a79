import { createHash } from 'node:crypto';
import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import type { LogLine } from './machine.js';

/** The PANA_AUTH_KEY of one end of a session, as a hash. */
interface KnownKey {
  readonly keyId: number;
  readonly hash: string;
}

/**
 * Compares the PANA_AUTH_KEYs of both ends whenever one of them logs that the session is authorized. Daemons pass their keys as
 * for the file of `key-log`; only hashes are kept.
 */
export class SessionKeys {
  /** The last key of a session, by kind of machine and number. */
  readonly #last = new Map<string, KnownKey>();

  /** Wipes the key. */
  derived(machine: string, { sessionId, keyId, key }: SessionKey): void {
    const hash = key.use((octets) => createHash('sha256').update(octets).digest('base64'));
    key.wipe();
    this.#last.set(nameOf(machine, sessionId.toString(16).padStart(8, '0')), { keyId, hash });
  }

  /** The difference between the keys of the session that this line reports as authorized; undefined: none. */
  logged({ machine, message, fields }: LogLine): string | undefined {
    if (message !== 'session authorized' && message !== 'session reauthenticated') return undefined;
    const session = String(fields.session);
    const [node, paa] = ['mn', 'paa'].map((kind) => this.#last.get(nameOf(kind, session)));
    if (!node || !paa) return `${machine} opens ${session}, for which the ${node ? 'PAA' : 'node'} has no key`;
    if (node.keyId !== paa.keyId) return `${session} has key ${node.keyId} at its node, and ${paa.keyId} at its PAA`;
    return node.hash === paa.hash ? undefined : `${session} has two PANA_AUTH_KEYs with the Key-Id ${node.keyId}`;
  }
}

const nameOf = (machine: string, session: string) => `${machine.startsWith('mn') ? 'node' : 'paa'} ${session}`;
