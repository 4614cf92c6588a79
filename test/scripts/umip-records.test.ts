import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { made, mip6dConsole, runHook, testNode } from './hook-rig.js';

/**
 * Records of a run with strongSwan 5.9.8 and UMIP 0.4 on Linux 6.1, one node: what both ends had in files, kernel and daemons. Keys,
 * SPIs and times are replaced by words, the care-of addresses by COA and COA2.
 */
const RECORDS = join(import.meta.dirname, 'records');
const COA = '2001:db8:a::11';
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-records-'));
  bin = join(state, 'bin');
  await mkdir(bin);
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** The sections of a record by name. */
async function record(name: string): Promise<ReadonlyMap<string, string>> {
  const sections = new Map<string, string>();
  for (const section of (await readFile(join(RECORDS, name), 'utf8')).split(/^===== /m).slice(1)) {
    const end = section.indexOf('\n');
    sections.set(section.slice(0, end), section.slice(end + 1));
  }
  return sections;
}

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

describe.each([
  { end: 'ha', script: 'ha-linux.sh', link: 'h0' },
  { end: 'mn1', script: 'mn-linux.sh', link: 'eth0' },
])('The record of $end', ({ end, script, link }) => {
  it.each(['1-attached', '5-ended'])('has the files of the hooks: %s', async (step) => {
    await writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\nIKE=strongswan\nMOBILITY=umip\nINTERFACE=${link}\n`);
    const run = { script, node: testNode(1) };
    expect(await runHook(state, { ...run, event: 'up' })).toMatchObject({ status: 0 });
    if (step === '5-ended') expect(await runHook(state, { ...run, event: 'down' })).toMatchObject({ status: 0 });
    const files = new Map<string, string>();
    for (const [path, text] of await made(state)) {
      const name = path.replace(/ \d+$/, '').replace(/^.*\//, '');
      if (name !== 'swanctl.conf') files.set(`file ${name}`, text.replaceAll(/secret = .*/g, 'secret = KEY'));
    }
    // A dry run looks for no care-of address. The test's home agent has another name.
    const recorded = [...(await record(`${step}-${end}.txt`))]
      .filter(([name]) => name.startsWith('file '))
      .map(
        ([name, text]) => [name, text.replace(/ +local_addrs = COA\n/, '').replaceAll('ha1.home', 'ha.home')] as const,
      );
    expect(new Map(recorded)).toEqual(files);
  });
});

it('A new mip6d gets the binding that the former one had, from what the kernel has', async () => {
  const attached = await record('1-attached-ha.txt');
  const shown = (name: string) => (attached.get(name) ?? '').replaceAll('COA', COA);
  const console = await mip6dConsole();
  try {
    await writeFile(
      join(state, 'hooks.conf'),
      `IKE=racoon\nWATCH=no\nRADVD=no\nINTERFACE=h0\nMIP6D_CONSOLE=127.0.0.1/${console.port}\n`,
    );
    for (const name of ['tunnel', 'route']) await writeFile(join(state, name), shown(`ip -6 ${name} show`));
    await program(
      'ip',
      `case "$*" in *-batch*) read -r what _; [ "$what" != tunnel ] || cat "${state}/tunnel" "${state}/route" ;; esac`,
    );
    await program('pgrep', `[ "$1" = -x ] && grep -qx "$2" "${state}/running"`);
    await program('racoonctl', 'exit 0');
    await program('mip6d', `echo mip6d >>"${state}/running"`);
    await writeFile(join(state, 'running'), 'racoon\n');
    const run = { script: 'ha-linux.sh', node: testNode(1), ike: 'ikev1' as const, programs: bin };
    expect(await runHook(state, { ...run, event: 'up' })).toMatchObject({ status: 0 });
    await writeFile(join(state, 'running'), 'racoon\n');
    expect((await runHook(state, { ...run, event: 'probe' })).output).toContain('binding of mn1@home.example kept');
    // hoa 2001:db8:1:0:0:0:0:1001 … coa COA flags AH-K … local 2001:db8:1:0:0:0:0:1 … / 60
    const was = /hoa (\S+) .*\n coa (\S+) flags (\S+)\n local (\S+)\n lifetime .*\/ (\d+) /.exec(shown('console bc'));
    const [, hoa = '', coa = '', flags = '', local = '', life = ''] = was ?? [];
    const short = (address: string) => address.replace(/(:0)+:/, '::');
    expect(console.asked).toEqual([
      `bc add hoa ${short(hoa)} coa ${coa} local ${short(local)} flags ${flags.replace('-', '')} lifetime ${life} dad never `,
    ]);
  } finally {
    console.close();
  }
});
