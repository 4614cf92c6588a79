import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { strongswanConf } from '../../dist/lab/network-lab/charon.js';

it('lets charon keep the SAs of the home address at a move, as the documentation says', async () => {
  const setting = /kernel-netlink \{\s+roam_events = no\s+\}/;
  expect(strongswanConf({ esp: 'kernel', noMobility: undefined })).toMatch(setting);
  // With a tunnel of charon, the hook forgets the former SAs itself.
  for (const esp of ['kernel', 'charon'] as const) {
    expect(strongswanConf({ esp, noMobility: 'not installed: mip6d' })).not.toContain('roam_events');
  }
  expect(await readFile('docs/hooks.md', 'utf8')).toMatch(setting);
});
