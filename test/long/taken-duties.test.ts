import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';
import { Postgres, withoutPostgres } from '../postgres.js';

let lab: Lab | undefined;
let postgres: Postgres | undefined;

afterEach(async () => {
  await lab?.close();
  await postgres?.stop();
  lab = undefined;
  postgres = undefined;
});

/** A home agent hook that records which server runs it, and fails while the file `hold` exists. */
const HOOK = `#!/bin/sh
folder=$(dirname "$0")
[ ! -e "$folder/hold" ] || exit 1
echo "$(basename "$MIP6_STATE_DIR") $1 $MIP6_MN_ID $MIP6_HOA" >>"$folder/told"
`;

it.skipIf(withoutPostgres !== undefined)(
  "When a killed server's hold on a duty has expired, another server that shares the store runs the hook once",
  { timeout: 300_000 },
  async () => {
    postgres = await Postgres.start();
    const store = await postgres.database();
    const made = await Lab.make({ hooks: false, aaa: { store, diameter: { 'shared-store': true } } });
    lab = made;
    await writeFile(made.path('hook'), HOOK);
    await chmod(made.path('hook'), 0o700);
    const { daemon, place } = await made.startAaa('aaa', { hooks: { ha: made.path('hook') } });
    await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1');
    const { homeAddress } = await pac.line('bootstrap completed');
    await daemon.line('hook done', ({ event }) => event === 'up');
    await made.issueServer('aaa2', ['aaa2.home.example']);
    const others = { diameter: { host: 'aaa2.home.example' }, hooks: { ha: made.path('hook') } };
    const { daemon: other } = await made.startAaa('aaa2', others);
    await writeFile(made.path('hold'), '');
    await pac.stop();
    await daemon.line('hook failed', ({ event }) => event === 'down');
    daemon.signal('SIGKILL');
    await daemon.exited;
    await rm(made.path('hold'));
    // The other server waits for DUTY_TERM (a minute) and for its next round.
    expect(await other.line('duty resumed', undefined, 120_000)).toMatchObject({
      event: 'down',
      nai: 'mn1@home.example',
    });
    await other.line('hook done', ({ event }) => event === 'down');
    const told = (await readFile(made.path('told'), 'utf8')).trim().split('\n');
    expect(told.filter((line) => line.includes(' down '))).toEqual([`aaa2 down mn1@home.example ${homeAddress}`]);
    // The killed server finds nothing left to do after its restart.
    const again = made.start('aaa again', 'aaa', made.path('aaa.yaml'));
    await again.line('ready');
    await again.stop();
    expect(again.lines.filter(({ msg }) => msg === 'duty resumed')).toEqual([]);
  },
);
