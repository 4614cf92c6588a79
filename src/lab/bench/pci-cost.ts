import { randomBytes } from 'node:crypto';
import type { NasConfig, NasInput, NasOutput } from '../../protocol/nas/alphabet.js';
import { Nas } from '../../protocol/nas/nas.js';
import { REQUEST_DEFAULTS } from '../../protocol/pana/session/retransmission.js';
import { encodePana, MESSAGE_TYPE } from '../../protocol/pana/wire/codec.js';
import { messageListener } from '../../runtime/net/udp.js';
import { Metrics } from '../../runtime/service/metrics.js';
import { Driver } from '../../runtime/system/driver.js';

const ROUNDS = 20;
const SOURCES = 1 << 16;

const ORIGIN = {
  host: 'paa.access.example',
  realm: 'access.example',
  stateId: 1,
  ownVendor: 32473,
  nasIdentifier: 'paa.access.example',
  framedMtu: 1100,
};

const CONFIG: NasConfig = {
  paa: {
    vendorId: 32473,
    prf: [5, 2],
    integrity: [12, 7],
    sa: 'required',
    encryption: 'wanted',
    failedSessionTimeout: 60_000,
    request: REQUEST_DEFAULTS,
    pingInterval: 0,
    mobility: 0x47f,
    exportKeys: false,
    reconfigure: false,
    reauthenticateAt: 0.9,
    lifetimeGrace: 2_000,
    firstRequest: undefined,
    limits: {
      pciPerAddress: 5,
      pciPerNetwork: 500,
      pciInAll: 1,
      halfOpenPerAddress: 8,
      halfOpenPerNetwork: 2_000,
      halfOpen: 4_000,
      sessions: 100_000,
    },
  },
  sessionLifetime: 3_600_000,
  sessionsPerSubscriber: 4,
  enforcement: undefined,
  local: undefined,
  routes: [],
  emptyStart: undefined,
};

/**
 * Measures in CPU microseconds what an unanswered PCI costs, from the socket's `message` event through driver and
 * machine to the counters, with as many sources as a limiter table has cells. The bench runs this as its own program
 * and reads its output.
 */
function measureRefusedPci(): number {
  const metrics = new Metrics('bench');
  const perform = (output: NasOutput) => {
    if (output.type === 'event' && output.event.type === 'dropped') {
      metrics.count('dropped', { code: output.event.code });
    }
  };
  const driver = new Driver<NasInput, NasOutput>(new Nas(ORIGIN, CONFIG, randomBytes(32)), perform);
  const listener = messageListener('::1|716', (octets, from) => {
    metrics.count('datagrams', { direction: 'in' });
    driver.feed({ type: 'datagram', octets, from });
  });
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

process.stdout.write(String(measureRefusedPci()));
