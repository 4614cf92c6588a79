import { expect, it } from 'vitest';
import { Live } from '../../../src/runtime/web/live.js';
import { Picture } from '../../../src/runtime/web/picture.js';
import { VirtualHost } from '../../virtual-host.js';
import { event } from './fed-event.js';

const ignore = () => undefined;

/** The end of a connection to a page, and what was written to it. */
class Reader {
  readonly written: string[] = [];
  writableLength = 0;
  isReading = true;
  readonly writeHead = ignore;
  readonly flushHeaders = ignore;
  readonly once = ignore;

  write(text: string): void {
    this.written.push(text);
    this.writableLength += text.length;
  }

  /** What was written since the last call. A page that reads has read it then. */
  take(): string[] {
    if (this.isReading) this.writableLength = 0;
    return this.written.splice(0);
  }
}

function opened(count: number, rows: number) {
  const host = new VirtualHost();
  const picture = new Picture('pana-paa');
  picture.replace(
    'sessions',
    Array.from({ length: rows }, (_, i) => [String(i), { nai: `mn${i}@${'x'.repeat(250)}`, state: 'OPEN' }]),
  );
  const live = new Live(picture, host, ignore, ignore);
  const readers = Array.from({ length: count }, () => new Reader());
  for (const reader of readers) live.open(reader as never, 'login');
  return { host, picture, readers };
}

it('sends the state of ten thousand sessions to several pages in small messages, a few at a time', () => {
  const { host, readers } = opened(8, 10_000);
  const seen = readers.map(() => '');
  let ticks = 0;
  while (seen.some((text) => !text.includes('"mn9999@'))) {
    host.advance(100);
    ticks += 1;
    const now = readers.map((reader) => reader.take());
    expect(now.flat().length).toBeLessThanOrEqual(4);
    for (const text of now.flat()) expect(text.length).toBeLessThan(256 * 1024);
    now.forEach((texts, i) => {
      seen[i] += texts.join('');
    });
    expect(ticks).toBeLessThan(60);
  }
  // Every page has come as far as the others all the time, and is complete.
  for (const text of seen) expect(text.match(/"mn\d+@/g)?.length).toBe(10_000);
});

it('keeps no more than half a megabyte for a page that never reads, and sends changes to the others', () => {
  const { host, picture, readers } = opened(2, 100_000);
  const [deaf, other] = readers;
  if (!deaf || !other) throw new Error('no pages');
  deaf.isReading = false;
  for (let i = 0; i < 300; i += 1) {
    for (let k = 0; k < 100; k += 1) picture.handle(event(i, 'hook output', { line: `line ${i} ${'x'.repeat(300)}` }));
    host.advance(100);
    expect(deaf.writableLength).toBeLessThan(512 * 1024);
    expect(other.take().join('')).toContain(`"line ${i} `);
    deaf.take();
  }
  // It reads again: the whole state comes, from the beginning.
  deaf.isReading = true;
  deaf.take();
  host.advance(100);
  expect(deaf.take()[0]).toContain('event: snapshot');
});

it('sends a page that does not read the beginning of the state only', () => {
  const { host, readers } = opened(1, 100_000);
  const [deaf] = readers;
  if (!deaf) throw new Error('no page');
  deaf.isReading = false;
  for (let i = 0; i < 300; i += 1) host.advance(100);
  expect(deaf.writableLength).toBeLessThan(512 * 1024);
  expect(deaf.writableLength).toBeGreaterThan(128 * 1024);
});
