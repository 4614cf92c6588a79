import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../../dist/lab/lab.js';
import { asText, hasProgram, made, type Run, runHook, SHELLS, testNode } from '../../scripts/hook-rig.js';
import { announce } from '../access-network.js';

const OTHER_KEY = `0x${'ee'.repeat(64)}`;
/** The shells, and whether this machine lacks them. */
const ALL_SHELLS = SHELLS.map(({ shell, command }) => {
  const [program = ''] = command;
  const isFound = announce(`hooks under ${shell}`, hasProgram(program) ? undefined : `they need ${program}`);
  return { shell, command, isMissing: !isFound };
});
let state: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-golden-'));
});

afterEach(() => rm(state, { recursive: true, force: true }));

interface Case {
  readonly script: string;
  readonly ike: 'racoon' | 'strongswan';
  readonly mobility: 'umip' | 'shisa' | 'none';
  readonly version: 'ikev1' | 'ikev2';
}

const CASES: readonly Case[] = [
  { script: 'ha-linux.sh', ike: 'racoon', mobility: 'umip', version: 'ikev1' },
  { script: 'ha-linux.sh', ike: 'racoon', mobility: 'none', version: 'ikev1' },
  { script: 'ha-linux.sh', ike: 'strongswan', mobility: 'umip', version: 'ikev2' },
  { script: 'ha-linux.sh', ike: 'strongswan', mobility: 'none', version: 'ikev2' },
  { script: 'ha-freebsd.sh', ike: 'racoon', mobility: 'shisa', version: 'ikev1' },
  { script: 'ha-freebsd.sh', ike: 'strongswan', mobility: 'shisa', version: 'ikev2' },
  { script: 'mn-linux.sh', ike: 'racoon', mobility: 'umip', version: 'ikev1' },
  { script: 'mn-linux.sh', ike: 'racoon', mobility: 'none', version: 'ikev1' },
  { script: 'mn-linux.sh', ike: 'strongswan', mobility: 'umip', version: 'ikev2' },
  { script: 'mn-linux.sh', ike: 'strongswan', mobility: 'umip', version: 'ikev1' },
  { script: 'mn-linux.sh', ike: 'strongswan', mobility: 'none', version: 'ikev2' },
  { script: 'mn-freebsd.sh', ike: 'racoon', mobility: 'shisa', version: 'ikev1' },
  { script: 'mn-freebsd.sh', ike: 'strongswan', mobility: 'shisa', version: 'ikev2' },
];

const nameOf = ({ script, ike, mobility, version }: Case) =>
  `${script.replace('.sh', '')}-${ike}-${version}-${mobility}`;
/** Files for 50 nodes are recorded for one case of each kind only. */
function countsOf(given: Case): readonly number[] {
  const isMain = given.mobility !== 'none' && !(given.script === 'ha-freebsd.sh' && given.ike === 'strongswan');
  return isHa(given) ? (isMain ? [1, 2, 50] : [1, 2]) : [1];
}

const isHa = ({ script }: Case) => script.startsWith('ha');

