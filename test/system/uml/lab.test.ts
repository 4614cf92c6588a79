import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { charonProgram } from '../../../dist/lab/network-lab/charon.js';
import { hasProgram } from '../../../dist/lab/network-lab/hosts.js';
import type { Finding } from '../../../dist/lab/network-lab/report.js';
import { eventually, within } from '../../eventually.js';
import { announce } from '../access-network.js';

const TOOL = fileURLToPath(new URL('../../../dist/tool/main.js', import.meta.url));
/** For each run of the lab, which takes a few minutes on an idle computer. */
const PATIENCE = 1_200_000;
/** A user that may read the files of the system only. */
const NOBODY = { uid: 65_534, gid: 65_534 };

const missing = ['linux.uml', 'modprobe', 'ip', 'ip6tables-legacy'].filter((program) => !hasProgram(program));
if (charonProgram() === undefined) missing.push('charon and swanctl of strongSwan');
const why = missing.length > 0 ? `it needs ${missing.join(', ')}` : undefined;
const possible = announce('the lab in user-mode Linux', why);

/** The user of the lab: not root, unless this project is in a folder that others cannot read. */
function user(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  try {
    execFileSync(process.execPath, [TOOL, '--version'], { ...NOBODY, stdio: 'ignore' });
    return NOBODY;
  } catch {
    process.stderr.write('\n*** user-mode Linux runs as root: other users cannot read this project ***\n\n');
    return {};
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly said: string[];
  readonly output: () => string;
  /** Resolves with the exit status; undefined after a signal. */
  readonly ended: Promise<number | undefined>;
}

function start(...flags: readonly string[]): Running {
  const parameters = [TOOL, 'lab', '--kernel', 'uml', '--json', ...flags];
  const child = spawn(process.execPath, parameters, { ...user(), stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  let output = '';
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  child.stdout?.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const ended = once(child, 'close').then(([code]) => (code as number | null) ?? undefined);
  return { child, said, output: () => output, ended };
}

const reached = ({ said }: Running, what: string) =>
  eventually(() => expect(said.join('\n')).toContain(what), { limit: PATIENCE });

/** Processes that have the folder of this lab in their command line, and folders. */
async function left({ child }: Running): Promise<{ readonly processes: string[]; readonly folders: string[] }> {
  const name = `pana-lab-${child.pid}-`;
  const processes: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(`/${name}`)) processes.push(pid);
  }
  return { processes, folders: (await readdir(tmpdir())).filter((each) => each.startsWith(name)) };
}

const NOTHING = { processes: [], folders: [] };

describe.runIf(possible)('pana-mip6 lab --kernel uml', () => {
  it(
    'shows the whole chain with ESP of the kernel and ep-ip6tables.sh, with traffic, and leaves nothing behind',
    async () => {
      const lab = start('--reauth', '--handover', '--restart-ha');
      expect(await lab.ended, `${lab.said.join('\n')}\n${lab.output()}`).toBe(0);
      const { items } = JSON.parse(lab.output()) as { readonly items: readonly Finding[] };
      const results = items.filter(({ result }) => result !== 'skipped').map(({ what, result }) => [what, result]);
      const mobility = ['mip6d', 'radvd', 'tcpdump'].every(hasProgram) && {
        'IKE_SA to the first binding update': 'yes',
        'bound: binding update to acknowledgement': 'yes',
      };
      expect(Object.fromEntries(results)).toEqual({
        'before: no packet of the node passes the router': 'yes',
        'authenticated: PCI to PAN[C]': 'yes',
        'enforcement point: the node’s packets reach CN': 'yes',
        'home agent assigned': 'yes',
        'home address assigned': 'yes',
        'PAN[C] to the first message of IKE': 'yes',
        'IKE_SA up': 'yes',
        'CHILD_SA: ESP between the node and the home agent': 'yes',
        ...mobility,
        'traffic between home address and CN, both directions': 'yes',
        're-authentication: another key, another IKE_SA': 'yes',
        'handover of MN1 to AR2, authenticated there before': 'yes',
        'handover of MN1 to AR2, its PAA at a global address': 'yes',
        'handover of MN1 to AR1, its PAA at a global address': 'yes',
        'home agent restarts: traffic comes back': 'yes',
        'after: the home address is free again': 'yes',
        'after: no packet of the node passes': 'yes',
        'after: no SA, address, file or watch is left on node and home agent': 'yes',
      });
      expect(lab.said.join('\n')).toMatch(/ESP +the kernel\n.*\n +enforcement point +ep-ip6tables\.sh/);
      for (const { what, traffic = [] } of items) {
        for (const { node, fromNode, toNode } of traffic) {
          const counts = `${fromNode.lost} of ${fromNode.sent} and ${toNode.lost} of ${toNode.sent}`;
          process.stderr.write(`*** user-mode Linux: ${what}: MN${node} lost ${counts} ***\n`);
        }
      }
      expect(await left(lab)).toEqual(NOTHING);
    },
    PATIENCE,
  );

  it(
    'ends at once when it is interrupted',
    async () => {
      const lab = start();
      await reached(lab, 'each a network namespace');
      expect((await left(lab)).processes).not.toEqual([]);
      lab.child.kill('SIGINT');
      expect(await within(lab.ended, 'the lab ends')).toBe(2);
      expect(lab.said.at(-1)).toContain('interrupted');
      expect(await left(lab)).toEqual(NOTHING);
    },
    PATIENCE,
  );

  it(
    'ends its kernel when it is killed; the next lab removes its folder',
    async () => {
      const killed = start();
      await reached(killed, 'each a network namespace');
      killed.child.kill('SIGKILL');
      await within(once(killed.child, 'exit'), 'the lab ends');
      await eventually(async () => expect((await left(killed)).processes).toEqual([]));
      expect((await left(killed)).folders).toHaveLength(1);
      const next = start();
      await reached(next, 'Booting');
      expect(next.said.join('\n')).toContain('Removed the remains of a killed lab');
      expect(await left(killed)).toEqual(NOTHING);
      next.child.kill('SIGTERM');
      expect(await within(next.ended, 'the lab ends')).toBe(2);
      expect(await left(next)).toEqual(NOTHING);
    },
    PATIENCE,
  );

  it('says how much memory is too much, or too little', async () => {
    for (const [memory, text] of [
      ['999999G', 'needs 1023998976 MiB in /dev/shm'],
      ['100M', 'give at least 256M'],
      ['much', 'give at least 256M'],
    ] as const) {
      const lab = start('--memory', memory);
      expect(await lab.ended).toBe(2);
      expect(lab.said.at(-1)).toContain(text);
      expect(await left(lab)).toEqual(NOTHING);
    }
  });
});
