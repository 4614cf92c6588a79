import { execFile, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { BenchNode } from '../../load/node.js';
import { createPeerCredentials } from '../../runtime/eap/tls-peer.js';
import { callDaemon } from '../../runtime/service/control.js';
import { Lab, type Place, REALM } from '../lab.js';
import { FLOOD_SOURCE } from './flood-source.js';

/** The result that the process prints as JSON. Times in milliseconds. */
export interface FloodFigures {
  /** PCIs sent per second, and PCIs that the PAA read per second. */
  readonly rate: number;
  readonly read: number;
  /** Bootstrap times of nodes, one after another, each from a different network. */
  readonly times: readonly number[];
  readonly late: number;
  /** CPU seconds of the PAA per second. */
  readonly load: number;
  /** Memory of the PAA in octets: at the start, and after each node. */
  readonly memory: readonly number[];
}

/** Duration of a flood in seconds, and time limit of a node. */
const SECONDS = 30;
const PATIENCE = 15_000;

/** How long the flood runs before the first node starts, in milliseconds. */
const LEAD = 2_000;

const PAA_ADDRESS = '10.66.0.1';

function system(program: string, parameters: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, parameters, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

/** Makes all of 10.0.0.0/8 local to this namespace, and allows large socket buffers. */
async function makeNetwork(): Promise<void> {
  await system('ip', ['link', 'set', 'lo', 'up']);
  await system('ip', ['address', 'add', `${PAA_ADDRESS}/32`, 'dev', 'lo']);
  await system('ip', ['route', 'add', 'local', '10.0.0.0/8', 'dev', 'lo']);
  for (const name of ['all', 'default', 'lo']) await writeFile(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '0');
}

/** Reads counters and gauges of the PAA. The returned function finds one by the beginning of its line. */
async function read(lab: Lab): Promise<(line: string) => number> {
  const text = String(await callDaemon(lab.socket('paa'), 'GET', '/metrics'));
  return (line) => {
    const found = text.split('\n').find((each) => each.startsWith(`${line} `));
    return Number(found?.split(' ').at(-1) ?? Number.NaN);
  };
}

async function flooded(lab: Lab, paa: Place, rate: number, program: string): Promise<FloodFigures> {
  const pem = (name: string) => readFile(lab.path('pki', `${name}.pem`), 'utf8');
  const [caPem, certificatePem, keyPem] = [await pem('ca'), await pem('mn0'), await pem('mn0-key')];
  const credentials = createPeerCredentials({ caPem, certificatePem, keyPem, serverName: REALM });
  const before = await read(lab);
  const began = performance.now();
  let said = '';
  const flood = rate === 0 ? undefined : spawn(program, [paa.address, String(paa.port), String(rate), String(SECONDS)]);
  flood?.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const over = new Promise<void>((resolve) => (flood ? flood.once('close', () => resolve()) : resolve()));
  await new Promise((resolve) => setTimeout(resolve, LEAD));
  const times: number[] = [];
  const memory = [before('process_resident_memory_bytes')];
  let late = 0;
  for (let n = 0; performance.now() - began < (SECONDS - 1) * 1000; n += 1) {
    const node = new BenchNode(paa, credentials, `10.67.${n % 250}.${5 + Math.floor(n / 250)}`);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), PATIENCE);
    });
    const outcome = await Promise.race([node.bootstrap().catch(() => 'late' as const), patience]);
    clearTimeout(timer);
    if (outcome === 'late') late += 1;
    else times.push(outcome);
    if (n % 10 === 0) memory.push((await read(lab))('process_resident_memory_bytes'));
    if (outcome === 'late') await node.abandon();
    else await Promise.race([node.terminate(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  }
  const wall = (performance.now() - began) / 1000;
  const after = await read(lab);
  await over;
  const change = (line: string) => after(line) - before(line);
  const [sent = 0, seconds = 1] = said.split(' ').map(Number);
  return {
    rate: sent / seconds,
    read: change('pana_paa_datagrams_total{direction="in"}') / wall,
    times,
    late,
    load: change('process_cpu_seconds_total') / wall,
    memory,
  };
}

await makeNetwork();
const lab = await Lab.make({
  hooks: false,
  logLevel: 'info',
  family: 'ipv4',
  capacity: 1_000_000,
  paa: { pana: { listen: [PAA_ADDRESS] } },
});
try {
  const program = lab.path('flood');
  await writeFile(`${program}.c`, FLOOD_SOURCE);
  await system('cc', ['-O2', '-o', program, `${program}.c`]);
  const { place: aaa } = await lab.startAaa();
  const { place: paa } = await lab.startPaa(aaa);
  await lab.addSubscriber(`mn0@${REALM}`, 'mn0');
  const figures: FloodFigures[] = [];
  for (const rate of process.argv.slice(2).map(Number)) figures.push(await flooded(lab, paa, rate, program));
  process.stdout.write(JSON.stringify(figures));
} finally {
  await lab.close();
}
