import { randomBytes } from 'node:crypto';
import { Paa, type PaaInput, type PaaOutput } from '../protocol/pana/agent/paa.js';
import { encodePana, MESSAGE_TYPE } from '../protocol/pana/wire/codec.js';
import { openLog } from '../runtime/log/log.js';
import { messageListener } from '../runtime/net/udp.js';
import { Barrier } from '../runtime/service/barrier.js';
import { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import { Intake } from './intake.js';
import { PAA_METRICS } from './metrics.js';
import { paaSchema } from './options.js';
import { paaConfig } from './paa-config.js';

const ROUNDS = 20;
const SOURCES = 1 << 16;

/**
 * A program of the bench, which prints it: CPU microseconds of a PCI that is not answered, from the socket's `message` event through everything that pana-paa does
 * with one, over as many sources as a table of the limiter has cells.
 */
async function measureRefusedPci(): Promise<number> {
  const options = paaSchema.parse({
    pana: { listen: ['::1'], limits: { pci: 1 } },
    diameter: { host: 'paa.access.example', realm: 'access.example', peers: [{ host: 'aaa.home.example' }] },
  });
  const log = await openLog('pana-paa', { level: 'info', format: 'json' });
  const metrics = new Metrics('pana_paa', PAA_METRICS);
  const paa = new Paa(paaConfig(options), randomBytes(32));
  const perform = (output: PaaOutput) => {
    if (output.type === 'dropped') intake.dropped(output);
  };
  const driver = new Driver<PaaInput, PaaOutput>(paa, perform);
  const intake = new Intake(driver, metrics, log, new Barrier(log, metrics, () => performance.now()));
  const listener = messageListener('::1|716', (octets, from) => intake.received(octets, from));
  const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
  const sources = Array.from({ length: SOURCES }, (_, n) => ({
    address: `2001:db8:${(n >> 4).toString(16)}::${(n & 15).toString(16)}`,
    port: 1024 + (n % 60_000),
  }));
  const round = () => {
    for (const source of sources) listener(pci, source);
  };
  round();
  const before = process.cpuUsage();
  for (let n = 0; n < ROUNDS; n += 1) round();
  const { user, system } = process.cpuUsage(before);
  driver.stop();
  return (user + system) / (ROUNDS * SOURCES);
}

process.stdout.write(String(await measureRefusedPci()));
