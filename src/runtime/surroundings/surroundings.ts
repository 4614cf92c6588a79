import { type Transport, tcpTransport } from '../diameter/transport.js';
import { type HookProcessRunner, HostProcesses } from '../hooks/process.js';
import { type WatchAddresses, watchAddresses } from '../net/address-watch.js';
import { systemUdp, type Udp } from '../net/udp.js';
import { type OpenControl, openControl } from '../service/operator-door.js';
import { fingerprints, type LookAtFiles } from '../system/file-watch.js';
import { type Host, systemHost } from '../system/host.js';

/**
 * What a daemon stands on. All of it is an argument of its start, so that whole daemons also run in a simulated world. Files
 * that are read or written, and TLS, are those of the computer in either case.
 */
export interface Surroundings {
  /** Clocks, timers and randomness. */
  readonly host: Host;
  /** Sockets of PANA. */
  readonly udp: Udp;
  /** Diameter connections without TLS. */
  readonly transport: Transport;
  /** Runs the programs of hooks. */
  readonly hookProcesses: HookProcessRunner;
  /** Tells of changes of this host's addresses. */
  readonly watchAddresses: WatchAddresses;
  /** By what a change of a watched file is seen. */
  readonly lookAtFiles: LookAtFiles;
  /** The operator's way in. */
  readonly openControl: OpenControl;
}

/** The computer. */
export const systemSurroundings: Surroundings = {
  host: systemHost,
  udp: systemUdp,
  transport: tcpTransport,
  hookProcesses: new HostProcesses(systemHost),
  watchAddresses,
  lookAtFiles: fingerprints,
  openControl,
};
