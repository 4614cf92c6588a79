import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { importSubscribers } from '../../../src/aaa/commands/subscriber-import.js';
import { type RunningServer, runningServer } from './running-server.js';

let server: RunningServer;
let file: string;
let printed: string;

beforeEach(async () => {
  server = await runningServer();
  file = join(server.folder, 'subscribers.csv');
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.stop();
});

async function importing(rows: string, more: object = {}): Promise<void> {
  await writeFile(file, `nai\n${rows}`);
  await importSubscribers({ file, ...server.flags, ...more });
}

async function subscribers(): Promise<string[]> {
  return (await server.store.run('listSubscribers', {})).items.map(({ nai }) => nai);
}

describe('subscriber import', () => {
  it('adds every subscriber of a valid file', async () => {
    await importing('a@home.example\nb@home.example\n');
    expect(await subscribers()).toEqual(['a@home.example', 'b@home.example']);
    expect(printed).toContain(`Imported 2 subscribers from ${file}.`);
  });

  it('adds nothing if a line is invalid, and names the line', async () => {
    await expect(importing('a@home.example\nno name\n')).rejects.toThrow(
      /nothing was imported:\n.*subscribers\.csv:3: /,
    );
    expect(await subscribers()).toEqual([]);
    expect(printed).toBe('');
  });

  it('adds nothing with --dry-run', async () => {
    await importing('a@home.example\n', { 'dry-run': true });
    expect(await subscribers()).toEqual([]);
    expect(printed).toContain('is valid: 1 subscriber.');
  });

  it('fails if a subscriber exists, unless --update is given', async () => {
    await importing('a@home.example\n');
    await expect(importing('b@home.example\na@home.example\n')).rejects.toThrow('subscribers.csv:3: ');
    expect(await subscribers()).toEqual(['a@home.example']);
    await importing('b@home.example\na@home.example\n', { update: true });
    expect(await subscribers()).toEqual(['a@home.example', 'b@home.example']);
  });
});
