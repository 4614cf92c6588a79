import { writeSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LogOutput } from '../../../src/runtime/log/log-output.js';
import { Fifo } from '../system/fifo.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const lost = (count: number) => `lost ${count}\n`;

it('LogOutput writes lines at once and in order', () => {
  const fifo = new Fifo();
  const output = new LogOutput(fifo.writer, lost);
  output.write('one\n');
  output.write('two\n');
  expect(fifo.read()).toBe('one\ntwo\n');
});

it('LogOutput buffers lines for a slow reader, in order and complete', () => {
  const fifo = new Fifo();
  const output = new LogOutput(fifo.writer, lost);
  const filled = fifo.fill();
  const lines = Array.from({ length: 3000 }, (_, i) => `line ${i} ${'x'.repeat(100)}\n`);
  for (const line of lines) output.write(line);
  let text = fifo.read().slice(filled);
  while (text.length < lines.join('').length) {
    vi.advanceTimersByTime(100);
    const more = fifo.read();
    expect(more).not.toBe('');
    text += more;
  }
  expect(text).toBe(lines.join(''));
});

it('LogOutput drops lines when its buffer is full and reports how many', () => {
  const fifo = new Fifo();
  const output = new LogOutput(fifo.writer, lost);
  const filled = fifo.fill();
  const total = 20_000;
  for (let i = 0; i < total; i += 1) output.write(`line ${String(i).padStart(5, '0')} ${'x'.repeat(100)}\n`);
  let text = '';
  for (let more = fifo.read().slice(filled); more !== '' || text === ''; more = fifo.read()) {
    text += more;
    vi.advanceTimersByTime(100);
  }
  const kept = text.split('\n').length - 1;
  expect(kept).toBeGreaterThan(5_000);
  expect(kept).toBeLessThan(total);
  output.write('after\n');
  expect(fifo.read()).toBe(`lost ${total - kept}\nafter\n`);
});

it('LogOutput drops lines on a full disk and reports how many once there is space', () => {
  const fifo = new Fifo();
  let full = true;
  const output = new LogOutput(fifo.writer, lost, (descriptor, octets) => {
    if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    return writeSync(descriptor, octets);
  });
  for (let i = 0; i < 10; i += 1) output.write('line\n');
  full = false;
  output.write('after\n');
  output.write('later\n');
  expect(fifo.read()).toBe('lost 10\nafter\nlater\n');
});
