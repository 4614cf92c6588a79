import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** A home agent hook that records its events, and fails while the file `hold` exists. */
const HOOK = `#!/bin/sh
folder=$(dirname "$0")
[ ! -e "$folder/hold" ] || exit 1
echo "$1 $MIP6_MN_ID $MIP6_HOA" >>"$folder/told"
`;

it('A server killed between a commit and its hook runs the hook after its next start, for that session alone', {
  timeout: 120_000,
}, async () => {
  const made = await Lab.make({ hooks: false });
  lab = made;
  await writeFile(made.path('hook'), HOOK);
  await chmod(made.path('hook'), 0o700);
  const { daemon, place } = await made.startAaa('aaa', { hooks: { ha: made.path('hook') } });
  await made.startPaa(place);
  const enter = async (name: string) => {
    await made.addSubscriber(`${name}@home.example`, name);
    const pac = await made.startPac(name);
    const { homeAddress } = await pac.line('bootstrap completed');
    await daemon.line('hook done', ({ subject, event }) => subject === `ha ${name}@home.example` && event === 'up');
    return { pac, homeAddress };
  };
  const stays = await enter('mn2');
  const { pac, homeAddress } = await enter('mn1');
  await writeFile(made.path('hold'), '');
  await pac.stop();
  // The lease is free in the store, but the home agent's hook has not run.
  await daemon.line('hook failed', ({ event }) => event === 'down');
  expect(await made.leases()).toMatchObject([{ nai: 'mn2@home.example', homeAddress: stays.homeAddress }]);
  daemon.signal('SIGKILL');
  await daemon.exited;
  await rm(made.path('hold'));
  const again = made.start('aaa again', 'aaa', made.path('aaa.yaml'));
  expect(await again.line('duty resumed', ({ event }) => event === 'down')).toMatchObject({ nai: 'mn1@home.example' });
  await again.line('hook done', ({ event }) => event === 'down');
  const told = (await readFile(made.path('told'), 'utf8')).trim().split('\n');
  expect(told.filter((line) => line.startsWith('down'))).toEqual([`down mn1@home.example ${homeAddress}`]);
});
