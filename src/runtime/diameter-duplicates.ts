import { createHash } from 'node:crypto';
import { answerTo } from '../protocol/diameter/answers.js';
import type { DiameterMessage } from '../protocol/diameter/codec.js';
import { AVPS } from '../protocol/diameter/dictionary.js';
import type { Grammarian } from '../protocol/diameter/grammar.js';

/** How long an answer is kept, in milliseconds: End-to-End Identifiers are unique for four minutes (RFC 6733 3). */
export const DUPLICATE_TIME = 240_000;

/** Answers kept at once; the oldest go first. */
export const MAX_DUPLICATES = 16_384;

/** AVPs that agents add on the way. */
const OF_AGENTS: ReadonlySet<number> = new Set([AVPS['Proxy-Info'].code, AVPS['Route-Record'].code]);

interface Kept {
  readonly until: number;
  readonly answer: Promise<DiameterMessage>;
}

/**
 * Answers by Origin-Host and End-to-End Identifier (RFC 6733 3, 5.5.4): a request that comes again, over another
 * connection or agent, gets the same answer and changes nothing.
 */
export class DuplicateCache {
  readonly #grammarian: Grammarian;
  readonly #kept = new Map<string, Kept>();

  constructor(grammarian: Grammarian) {
    this.#grammarian = grammarian;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The answer to a request that was here before, as an answer to this copy; undefined if it was not. */
  find(request: DiameterMessage, now: number): Promise<DiameterMessage> | undefined {
    const kept = this.#kept.get(this.#keyOf(request) ?? '');
    if (!kept || kept.until <= now) return undefined;
    return kept.answer.then((answer) => {
      const own = answer.avps.filter(({ code }) => code !== AVPS['Proxy-Info'].code);
      return { ...answerTo(request, own), flags: answer.flags };
    });
  }

  /** Keeps the answer that is being made; one that fails is forgotten. */
  keep(request: DiameterMessage, answer: Promise<DiameterMessage>, now: number): void {
    const key = this.#keyOf(request);
    if (key === undefined) return;
    this.#forgetOld(now);
    this.#kept.set(key, { until: now + DUPLICATE_TIME, answer });
    answer.catch(() => this.#kept.delete(key));
  }

  clear(): void {
    for (const [key, { answer }] of this.#kept) this.#forget(key, answer);
  }

  #forgetOld(now: number): void {
    for (const [key, { until, answer }] of this.#kept) {
      if (until > now && this.#kept.size < MAX_DUPLICATES) return;
      this.#forget(key, answer);
    }
  }

  /** Keys in answers are overwritten. */
  #forget(key: string, answer: Promise<DiameterMessage>): void {
    this.#kept.delete(key);
    void answer.then(
      ({ avps }) => {
        for (const { code, data } of avps) if (code === AVPS['EAP-Master-Session-Key'].code) data.fill(0);
      },
      () => undefined,
    );
  }

  /** A peer that gives one identifier to two requests is not believed: what agents do not change has to agree, too. */
  #keyOf({ endToEnd, commandCode, avps }: DiameterMessage): string | undefined {
    const origin = this.#grammarian.find(avps, 'Origin-Host')?.toLowerCase();
    if (origin === undefined) return undefined;
    const hash = createHash('sha1');
    for (const { code, flags, vendorId = 0, data } of avps) {
      if (!OF_AGENTS.has(code)) hash.update(`${code} ${flags} ${vendorId} ${data.length} `).update(data);
    }
    return `${origin} ${endToEnd} ${commandCode} ${hash.digest('base64')}`;
  }
}
