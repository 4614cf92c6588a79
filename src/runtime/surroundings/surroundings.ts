import { type Transport, tcpTransport } from '../diameter/transport.js';
import { type HookProcessRunner, HostProcesses } from '../hooks/process.js';
import { type ReadAddresses, readAddresses } from '../net/host-addresses.js';
import { type HasInterface, hasInterface } from '../net/interface-check.js';
import { type WatchNetwork, watchNetwork } from '../net/network-watch.js';
import { systemUdp, type Udp } from '../net/udp.js';
import { type OpenControl, openControl } from '../service/control-endpoints.js';
import { fingerprints, type LookAtFiles } from '../system/file-watch.js';
import { type Host, systemHost } from '../system/host.js';
import { KeyLog, type OpenKeyLog } from '../tls/key-log.js';

/**
 * The environment of a daemon. All of it is an argument of the daemon's start, so that whole daemons also run in a
 * simulation. Files and TLS are always those of the computer.
 */
export interface Surroundings {
  /** Clocks, timers and randomness. */
  readonly host: Host;
  /** UDP sockets for PANA. */
  readonly udp: Udp;
  /** Diameter connections without TLS. */
  readonly transport: Transport;
  /** Runs the programs of hooks. */
  readonly hookProcesses: HookProcessRunner;
  /** Reports changes of this host's links, addresses and routes. */
  readonly watchNetwork: WatchNetwork;
  /** Reads this host's addresses. */
  readonly readAddresses: ReadAddresses;
  /** Whether this host has an interface. */
  readonly hasInterface: HasInterface;
  /** Detects changes of watched files. */
  readonly lookAtFiles: LookAtFiles;
  /** Opens the control socket and metrics port. */
  readonly openControl: OpenControl;
  /** Opens the file for PANA_AUTH_KEYs, if the option `key-log` is set. */
  readonly openKeyLog: OpenKeyLog;
}

/** The surroundings of a daemon on a real computer. */
export const systemSurroundings: Surroundings = {
  host: systemHost,
  udp: systemUdp,
  transport: tcpTransport,
  hookProcesses: new HostProcesses(systemHost),
  watchNetwork,
  readAddresses,
  hasInterface,
  lookAtFiles: fingerprints,
  openControl,
  openKeyLog: KeyLog.open,
};
