import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eapPacketOf } from '../../../src/runtime/net/link-mtu.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'link-mtu-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('eapPacketOf', () => {
  it.each([
    ['65536', 1400],
    ['1500', 1400],
    ['1492', 1392],
    ['1280', 1180],
    ['1279', 1100],
    ['', 1100],
    ['no number', 1100],
  ])('fits EAP packets into an MTU of "%s"', (mtu, octets) => {
    mkdirSync(join(folder, 'eth0'), { recursive: true });
    writeFileSync(join(folder, 'eth0', 'mtu'), `${mtu}\n`);
    expect(eapPacketOf('eth0', folder)).toBe(octets);
  });

  it('uses the small size if the interface is unknown', () => {
    expect([eapPacketOf(undefined, folder), eapPacketOf('eth1', folder)]).toEqual([1100, 1100]);
  });
});
