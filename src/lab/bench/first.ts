import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { BenchNode } from '../../load/node.js';
import { print, table } from '../../runtime/cli/cli.js';
import { createPeerCredentials } from '../../runtime/eap/tls-peer.js';
import { Lab, type Place, REALM } from '../lab.js';
import { quantile } from '../statistics.js';

/** Bootstraps after which PAA and AAA server run at their usual speed. */
const WARM_UP = 500;

/** Milliseconds from PCI to PAN[C] in the paper. */
const PAPER = 40;

/** Measures the first bootstrap of PaC processes, one after another, with a PAA and an AAA server that have run for a while. */
export async function runFirstBench(count: number): Promise<void> {
  print(`\n(f) the first bootstrap of a PaC process, PAA and AAA server warm (${WARM_UP} bootstraps), no hooks:\n`);
  const lab = await Lab.make({
    hooks: false,
    logLevel: 'info',
    paa: { pana: { limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 } } },
  });
  try {
    const { place: aaa } = await lab.startAaa();
    const { place: paa } = await lab.startPaa(aaa);
    await lab.addSubscriber(`mn@${REALM}`, 'mn');
    await warmUp(lab, paa);
    const bootstraps: number[] = [];
    const starts: number[] = [];
    for (let n = 0; n < count; n += 1) {
      const began = performance.now();
      const pac = await lab.startPac('mn');
      const { duration } = await pac.line('session authorized');
      starts.push(performance.now() - began);
      bootstraps.push(Number(duration));
      await pac.stop();
    }
    show(bootstraps, starts);
  } finally {
    await lab.close();
  }
}

async function warmUp(lab: Lab, paa: Place): Promise<void> {
  const pem = (name: string) => readFile(lab.path('pki', `${name}.pem`), 'utf8');
  const [caPem, certificatePem, keyPem] = [await pem('ca'), await pem('mn'), await pem('mn-key')];
  const options = { caPem, certificatePem, keyPem, serverName: REALM };
  for (let n = 0; n < WARM_UP; n += 1) {
    // Credentials without a ticket, for a full handshake.
    const node = new BenchNode(paa, createPeerCredentials(options));
    await node.bootstrap();
    await node.terminate();
  }
}

function show(bootstraps: readonly number[], starts: readonly number[]): void {
  const row = (name: string, times: readonly number[], paper: string) => {
    const figures = [Math.min(...times), ...[0.25, 0.5, 0.95].map((part) => quantile(times, part))];
    return [name, ...figures.map((figure) => `${Math.round(figure)} ms`), paper];
  };
  print(
    table(
      [`${bootstraps.length} PROCESSES`, 'BEST', 'QUARTER', 'MEDIAN', 'P95', 'PAPER'],
      [row('PCI to PAN[C]', bootstraps, `${PAPER} ms`), row('start of the process to PAN[C]', starts, '')],
    ),
  );
  print(`\nOn an idle host with ${cpus().length} processors the best and the median are close together.`);
}
