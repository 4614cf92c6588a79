import { describe, expect, it } from 'vitest';
import { DAY, makeCa } from '../../../src/pki/certificate-authority.js';
import type { Logger } from '../../../src/runtime/log/events.js';
import { Metrics } from '../../../src/runtime/service/metrics.js';
import {
  type Dated,
  datedCertificates,
  ExpiryWatch,
  nextEnds,
  notices,
  noticeText,
} from '../../../src/runtime/tls/expiry.js';
import { VirtualHost } from '../../virtual-host.js';

const NOW = Date.UTC(2026, 0, 1);

/** A credential with this validity in days, of which `left` are left. */
function dated(left: number, validity = 365, more: Partial<Dated> = {}): Dated {
  const notAfter = NOW + left * DAY;
  return {
    key: 'tls.certificate',
    file: 'a.pem',
    subject: 'CN=a',
    notBefore: notAfter - validity * DAY,
    notAfter,
    ...more,
  };
}

describe('Expiry of credentials', () => {
  it.each<[number, number, number | undefined]>([
    [31, 365, undefined],
    [30, 365, 30],
    [7.1, 365, 30],
    [7, 365, 7],
    [1, 365, 1],
    [0.01, 365, 1],
    [1 / DAY, 365, 1],
    [0, 365, 0],
    [-5, 365, 0],
    // A CRL valid for 30 days is not reported on its first day, nor one valid for a day all the time.
    [30, 30, undefined],
    [10, 30, 30],
    [5, 30, 7],
    [0.9, 1, undefined],
    [0.3, 1, 1],
  ])('is reported when it is near: %d days left of %d', (left, validity, nearness) => {
    expect(notices([dated(left, validity)], NOW).map((notice) => notice.nearness)).toEqual(
      nearness === undefined ? [] : [nearness],
    );
  });

  it('is reported with key, file, subject and days', () => {
    const text = (left: number) => notices([dated(left)], NOW).map(noticeText);
    expect(text(6.5)).toEqual(['tls.certificate: a.pem (CN=a) expires in 6 days: 2026-01-07T12:00:00.000Z']);
    expect(text(1)).toEqual(['tls.certificate: a.pem (CN=a) expires in 1 day: 2026-01-02T00:00:00.000Z']);
    expect(text(0.5)).toEqual(['tls.certificate: a.pem (CN=a) expires in less than a day: 2026-01-01T12:00:00.000Z']);
    expect(text(-1)).toEqual(['tls.certificate: a.pem (CN=a) has expired: 2025-12-31T00:00:00.000Z']);
  });

  it('is checked for each certificate of a bundle', async () => {
    const [one, two] = await Promise.all(
      ['one', 'two'].map((name, i) =>
        makeCa(name, 'p256', { notBefore: new Date(NOW), notAfter: new Date(NOW + (i + 1) * DAY) }),
      ),
    );
    const bundle = datedCertificates('tls.ca', 'ca.pem', `${one?.certificatePem}${two?.certificatePem}`);
    expect(bundle).toMatchObject([
      { key: 'tls.ca', file: 'ca.pem', subject: 'CN=one', notBefore: NOW, notAfter: NOW + DAY },
      { subject: 'CN=two', notAfter: NOW + 2 * DAY },
    ]);
    // An expired CA does not hide the date on which another one expires next.
    expect(nextEnds(bundle, NOW + 1.5 * DAY).get('tls.ca')).toBe((NOW + 2 * DAY) / 1000);
    expect(nextEnds(bundle, NOW).get('tls.ca')).toBe((NOW + DAY) / 1000);
    expect(nextEnds(bundle, NOW + 9 * DAY).get('tls.ca')).toBe((NOW + 2 * DAY) / 1000);
  });
});

describe('ExpiryWatch', () => {
  it('logs an expiry once a day and when it has come nearer', async () => {
    const host = new VirtualHost(undefined, NOW);
    const lines: string[] = [];
    const write = (level: string) => (fields: Record<string, unknown>, message: string) =>
      lines.push(`${level} ${fields['option']} ${fields['days']} ${message}`);
    const log = { warn: write('warn'), error: write('error') } as unknown as Logger;
    const used = [dated(31), dated(100, 365, { key: 'tls.crl' })];
    const metrics = new Metrics('x');
    const watch = new ExpiryWatch(log, metrics, host, () => used);
    watch.look();
    expect(lines).toEqual([]);
    expect(await metrics.text()).toContain(
      `x_expiry_timestamp_seconds{key="tls.certificate"} ${(NOW + 31 * DAY) / 1000}`,
    );
    host.advance(2 * DAY);
    expect(lines).toEqual([
      'warn tls.certificate 30 credential expiring',
      'warn tls.certificate 29 credential expiring',
    ]);
    host.advance(27 * DAY);
    const days = lines.map((line) => Number(line.split(' ')[2]));
    expect(days.slice(0, 3)).toEqual([30, 29, 28]);
    expect(lines).toContain('warn tls.certificate 7 credential expiring');
    lines.length = 0;
    host.advance(4 * DAY);
    expect(lines).toContain('error tls.certificate 1 credential expiring');
    expect(lines.at(-1)).toMatch(/^error tls.certificate -\d credential expired$/);
    lines.length = 0;
    // Renewed.
    used.splice(0, 1, dated(500));
    host.advance(3 * DAY);
    expect(lines).toEqual([]);
    watch.stop();
  });
});
