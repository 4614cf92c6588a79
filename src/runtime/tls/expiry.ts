import { X509Certificate } from 'node:crypto';
import type { Logger } from '../log/events.js';
import type { Metrics } from '../service/metrics.js';
import { type CancelTimer, every, type Host } from '../system/host.js';

/** Milliseconds in a day. */
const DAY = 86_400_000;

/** Days before the end at which a notice is logged, each more urgent than the last. */
const NOTICES = [1, 7, 30] as const;

/**
 * Nothing is logged while more than this share of the validity is left, so that a monthly CRL causes no notice on its
 * first day.
 */
const EARLIEST = 1 / 3;

/** How often ends are checked, and how often the same notice is repeated, in milliseconds. */
const LOOK_INTERVAL = 3_600_000;
const LOG_INTERVAL = DAY;

/** A credential in use, with its validity in milliseconds since 1970, UTC. */
export interface Dated {
  /** The configuration key, such as `tls.crl`. */
  readonly key: string;
  readonly file: string;
  /** The subject of the certificate, or the issuer of the CRL. */
  readonly subject: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The notice level: days of NOTICES; 0: expired. */
export type Nearness = 0 | (typeof NOTICES)[number];

export interface Notice extends Dated {
  readonly nearness: Nearness;
  /** Whole days left; negative after the end. */
  readonly days: number;
}

/** The certificates of a PEM text, with their validity. */
export function datedCertificates(key: string, file: string, pem: string): Dated[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const { subject, validFrom, validTo } = new X509Certificate(block);
    return {
      key,
      file,
      subject: subject?.replaceAll('\n', ', ') ?? '',
      notBefore: Date.parse(validFrom),
      notAfter: Date.parse(validTo),
    };
  });
}

/** Notices of credentials that expire soon or have expired. */
export function notices(dated: readonly Dated[], now: number): Notice[] {
  return dated.flatMap((one) => {
    const nearness = nearnessOf(one, now);
    return nearness === undefined ? [] : [{ ...one, nearness, days: Math.floor((one.notAfter - now) / DAY) }];
  });
}

function nearnessOf({ notBefore, notAfter }: Dated, now: number): Nearness | undefined {
  const left = notAfter - now;
  if (left <= 0) return 0;
  const latest = (notAfter - notBefore) * EARLIEST;
  return NOTICES.find((days) => left <= days * DAY && left <= latest);
}

/** Formats a notice as one line. */
export function noticeText({ key, file, subject, days, notAfter, nearness }: Notice): string {
  const end = new Date(notAfter).toISOString();
  const when = days === 0 ? 'in less than a day' : `in ${days} day${days === 1 ? '' : 's'}`;
  return `${key}: ${file} (${subject}) ${nearness === 0 ? `has expired: ${end}` : `expires ${when}: ${end}`}`;
}

/** `8 days, until 2026-12-04`, or `expired since …`. `end`: seconds since 1970. */
export function validityText(end: number, now: number): string {
  const date = new Date(end * 1000).toISOString().slice(0, 10);
  const days = Math.floor((end * 1000 - now) / DAY);
  return days < 0 ? `expired since ${date}` : `${days} ${days === 1 ? 'day' : 'days'}, until ${date}`;
}

/** The next end of each configuration key, in seconds since 1970. If all have expired, the last end. */
export function nextEnds(dated: readonly Dated[], now: number): Map<string, number> {
  const ends = new Map<string, number>();
  for (const key of new Set(dated.map((one) => one.key))) {
    const all = dated.filter((one) => one.key === key).map(({ notAfter }) => notAfter);
    const coming = all.filter((notAfter) => notAfter > now);
    ends.set(key, Math.floor((coming.length > 0 ? Math.min(...coming) : Math.max(...all)) / 1000));
  }
  return ends;
}

/** Whether the bundle has another CA that is valid longer. */
function hasLater({ key, notAfter }: Dated, dated: readonly Dated[]): boolean {
  return key.endsWith('.ca') && dated.some((other) => other.key === key && other.notAfter > notAfter);
}

/** Logs credentials that expire soon or have expired: at once, then once a day, and at each level of NOTICES. */
export class ExpiryWatch {
  readonly #log: Logger;
  readonly #dated: () => readonly Dated[];
  readonly #said = new Map<string, { readonly nearness: Nearness; readonly at: number }>();
  readonly #host: Host;
  readonly #cancel: CancelTimer;
  #last: readonly Dated[] = [];

  /** `dated` returns the credentials in use; called at each check. */
  constructor(log: Logger, metrics: Metrics, host: Host, dated: () => readonly Dated[]) {
    this.#host = host;
    this.#log = log;
    this.#dated = dated;
    metrics.gauges(
      'expiry_timestamp_seconds',
      'Next expiry of the certificates, CAs and CRLs in use, by configuration key',
      ['key'],
      () => [...nextEnds(this.#last, host.wall())].map(([key, value]) => ({ labels: { key }, value })),
    );
    this.#cancel = every(host, LOOK_INTERVAL, () => this.look(), false);
  }

  look(now = this.#host.wall()): void {
    const current = new Set<string>();
    const dated = this.#dated();
    this.#last = dated;
    for (const one of notices(dated, now)) {
      const { key, file, subject, nearness, days, notAfter } = one;
      const name = `${key} ${file} ${subject} ${notAfter}`;
      current.add(name);
      const said = this.#said.get(name);
      if (said && said.nearness === nearness && now - said.at < LOG_INTERVAL) continue;
      this.#said.set(name, { nearness, at: now });
      const level = nearness <= 1 && !hasLater(one, dated) ? 'error' : 'warn';
      const fields = { option: key, file, credential: subject, days, until: new Date(notAfter).toISOString() };
      this.#log[level](fields, nearness === 0 ? 'credential expired' : 'credential expiring');
    }
    for (const name of this.#said.keys()) if (!current.has(name)) this.#said.delete(name);
  }

  stop(): void {
    this.#cancel();
  }
}
