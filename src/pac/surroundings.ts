import { type FindHomeAgents, findHomeAgents } from '../runtime/net/home-agents-by-dns.js';
import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { type ReadCredentials, readCredentials } from './credentials.js';
import { type DiscoverPaas, discoverPaas } from './discovery.js';

/** The surroundings of the PaC. */
export interface PacSurroundings extends Surroundings {
  /**
   * Reads the node's credentials and creates their engine. A simulation's engine need not be TLS, see
   * runtime/eap/engine.ts.
   */
  readonly readCredentials: ReadCredentials;
  /** Finds the PAAs of the node's link. */
  readonly discoverPaas: DiscoverPaas;
  /** Finds home agents by DNS. */
  readonly findHomeAgents: FindHomeAgents;
}

export const systemPacSurroundings: PacSurroundings = {
  ...systemSurroundings,
  readCredentials,
  discoverPaas,
  findHomeAgents,
};
