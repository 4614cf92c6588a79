import type { ServerEngine } from '../runtime/eap/engine.js';
import { type ThreadedEngineParts, ThreadedTlsEngine } from '../runtime/eap/threaded-engine.js';
import { TlsServerEngine, type TlsServerOptions } from '../runtime/eap/tls-server.js';
import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import type { StorePort } from '../store/port.js';
import { type OpenOptions, Store } from '../store/store.js';
import { type ReadCredentials, readCredentials } from './credentials.js';

/** The surroundings of the AAA server. */
export interface AaaSurroundings extends Surroundings {
  readonly openStore: (where: string, options: OpenOptions) => Promise<StorePort>;
  /** Reads the EAP server's certificates and key. */
  readonly readCredentials: ReadCredentials;
  /** Creates the engine of the EAP server. A simulation's engine need not be TLS, see runtime/eap/engine.ts. */
  readonly makeEngine: (options: TlsServerOptions, threads: ThreadedEngineParts) => ServerEngine<TlsServerOptions>;
}

export const systemAaaSurroundings: AaaSurroundings = {
  ...systemSurroundings,
  openStore: Store.open,
  readCredentials,
  makeEngine: (options, threads) =>
    threads.workers === 0 ? new TlsServerEngine(options) : new ThreadedTlsEngine(options, threads),
};