function settle({ ike, mobility }: Case): Promise<void> {
  return writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\nINTERFACE=eth7\nIKE=${ike}\nMOBILITY=${mobility}\n`);
}

async function works(run: Run): Promise<string> {
  const { status, output } = await runHook(state, run);
  expect({ status, output }).toMatchObject({ status: 0 });
  expect(output).not.toMatch(/0x[0-9a-f]{8}/);
  return output;
}

async function bringUp(given: Case, count: number, shell?: readonly string[]): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    await works({
      script: given.script,
      event: 'up',
      node: testNode(n),
      ike: given.version,
      ...(shell ? { shell } : {}),
    });
  }
}

/** A file in test/system/scripts/golden, which "vitest -u" writes. */
const golden = (name: string) => `./golden/${name}.txt`;

describe.each(CASES.map((given) => ({ name: nameOf(given), given })))('$name', ({ name, given }) => {
  it.each(countsOf(given))('writes the golden files for %d nodes', async (count) => {
    await settle(given);
    await bringUp(given, count);
    await expect(asText(await made(state))).toMatchFileSnapshot(golden(`${name}-${count}`));
  });

  it('writes the same files when it runs twice, and leaves no files after the last node', async () => {
    await settle(given);
    await bringUp(given, 1);
    const once = await made(state);
    await bringUp(given, 1);
    expect(await made(state)).toEqual(once);
    for (let again = 0; again < 2; again += 1) {
      await works({ script: given.script, event: 'refresh', node: testNode(1), ike: given.version, key: OTHER_KEY });
      await expect(asText(await made(state))).toMatchFileSnapshot(golden(`${name}-refreshed`));
    }
    for (let again = 0; again < 2; again += 1) {
      await works({ script: given.script, event: 'down', node: testNode(1), ike: given.version });
      expect(asText(await made(state))).not.toMatch(/mn1@|::1001|0x[0-9a-f]/);
    }
  });

  for (const { shell, command, isMissing } of ALL_SHELLS) {
    it.skipIf(isMissing)(`writes the same files under ${shell}`, async () => {
      await settle(given);
      const count = isHa(given) ? 2 : 1;
      await bringUp(given, count, command);
      await expect(asText(await made(state))).toMatchFileSnapshot(golden(`${name}-${count}`));
      for (const event of ['refresh', 'down']) {
        await works({ script: given.script, event, node: testNode(1), ike: given.version, shell: command });
      }
    });
  }

  it('leaves each file complete, old or new, wherever it is killed', async () => {
    await settle(given);
    await bringUp(given, isHa(given) ? 2 : 1);
    const before = await made(state);
    const change = { script: given.script, event: 'refresh', node: testNode(1), ike: given.version, key: OTHER_KEY };
    const twin = `${state}-twin`;
    await mkdir(twin);
    await promisify(execFile)('cp', ['-R', `${state}/.`, twin]);
    await runHook(twin, change);
    const after = await made(twin);
    await rm(twin, { recursive: true, force: true });
    expect(after).not.toEqual(before);

    // The hooks put files in place with mv. Here the nth call of mv kills the process group.
    const programs = join(state, 'bin');
    await mkdir(programs);
    let kills = 0;
    for (let n = 1; n < 20; n += 1) {
      const script = `#!/bin/sh\necho >>"$0.calls"\n[ "$(wc -l <"$0.calls")" -lt ${n} ] || kill -KILL 0\nexec /bin/mv "$@"\n`;
      await writeFile(join(programs, 'mv'), script);
      await chmod(join(programs, 'mv'), 0o755);
      await rm(join(programs, 'mv.calls'), { force: true });
      const { status } = await runHook(state, { ...change, programs });
      for (const [path, text] of await made(state)) expect([before.get(path), after.get(path)]).toContain(text);
      if (status === 0) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(0);
    await works(change);
    expect(await made(state)).toEqual(after);
  }, 30_000);
});

describe('hooks.conf', () => {
  const hook = (settings: string, ike: 'ikev1' | 'ikev2' = 'ikev2') =>
    writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\n${settings}`).then(() =>
      runHook(state, { script: 'ha-linux.sh', event: 'up', node: testNode(1), ike }),
    );

  it.each([
    { settings: 'IKE=quick\n', problem: 'IKE=quick in hooks.conf is not strongswan or racoon' },
    { settings: 'IKE=racoon\nMOBILITY=magic\n', problem: 'MOBILITY=magic in hooks.conf is not umip, shisa or none' },
    { settings: 'IKE=racoon\n', problem: 'racoon does not speak ikev2' },
  ])('with invalid settings is rejected: $problem', async ({ settings, problem }) => {
    const { status, output } = await hook(settings);
    expect(output).toContain(`error: ${problem}`);
    expect(status).toBe(1);
    expect(await made(state)).toEqual(new Map());
  });
});

const checkable = announce('shellcheck of the hooks', hasProgram('shellcheck') ? undefined : 'it needs shellcheck');

it.runIf(checkable)('shellcheck reports nothing in the hooks', async () => {
  const root = join(hookPath('.'), '..', '..');
  const scripts = (await readdir(hookPath('.'))).filter((name) => name.endsWith('.sh'));
  expect(scripts.length).toBeGreaterThan(10);
  const found = await promisify(execFile)('shellcheck', ['-x', ...scripts.map((name) => `scripts/hooks/${name}`)], {
    cwd: root,
  }).catch((error: { readonly stdout: string }) => error);
  expect(found.stdout).toBe('');
});
