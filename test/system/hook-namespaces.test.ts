import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { eventually, within } from '../eventually.js';
import { AccessNetwork, announce, missing } from './access-network.js';

const run = promisify(execFile);
const possible = announce('daemons of hooks in network namespaces', missing('pgrep'));

it.runIf(possible)('ha-linux.sh probe ignores daemons of other network namespaces', async () => {
  const net = await AccessNetwork.make();
  const folder = await mkdtemp(join(tmpdir(), 'pana-daemons-'));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(folder, 'hooks.conf'), 'IKE=racoon\nMOBILITY=umip\nRADVD=no\nWATCH=no\n');
  // Without a node, no daemon needs to run.
  await mkdir(join(folder, 'nodes'));
  await writeFile(join(folder, 'nodes', 'mn1@home.example'), '');
  // The hook finds daemons by their names; what they do does not matter.
  const daemons = [];
  for (const name of ['racoon', 'mip6d']) {
    await cp('/bin/sleep', join(bin, name));
    const daemon = spawn('ip', ['netns', 'exec', net.router, join(bin, name), '600'], { stdio: 'ignore' });
    await within(once(daemon, 'spawn'), 'daemon starts');
    daemons.push(daemon);
  }
  // A running mip6d has states in the kernel.
  const stubs = join(folder, 'stubs');
  await mkdir(stubs);
  await writeFile(join(stubs, 'ip'), `#!/bin/sh\ncase "$*" in *'proto hao') echo 'proto hao' ;; esac\n`, {
    mode: 0o755,
  });
  const hook = ['env', `PATH=${stubs}:${process.env['PATH']}`, hookPath('ha-linux.sh')];
  const probe = (namespace: string) =>
    run('ip', ['netns', 'exec', namespace, ...hook, 'probe'], {
      env: {
        PATH: process.env['PATH'],
        MIP6_EVENT: 'probe',
        MIP6_ROLE: 'ha',
        MIP6_STATE_DIR: folder,
        MIP6_HA: '2001:db8:1::1',
        MIP6_HA_HOST: 'ha.home.example',
        MIP6_HA_ID: 'ha1',
      },
    }).then(
      () => 'alive',
      (error: unknown) => (error as { readonly stderr: string }).stderr.trim(),
    );
  try {
    // "ip netns exec" becomes the daemon some time after it was started.
    await eventually(async () => expect(await probe(net.router)).toBe('alive'));
    expect(await probe(net.node)).toBe('error: racoon is not installed');
  } finally {
    for (const daemon of daemons) daemon.kill();
    await rm(folder, { recursive: true, force: true });
  }
});
