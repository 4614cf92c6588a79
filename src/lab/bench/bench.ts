import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { BenchNode } from '../../load/node.js';
import type { Issued } from '../../pki/certificate-authority.js';
import { print, table } from '../../runtime/cli/cli.js';
import { createPeerCredentials } from '../../runtime/eap/tls-peer.js';
import { callDaemon } from '../../runtime/service/control.js';
import { Lab, type Place, REALM } from '../lab.js';
import { quantile } from '../statistics.js';
import { measureHandshake } from './handshake.js';

export interface BenchOptions {
  /** Number of bootstraps of each kind. */
  readonly count: number;
  readonly atOnce: number;
}

const HANDSHAKES = 300;
const WARM_UP = 40;

/** CPU time so far in milliseconds. */
interface Cpu {
  readonly pac: number;
  readonly paa: number;
  readonly aaa: number;
}

interface Phase {
  readonly name: string;
  readonly times: readonly number[];
  /** Wall-clock time in milliseconds. */
  readonly wall: number;
  /** CPU time per bootstrap. */
  readonly cpu: Cpu;
}

/** Measures bare TLS handshakes and whole bootstraps in one run, and prints the figures. */
export async function runBench({ count, atOnce }: BenchOptions): Promise<void> {
  print(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`);
  const lab = await Lab.make({
    hooks: false,
    logLevel: 'info',
    capacity: 1_000_000,
    paa: { pana: { limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 } } },
  });
  try {
    const { place: aaa } = await lab.startAaa();
    const { place: paa } = await lab.startPaa(aaa);
    const total = WARM_UP + 2 * count;
    print(`Making ${total} nodes with P-256 certificates …`);
    const nodes = await makeNodes(lab, paa, total);
    const bare = await measureHandshake(
      { caPem: await pem(lab, 'ca'), server: await issued(lab, 'aaa'), client: await issued(lab, 'mn0') },
      HANDSHAKES,
    );
    await measure(lab, 'warm-up', nodes.slice(0, WARM_UP), 4);
    const phases = [
      await measure(lab, 'one after another', nodes.slice(WARM_UP, WARM_UP + count), 1),
      await measure(lab, `${atOnce} at once`, nodes.slice(WARM_UP + count), atOnce),
    ];
    show(bare, phases);
  } finally {
    await lab.close();
  }
}

async function makeNodes(lab: Lab, paa: Place, count: number): Promise<BenchNode[]> {
  const caPem = await pem(lab, 'ca');
  const nodes: BenchNode[] = [];
  for (let i = 0; i < count; i += 1) {
    await lab.addSubscriber(`mn${i}@${REALM}`, `mn${i}`);
    const { certificatePem, keyPem } = await issued(lab, `mn${i}`);
    nodes.push(new BenchNode(paa, createPeerCredentials({ caPem, certificatePem, keyPem, serverName: REALM })));
    if (process.stdout.isTTY && (i + 1) % 20 === 0) process.stdout.write(`\r${i + 1} of ${count}\r`);
  }
  return nodes;
}

function pem(lab: Lab, name: string): Promise<string> {
  return readFile(lab.path('pki', `${name}.pem`), 'utf8');
}

async function issued(lab: Lab, name: string): Promise<Issued> {
  return { certificatePem: await pem(lab, name), keyPem: await pem(lab, `${name}-key`) };
}

async function measure(lab: Lab, name: string, nodes: readonly BenchNode[], atOnce: number): Promise<Phase> {
  const times: number[] = [];
  const waiting = [...nodes];
  const before = await cpuOf(lab);
  const started = performance.now();
  const worker = async () => {
    for (let node = waiting.pop(); node; node = waiting.pop()) times.push(await node.bootstrap());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const wall = performance.now() - started;
  const spent = await cpuOf(lab);
  // Not measured: sessions end after all measurements.
  for (const node of nodes) await node.terminate();
  const each = (part: keyof Cpu) => (spent[part] - before[part]) / nodes.length;
  return { name, times, wall, cpu: { pac: each('pac'), paa: each('paa'), aaa: each('aaa') } };
}

/** CPU time of the nodes, from this process, and of the daemons, from their metrics. */
async function cpuOf(lab: Lab): Promise<Cpu> {
  const [paa, aaa] = await Promise.all(
    ['paa', 'aaa'].map(async (name) => {
      const text = String(await callDaemon(lab.socket(name), 'GET', '/metrics'));
      return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1] ?? Number.NaN) * 1000;
    }),
  );
  const { user, system } = process.cpuUsage();
  return { pac: (user + system) / 1000, paa: paa ?? Number.NaN, aaa: aaa ?? Number.NaN };
}

function show(bare: number, phases: readonly Phase[]): void {
  const fixed = (value: number, digits = 2) => value.toFixed(digits);
  print(`
(a) bare TLS 1.3 handshake with client certificate, P-256, both ends in memory, ${HANDSHAKES} times: ${fixed(bare)} ms CPU

(b) whole bootstraps, PCI to PAN[C], TLS 1.3, full handshakes, SQLite on disk, no hooks:
`);
  print(
    table(
      ['', 'COUNT', 'MEDIAN', 'P95', 'PER SECOND', 'CPU PAC', 'CPU PAA', 'CPU AAA', 'CPU SUM', 'SUM / (a)'],
      phases.map(({ name, times, wall, cpu }) => {
        const sum = cpu.pac + cpu.paa + cpu.aaa;
        return [
          name,
          String(times.length),
          `${fixed(quantile(times, 0.5), 1)} ms`,
          `${fixed(quantile(times, 0.95), 1)} ms`,
          fixed((times.length / wall) * 1000, 0),
          `${fixed(cpu.pac)} ms`,
          `${fixed(cpu.paa)} ms`,
          `${fixed(cpu.aaa)} ms`,
          `${fixed(sum)} ms`,
          fixed(sum / bare),
        ];
      }),
    ),
  );
  print('\nCPU is user and system time of each process for one bootstrap; the nodes share one process.');
}
