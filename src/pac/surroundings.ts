import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { type ReadCredentials, readCredentials } from './credentials.js';
import { type DiscoverPaas, discoverPaas } from './discovery.js';

/** What the PaC stands on. */
export interface PacSurroundings extends Surroundings {
  /** Certificates and keys, with the engine that proves them: a simulation's need not be TLS, see runtime/eap/engine.ts. */
  readonly readCredentials: ReadCredentials;
  /** Finds the PAAs of the link that the node is on. */
  readonly discoverPaas: DiscoverPaas;
}

export const systemPacSurroundings: PacSurroundings = { ...systemSurroundings, readCredentials, discoverPaas };
