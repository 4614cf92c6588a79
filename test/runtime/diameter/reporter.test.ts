import { type Level, pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { STA } from '../../../src/protocol/diameter/wire/commands.js';
import type { DiameterEvent } from '../../../src/runtime/diameter/node.js';
import { diameterReporter } from '../../../src/runtime/diameter/reporter.js';
import { Metrics } from '../../../src/runtime/service/metrics.js';
import { der, grammarian } from '../../protocol/diameter/messages.js';
import { VirtualHost } from '../../virtual-host.js';

const PEER = 'paa.example';
const DEBUG = pino.levels.values['debug'];
const INFO = pino.levels.values['info'];
const WARN = pino.levels.values['warn'];

let host: VirtualHost;
let metrics: Metrics;
let lines: Record<string, unknown>[];

beforeEach(() => {
  host = new VirtualHost();
  metrics = new Metrics('pana');
  lines = [];
});

/** A reporter that logs messages at debug, for a log with this level. */
function reporter(level: Level = 'debug', session: 'session' | 'diameterSession' = 'session') {
  const write = (text: string) => void lines.push(JSON.parse(text) as Record<string, unknown>);
  const report = diameterReporter(pino({ level, base: {}, timestamp: false }, { write }), metrics, session, host);
  return (event: DiameterEvent) => report(event, grammarian);
}

describe('diameterReporter', () => {
  it.each<[DiameterEvent, object]>([
    [
      { type: 'peerOpen', peer: PEER, capabilities: { productName: 'radius' } as never },
      { level: INFO, peer: PEER, product: 'radius', msg: 'peer connected' },
    ],
    [
      { type: 'peerClosed', peer: PEER, reason: 'watchdog' },
      { level: WARN, peer: PEER, reason: 'watchdog', msg: 'peer disconnected' },
    ],
    [
      { type: 'peerSuspected', peer: PEER },
      { level: WARN, peer: PEER, msg: 'peer suspected' },
    ],
    [
      { type: 'peerTrusted', peer: PEER },
      { level: WARN, peer: PEER, msg: 'peer recovered' },
    ],
    [
      { type: 'failedOver', peer: PEER, to: 'b.example' },
      { level: WARN, peer: PEER, toPeer: 'b.example', msg: 'request failed over' },
    ],
    [
      { type: 'duplicate', peer: PEER },
      { level: DEBUG, peer: PEER, msg: 'duplicate request answered' },
    ],
    [
      { type: 'dropped', peer: PEER, code: 'unknown-answer' },
      { level: DEBUG, peer: PEER, reason: 'unknown-answer', msg: 'message dropped' },
    ],
  ])('logs the event $type', (event, line) => {
    reporter()(event);
    expect(lines).toEqual([line]);
  });

  it('counts failovers, duplicates, dropped messages and refused peers', async () => {
    const report = reporter('info');
    report({ type: 'failedOver', peer: PEER, to: 'b.example' });
    report({ type: 'duplicate', peer: PEER });
    report({ type: 'dropped', peer: PEER, code: 'unknown-answer' });
    report({ type: 'peerRefused', peer: PEER, address: '192.0.2.1', code: 'unknown-peer' });
    expect(await metrics.counters()).toEqual({
      failovers: 1,
      duplicates: 1,
      'diameter_dropped{code=unknown-answer}': 1,
      'diameter_dropped{code=unknown-peer}': 1,
    });
  });
});

describe('diameterReporter logs a message', () => {
  const message = der(PEER);
  const sta = grammarian.message(STA, 5, {
    'Session-Id': 's;1',
    'Result-Code': 2001,
    'Origin-Host': 'aaa.example',
    'Origin-Realm': 'example',
  });

  it('with its command, Session-Id and Result-Code', () => {
    const report = reporter();
    report({ type: 'message', direction: 'in', peer: PEER, message });
    report({ type: 'message', direction: 'out', peer: PEER, message: sta });
    report({ type: 'message', direction: 'in', peer: PEER, message: { ...message, commandCode: 999, avps: [] } });
    expect(lines).toEqual([
      { level: DEBUG, peer: PEER, message: 'DER', session: `${PEER};1;1`, msg: 'message received' },
      { level: DEBUG, peer: PEER, message: 'STA', session: 's;1', resultCode: 'SUCCESS', msg: 'message sent' },
      { level: DEBUG, peer: PEER, message: 'command 999', msg: 'message received' },
    ]);
  });

  it('of a PAA, whose log has PANA sessions, with its Session-Id in diameterSession', () => {
    reporter('debug', 'diameterSession')({ type: 'message', direction: 'in', peer: PEER, message });
    expect(lines).toMatchObject([{ diameterSession: `${PEER};1;1` }]);
    expect(lines[0]).not.toHaveProperty('session');
  });

  it('only at its level', () => {
    reporter('info')({ type: 'message', direction: 'in', peer: PEER, message });
    expect(lines).toEqual([]);
  });
});

describe('diameterReporter warns of a refused peer', () => {
  const refused = (code: string, peer: string | undefined = PEER) =>
    ({ type: 'peerRefused', peer, address: '192.0.2.1', code }) as const;

  it('from an unlisted address, and explains what to do about it', () => {
    reporter()(refused('peer-address'));
    const detail = expect.stringContaining('add it to from');
    expect(lines).toEqual([
      { level: WARN, peer: PEER, address: '192.0.2.1', reason: 'peer-address', detail, msg: 'peer refused' },
    ]);
  });

  it('once a minute for each configured peer', () => {
    const report = reporter();
    const levelOf = (event: DiameterEvent) => {
      report(event);
      return lines.at(-1)?.['level'];
    };
    expect(levelOf(refused('no-certificate'))).toBe(WARN);
    host.advance(59_999);
    expect(levelOf(refused('no-certificate'))).toBe(DEBUG);
    expect(levelOf(refused('no-certificate', 'b.example'))).toBe(WARN);
    host.advance(1);
    expect(levelOf(refused('no-certificate'))).toBe(WARN);
  });

  it('once a minute for all unknown peers, of which each can claim a new name', () => {
    const report = reporter();
    report(refused('unknown-peer', 'a.example'));
    report(refused('unknown-peer', 'b.example'));
    expect(lines).toMatchObject([
      { level: WARN, peer: 'a.example', address: '192.0.2.1', detail: expect.stringContaining('does not list') },
      { level: DEBUG, peer: 'b.example' },
    ]);
    host.advance(60_000);
    report(refused('unknown-peer', 'c.example'));
    expect(lines.at(-1)).toMatchObject({ level: WARN, peer: 'c.example' });
  });
});
